"""A layer in a plain PyTorch world."""

import copy
import io

import pytest
import torch

from neurotorch.core.trees import leaves, transform
from neurotorch.network import Layer, LayerState
from neurotorch.neurons import LIF, CurrentLIF, FiringRate, Tanh, learned
from tests.network.builders import DOUBLE, connection, draw, layer

DT = 0.02


def test_a_plain_training_loop_does_what_it_does_with_a_loop_written_by_hand(generator):
    recurrent, inputs = draw(generator, 5, 5, scale=0.5), draw(generator, 5, 3, scale=0.5)
    signal, target = draw(generator, 40, 2, 3), draw(generator, 40, 2, 5, scale=0.3)

    def train(step_through, parameters):
        optimizer = torch.optim.Adam(parameters, lr=0.01)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        losses = []
        for _ in range(20):
            optimizer.zero_grad()
            loss = (step_through() - target).square().mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 0.1)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        return losses

    ours = Layer(
        FiringRate(learned(torch.tensor(0.1, dtype=DOUBLE)), transfer=Tanh()), 5,
        inputs=connection(inputs), recurrent=connection(recurrent), bias=learned(torch.zeros(5, dtype=DOUBLE)),
    )  # fmt: skip
    w, u, b = (
        recurrent.clone().requires_grad_(),
        inputs.clone().requires_grad_(),
        torch.zeros(5, dtype=DOUBLE).requires_grad_(),
    )
    log_tau = torch.tensor(0.1, dtype=DOUBLE).log().requires_grad_()

    def by_hand():
        x, found = torch.zeros(2, 5, dtype=DOUBLE), []
        for frame in signal:
            x = x + DT / log_tau.exp() * (torch.tanh(frame @ u.T + x @ w.T + b) - x)
            found.append(x)
        return torch.stack(found)

    expected = train(by_hand, [w, u, b, log_tau])
    # 20 steps of Adam, each of which keeps the rounding of the gradient relative to its own size
    assert train(lambda: ours(signal, dt=DT)[0], list(ours.parameters())) == pytest.approx(expected, rel=1e-9)
    torch.testing.assert_close(ours.recurrent.weight(), w, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(ours.neuron.tau(), log_tau.exp(), rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(ours.bias(), b, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    "neuron", [FiringRate(0.1), LIF(0.1, 0.3), CurrentLIF(0.05, 0.1, threshold=0.5)], ids=lambda n: type(n).__name__
)
def test_a_sequence_in_chunks_equals_the_whole_and_so_do_its_gradients(neuron, generator):
    ours, signal = layer(neuron, 6, generator, inputs=3), draw(generator, 30, 2, 3).requires_grad_()

    def gradients(emitted, state):
        total = (emitted * torch.linspace(0, 1, 30, dtype=DOUBLE)[:, None, None]).sum() + sum(
            x.sum() for x in leaves(state)
        )
        return torch.autograd.grad(total, [signal, *ours.parameters()])

    whole, end = ours(signal, dt=DT)
    state, parts = None, []
    for start, stop in ((0, 1), (1, 12), (12, 30)):
        part, state = ours(signal[start:stop], state, dt=DT)
        parts.append(part)
    assert float(whole.detach().abs().max()) > 0
    # products of other sizes are summed in another order
    for one, other in zip([torch.cat(parts), *leaves(state)], [whole, *leaves(end)], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)
    for one, other in zip(gradients(torch.cat(parts), state), gradients(whole, end), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_the_state_says_where_the_layer_is(generator):
    ours = layer(FiringRate(0.1), 4, generator)
    emitted, state = ours(draw(generator, 7, 2, 4), dt=DT)
    assert isinstance(state, LayerState)
    assert torch.equal(state.history, emitted[-1:])
    assert torch.equal(state.neuron.x, emitted[-1])


def test_gradients_flow_into_the_initial_state(generator):
    ours, signal = layer(FiringRate(0.1), 3, generator), draw(generator, 4, 2, 3)
    start = transform(ours.initial_state(2, signal), lambda leaf: draw(generator, *leaf.shape).requires_grad_())

    def final(x, history):
        return ours(signal, LayerState(ours.neuron.State(x=x), history), dt=DT)[0][-1]

    assert torch.autograd.gradcheck(final, (start.neuron.x, start.history))


def test_a_layer_holds_no_state_between_calls(generator):
    ours, signal = layer(FiringRate(0.1), 4, generator), draw(generator, 9, 2, 4)
    before = copy.deepcopy(ours.state_dict())
    first, second = ours(signal, dt=DT)[0], ours(signal, dt=DT)[0]
    assert torch.equal(first, second)
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_samples_of_a_batch_do_not_see_each_other(generator):
    ours, signal = layer(LIF(0.1, 0.3), 6, generator, inputs=3), draw(generator, 20, 3, 3)
    together, _ = ours(signal, dt=DT)
    for sample in range(3):
        alone, _ = ours(signal[:, sample : sample + 1], dt=DT)
        assert torch.equal(alone, together[:, sample : sample + 1])
    assert len(together.sum((0, 2)).unique()) > 1


def test_a_state_dict_goes_through_torch_save(generator):
    source, target = (layer(FiringRate(learned(0.1)), 4, generator, inputs=2) for _ in range(2))
    file, signal = io.BytesIO(), draw(generator, 5, 1, 2)
    torch.save(source.state_dict(), file)
    file.seek(0)
    assert not torch.equal(source(signal, dt=DT)[0], target(signal, dt=DT)[0])
    target.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(source(signal, dt=DT)[0], target(signal, dt=DT)[0])


def test_under_autocast_the_states_keep_the_dtype_of_the_layer():
    generator = torch.Generator().manual_seed(0)
    ours = layer(FiringRate(0.1), 5, generator, inputs=3).float()
    signal = torch.randn(20, 2, 3, generator=generator)
    plain, _ = ours(signal, dt=DT)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, state = ours(signal, dt=DT)
    assert {tensor.dtype for tensor in (mixed, *leaves(state))} == {torch.float32}
    # the product of the inputs alone is rounded to the 8 bits of bfloat16
    torch.testing.assert_close(mixed, plain, rtol=0, atol=2**-7)
    mixed.sum().backward()
    assert ours.recurrent.raw.grad.dtype == torch.float32


@pytest.mark.gpu
def test_a_layer_on_the_gpu_equals_the_one_on_the_cpu(generator):
    ours, signal = layer(FiringRate(0.1), 5, generator, inputs=3), draw(generator, 20, 2, 3)
    expected, _ = ours(signal, dt=DT)
    found, state = ours.cuda()(signal.cuda(), dt=DT)
    assert {tensor.device.type for tensor in leaves(state)} == {"cuda"}
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-12, atol=1e-13)
