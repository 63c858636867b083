"""The doctor: it names the neurons that are ill, and what it proposes makes them well."""

import copy
import math

import pytest
import torch

from neurotorch.analysis import AddBias, Diagnosis, Rebalance, ScaleInputs, examine
from neurotorch.analysis.doctor.limits import limits_of
from neurotorch.connections import Balanced, Connection, Dale, Given, Normal, spectrum_report
from neurotorch.data.windows import Batch
from neurotorch.network import Layer, Network
from neurotorch.neurons import (
    LIF,
    AdaptiveLIF,
    AdEx,
    Boxcar,
    CurrentLIF,
    CurrentRate,
    FiringRate,
    LeakyIntegrator,
    Linear,
    PowerLaw,
    Relu,
    Softplus,
    Tanh,
    WilsonCowan,
)
from tests.contracts.models import COMPOSED, MODELS

DT = 0.001
EVERY = {model.__name__: model for model in MODELS} | COMPOSED
MODELS = {
    "LIF": LIF,
    "CurrentLIF": CurrentLIF,
    "AdaptiveLIF": AdaptiveLIF,
    "WilsonCowan": lambda: WilsonCowan(0.02),
    "FiringRate": lambda: FiringRate(0.02),
}
SPIKING = {"LIF": 0.15, "CurrentLIF": 0.04, "AdaptiveLIF": 0.15}  # weights of inputs with which they fire


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def cortex(name, *, init=None, scale=1.0, neurons=40, bias=None):
    """Return a network under Dale's law that is well unless told otherwise."""
    draw = generator()
    inputs = Connection(12, neurons, init=Normal(scale * SPIKING.get(name, 0.5)), generator=draw)
    init = Balanced(0.9) if init is None else init
    recurrent = Connection(neurons, neurons, dale=Dale.fraction(neurons, 0.8), init=init, generator=draw)
    return Network({"cortex": Layer(MODELS[name](), neurons, inputs=inputs, recurrent=recurrent, bias=bias)}, dt=DT)


def noise(frames=200, samples=4):
    return torch.randn(frames, samples, 12, generator=generator(1))


def faults(diagnosis):
    return {finding.fault for finding in diagnosis.findings}


def mended(network, inputs, rounds=5):
    """Follow the advice of the first finding, again and again; return how often that took."""
    for done in range(rounds):
        found = examine(network, inputs)
        if found.healthy:
            return done
        assert found.findings[0].change is not None, str(found)
        found.findings[0].change.apply_(network)
    raise AssertionError(f"still ill: {examine(network, inputs)}")


@pytest.mark.parametrize("name", MODELS)
class TestAdvice:
    def test_a_balanced_start_is_well(self, name):
        found = examine(cortex(name), noise())
        assert found.healthy, str(found)
        assert str(found).startswith("Healthy: in 200 steps of 4 samples")

    def test_an_unbalanced_start_is_mended(self, name):
        network = cortex(name, init=Normal(0.4))
        found = examine(network, noise(), prescribe=False)
        assert {"outlier", "unbalanced", "saturated"} <= faults(found), str(found)
        # 0.4 sqrt(2 / pi) (32 - 8), give or take the means of 40 columns
        assert found.of("outlier")[0].value == pytest.approx(7.66, rel=0.1)
        # a quarter as many, of like weights; the inputs do their part
        assert found.of("unbalanced")[0].value == pytest.approx(0.25, abs=0.06)
        rounds = mended(network, noise())
        assert 1 <= rounds <= 3
        assert network.dale_violations() == 0
        assert spectrum_report(network.connections()["cortex.recurrent"].weight()).outlier is None

    def test_silence_is_mended(self, name):
        network = cortex(name, scale=1e-3, bias=None if name in SPIKING else -7.0, init=Balanced(0.05))
        found = examine(network, noise(), prescribe=False)
        assert faults(found) == {"silent"}
        assert len(found.findings[0].neurons) == 40
        assert mended(network, noise()) <= 2

    def test_saturation_is_mended(self, name):
        network = cortex(name, bias=9.0)
        found = examine(network, noise(), prescribe=False)
        assert faults(found) == {"saturated"}
        assert len(found.findings[0].neurons) >= 38
        assert mended(network, noise()) <= 2


def given_currents(neuron, currents):
    return Network({"cortex": Layer(neuron, len(currents), bias=torch.tensor(currents))}, dt=DT)


