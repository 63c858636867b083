"""The warm start by least squares: it finds the network that made the data, within signs and mask."""

import math

import numpy as np
import pytest
import torch

from neurotorch.connections import Connection, Dale, Softplus, no_self
from neurotorch.learning import warm_start
from neurotorch.network import Layer, Network, Observation, simulate
from neurotorch.neurons import LIF, Calcium, FiringRate, MultiTimescaleRate, WilsonCowan, learned

DOUBLE = torch.float64
NEURONS, DT = 8, 0.1
SIGNS = [1, 1, 1, 1, 1, -1, -1, -1]
GAIN, OFFSET = 2.0, -0.5


def built(neuron, generator, *, neurons=NEURONS, dale=True, **options):
    """Return a network of one fully observed layer that has yet to be fitted."""
    recurrent = Connection(
        neurons, neurons, dale=Dale(SIGNS[:neurons]) if dale else None, mask=no_self(neurons), generator=generator
    )
    layer = Layer(neuron, neurons, recurrent=recurrent, bias=learned(torch.zeros(neurons)))
    return Network({"cortex": layer}, dt=DT, **options).double()


def wilson_cowan(generator, *, dale=True):
    neuron = WilsonCowan(torch.full((NEURONS,), 0.15))
    return built(neuron, generator, dale=dale, observation=Observation(gain=GAIN, offset=OFFSET))


def teacher():
    """Return a Wilson-Cowan network whose activity never comes to rest, and a free run in the unit of a recording."""
    generator = torch.Generator().manual_seed(4)
    network = wilson_cowan(generator)
    cortex = network.layers["cortex"]
    weight = 3 * torch.rand(NEURONS, NEURONS, generator=generator, dtype=DOUBLE) * torch.tensor(SIGNS)
    weight[:, 5:] *= 5 / 3
    weight = weight.where(no_self(NEURONS), 0.0)
    cortex.recurrent.set_weight(weight)
    cortex.bias.assign(0.1 * torch.randn(NEURONS, generator=generator, dtype=DOUBLE) - weight.sum(1) / 2)
    run = simulate(network, frames=600, record=("observed", "currents"))
    assert float(run.observed[300:].std(0).mean()) > 0.1 * GAIN
    # beyond this the current is not read off the activity exactly
    assert float(run.currents["cortex"].abs().max()) < math.log(0.98 / 0.02)
    return network, run.observed[:, 0]


@pytest.mark.parametrize("dale", [True, False], ids=["signs known", "signs free"])
def test_weights_and_bias_of_a_noiseless_teacher_are_recovered(dale, generator):
    truth, target = teacher()
    student = wilson_cowan(generator, dale=dale)
    before = student.effective_weights()["cortex.recurrent"].detach().clone()
    warm_start(student, target, ridge=1e-6)
    found, wanted = (net.effective_weights()["cortex.recurrent"].detach() for net in (student, truth))
    assert float((before - wanted).abs().max()) > 1
    # the penalties shift weights of order one by about their share of the smallest singular value
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
    torch.testing.assert_close(
        student.layers["cortex"].bias.value, truth.layers["cortex"].bias.value, rtol=0, atol=1e-4
    )
    (one_step, _), (data, _) = student(None, frames=5), truth(None, frames=5)
    torch.testing.assert_close(one_step, data, rtol=0, atol=1e-4)


def test_weights_are_recovered_from_a_noisy_run(generator):
    truth, _ = teacher()
    target = simulate(truth, frames=4000, noise=0.5, generator=generator).observed[:, 0]
    student = wilson_cowan(generator)
    warm_start(student, target, ridge=1e-3)
    found, wanted = (net.effective_weights()["cortex.recurrent"].detach().numpy() for net in (student, truth))
    exists = ~np.eye(NEURONS, dtype=bool)
    assert np.corrcoef(found[exists], wanted[exists])[0, 1] > 0.95
    # nor do the weights of the excitatory, or of the inhibitory neurons, agree by their sign alone
    for columns in (slice(0, 5), slice(5, 8)):
        assert np.corrcoef(found[:, columns][exists[:, columns]], wanted[:, columns][exists[:, columns]])[0, 1] > 0.9


@pytest.mark.parametrize(
    "neuron",
    [
        lambda: WilsonCowan(torch.full((NEURONS,), 0.3), torch.linspace(-1, 1, NEURONS), r=torch.full((NEURONS,), 0.5)),
        lambda: MultiTimescaleRate.for_frames(DT, NEURONS),
    ],
    ids=["WilsonCowan", "MultiTimescaleRate"],
)
def test_signs_and_mask_hold_on_data_that_no_such_network_made(neuron, generator):
    network = built(neuron(), generator)
    connection = network.layers["cortex"].recurrent
    target = torch.rand(200, NEURONS, generator=generator, dtype=DOUBLE)
    warm_start(network, target)
    weight = network.effective_weights()["cortex.recurrent"].detach()
    assert network.dale_violations() == 0
    assert not weight[~connection.mask].any()
    # a weight of zero would have no gradient under the square, and stay
    assert bool((weight[connection.mask] * torch.tensor(SIGNS).expand(NEURONS, -1)[connection.mask] > 0).all())
    assert float(weight.abs().max()) > 0.1


