"""Measured balance: the split adds up to the current of the run, and ratio and correlation on series that are known."""

import numpy as np
import pytest
import torch

from neurotorch.analysis import Balance, measure_balance
from neurotorch.connections import Connection, Dale, Given, Normal
from neurotorch.network import Layer, Network, Observation, simulate
from neurotorch.neurons import LIF, FiringRate, LeakyIntegrator

DOUBLE = torch.float64


def looped(seed=0):
    """Return two layers in a loop, two steps to a frame."""
    generator = torch.Generator().manual_seed(seed)

    def connected(pre, post):
        return Connection(pre, post, init=Normal(0.5), generator=generator)

    cortex = Layer(LIF(0.3, 0.5), 6, inputs=connected(2, 6), recurrent=connected(6, 6), bias=0.5)
    readout = Layer(FiringRate(0.2), 3, inputs=connected(6, 3), recurrent=connected(3, 3), bias=-0.25)
    return Network(
        {"cortex": cortex, "readout": readout},
        dt=0.05,
        observation=Observation(steps_per_frame=2),
        feedback={"readout -> cortex": connected(3, 6)},
    ).double()


def shown(seed=1, frames=30):
    return torch.randn(frames, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


@pytest.mark.parametrize(("layer", "bias"), [("cortex", 0.5), ("readout", -0.25)])
def test_excitation_inhibition_and_bias_make_the_current_of_the_run(layer, bias):
    network, inputs = looped(), shown()
    run = simulate(network, inputs, record=("emitted", "currents"))
    found = measure_balance(network, run.emitted, layer=layer, inputs=inputs)
    assert run.emitted["cortex"].any()
    # sums of at most eleven terms of order one, in another order
    torch.testing.assert_close(found.net + bias, run.currents[layer], rtol=0, atol=1e-13)
    later = simulate(network, inputs, state=run.final, record=("emitted", "currents"))
    found = measure_balance(network, later.emitted, layer=layer, inputs=inputs, start=run.final)
    torch.testing.assert_close(found.net + bias, later.currents[layer], rtol=0, atol=1e-13)


def test_a_lesioned_run_is_measured_with_its_own_weights():
    network, inputs = looped(), shown()
    lesion = {"cortex.recurrent": network.effective_weights()["cortex.recurrent"].detach().clamp(min=0)}
    run = simulate(network, inputs, record=("emitted", "currents"), weights=lesion)
    found = measure_balance(network, run.emitted, layer="cortex", inputs=inputs, weights=lesion)
    torch.testing.assert_close(found.net + 0.5, run.currents["cortex"], rtol=0, atol=1e-13)
    alone = measure_balance(network, run.emitted, layer="cortex", addresses=["cortex.recurrent"], weights=lesion)
    assert not alone.inhibition.any()
    assert alone.excitation.any()


def test_the_split_is_by_the_sign_of_the_weight():
    network, inputs = looped(), shown()
    emitted = simulate(network, inputs, record=("emitted",)).emitted
    found = measure_balance(network, emitted, layer="cortex", addresses=["cortex.recurrent"], discard=7)
    weight = network.effective_weights()["cortex.recurrent"].detach().numpy()
    before = np.concatenate([np.zeros((1, 2, 6)), emitted["cortex"].numpy()[:-1]])
    for step in range(7, 60):
        for sample in range(2):
            z = before[step, sample]
            e = [sum(w * a for w, a in zip(row, z, strict=True) if w > 0) for row in weight]
            i = [sum(w * a for w, a in zip(row, z, strict=True) if w < 0) for row in weight]
            np.testing.assert_allclose(found.excitation[step - 7, sample], e, rtol=0, atol=1e-14)
            np.testing.assert_allclose(found.inhibition[step - 7, sample], i, rtol=0, atol=1e-14)
    assert found.excitation.shape == (53, 2, 6)


def wired(weight):
    recurrent = Connection(3, 3, dale=Dale([1, -1, 1]), init=Given(torch.tensor(weight)))
    return Network({"cortex": Layer(LeakyIntegrator(0.2), 3, recurrent=recurrent)}, dt=0.1).double()


def test_ratio_and_correlation_of_series_that_are_known():
    # neuron 0 gets twice the inhibition, in step; neuron 1 as much, out of step; neuron 2 no inhibition
    network = wired([[1.0, -2.0, 0.0], [0.0, -1.0, 1.0], [1.0, 0.0, 0.0]])
    phase = torch.arange(401, dtype=DOUBLE) * 2 * torch.pi / 100
    wave, shifted = 1 + torch.sin(phase), 1 + torch.cos(phase)
    emitted = {"cortex": torch.stack([wave, wave, shifted], dim=1)[:, None]}
    found = measure_balance(network, emitted, layer="cortex", discard=1)
    # 400 steps are four whole periods, over which both waves have mean 1 and no correlation; the root of 2 is a float32
    torch.testing.assert_close(found.ratio, torch.tensor([2.0, 1.0, 0.0], dtype=DOUBLE), rtol=1e-7, atol=1e-12)
    torch.testing.assert_close(found.correlation[:2], torch.tensor([1.0, 0.0], dtype=DOUBLE), rtol=0, atol=1e-12)
    assert found.correlation[2].isnan()


def test_the_correlation_is_within_trials():
    # two trials of other means, in each of which the two go against one another
    rising = torch.linspace(0, 1, 50, dtype=DOUBLE)
    excitation = torch.stack([rising, rising + 10], dim=1)[..., None]
    inhibition = -torch.stack([1 - rising, 11 - rising], dim=1)[..., None]
    assert float(Balance(excitation, inhibition).correlation) == pytest.approx(-1, abs=1e-12)
    constant = Balance(excitation, torch.full_like(excitation, -0.1))
    assert constant.correlation.isnan().all()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"layer": "cortx"}, ValueError, "no layer 'cortx'.*mean 'cortex'"),
        ({"layer": "cortex", "addresses": ["readout.inputs"]}, ValueError, "no connection that ends on 'cortex'"),
        ({"layer": "cortex", "addresses": "cortex.inputs"}, TypeError, "must be a list"),
        ({"layer": "cortex", "addresses": ["cortex.inputs"]}, ValueError, "carries `inputs`, which are missing"),
        ({"layer": "cortex", "discard": 60}, ValueError, "`discard` is 60, but the run has 60 steps"),
        ({"layer": "cortex", "addresses": []}, ValueError, "No connection that counts"),
    ],
)
def test_bad_input_says_what_came_and_what_to_do(given, error, message):
    network = looped()
    emitted = simulate(network, shown(), record=("emitted",)).emitted
    with pytest.raises(error, match=message):
        measure_balance(network, emitted, **given)


def test_a_layer_that_was_not_recorded_is_named():
    network = looped()
    emitted = dict(simulate(network, shown(), record=("emitted",)).emitted)
    del emitted["readout"]
    with pytest.raises(ValueError, match="lacks the layer 'readout', which 'readout -> cortex' carries"):
        measure_balance(network, emitted, layer="cortex")
