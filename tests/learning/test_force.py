"""FORCE: its update step by step, what it can learn, and what it must not touch."""

import math

import numpy as np
import pytest
import torch

from neurotorch.connections import Connection, Dale, Softplus, Square, no_self
from neurotorch.core.storage import load_state, save_state
from neurotorch.data import Batch
from neurotorch.evaluation import p_variance
from neurotorch.learning import FORCE, WarmUp
from neurotorch.network import Forcing, Layer, Network, Observation, forecast
from neurotorch.neurons import (
    LIF,
    Calcium,
    FiringRate,
    LeakyIntegrator,
    MultiTimescaleRate,
    Tanh,
    WilsonCowan,
    learned,
)
from tests.reference.rates import logistic
from tests.reference.recursive_least_squares import full_force, readout_force, ridge, three_regions

DOUBLE = torch.float64
DT, TAU, TAU_READOUT = 0.1, 1.0, 0.02


def constant(value):
    return torch.tensor(value, dtype=DOUBLE)


def reservoir(neurons, outputs, seed, *, gain=1.5):
    """Return a readout that feeds back onto a tanh network, with its weights in numpy."""
    random = np.random.default_rng(seed)
    recurrent = gain * random.standard_normal((neurons, neurons)) / np.sqrt(neurons)
    feedback, bias = random.uniform(-1, 1, (neurons, outputs)), 0.1 * random.standard_normal(neurons)

    def given(weight):
        found = Connection(weight.shape[1], weight.shape[0]).double()
        found.set_weight(torch.from_numpy(weight))
        return found

    cortex = Layer(
        FiringRate(constant(TAU), transfer=Tanh()), neurons, recurrent=given(recurrent), bias=torch.from_numpy(bias)
    )
    readout = Layer(LeakyIntegrator(constant(TAU_READOUT)), outputs, inputs=given(np.zeros((outputs, neurons))))
    network = Network({"cortex": cortex, "readout": readout}, dt=DT, feedback={"readout -> cortex": given(feedback)})
    return network, (recurrent, feedback, bias)


def observed(neurons, generator, *, scale=0.1, bias=False, **options):
    """Return a fully observed network, float64, without self-connections: ``h' = (1 - dt/tau) h + W tanh(h)``."""
    neuron = MultiTimescaleRate(
        own=constant([1 - DT / TAU]), tau=constant([DT]), tau_trace=constant(DT), transfer=Tanh()
    )
    weight = scale * torch.randn(neurons, neurons, generator=generator, dtype=DOUBLE) / neurons**0.5
    dale = options.get("dale")
    if dale is not None:
        weight = weight.abs() * dale.signs
    mask = options.pop("mask", no_self(neurons))
    recurrent = Connection(neurons, neurons, mask=mask, **options).double()
    recurrent.set_weight(weight if mask is None else torch.where(mask, weight, 0.0))
    layer = Layer(neuron, neurons, recurrent=recurrent, bias=learned(torch.zeros(neurons).double()) if bias else None)
    return Network({"cortex": layer}, dt=DT)


def wave(frames):
    """Return two sine waves, ``(time, 1, 1)``."""
    time = DT * torch.arange(frames, dtype=DOUBLE)
    return (torch.sin(2 * math.pi * time / 6) + 0.5 * torch.sin(2 * math.pi * time / 3))[:, None, None]


def walk(random, frames, neurons, samples=1):
    """Return smooth activity ``(time, batch, neuron)`` of unit size."""
    steps = random.normal(size=(frames, samples, neurons))
    for _ in range(2):
        for t in range(1, frames):
            steps[t] = 0.8 * steps[t - 1] + 0.2 * steps[t]
    return torch.from_numpy(steps / steps.std())


def weights(network, address="cortex.recurrent"):
    return network.effective_weights()[address].detach().clone()


def test_a_readout_in_a_loop_learns_as_in_the_paper(random):
    network, (recurrent, feedback, bias) = reservoir(30, 2, 0)
    target = random.normal(size=(60, 2))
    expected, weight = readout_force(
        target, recurrent, feedback, bias, dt=DT, tau=TAU, tau_readout=TAU_READOUT, alpha=0.5
    )
    report = FORCE(network, alpha=0.5).compute(Batch(torch.from_numpy(target)[:, None], None))
    np.testing.assert_allclose(weights(network, "readout.inputs").numpy(), weight, rtol=1e-8, atol=1e-10)
    assert report.loss == pytest.approx(np.mean((expected[1:] - target[1:]) ** 2), rel=1e-9)
    assert report.samples == 1


