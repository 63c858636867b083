"""Layers in a row and in loops, against loops written by hand."""

import numpy as np
import pytest
import torch

from neurotorch.connections import Connection, Dale, Projected
from neurotorch.core.trees import leaves, transform
from neurotorch.network import Layer, Network, Observation, simulate
from neurotorch.neurons import LIF, Calcium, FiringRate, LeakyIntegrator, Tanh, learned
from tests.network.builders import DOUBLE, connection, draw, layer, network

DT = 0.02


def looped(generator, *, feedback=None):
    """Return a network of two layers, the second feeding back onto the first, and its weights in numpy."""
    weights = {
        "cortex.inputs": draw(generator, 5, 2, scale=0.5),
        "cortex.recurrent": draw(generator, 5, 5, scale=0.4),
        "readout.inputs": draw(generator, 3, 5, scale=0.3),
        "readout -> cortex": draw(generator, 5, 3, scale=0.3) if feedback is None else feedback,
    }
    cortex = layer(FiringRate(torch.tensor(0.1, dtype=DOUBLE), transfer=Tanh()), 5, generator, inputs=2)
    readout = layer(LeakyIntegrator(torch.tensor(0.05, dtype=DOUBLE)), 3, generator, inputs=5, recurrent=False)
    found = network(
        {"cortex": cortex, "readout": readout},
        dt=DT,
        feedback={"readout -> cortex": connection(weights["readout -> cortex"])},
    )
    for address, weight in weights.items():
        found.connections()[address].set_weight(weight)
    return found, {address: weight.numpy() for address, weight in weights.items()}