@pytest.mark.parametrize(
    ("neuron", "currents", "silent", "saturated"),
    [
        # a potential of I / (1 - alpha) = 20.5 I against the threshold 1; above I = 1 it fires in every step
        (LIF(), [0.0, 0.04, 0.2, 0.9, 3.0, -1.0], (0, 1, 5), (3, 4)),
        # one step in three at most: the ceiling is 1/3, and a current of 3 reaches it
        (LIF(refractory=0.002), [0.0, 0.06, 3.0], (0,), (2,)),
        (WilsonCowan(0.01), [-6.0, 0.0, 2.0, 6.0], (0,), (3,)),
        (WilsonCowan(0.01, r=1.0), [-6.0, 0.0, 2.0, 6.0], (0,), (3,)),
        (FiringRate(0.01, transfer=Tanh()), [-6.0, 0.0, 2.0, 6.0], (1,), (0, 3)),
        (FiringRate(0.01, transfer=Relu()), [-6.0, 0.0, 2.0, 6.0], (0, 1), ()),
        (CurrentRate(0.01), [-6.0, 0.5, 6.0], (), (0, 2)),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, list | tuple) else "",
)
def test_the_neurons_are_named(neuron, currents, silent, saturated):
    found = examine(given_currents(neuron, currents), frames=100, prescribe=False)
    named = {finding.fault: finding.neurons for finding in found.findings}
    assert named == {k: v for k, v in (("saturated", saturated), ("silent", silent)) if v}


