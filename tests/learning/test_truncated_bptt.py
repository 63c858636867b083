"""Truncated backpropagation: what it equals, what it carries on, what it needs, and what it refuses."""

import copy

import pytest
import torch

from neurotorch.connections import Connection
from neurotorch.core.trees import leaves
from neurotorch.data import Batch
from neurotorch.engine import adjoint, reference
from neurotorch.learning import BPTT, MeanSquaredError, NonFiniteError, TruncatedBPTT, WarmUp
from neurotorch.learning.peak_memory import peak_memory
from neurotorch.network import Forcing, Layer, Network, Observation
from neurotorch.neurons import LIF, Calcium, FiringRate, learned
from neurotorch.training import Trainer
from tests.contracts.rules import closed_loop, drawn

DOUBLE = torch.float64
FRAMES = 14


def spiking_loop(generator):
    """Return spikes with a readout that feeds back, seen through calcium, two steps per frame."""
    cortex = Layer(LIF(learned(0.3), 0.5), 6, inputs=Connection(2, 6, generator=generator), bias=learned(0.3))
    readout = Layer(
        FiringRate(learned(0.2)),
        3,
        inputs=Connection(6, 3, generator=generator),
        recurrent=Connection(3, 3, generator=generator),
    )
    return Network(
        {"cortex": cortex, "readout": readout},
        dt=0.1,
        observation=Observation(Calcium(learned(0.5)), gain=learned(2.0), nudge=learned(0.1), steps_per_frame=2),
        feedback={"readout -> cortex": Connection(3, 6, generator=generator)},
    )


def alone(generator):
    """Return a layer that runs by itself, without inputs."""
    layer = Layer(FiringRate(learned(0.3)), 4, recurrent=Connection(4, 4, generator=generator), bias=learned(0.4))
    return Network({"cortex": layer}, dt=0.1)


NETWORKS = {"rates": closed_loop, "spikes": spiking_loop, "alone": alone}
FORCING = {"free": None, "forced": WarmUp(5, 0.3, 0.3)}


class Mean:
    """A penalty that is a mean over time of what the first layer does."""

    name = "mean"

    def __call__(self, network, run):
        return run.runs[0].emitted.mean() + run.runs[0].seen.square().mean()


class Size:
    name = "size"

    def __call__(self, network, run):
        return 0.1 * sum(weight.square().sum() for weight in network.effective_weights().values())


def sgd(network, lr=0.1, **options):
    return torch.optim.SGD(network.parameters(), lr=lr, **options)


def truncated(network, k1, k2, *, lr=0.1, loss=None, **options):
    return TruncatedBPTT(network, loss or MeanSquaredError(skip=1), optimizer=sgd(network, lr), k1=k1, k2=k2, **options)


def full(network, *, lr=0.1, **options):
    return BPTT(network, MeanSquaredError(skip=1), optimizer=sgd(network, lr), **options)


def gradients(network):
    return {name: None if p.grad is None else p.grad.clone() for name, p in network.named_parameters()}


def assert_close(found, expected, *, rel):
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        if gradient is None or not gradient.any():
            assert found[name] is None or not found[name].any(), name
            continue
        error = float((found[name] - gradient).norm())
        assert error <= rel * float(gradient.norm()), name


