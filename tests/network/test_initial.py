"""Where a network starts: at rest, at random, given, inferred from a warm-up, learned."""

import pytest
import torch

from neurotorch.core.config import build, describe
from neurotorch.core.trees import leaves, transform
from neurotorch.data import Batch
from neurotorch.learning import BPTT, EProp, MeanSquaredError, TruncatedBPTT
from neurotorch.network import Observation, forecast, random_state, warm_up
from neurotorch.neurons import LIF, AdaptiveLIF, Calcium, FiringRate, LeakyIntegrator, MultiTimescaleRate, WilsonCowan
from tests.network.builders import DOUBLE, layer, network

DT = 0.02


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def rates(generator, **options):
    return network({"a": layer(WilsonCowan(0.3), 5, generator)}, dt=DT, **options)


def two_layers(generator, **options):
    return network(
        {"a": layer(AdaptiveLIF(0.1), 4, generator), "b": layer(LeakyIntegrator(0.1), 3, generator, inputs=4)},
        dt=DT, observation=Observation(Calcium(0.2), steps_per_frame=2), **options,
    )  # fmt: skip


def test_a_warm_up_is_where_forcing_leaves_the_network(generator):
    ours, recent = rates(generator), torch.rand(9, 2, 5, generator=generator, dtype=DOUBLE)
    state = warm_up(ours, recent)
    assert torch.equal(state[0].neuron.x, recent[-1])  # full forcing puts the unit on the data
    output, _ = ours(None, state, frames=4)
    torch.testing.assert_close(output, forecast(ours, recent, 4), rtol=1e-12, atol=0)
    later = warm_up(ours, recent[5:], state=warm_up(ours, recent[:5]))
    for one, other in zip(leaves(later), leaves(state), strict=True):
        assert torch.equal(one, other)
    assert output.requires_grad


def test_filters_are_inferred_by_a_warm_up_and_are_not_at_rest(generator):
    ours = network({"a": layer(MultiTimescaleRate(tau=[0.1, 1.0], own=[0.5, 0.2], tau_trace=0.1), 3, generator)}, dt=DT)
    state = warm_up(ours, torch.ones(500, 1, 3, dtype=DOUBLE))
    for filter_ in state[0].neuron.bank:
        torch.testing.assert_close(filter_, torch.ones(1, 3, dtype=DOUBLE), rtol=0, atol=1e-4)  # exp(-10)


def test_a_random_state_is_one_that_the_network_visits_and_its_generator_repeats(generator):
    ours = two_layers(generator)

    def drawn(seed):
        return random_state(ours, 6, noise={"a": 1.0}, generator=seeded(seed), frames=30)

    for one, other in zip(leaves(drawn(1)), leaves(drawn(1)), strict=True):
        assert torch.equal(one, other)
        assert one.shape[-2] == 6
        assert bool(torch.isfinite(one).all())
    assert not torch.equal(drawn(1)[0].neuron.v, drawn(2)[0].neuron.v)
    v = drawn(1)[0].neuron.v
    assert torch.unique(v).numel() == v.numel(), "every sample and neuron has a state of its own"
    output, _ = ours(None, drawn(1), frames=3)
    assert output.shape == (3, 6, 3)


def test_a_given_state_is_where_the_run_starts(generator):
    ours = network({"a": layer(LeakyIntegrator(0.1), 3, generator, recurrent=False)}, dt=DT)
    (rest,) = ours.initial_state(1)
    given = transform(rest, lambda leaf: leaf + 2)
    output, _ = ours(None, (given,), frames=1)
    alpha = ours.layers["a"].neuron.coefficients(DT).alpha
    torch.testing.assert_close(output[0], alpha * given.neuron.v, rtol=1e-12, atol=0)


