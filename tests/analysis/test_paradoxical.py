"""The paradoxical response of two populations, whose steady states and growth rates are known."""

import math

import pytest
import torch

from neurotorch.analysis import paradoxical_response, spectra_of
from neurotorch.connections import Connection, Dale, Given, Normal, spectrum_report
from neurotorch.network import Layer, Network
from neurotorch.neurons import LIF, CurrentRate, FiringRate, LeakyIntegrator, PowerLaw, Relu, Sigmoid

DOUBLE = torch.float64
TAU, DT = 0.02, 0.001


def populations(w_ee, *, w_ei=2.0, w_ie=3.0, w_ii=1.0, excitatory=1, inhibitory=1, drive=(4.0, 3.0), neuron=None):
    """Populations of like neurons: each receives the population weight, shared over the neurons that send."""
    counts = (excitatory, inhibitory)
    blocks = ((w_ee, -w_ei), (w_ie, -w_ii))
    rows = [
        torch.cat([torch.full((counts[p], counts[q]), blocks[p][q] / counts[q]) for q in (0, 1)], 1) for p in (0, 1)
    ]
    dale = Dale([1.0] * excitatory + [-1.0] * inhibitory)
    recurrent = Connection(sum(counts), sum(counts), dale=dale, init=Given(torch.cat(rows)))
    bias = torch.cat([torch.full((count,), value) for count, value in zip(counts, drive, strict=True)])
    neuron = FiringRate(TAU, transfer=Relu()) if neuron is None else neuron
    return Network({"cortex": Layer(neuron, sum(counts), recurrent=recurrent, bias=bias)}, dt=DT)


def solved(w_ee, drive, *, w_ei=2.0, w_ie=3.0, w_ii=1.0):
    """Steady rates of the linear populations: (1 - W) x = h."""
    matrix = torch.tensor([[1 - w_ee, w_ei], [-w_ie, 1 + w_ii]], dtype=DOUBLE)
    return torch.linalg.solve(matrix, torch.tensor(drive, dtype=DOUBLE))


@pytest.mark.parametrize("sizes", [(1, 1), (8, 2)], ids=str)
@pytest.mark.parametrize("form", [FiringRate, CurrentRate])
@pytest.mark.parametrize(("w_ee", "stabilized"), [(0.5, False), (0.95, False), (1.05, True), (1.5, True)])
def test_two_linear_populations_answer_as_solved(w_ee, stabilized, sizes, form):
    network = populations(w_ee, excitatory=sizes[0], inhibitory=sizes[1], neuron=form(TAU, transfer=Relu()))
    found = paradoxical_response(network, current=0.1, settle=2.0, window=0.2)
    before, during = solved(w_ee, (4.0, 3.0)), solved(w_ee, (4.0, 3.1))
    # weights are squares of a float32: right to 1e-7, and the solution amplifies that a few times
    torch.testing.assert_close(found.before[[0, -1]], before, rtol=1e-5, atol=0)
    assert found.inhibitory_change == pytest.approx(float(during[1] - before[1]), rel=1e-4)
    assert found.excitatory_change == pytest.approx(float(during[0] - before[0]), rel=1e-4)
    # one step of Euler's method: the logarithm of its factor
    assert found.growth == pytest.approx(math.log(1 + DT / TAU * (w_ee - 1)) / DT, rel=1e-4)
    assert found.loop_gain == pytest.approx(w_ee, rel=1e-4)
    assert found.paradoxical is stabilized
    assert found.unstable_excitation is stabilized
    assert found.inhibition_stabilized is stabilized
    assert found.error == 0
    assert abs(found.drift) < 1e-9
    if not stabilized:
        # inhibition held at its rate, and the probe of 0.1 on excitation
        expected = (4.1 - 2.0 * float(before[1])) / (1 - w_ee)
        if w_ee == 0.5:
            assert found.frozen == pytest.approx(expected, rel=1e-4)
    else:
        assert found.frozen > 3 * float(before[0])


@pytest.mark.parametrize(("w_ee", "stabilized"), [(3.0, False), (8.0, True)])
def test_with_a_curved_transfer_the_slope_at_the_steady_state_decides(w_ee, stabilized):
    network = populations(w_ee, w_ei=6.0, w_ie=12.0, w_ii=2.0, drive=(-1.0, -4.0), neuron=FiringRate(TAU))
    found = paradoxical_response(network, current=0.01, settle=3.0, window=0.2)
    rate = float(found.before[0])
    slope = rate * (1 - rate)  # of the sigmoid
    assert (slope * w_ee > 1) is stabilized
    assert found.growth == pytest.approx(math.log(1 + DT / TAU * (slope * w_ee - 1)) / DT, rel=1e-3)
    # the share by which excitation is raised is not infinitely small: the curvature shows in the third digit
    assert found.loop_gain == pytest.approx(slope * w_ee, rel=0.01)
    assert found.paradoxical is stabilized