@pytest.mark.parametrize("forcing", FORCING)
@pytest.mark.parametrize("name", NETWORKS)
class TestEquals:
    @pytest.mark.parametrize("k", [FRAMES, 2 * FRAMES])
    def test_bptt_number_by_number_where_one_chunk_spans_the_window(self, name, forcing, k, seed):
        generator = torch.Generator().manual_seed(seed)
        one, other = (NETWORKS[name](torch.Generator().manual_seed(seed)).double() for _ in range(2))
        options = {"forcing": FORCING[forcing], "clip": 0.5, "penalties": [Mean(), Size()]}
        ours, theirs = truncated(one, k, k, **options), full(other, **options)
        for _ in range(3):
            batch = drawn(one, generator, frames=FRAMES)
            found, expected = ours.compute(batch), theirs.compute(batch)
            assert (found.loss, dict(found.terms)) == (expected.loss, dict(expected.terms))
            pairs = zip(one.parameters(), other.parameters(), strict=True)
            assert all(torch.equal(p.grad, q.grad) for p, q in pairs if p.grad is not None)
            ours.apply()
            theirs.apply()
        assert ours.state_dict()["steps"] == theirs.state_dict()["steps"] == 3
        assert all(map(torch.equal, one.parameters(), other.parameters()))

    @pytest.mark.parametrize("k1", [3, 7])
    def test_the_gradient_of_bptt_in_sum_where_every_chunk_reaches_back_to_the_start(
        self, name, forcing, k1, generator
    ):
        network = NETWORKS[name](generator).double()
        batch = drawn(network, generator, frames=FRAMES)
        options = {"forcing": FORCING[forcing], "penalties": [Mean(), Size()]}
        expected = full(network, **options).compute(batch)
        exact = gradients(network)
        found = truncated(network, k1, FRAMES, **options).gradient(batch)
        assert found.loss == pytest.approx(expected.loss, rel=1e-12)
        assert dict(found.terms) == pytest.approx(dict(expected.terms), rel=1e-12)
        # the same terms, summed chunk by chunk
        assert_close(gradients(network), exact, rel=1e-10)

    @pytest.mark.parametrize(("k1", "k2"), [(5, 5), (3, 5), (2, 8)])
    def test_what_the_docstring_says_through_several_updates(self, name, forcing, k1, k2, seed, monkeypatch):
        network = NETWORKS[name](torch.Generator().manual_seed(seed)).double()
        other = copy.deepcopy(network)
        batch = drawn(network, torch.Generator().manual_seed(seed), frames=FRAMES)
        rule = truncated(network, k1, k2, forcing=FORCING[forcing])
        report = rule.compute(batch)
        rule.apply()
        monkeypatch.setattr(adjoint, "scan", reference.scan)
        losses = by_hand(other, batch, k1, k2, FORCING[forcing])
        assert rule.steps == len(losses) == -(-FRAMES // k1)
        assert report.loss == pytest.approx(sum(losses), rel=1e-10)
        assert report.samples == 2
        for (key, p), q in zip(network.named_parameters(), other.parameters(), strict=True):
            # both engines sum in their own order, over a few updates
            torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-11, msg=key)


def by_hand(network, batch, k1, k2, plan):
    """Train on one window with autograd through the reference loop, chunk by chunk; return the parts of the loss."""
    frames, optimizer, losses = len(batch.target), sgd(network), []
    strength = None if plan is None else plan.strength(frames, 0.0)
    states = {0: network.initial_state(batch.target.shape[1])}

    def run(start, stop, state):
        inputs = None if batch.inputs is None else batch.inputs[start:stop]
        forcing = None if plan is None else Forcing(batch.target[start:stop], strength[start:stop])
        return network(inputs, state, frames=stop - start, forcing=forcing)

    for end in [*range(k1, frames, k1), frames]:
        start, first = max(0, end - k2), (end - 1) // k1 * k1
        output, _ = run(start, end, states[start])
        error = (output - batch.target[start:end])[max(first, 1) - start :]  # the loss skips one frame
        loss = error.square().sum() / ((frames - 1) * batch.target[0].numel())
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        following = max(0, min(end + k1, frames) - k2)
        if following > start:
            with torch.no_grad():
                states[following] = run(start, following, states[start])[1]
        optimizer.step()
        network.project_()
    return losses


class Watched:
    """The mean squared error, which remembers the outputs that it was given."""

    def __call__(self, output, target):
        return self.part(output, target, start=0, frames=len(output))

    def part(self, output, target, *, start, frames):
        SEEN.append(output.detach().clone())
        return MeanSquaredError().part(output, target, start=start, frames=frames)


SEEN = []


class TestCarries:
    @pytest.mark.parametrize(("k1", "k2"), [(1, 1), (3, 3), (3, 5), (4, 13)])
    @pytest.mark.parametrize("forcing", FORCING)
    @pytest.mark.parametrize("name", NETWORKS)
    def test_without_a_learning_rate_activity_is_that_of_one_run(self, name, forcing, k1, k2, generator):
        network = NETWORKS[name](generator).double()
        batch = drawn(network, generator, frames=FRAMES)
        plan = FORCING[forcing]
        SEEN.clear()
        rule = truncated(network, k1, k2, lr=0.0, loss=Watched(), forcing=plan)
        rule.compute(batch)
        forced = None if plan is None else Forcing(batch.target, plan.strength(FRAMES, 0.0))
        whole, _ = network(batch.inputs, network.initial_state(2), frames=FRAMES, forcing=forced)
        # products with inputs of another length may round differently
        torch.testing.assert_close(torch.cat(SEEN), whole.detach(), rtol=1e-12, atol=1e-13)
        assert {len(part) for part in SEEN[:-1]} <= {k1}

    def test_every_chunk_makes_an_update_of_which_the_last_is_left_to_apply(self, generator):
        network = closed_loop(generator).double()
        rule = truncated(network, 4, 6)
        rule.compute(drawn(network, generator, frames=FRAMES))
        assert rule.steps == 3
        assert any(p.grad is not None and p.grad.any() for p in network.parameters())
        rule.apply()
        assert rule.steps == 4

    def test_a_gradient_that_is_only_looked_at_changes_nothing(self, generator):
        network = closed_loop(generator).double()
        rule = truncated(network, 4, 6)
        before = [p.detach().clone() for p in network.parameters()]
        state = copy.deepcopy(rule.state_dict())
        rule.gradient(drawn(network, generator, frames=FRAMES))
        assert all(map(torch.equal, before, network.parameters()))
        assert rule.state_dict() == state