def test_a_feedback_loop_equals_a_loop_written_by_hand(generator):
    ours, w = looped(generator)
    signal = draw(generator, 40, 2, 2)
    output, state = ours(signal)
    x, v, expected = np.zeros((2, 5)), np.zeros((2, 3)), []
    for frame in signal.numpy():
        current = frame @ w["cortex.inputs"].T + x @ w["cortex.recurrent"].T + v @ w["readout -> cortex"].T
        x = x + DT / 0.1 * (np.tanh(current) - x)
        v = np.exp(-DT / 0.05) * v + x @ w["readout.inputs"].T
        expected.append(v)
    # sums in another order, over 40 contracting steps
    np.testing.assert_allclose(output.detach().numpy(), expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(state[0].neuron.x.detach().numpy(), x, rtol=1e-11, atol=1e-12)


def test_feedback_of_zero_equals_layer_by_layer(generator):
    ours, _ = looped(generator, feedback=torch.zeros(5, 3, dtype=DOUBLE))
    signal = draw(generator, 20, 2, 2)
    cortex, readout = ours.layers["cortex"], ours.layers["readout"]
    output, _ = ours(signal)
    one_by_one = readout(cortex(signal, dt=DT)[0], dt=DT)[0]
    torch.testing.assert_close(output, one_by_one, rtol=1e-12, atol=1e-13)
    wanted = list(cortex.parameters()) + list(readout.parameters())
    found, expected = (torch.autograd.grad(y.square().sum(), wanted) for y in (output, one_by_one))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_a_loop_leaves_the_layers_outside_it_as_they_are(generator):
    # first -> (a <-> b) -> last: with the loop's weights at zero everything is a plain chain
    names, sizes = ("first", "a", "b", "last"), (3, 4, 5, 2)
    layers = {
        name: layer(FiringRate(0.1), size, generator, inputs=pre)
        for name, size, pre in zip(names, sizes, (2, 3, 4, 5), strict=True)
    }
    silent = {
        "b -> a": connection(torch.zeros(4, 5, dtype=DOUBLE)),
        "a -> a": connection(torch.zeros(4, 4, dtype=DOUBLE)),
    }
    signal = draw(generator, 15, 2, 2)
    plain, looped_ = network(layers, dt=DT), network(layers, dt=DT, feedback=silent)
    torch.testing.assert_close(looped_(signal)[0], plain(signal)[0], rtol=1e-12, atol=1e-13)
    silent["b -> a"].set_weight(torch.ones(4, 5, dtype=DOUBLE))
    assert float((looped_(signal)[0] - plain(signal)[0]).detach().abs().max()) > 1e-6


def test_overlapping_loops_run_together(generator):
    # c feeds back onto b and b onto a, so that all three share one scan: perfect followers, one neuron each
    layers = {
        name: layer(LeakyIntegrator(1e-9), 1, generator, inputs=1, recurrent=False) for name in ("a", "b", "c", "out")
    }
    back = {address: connection(draw(generator, 1, 1)) for address in ("c -> b", "b -> a")}
    ours = network(layers, dt=DT, feedback=back)
    w = {address: weight.item() for address, weight in ours.effective_weights().items()}
    signal, expected, b, c = draw(generator, 8, 1, 1), [], 0.0, 0.0
    for frame in signal.flatten().tolist():
        a = w["a.inputs"] * frame + w["b -> a"] * b
        b = w["b.inputs"] * a + w["c -> b"] * c
        c = w["c.inputs"] * b
        expected.append(w["out.inputs"] * c)
    np.testing.assert_allclose(ours(signal)[0].detach().flatten().numpy(), expected, rtol=1e-12)


INSTRUMENTS = {
    "none": None,
    "averaged": Observation(steps_per_frame=3),
    "calcium": Observation(Calcium(0.1), gain=2.0, offset=0.1, steps_per_frame=4),
}


@pytest.mark.parametrize("observation", INSTRUMENTS.values(), ids=INSTRUMENTS.keys())
@pytest.mark.parametrize("neuron", [FiringRate(0.1), LIF(0.1, 0.4)], ids=["FiringRate", "LIF"])
def test_a_recording_in_chunks_equals_the_whole(neuron, observation, generator):
    ours = network(
        {"cortex": layer(neuron, 5, generator, inputs=2), "last": layer(LIF(0.1, 0.3), 4, generator, inputs=5)},
        dt=DT, observation=observation, feedback={"last -> cortex": connection(draw(generator, 5, 4, scale=0.3))},
    )  # fmt: skip
    signal = draw(generator, 12, 2, 2).requires_grad_()
    whole, end = ours(signal)
    state, parts = None, []
    for start, stop in ((0, 5), (5, 6), (6, 12)):
        part, state = ours(signal[start:stop], state)
        parts.append(part)
    assert whole.shape == (12, 2, 4)
    assert float(whole.detach().std()) > 0
    for one, other in zip([torch.cat(parts), *leaves(state)], [whole, *leaves(end)], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)
    found, expected = (
        torch.autograd.grad(y.square().sum(), [signal, *ours.parameters()]) for y in (torch.cat(parts), whole)
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_gradients_flow_into_the_initial_state_of_every_layer(generator):
    ours, _ = looped(generator)
    signal = draw(generator, 4, 1, 2)
    start = transform(ours.initial_state(1), lambda leaf: draw(generator, *leaf.shape).requires_grad_())

    def output(*given):
        values = iter(given)
        return ours(signal, transform(start, lambda _: next(values)))[0]

    assert torch.autograd.gradcheck(output, leaves(start))


def test_inputs_are_held_over_the_steps_of_a_frame(generator):
    ours = network(
        {"a": layer(FiringRate(0.1), 3, generator, inputs=2)}, dt=DT, observation=Observation(steps_per_frame=4)
    )
    signal = draw(generator, 5, 2, 2)
    fine = network({"a": ours.layers["a"]}, dt=DT)
    expected = fine(signal.repeat_interleave(4, dim=0))[0].reshape(5, 4, 2, 3).mean(1)
    torch.testing.assert_close(ours(signal)[0], expected, rtol=1e-12, atol=1e-13)
    assert ours.frame_dt == pytest.approx(4 * DT)


def test_without_inputs_a_network_runs_by_itself_from_its_bias(generator):
    ours = network({"a": layer(FiringRate(0.1), 3, generator, bias=0.4)}, dt=DT)
    output, _ = ours(None, frames=6)
    same, _ = ours(torch.zeros(6, 1, 3, dtype=DOUBLE))
    assert output.shape == (6, 1, 3)
    torch.testing.assert_close(output, same, rtol=1e-14, atol=1e-15)


def test_effective_weights_have_addresses_and_are_what_the_connections_say(generator):
    ours, w = looped(generator)
    found = ours.effective_weights()
    assert list(found) == ["cortex.inputs", "cortex.recurrent", "readout.inputs", "readout -> cortex"]
    for address, weight in found.items():
        np.testing.assert_array_equal(weight.detach().numpy(), w[address])


def test_a_lesion_changes_the_output_and_no_parameter(generator):
    ours, _ = looped(generator)
    signal = draw(generator, 20, 2, 2)
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    intact, _ = ours(signal)
    for address, weight in ours.effective_weights().items():
        lesioned = weight.detach().clone()
        lesioned[0, :2] = 0
        output, _ = ours(signal, weights={address: lesioned})
        assert not torch.equal(output, intact), address
        for name, tensor in ours.state_dict().items():
            assert torch.equal(tensor, before[name])
        connection_ = ours.connections()[address]
        connection_.set_weight(lesioned)
        torch.testing.assert_close(ours(signal)[0], output, rtol=1e-12, atol=1e-13)
        connection_.set_weight(weight)
    assert torch.equal(ours(signal)[0], intact)


def test_gradients_flow_into_weights_given_in_place_of_the_networks_own(generator):
    ours, _ = looped(generator)
    weight = ours.effective_weights()["cortex.recurrent"].detach().requires_grad_()
    signal = draw(generator, 4, 1, 2)
    assert torch.autograd.gradcheck(lambda w: ours(signal, weights={"cortex.recurrent": w})[0], weight)


def test_projection_reaches_connections_and_constants_of_every_layer(generator):
    dale = Dale([1, -1, 1, -1], magnitude=Projected())
    layers = {
        name: Layer(
            FiringRate(learned(0.1)), 4, inputs=Connection(4, 4, dale=dale), recurrent=Connection(4, 4, dale=dale)
        )
        for name in ("a", "b")
    }
    ours = Network(layers, dt=DT, feedback={"b -> a": Connection(4, 4, dale=dale)})
    for found in ours.connections().values():
        with torch.no_grad():
            found.raw.fill_(-1)
    for each in layers.values():
        each.neuron.tau.assign(torch.tensor(0.001))
    ours.project_()
    assert len(ours.connections()) == 5
    for address, found in ours.connections().items():
        assert torch.equal(found.raw, dale.project(torch.full((4, 4), -1.0))), address
    assert not torch.equal(dale.project(torch.full((4, 4), -1.0)), torch.full((4, 4), -1.0))
    for each in layers.values():
        assert float(each.neuron.tau.value) == pytest.approx(DT, rel=1e-6)


def test_activity_that_explodes_is_named_by_layer_step_sample_and_neuron():
    # v' = 1e20 v within float32: 1, 1e20, then infinite, in the second sample, third neuron of the second layer
    quiet = layer(LeakyIntegrator(1e-9), 3, torch.Generator().manual_seed(0), recurrent=False)
    wild = layer(LeakyIntegrator(1e-9), 3, torch.Generator().manual_seed(0), inputs=3)
    wild.inputs.set_weight(torch.eye(3, dtype=DOUBLE))
    wild.recurrent.set_weight(1e20 * torch.eye(3, dtype=DOUBLE))
    ours = Network({"quiet": quiet, "wild": wild}, dt=DT).float()
    pulse = torch.zeros(5, 2, 3)
    pulse[0, 1, 2] = 1
    with pytest.raises(
        FloatingPointError, match=r"'wild' .*not finite at step 2 \(sample 1, neuron 2\).*spectral radius"
    ):
        ours(pulse)
    with pytest.raises(FloatingPointError, match="'wild'"):
        simulate(ours, pulse)