@pytest.mark.parametrize("forgetting", [1.0, 0.98])
def test_recurrent_weights_learn_as_in_the_paper(forgetting, random, generator):
    network = observed(12, generator, mask=None)
    target = walk(random, 40, 12)
    expected, weight = full_force(
        target[:, 0].numpy(), weights(network).numpy(), dt=DT, tau=TAU, alpha=0.2, forgetting=forgetting
    )
    rule = FORCE(network, alpha=0.2, forgetting=forgetting, forcing=WarmUp(1))
    report = rule.compute(Batch(target, None))
    np.testing.assert_allclose(weights(network).numpy(), weight, rtol=1e-8, atol=1e-10)
    assert report.loss == pytest.approx(np.mean((expected[1:] - target[1:, 0].numpy()) ** 2), rel=1e-9)


@pytest.mark.parametrize("every", [1, 7, 60])
def test_held_on_the_data_it_finds_the_ridge_solution_of_wilson_cowan_units(every, random, generator):
    # Held on the target, all of it is known: activity, and the current with which Euler's step shows the next frame.
    neurons, tau, mu = 6, 0.4, 0.3
    recurrent = Connection(neurons, neurons, mask=no_self(neurons), generator=generator).double()
    start = recurrent.weight().detach().numpy()
    layer = Layer(
        WilsonCowan(constant(tau), constant(mu)), neurons, recurrent=recurrent, bias=learned(torch.zeros(6).double())
    )
    network = Network({"cortex": layer}, dt=DT, observation=Observation(gain=constant(2.0), offset=constant(-1.0)))
    target = 0.3 * walk(random, 61, neurons, samples=3).clamp(-1, 1)
    FORCE(network, alpha=0.1, every=every, forcing=WarmUp(61)).compute(Batch(target, None))
    x = (target.numpy() + 1) / 2
    share = x[:-1] + (x[1:] - x[:-1]) * tau / DT
    assert share.min() > 0.02  # within what `required_current` allows
    assert share.max() < 0.98
    current = mu + np.log(share / (1 - share))
    r = np.concatenate([x[:-1], np.ones((60, 3, 1))], axis=2)
    assert abs(logistic(current - mu) - share).max() < 1e-12
    expected = ridge(
        r.reshape(-1, 7), current.reshape(-1, 6), alpha=0.1, start=np.hstack([start, np.zeros((6, 1))]),
        ages=np.zeros(180), allowed=np.hstack([no_self(6).numpy(), np.ones((6, 1), dtype=bool)]),
    )  # fmt: skip
    np.testing.assert_allclose(weights(network).numpy(), expected[:, :6], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(layer.bias.value.numpy(), expected[:, 6], rtol=1e-8, atol=1e-9)


def test_a_readout_of_rate_neurons_is_corrected_by_its_steepest_slope_so_far(generator):
    # x' = x + a (tanh(I) - x) with a = dt/tau: the slope in the current is a (1 - tanh(I)^2)
    layer = Layer(FiringRate(constant(0.5), transfer=Tanh()), 1, inputs=Connection(2, 1).double())
    layer.inputs.set_weight(torch.tensor([[0.4, -0.2]], dtype=DOUBLE))
    network, a = Network({"readout": layer}, dt=DT), DT / 0.5
    inputs, target = np.random.default_rng(0).normal(size=(5, 2)), np.linspace(0.1, 0.3, 5)
    FORCE(network, alpha=0.5, skip=0).compute(Batch(*(torch.from_numpy(x).reshape(5, 1, -1) for x in (target, inputs))))
    w, inverse, x, slope = np.array([0.4, -0.2]), 2 * np.eye(2), 0.0, 0.0
    for r, wanted in zip(inputs, target, strict=True):
        current = w @ r
        x = x + a * (np.tanh(current) - x)
        slope = max(slope, a * (1 - np.tanh(current) ** 2))
        inverse = inverse - np.outer(inverse @ r, inverse @ r) / (1 + r @ inverse @ r)
        w = w - (x - wanted) / slope * (inverse @ r)
    np.testing.assert_allclose(weights(network, "readout.inputs")[0].numpy(), w, rtol=1e-10)


def test_a_wave_is_learnt_by_a_readout_and_goes_on_by_itself():
    # One random network of several: benchmarks/force.py reports those whose free run does not hold, too.
    network, _ = reservoir(100, 1, 2)
    target = wave(1200)
    FORCE(network).compute(Batch(target, None))
    # Forced on the readout the loop falls into step; then it runs alone for 6 periods.
    free = forecast(network, target[:600], 400)
    assert p_variance(target[600:1000, 0].numpy(), free[:, 0].detach().numpy()) > 0.95


@pytest.mark.parametrize(("every", "fraction"), [(1, 1.0), (4, 1.0), (2, 0.6)])
def test_three_regions_are_learnt_in_training_and_run_freely(every, fraction, generator):
    activity = three_regions(30, 250, gains=(1.8, 1.5, 1.5), seed=1)
    target = torch.from_numpy(activity)[:, None]
    network = observed(90, generator)
    start = weights(network)
    rule = FORCE(network, every=every, fraction=fraction, forcing=WarmUp(1))
    for _ in range(5):
        report = rule.compute(Batch(target, None))
    residual = report.loss / float((target - target.mean()).square().mean())
    assert 1 - residual > 0.95
    with torch.no_grad():
        free, _ = network(None, forcing=Forcing.warm_up(target, 1))
    assert p_variance(activity[1:], free[1:, 0].numpy()) > 0.95
    moved = (weights(network) != start).any(dim=0)
    assert int(moved.sum()) == round(90 * fraction)
    assert not weights(network).diagonal().any()


def test_the_plastic_neurons_are_drawn_by_the_seed(generator, random):
    network, batch = observed(10, generator), Batch(walk(random, 20, 10), None)
    start, chosen = weights(network), []
    for seed in (0, 0, 1):
        network.layers["cortex"].recurrent.set_weight(start)
        FORCE(network, fraction=0.3, seed=seed, forcing=WarmUp(1)).compute(batch)
        chosen.append((weights(network) != start).any(dim=0).tolist())
        assert sum(chosen[-1]) == 3
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_signs_masks_and_self_connections_survive(dtype, generator, random):
    dale = Dale.fraction(10, 0.6, magnitude=Square())
    mask = no_self(10)
    mask[0, 1:4] = False
    network = observed(10, generator, scale=1.0, dale=dale, mask=mask, bias=True).to(dtype)
    start, batch = weights(network), Batch(walk(random, 30, 10, samples=2).to(dtype), None)
    rule = FORCE(network, alpha=0.1, forcing=WarmUp(1))
    for _ in range(3):
        rule.compute(batch)
        rule.apply()
        assert network.dale_violations() == 0
    found = weights(network)
    assert not found[~mask].any()
    clipped = (found == 0) & mask
    assert 0 < int(clipped.sum()) < int(mask.sum())  # some were clipped, and only some
    assert float((found - start).abs().max()) > 0.1
    assert found.dtype == dtype
    assert network.layers["cortex"].bias.value.abs().min() > 0


def test_float32_finds_what_float64_finds(generator, random):
    network, target = observed(8, generator), walk(random, 30, 8, samples=2)
    single = observed(8, generator).float()
    single.load_state_dict(network.state_dict())
    FORCE(network, forcing=WarmUp(30)).compute(Batch(target, None))
    FORCE(single, forcing=WarmUp(30)).compute(Batch(target.float(), None))
    torch.testing.assert_close(weights(single), weights(network).float(), rtol=1e-4, atol=1e-5)


def test_frozen_parameters_never_move(generator, random):
    network = observed(8, generator, bias=True)
    layer, batch = network.layers["cortex"], Batch(walk(random, 20, 8), None)
    rule = FORCE(network, forcing=WarmUp(1))
    layer.bias.raw.requires_grad_(False)
    start = weights(network)
    rule.compute(batch)
    assert not layer.bias.value.any()
    assert not torch.equal(weights(network), start)
    layer.recurrent.raw.requires_grad_(False)
    layer.bias.raw.requires_grad_(True)
    raw = layer.recurrent.raw.clone()
    rule.compute(batch)
    assert torch.equal(layer.recurrent.raw, raw)
    assert not layer.bias.value.any()


def test_nothing_but_the_plastic_connection_changes(random):
    network, _ = reservoir(20, 2, 1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    FORCE(network).compute(Batch(walk(random, 20, 2), None))
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"layers.readout.inputs.raw"}


def test_a_bias_stays_where_it_is_not_to_learn(generator, random):
    network = observed(6, generator, bias=True)
    FORCE(network, bias=False, forcing=WarmUp(1)).compute(Batch(walk(random, 20, 6), None))
    assert not network.layers["cortex"].bias.value.any()


@pytest.mark.parametrize(
    "build", [lambda g: (observed(8, g, bias=True).float(), 8), lambda g: (reservoir(8, 2, 0)[0].float(), 2)]
)
def test_resumed_equals_uninterrupted_bit_for_bit(build, generator, random, tmp_path):
    network, outputs = build(generator)
    start = {name: value.clone() for name, value in network.state_dict().items()}
    batches = [Batch(walk(random, 15, outputs, samples=2).float(), None) for _ in range(4)]
    plan = WarmUp(1, 0.5, 0.0)

    def rule():
        return FORCE(network, every=2, forgetting=0.99, forcing=plan)

    whole = rule()
    for number, batch in enumerate(batches):
        whole.progress = number / 4
        losses = whole.compute(batch).loss
    expected = [value.clone() for value in network.state_dict().values()]
    network.load_state_dict(start)
    first = rule()
    for number, batch in enumerate(batches[:2]):
        first.progress = number / 4
        first.compute(batch)
    save_state(tmp_path, first.state_dict())
    second = rule()
    second.load_state_dict(load_state(tmp_path))
    assert second.progress == 0.25
    for number, batch in enumerate(batches[2:]):
        second.progress = (number + 2) / 4
        again = second.compute(batch).loss
    assert again == losses
    assert all(torch.equal(x, y) for x, y in zip(network.state_dict().values(), expected, strict=True))


def readout_of(neuron, **options):
    return Network({"readout": Layer(neuron, 3, inputs=Connection(2, 3))}, dt=0.01, **options)


def frozen():
    network = readout_of(LeakyIntegrator())
    network.layers["readout"].inputs.raw.requires_grad_(False)
    return network


def signed(magnitude):
    inputs = Connection(2, 3, dale=Dale([1.0, -1.0], magnitude=magnitude))
    return Network({"readout": Layer(LeakyIntegrator(), 3, inputs=inputs)}, dt=0.01)


@pytest.mark.parametrize(
    ("build", "options", "error", "message"),
    [
        (lambda: readout_of(LIF()), {}, TypeError, "add a readout of LeakyIntegrator neurons"),
        (
            lambda: Network({"a": Layer(LeakyIntegrator(), 3)}, dt=0.01),
            {},
            ValueError,
            "no connection that could learn",
        ),
        (lambda: readout_of(LeakyIntegrator()), {"plastic": "readout.input"}, ValueError, r"\['readout.inputs'\]"),
        (lambda: readout_of(LeakyIntegrator(), observation=Observation(Calcium())), {}, ValueError, "directly"),
        (lambda: readout_of(LeakyIntegrator(), observation=Observation(steps_per_frame=2)), {}, ValueError, "directly"),
        (frozen, {}, ValueError, "frozen"),
        (lambda: signed(Softplus()), {}, ValueError, r"has no zero: build Dale with magnitude=Square\(\)"),
        (lambda: readout_of(LeakyIntegrator()), {"every": 0}, ValueError, "`every` is 0"),
        (lambda: readout_of(LeakyIntegrator()), {"skip": -1}, ValueError, "`skip` is -1"),
        (lambda: readout_of(LeakyIntegrator()), {"fraction": 1.5}, ValueError, "`fraction` is 1.5"),
        (lambda: readout_of(LeakyIntegrator()), {"alpha": -1.0}, ValueError, "`alpha` is -1"),
    ],
)
def test_what_cannot_be_learnt_is_refused(build, options, error, message):
    with pytest.raises(error, match=message):
        FORCE(build(), **options)


def test_a_window_that_is_skipped_whole_is_refused():
    with pytest.raises(ValueError, match="skips 5 frames, but the window has only 5"):
        FORCE(readout_of(LeakyIntegrator()), skip=5).compute(Batch(torch.zeros(5, 1, 3), torch.zeros(5, 1, 2)))


def test_a_batch_on_another_device_is_refused():
    with pytest.raises(ValueError, match="The batch is on meta, but the rule was built on cpu"):
        FORCE(readout_of(LeakyIntegrator())).compute(Batch(torch.zeros(5, 1, 3, device="meta"), None))