def test_a_magnitude_map_without_a_zero_is_served_too(generator):
    network = built(WilsonCowan(torch.full((NEURONS,), 0.3)), generator)
    dale = Dale(SIGNS, magnitude=Softplus())
    network.layers["cortex"].recurrent = Connection(NEURONS, NEURONS, dale=dale, mask=no_self(NEURONS)).double()
    warm_start(network, torch.rand(60, NEURONS, generator=generator, dtype=DOUBLE))
    assert network.dale_violations() == 0


def test_a_stronger_ridge_makes_smaller_weights(generator):
    target, sizes = torch.rand(100, NEURONS, generator=generator, dtype=DOUBLE), []
    for ridge in (0.01, 0.3, 3.0):
        network = wilson_cowan(generator)
        warm_start(network, target, ridge=ridge)
        sizes.append(float(network.effective_weights()["cortex.recurrent"].detach().norm()))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[2] < 0.5 * sizes[0]


def test_what_other_layers_send_is_not_fitted_twice(generator):
    # the same teacher, driven by a layer that sends a known constant current
    truth, target = teacher()
    known = torch.linspace(-1, 1, NEURONS, dtype=DOUBLE)
    source = Layer(FiringRate(DT), 1, bias=50.0)
    through = Connection(1, NEURONS).double()
    through.set_weight(known[:, None])
    plain = wilson_cowan(generator)
    cortex = Layer(
        plain.layers["cortex"].neuron,
        NEURONS,
        inputs=through,
        recurrent=plain.layers["cortex"].recurrent,
        bias=plain.layers["cortex"].bias,
    )
    network = Network({"source": source, "cortex": cortex}, dt=DT, observation=plain.observation).double()
    warm_start(network, target, ridge=1e-6)
    found, wanted = (net.effective_weights()["cortex.recurrent"].detach() for net in (network, truth))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
    torch.testing.assert_close(cortex.bias.value + known, truth.layers["cortex"].bias.value, rtol=0, atol=1e-4)


def single(neuron, *, recurrent=True, bias=learned(torch.zeros(4)), **options):
    connection = Connection(4, 4) if recurrent else None
    return Network({"cortex": Layer(neuron, 4, recurrent=connection, bias=bias)}, dt=DT, **options)


TARGET = torch.rand(20, 4, generator=torch.Generator().manual_seed(0))
REFUSED = {
    "a model that cannot say its current": (
        lambda: warm_start(single(LIF(0.3)), TARGET),
        TypeError,
        "LIF has no `required_current`",
    ),
    "no bias": (
        lambda: warm_start(single(WilsonCowan(), bias=None), TARGET),
        ValueError,
        "'cortex' needs a recurrent connection and a bias",
    ),
    "no recurrent connection": (
        lambda: warm_start(single(WilsonCowan(), recurrent=False), TARGET),
        ValueError,
        "'cortex' needs a recurrent connection and a bias",
    ),
    "one bias for all": (
        lambda: warm_start(single(WilsonCowan(), bias=learned(0.0)), TARGET),
        ValueError,
        r"bias of layer 'cortex' is \(\).*bias=learned\(torch.zeros\(4\)\)",
    ),
    "an instrument": (
        lambda: warm_start(single(WilsonCowan(), observation=Observation(Calcium(1.0))), TARGET),
        ValueError,
        "observed directly",
    ),
    "several steps in a frame": (
        lambda: warm_start(single(WilsonCowan(), observation=Observation(steps_per_frame=2)), TARGET),
        ValueError,
        "observed directly, one step per frame",
    ),
    "no ridge": (lambda: warm_start(single(WilsonCowan()), TARGET, ridge=0.0), ValueError, "`ridge` is 0"),
    "a batch": (
        lambda: warm_start(single(WilsonCowan()), TARGET[:, None]),
        ValueError,
        r"`target` is \(20, 1, 4\), but it must be \(time, neuron\)",
    ),
    "one frame": (lambda: warm_start(single(WilsonCowan()), TARGET[:1]), ValueError, r"`target` is \(1, 4\)"),
    "NaN": (lambda: warm_start(single(WilsonCowan()), TARGET.clone().fill_(torch.nan)), ValueError, "target"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_start_warm_says_why(case):
    call, kind, message = REFUSED[case]
    with pytest.raises(kind, match=message):
        call()