class TestMemory:
    def test_it_does_not_grow_with_the_recording(self, generator):
        network = spiking_loop(generator)
        needed = {}
        for frames in (40, 240):
            batch = drawn(network, generator, frames=frames)
            for kind, rule in (("truncated", truncated(network, 5, 10, lr=0.0)), ("full", full(network, lr=0.0))):
                rule.compute(batch)  # gradients and what is made once are there before it is measured
                needed[kind, frames] = peak_memory(rule.compute, batch)
        # scalars that wait for the garbage collector are all that may differ
        assert abs(needed["truncated", 240] - needed["truncated", 40]) < 1000
        assert needed["truncated", 240] > 5000
        assert needed["full", 240] > 3 * needed["full", 40]  # the buffers of products do not grow

    def test_what_is_saved_for_one_backward_pass_does_not_grow_either(self, generator):
        network = closed_loop(generator)

        def largest(frames):
            rule, sizes = truncated(network, 5, 10, lr=0.0), []
            backward = rule.backward

            def watched(loss):
                sizes.append(saved[0])
                saved[0] = 0
                backward(loss)

            rule.backward, saved = watched, [0]

            def pack(tensor):
                saved[0] += tensor.nbytes
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
                rule.compute(drawn(network, generator, frames=frames))
            return max(sizes)

        assert largest(200) == largest(30) > 0


class TestRefuses:
    @pytest.mark.parametrize(
        ("k1", "k2", "error", "says"),
        [
            (5, 4, ValueError, "`k1` is 5 and `k2` is 4, .*use k2 >= 5, or k1 <= 4"),
            (0, 4, ValueError, "`k1` is 0, but it must be at least 1"),
            (1, 0, ValueError, "`k2` is 0, but it must be at least 1"),
            (1.5, 2, TypeError, "`k1` is 1.5, but it must be a whole number"),
        ],
    )
    def test_chunks_that_cannot_be(self, k1, k2, error, says, generator):
        with pytest.raises(error, match=says):
            truncated(closed_loop(generator), k1, k2)

    def test_a_loss_that_is_no_sum_over_time(self, generator):
        def loss(output, target):
            return (output - target).abs().max()

        with pytest.raises(TypeError, match=r"takes a loss part by part.*MeanSquaredError\(\), or use BPTT"):
            truncated(closed_loop(generator), 2, 2, loss=loss)

    def test_a_gradient_that_is_not_finite_with_its_name_and_frame(self, generator):
        network = closed_loop(generator).double()
        rule = truncated(network, 4, 6)
        calls = []

        def spoil(gradient):
            calls.append(1)
            return torch.full_like(gradient, torch.nan) if len(calls) == 2 else gradient

        network.layers["cortex"].bias.raw.register_hook(spoil)
        batch = drawn(network, generator, frames=FRAMES)
        says = r"`layers.cortex.bias.raw` holds 6 .*\(of 6\) at the update after frame 8 of a window of 14"
        with pytest.raises(NonFiniteError, match=says) as raised:
            Trainer(rule).fit([batch], epochs=1)
        assert raised.value.__notes__ == ["This was in epoch 1, batch 1."]
        assert rule.steps == 1
        assert all(bool(torch.isfinite(leaf).all()) for leaf in leaves(tuple(network.parameters())))

    def test_inputs_that_are_not_finite_with_the_frame_from_which_places_count(self, generator):
        network = closed_loop(generator).double()
        batch = drawn(network, generator)
        batch.inputs[9, 0, 1] = torch.nan
        with pytest.raises(ValueError, match=r"the first in frame 1 \(sample 0, channel 1\)") as raised:
            truncated(network, 4, 4).compute(batch)
        assert raised.value.__notes__ == ["Counted from frame 8 of the window on, in a run to frame 12."]

    def test_batches_of_another_dtype(self, generator):
        network = closed_loop(generator).double()
        batch = drawn(network, generator)
        with pytest.raises(TypeError, match="the network that TruncatedBPTT trains is torch.float64"):
            truncated(network, 2, 2).compute(Batch(batch.target.float(), batch.inputs))