@pytest.mark.parametrize("build_network", [rates, two_layers], ids=["rates", "spikes through an indicator"])
def test_a_learned_start_begins_at_rest_and_is_the_state_of_every_sample(build_network, generator):
    plain, ours = build_network(seeded(3)), build_network(seeded(3), learned_start=True)
    for one, other in zip(leaves(plain.initial_state(4)), leaves(ours.initial_state(4)), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(plain(None, frames=9)[0], ours(None, frames=9)[0])
    with torch.no_grad():
        for number, parameter in enumerate(ours.start.parameters()):
            parameter.add_(number + torch.rand(parameter.shape, generator=generator, dtype=DOUBLE))
    for leaf in leaves(ours.initial_state(4)):
        assert torch.equal(leaf[..., :1, :].expand_as(leaf), leaf)
    started, _ = ours(None, frames=9)
    given, _ = ours(None, ours.initial_state(1), frames=9)
    assert torch.equal(started, given)


@pytest.mark.parametrize("rule", [BPTT, EProp])
def test_a_start_is_learned_from_data_that_do_not_start_at_rest(rule, generator):
    # without connections x(t) = a^t x(0) + (1 - a^t) x*: the first frame tells where each unit began
    start, tau = torch.tensor([0.9, 0.1, 0.6], dtype=DOUBLE), 0.5
    truth = network({"a": layer(WilsonCowan(tau), 3, generator, recurrent=False)}, dt=DT)
    (rest,) = truth.initial_state(1)
    target, _ = truth(None, (rest._replace(neuron=rest.neuron._replace(x=start[None])),), frames=30)
    ours = network({"a": layer(WilsonCowan(tau), 3, generator, recurrent=False)}, dt=DT, learned_start=True)
    optimizer = torch.optim.Adam(ours.start.parameters(), lr=0.05)
    rule = rule(ours, MeanSquaredError(), optimizer=optimizer)
    batch = Batch(target.detach().expand(-1, 4, -1).contiguous(), None)
    for _ in range(300):
        rule.compute(batch)
        rule.apply()
    found = ours.initial_state(1)[0].neuron.x[0]
    torch.testing.assert_close(found, start, rtol=0, atol=0.01)  # where Adam at this rate comes to rest


def test_the_gradient_of_a_learned_start_is_that_of_the_given_state(generator):
    ours = rates(generator, learned_start=True)
    output, _ = ours(None, ours.initial_state(3), frames=12)
    ramp = torch.randn(output.shape, generator=generator, dtype=DOUBLE)
    found = torch.autograd.grad((ramp * output).sum(), list(ours.start.parameters()))
    given = transform(ours.initial_state(3), lambda leaf: leaf.detach().requires_grad_())
    output, _ = ours(None, given, frames=12)
    wanted = torch.autograd.grad((ramp * output).sum(), leaves(given))
    assert len(found) == len(wanted) == 2  # the state of the unit, and what it emitted before
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other.sum(-2, keepdim=True), rtol=1e-12, atol=1e-14)
        assert bool((one != 0).all())


def test_spikes_before_the_first_step_are_not_learned(generator):
    ours = network({"a": layer(LIF(0.1), 4, generator), "b": layer(FiringRate(0.1), 3, generator, inputs=4)}, dt=DT,
                   learned_start=True)  # fmt: skip
    assert list(ours.start.histories) == ["1"]
    assert {name for name, _ in ours.named_parameters() if name.startswith("start")} == {
        "start.neurons.0.0", "start.neurons.1.0", "start.histories.1",
    }  # fmt: skip


def test_truncated_bptt_trains_the_start_with_the_rest(generator):
    ours = rates(generator, learned_start=True)
    batch = Batch(torch.rand(20, 2, 5, generator=generator, dtype=DOUBLE), None)
    rule = TruncatedBPTT(ours, MeanSquaredError(), optimizer=torch.optim.Adam(ours.parameters(), lr=0.02), k1=4, k2=8)
    before = {name: p.detach().clone() for name, p in ours.named_parameters()}
    losses = []
    for _ in range(5):
        losses.append(rule.compute(batch).loss)
        rule.apply()
    assert losses[-1] < losses[0]
    assert all(not torch.equal(before[name], p) for name, p in ours.named_parameters())


def test_online_eprop_trains_the_rest_and_leaves_the_start(generator):
    ours = rates(generator, learned_start=True)
    rule = EProp(ours, MeanSquaredError(), optimizer=torch.optim.SGD(ours.parameters(), lr=0.5), online=True)
    before = {name: p.detach().clone() for name, p in ours.named_parameters()}
    rule.compute(Batch(torch.rand(9, 2, 5, generator=generator, dtype=DOUBLE), None))
    rule.apply()
    moved = {name for name, p in ours.named_parameters() if not torch.equal(before[name], p)}
    assert "layers.a.recurrent.raw" in moved
    assert not any(name.startswith("start") for name in moved)


def test_a_learned_start_is_frozen_saved_and_built_again(generator):
    ours = two_layers(generator, learned_start=True)
    with torch.no_grad():
        for parameter in ours.start.parameters():
            parameter.add_(0.3)
    again = build(describe(ours), tensors=ours.state_dict()).double()
    again.load_state_dict(ours.state_dict())
    assert torch.equal(again(None, frames=5)[0], ours(None, frames=5)[0])
    ours.freeze("start")
    assert not any(parameter.requires_grad for parameter in ours.start.parameters())
    assert ours.layers["a"].recurrent.raw.requires_grad