def test_a_supralinear_network_becomes_inhibition_stabilised_as_it_is_driven():
    """Ahmadian, Rubin & Miller 2013; the same weights respond either way, by the strength of the drive."""
    neuron = FiringRate(TAU, transfer=PowerLaw(0.04, 2.0))
    weights = {"w_ee": 1.25, "w_ei": 0.65, "w_ie": 1.2, "w_ii": 0.5}
    weak, strong = (
        paradoxical_response(
            populations(**weights, drive=(drive, drive), neuron=neuron), current=0.01, settle=3.0, window=0.2
        )
        for drive in (2.0, 15.0)
    )
    assert (weak.paradoxical, weak.unstable_excitation) == (False, False)
    assert (strong.paradoxical, strong.unstable_excitation) == (True, True)
    for found in (weak, strong):
        slope = 2 * math.sqrt(0.04 * float(found.before[0]))
        assert found.growth == pytest.approx(math.log(1 + DT / TAU * (slope * 1.25 - 1)) / DT, rel=1e-3)
    assert strong.frozen == math.inf


def spiking(w_ee, *, w_ei, w_ie, w_ii):
    return populations(
        w_ee, w_ei=w_ei, w_ie=w_ie, w_ii=w_ii, excitatory=80, inhibitory=20, drive=(0.08, 0.04), neuron=LIF(0.02)
    )


def test_spiking_neurons_are_asked_in_trials():
    generator = torch.Generator().manual_seed(0)
    options = {"settle": 0.3, "window": 0.3, "trials": 16, "noise": 0.15, "generator": generator, "current": 0.01}
    stabilized = paradoxical_response(spiking(3.0, w_ei=3.0, w_ie=4.0, w_ii=1.5), **options)
    driven = paradoxical_response(spiking(0.2, w_ei=0.5, w_ie=0.5, w_ii=0.2), **options)
    assert stabilized.paradoxical
    assert stabilized.unstable_excitation
    assert stabilized.inhibitory_change < -2 * stabilized.error < 0
    assert not driven.paradoxical
    assert not driven.unstable_excitation
    assert driven.inhibitory_change > 2 * driven.error > 0
    for found in (stabilized, driven):
        assert found.growth is None
        assert 1 < float(found.before.mean()) < 200, "rates are in hertz"


def test_the_network_is_left_as_it_was_and_other_layers_run_along():
    network = populations(1.5, excitatory=4, inhibitory=2)
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    alone = paradoxical_response(network, current=0.1, settle=1.0, window=0.1)
    assert all(torch.equal(value, kept[name]) for name, value in network.state_dict().items())
    read = Layer(LeakyIntegrator(0.05), 2, inputs=Connection(6, 2))
    both = Network({**network.named_layers(), "readout": read}, dt=DT)
    assert paradoxical_response(both, current=0.1, settle=1.0, window=0.1, layer="cortex").growth == alone.growth


def test_the_drive_may_come_in_as_inputs():
    network = populations(1.5, drive=(0.0, 0.0))
    drive = torch.tensor([4.0, 3.0])
    by_inputs = paradoxical_response(network, drive, current=0.1, settle=1.0, window=0.1)
    by_bias = paradoxical_response(populations(1.5), current=0.1, settle=1.0, window=0.1)
    assert by_inputs.inhibitory_change == pytest.approx(by_bias.inhibitory_change, rel=1e-9)


def test_the_types_may_be_given():
    network = populations(1.5)
    free = Connection(2, 2, init=Given(network.effective_weights()["cortex.recurrent"].detach()))
    layer = Layer(FiringRate(TAU, transfer=Relu()), 2, recurrent=free, bias=torch.tensor([4.0, 3.0]))
    found = paradoxical_response(
        Network({"cortex": layer}, dt=DT), current=0.1, inhibitory=torch.tensor([False, True]), settle=1.0
    )
    assert found.paradoxical


def test_spectra_are_those_of_recurrent_connections():
    network = populations(1.5, excitatory=4, inhibitory=2)
    weight = network.effective_weights()["cortex.recurrent"].detach()
    assert spectra_of(network) == {"cortex.recurrent": spectrum_report(weight)}
    lesion = {"cortex.recurrent": weight.clamp(min=0)}
    # four excitatory neurons of 1.5 in all have the one eigenvalue that is left
    assert spectra_of(network, weights=lesion)["cortex.recurrent"].spectral_radius == pytest.approx(1.5, rel=1e-6)


def layered(**options):
    return Network({"cortex": Layer(FiringRate(TAU, transfer=Sigmoid()), 4, **options)}, dt=DT)


def free():
    return Connection(4, 4, init=Normal(0.1), generator=torch.Generator().manual_seed(0))


def only(sign):
    return Connection(4, 4, dale=Dale([sign] * 4), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paradoxical_response(layered(), current=0.1), "'cortex' has no recurrent"),
        (lambda: paradoxical_response(layered(recurrent=free()), current=0.1), "no `dale`: say with `inhibitory`"),
        (lambda: paradoxical_response(layered(recurrent=only(1.0)), current=0.1), "0 of 4 neurons"),
        (lambda: paradoxical_response(populations(1.5), current=0.1, layer="cortx"), "Did you mean 'cortex'"),
        (lambda: paradoxical_response(populations(1.5), current=0.1, noise=1.0), "needs a `generator`"),
        (lambda: paradoxical_response(populations(1.5), torch.ones(3, 2), current=0.1), r"constant: \(channel,\)"),
        (lambda: paradoxical_response(populations(1.5), current=0.1, inhibitory=torch.ones(3)), r"is \(3,\)"),
        (lambda: paradoxical_response(populations(1.5, neuron=LIF()), current=0.1), "at least two `trials`"),
        (lambda: paradoxical_response(populations(1.5), current=0.1, settle=0.0), "`settle` is 0 s"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