@pytest.mark.parametrize(
    ("neuron", "floor", "ceiling"),
    [
        (LIF(), 0, 1),
        (LIF(refractory=0.003), 0, 1 / 4),
        (WilsonCowan(0.01, r=1.0), 0, 1 / 2),
        (FiringRate(0.01), 0, 1),
        (FiringRate(0.3, transfer=Tanh()), -1, 1),
        (CurrentRate(0.01), -1, 1),
        (FiringRate(0.01, transfer=Softplus()), 0, math.nan),
        (LeakyIntegrator(0.02), math.nan, math.nan),
        (AdEx(), 0, 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_limits_are_those_of_the_equation(neuron, floor, ceiling):
    found = limits_of(Layer(neuron, 3, bias=0.0), dt=DT)
    # the way to a rate's limit is cut where a step moves it by less than a millionth: 300 of those for the slowest here
    torch.testing.assert_close(found.floor, torch.full((3,), float(floor)), rtol=0, atol=2e-3, equal_nan=True)
    torch.testing.assert_close(found.ceiling, torch.full((3,), float(ceiling)), rtol=0, atol=0.02, equal_nan=True)


@pytest.mark.parametrize(
    ("init", "dale", "transfer"),
    [(Normal(0.3), Dale.fraction(30, 0.8), Relu()), (Balanced(3.0), None, Linear())],
    ids=["outlier", "bulk"],
)
def test_an_explosion_is_found_and_mended(init, dale, transfer):
    recurrent = Connection(30, 30, dale=dale, init=init, generator=generator())
    layer = Layer(FiringRate(0.02, transfer=transfer), 30, recurrent=recurrent, bias=0.1)
    network = Network({"cortex": layer}, dt=DT)
    found = examine(network, prescribe=False)
    assert found.findings[0].fault == "exploding"
    assert found.findings[0].value > 10
    assert mended(network, None) <= 3


def test_an_explosion_beyond_all_numbers_is_looked_at_before_it():
    recurrent = Connection(4, 4, init=Given(torch.full((4, 4), 100.0)))
    layer = Layer(FiringRate(0.01, transfer=Relu()), 4, recurrent=recurrent, bias=1.0)
    found = examine(Network({"cortex": layer}, dt=DT), frames=400)
    assert "exploded" in found.findings[0].note
    assert found.steps < 400
    assert found.findings[0].neurons == (0, 1, 2, 3)
    assert found.findings[0].left == 0


def test_an_explosion_that_is_too_fast_to_be_seen_growing_is_found_all_the_same():
    recurrent = Connection(4, 4, init=Given(torch.full((4, 4), 5.0)))
    layer = Layer(FiringRate(0.001, transfer=PowerLaw(1.0, 4.0)), 4, recurrent=recurrent, bias=1.0)
    found = examine(Network({"cortex": layer}, dt=DT), frames=400)
    assert [finding.fault for finding in found.findings] == ["exploding"]
    assert found.steps < 8
    assert found.findings[0].neurons == (0, 1, 2, 3)


def test_no_derivative_is_found_though_neurons_fire():
    # the potential jumps from 0 to 5 every other step and is never within 0.1 of the threshold
    current = 5.0 * (torch.arange(100) % 2 == 0).float()[:, None, None].expand(100, 1, 3)
    layer = Layer(LIF(0.0002, surrogate=Boxcar(0.1)), 3)
    found = examine(Network({"cortex": layer}, dt=DT), current, prescribe=False)
    assert faults(found) == {"no gradient"}
    assert found.findings[0].value == 0
    assert "FastSigmoid(slope=1)" in str(found)


def test_the_derivative_of_the_silent_is_that_of_the_surrogate():
    found = examine(given_currents(LIF(), [0.0, 0.02]), frames=400, prescribe=False)
    alpha = math.exp(-DT / 0.02)
    # fast sigmoid of slope 10 at the potential nearest to the threshold
    nearest = 0.02 / (1 - alpha)
    assert found.findings[0].value == pytest.approx(1 / (1 + 10 * (1 - nearest)) ** 2, rel=1e-4)
    far = examine(given_currents(LIF(surrogate=Boxcar(0.1)), [0.0]), frames=50, prescribe=False)
    assert "Training cannot wake them" in str(far)


def test_a_layer_that_nothing_reaches_waits_for_the_one_before():
    first = Layer(LIF(), 5, bias=0.0)
    second = Layer(LIF(), 3, inputs=Connection(5, 3, init=Normal(1.0), generator=generator()))
    found = examine(Network({"retina": first, "cortex": second}, dt=DT))
    assert [(finding.layer, finding.fault) for finding in found.findings] == [
        ("retina", "silent"),
        ("cortex", "silent"),
    ]
    assert found.findings[0].change is not None
    assert found.findings[1].change is None
    assert "mend the layer before it" in str(found)


def test_what_is_proposed_is_the_mildest_that_does():
    """The threshold of a LIF neuron under a constant current is I = (1 - alpha) threshold."""
    found = examine(given_currents(LIF(), [0.01] * 4), frames=400)
    change = found.findings[0].change
    assert isinstance(change, AddBias)
    least = (1 - math.exp(-DT / 0.02)) - 0.01
    assert least < change.currents[0] < 1.2 * least
    inputs = Connection(1, 4, init=Given(torch.full((4, 1), 0.01)))
    driven = Network({"cortex": Layer(LIF(), 4, inputs=inputs)}, dt=DT)
    change = examine(driven, torch.ones(400, 1, 1)).findings[0].change
    assert isinstance(change, ScaleInputs)
    assert (least + 0.01) / 0.01 < change.factor < 1.2 * (least + 0.01) / 0.01
    assert f"by {change.factor:g}" in str(change)


@pytest.mark.parametrize("name", EVERY)
def test_every_model_can_be_examined(name):
    neuron = EVERY[name]()
    layer = Layer(neuron, 5, inputs=Connection(3, 5, init=Normal(1.0), generator=generator()), bias=0.0)
    network = Network({"cortex": layer}, dt=min(DT, neuron.largest_dt()))
    # without any current an integrator rests, a sigmoid is at its middle, and what spikes is silent
    still = examine(network, torch.zeros(40, 1, 3), prescribe=False)
    if neuron.emits == "spikes":
        assert [(each.fault, each.neurons) for each in still.findings] == [("silent", (0, 1, 2, 3, 4))]
    moved = examine(network, 1e3 * torch.ones(40, 1, 3), prescribe=False)
    assert all(set(each.neurons) <= set(range(5)) and math.isfinite(each.value) for each in moved.findings)
    assert not moved.of("outlier")


def test_a_recording_is_followed_and_then_left():
    network = cortex("FiringRate")
    target = torch.rand(40, 3, 40, generator=generator(2))
    found = examine(network, Batch(target, torch.zeros(40, 3, 12)))
    assert (found.warm_up, found.steps, found.samples) == (10, 30, 3)


def test_nothing_is_changed_by_looking():
    network = cortex("LIF", init=Normal(0.4))
    before = copy.deepcopy(network.state_dict())
    random = torch.get_rng_state()
    first, second = examine(network, noise()), examine(network, noise())
    assert str(first) == str(second)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_bias_is_added_to_what_was_there():
    network = cortex("LIF", bias=0.5)
    AddBias("cortex", (1, 3), (0.25, -1.0)).apply_(network)
    expected = torch.full((40,), 0.5)
    expected[1], expected[3] = 0.75, -0.5
    torch.testing.assert_close(network.named_layers()["cortex"].bias.value, expected)
    assert not network.named_layers()["cortex"].bias.learned


def test_the_report_reads_as_sentences():
    found = examine(cortex("LIF", init=Normal(0.4)), noise())
    lines = str(found).splitlines()
    assert lines[0] == "In 200 steps of 4 samples:"
    assert lines[1].startswith(
        "- cortex: outlier of the recurrent weights. Leading eigenvalue, beside a bulk of radius"
    )
    assert "Start cortex.recurrent from Balanced(" in lines[1]
    assert lines[1].endswith("Tried: mended.")
    assert "40 of 40 neurons are out of balance (0, 1, 2, 3, 4, 5, 6, 7, ...)." in lines[2]
    assert isinstance(found.of("outlier")[0].change, Rebalance)
    assert str(Diagnosis((), 1, 1)).startswith("Healthy: in 1 steps of 1 sample ")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"frames": 0}, ValueError, "`frames` is 0"),
        ({"tolerance": 1.5}, ValueError, "`tolerance` is 1.5"),
    ],
)
def test_bad_input_is_named(options, error, message):
    with pytest.raises(error, match=message):
        examine(cortex("LIF"), **options)
