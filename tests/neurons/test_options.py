"""Options and constants that a model refuses, and what the message says."""

import pytest
import torch

from neurotorch.neurons import (
    LIF,
    QIF,
    AdEx,
    Boxcar,
    FastSigmoid,
    FiringRate,
    Gaussian,
    Izhikevich,
    MixedSpiking,
    PowerLaw,
    ResetToValue,
    ResetToZero,
    Tanh,
    learned,
    log_normal,
)
from tests.refusals import refused

TYPES = {
    "a word for a reset": (lambda: LIF(reset="zero"), "`reset` is 'zero'.*method `carry"),
    "a class for a reset": (lambda: LIF(reset=ResetToZero), "the class ResetToZero, not an object"),
    "no reset": (lambda: LIF(reset=None), "`reset` is None"),
    "a word for a surrogate": (lambda: AdEx(surrogate="fast"), "`surrogate` is 'fast'.*method `derivative"),
    "a transfer for a surrogate": (lambda: LIF(surrogate=Tanh()), r"`surrogate` is Tanh\(gain=1.0\)"),
    "a surrogate for a transfer": (lambda: FiringRate(transfer=FastSigmoid()), "`transfer` is FastSigmoid"),
    "a function for a transfer": (lambda: FiringRate(transfer=torch.tanh), "`transfer` is .*methods `value"),
    "a word for a slope": (lambda: LIF(surrogate=FastSigmoid(slope="x")), "slope=.* is 'x'"),
    "a truth for a time constant": (lambda: LIF(True), "`tau_mem` is True"),
    "a seed for a generator": (lambda: log_normal(9, 0.02, generator=3), "`generator` is 3"),
    "a text for members": (lambda: MixedSpiking({"a": LIF()}, "aa"), "`members` is 'aa'"),
    "a list of parts": (lambda: MixedSpiking([LIF()], ["a"]), "`parts` is"),
    "a list of cell types": (lambda: Izhikevich.of_type(["resonator"]), r"of_type\(\*names\)"),
}

VALUES = {
    "a negative slope": (lambda: LIF(surrogate=FastSigmoid(slope=-1)), "slope=.* is -1, but it must be above 0"),
    "a slope that is no number": (lambda: LIF(surrogate=FastSigmoid(slope=float("nan"))), "slope=.* is nan"),
    "no width": (lambda: LIF(surrogate=Gaussian(width=0)), "width=.* is 0, but it must be above 0"),
    "negative dampening": (lambda: LIF(surrogate=Boxcar(dampening=-1)), "dampening=.* is -1.*not negative"),
    "an exponent below 1": (lambda: FiringRate(transfer=PowerLaw(exponent=0.5)), "exponent=.* at least 1"),
    "a reset above the threshold": (lambda: LIF(reset=ResetToValue(2.0)), "`reset` is not below `threshold`"),
    "a reset above the peak": (lambda: QIF(0.01, 12.0), "`v_reset` is not below `peak`"),
    "a reset of one neuron above the peak": (lambda: Izhikevich(c=torch.tensor([-65.0, 40.0])), "`c` is not below"),
    "a learned number of steps": (lambda: LIF(refractory=learned(0.002)), "`refractory` is learned"),
    "a matrix for a time constant": (lambda: LIF(torch.ones(3, 3)), r"`tau_mem` has shape \(3, 3\)"),
    "no value": (lambda: LIF(torch.zeros(0)), "`tau_mem` is empty"),
}


test_what_is_of_the_wrong_kind_is_named = refused(TypeError, TYPES)
test_what_cannot_be_is_named = refused(ValueError, VALUES)


def test_a_quadratic_neuron_at_its_longest_step_does_not_fire_by_itself_and_beyond_it_does():
    model = QIF(torch.tensor(0.01, dtype=torch.float64), torch.tensor(-10.0, dtype=torch.float64))
    assert model.largest_dt() == pytest.approx(0.001)

    def spikes(dt):
        state = model.initial_state(1, torch.zeros(1, dtype=torch.float64))._replace(
            v=torch.full((1, 1), -10.0).double()
        )
        coefficients, count = model.coefficients(dt), 0
        for _ in range(100):
            z, state = model.step(coefficients, state, torch.tensor([[-0.01]]).double())
            count += int(z)
        return count

    assert spikes(model.largest_dt()) == 0
    assert spikes(1.1 * model.largest_dt()) > 0


def test_a_learned_time_constant_is_kept_long_enough_for_the_step():
    model = QIF(learned(torch.tensor([0.001, 0.05])), -10.0)
    model.project_(0.001)
    torch.testing.assert_close(model.tau_mem.value, torch.tensor([0.01, 0.05]))
    assert model.largest_dt() == pytest.approx(0.001)
