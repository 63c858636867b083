"""Networks whose connections have delays: against a numpy loop, and in pieces."""

import numpy as np
import pytest
import torch

from neurotorch.analysis.balance import measure_balance
from neurotorch.connections import Connection, Dale, Given, conduction_delays
from neurotorch.core.config import build, describe
from neurotorch.core.trees import leaves
from neurotorch.data import Recording
from neurotorch.evaluation.running_forecaster import RunningForecaster
from neurotorch.network import Layer, Network, Observation, forecast, simulate
from neurotorch.neurons import LIF, FiringRate, LeakyIntegrator, WilsonCowan, learned

DOUBLE = torch.float64
DT, BATCH, CHANNELS, FIRST, SECOND = 0.001, 2, 3, 5, 4


def scattered(random, post, pre):
    """Return delays of one to four steps, off the grid by up to a third of a step."""
    return (random.integers(1, 5, size=(post, pre)) + random.uniform(-0.3, 0.3, size=(post, pre))).clip(min=1) * DT


def exactly(weight, **options):
    return Connection(weight.shape[1], weight.shape[0], init=Given(torch.as_tensor(weight)), **options)


class World:
    """Two layers with a loop; every kind of connection has delays, some synapse by synapse."""

    def __init__(self, seed=0, *, spikes=False):
        random = np.random.default_rng(seed)
        self.weights = {
            "first.inputs": 0.5 * random.normal(size=(FIRST, CHANNELS)),
            "first.recurrent": 0.3 * random.normal(size=(FIRST, FIRST)),
            "second.inputs": 0.5 * random.normal(size=(SECOND, FIRST)),
            "second.recurrent": 0.2 * random.normal(size=(SECOND, SECOND)),
            "second -> first": 0.3 * random.normal(size=(FIRST, SECOND)),
        }
        self.delays = {
            "first.inputs": scattered(random, FIRST, CHANNELS),
            "first.recurrent": scattered(random, FIRST, FIRST),
            "second.inputs": 3 * DT,
            "second.recurrent": None,
            "second -> first": np.where(random.random((FIRST, SECOND)) < 0.5, 0, scattered(random, FIRST, SECOND)),
        }
        made = {
            name: exactly(w, delay=torch.as_tensor(d) if isinstance(d := self.delays[name], np.ndarray) else d)
            for name, w in self.weights.items()
        }
        self.tau = (0.01, 0.02)
        cell = (lambda: LIF(learned(0.01), learned(0.3))) if spikes else None
        first = cell() if cell else LeakyIntegrator(torch.tensor(self.tau[0], dtype=DOUBLE))
        layers = {
            "first": Layer(first, FIRST, inputs=made["first.inputs"], recurrent=made["first.recurrent"]),
            "second": Layer(
                LeakyIntegrator(torch.tensor(self.tau[1], dtype=DOUBLE)),
                SECOND,
                inputs=made["second.inputs"],
                recurrent=made["second.recurrent"],
            ),
        }
        self.network = Network(layers, dt=DT, feedback={"second -> first": made["second -> first"]}).double()
        for name, connection in self.network.connections().items():
            connection.set_weight(torch.as_tensor(self.weights[name]))

    def lag(self, name, post, pre):
        """Return the steps of one synapse, in numpy."""
        delay = self.delays[name]
        seconds = delay[post, pre] if isinstance(delay, np.ndarray) else delay or 0.0
        return max(round(seconds / DT), 0 if name.endswith(".inputs") else 1)

    def loop(self, inputs):
        """Return what the second layer emits, synapse by synapse."""
        steps, v, z = len(inputs), [np.zeros((BATCH, n)) for n in (FIRST, SECOND)], {}
        ends = {
            0: (("first.inputs", "in"), ("first.recurrent", 0), ("second -> first", 1)),
            1: (("second.inputs", 0), ("second.recurrent", 1)),
        }
        for t in range(steps):
            z["in", t] = inputs[t]
            for layer, alpha in enumerate(np.exp(-DT / np.array(self.tau))):
                current = np.zeros_like(v[layer])
                for name, source in ends[layer]:
                    for (post, pre), weight in np.ndenumerate(self.weights[name]):
                        late = z.get((source, t - self.lag(name, post, pre)))
                        if late is not None:
                            current[:, post] += weight * late[:, pre]
                v[layer] = alpha * v[layer] + current
                z[layer, t] = v[layer]
        return np.stack([z[1, t] for t in range(steps)])


def inputs_of(seed, steps):
    return np.random.default_rng(seed).normal(size=(steps, BATCH, CHANNELS))


def test_a_network_equals_a_loop_over_its_synapses():
    world, inputs = World(), inputs_of(1, 20)
    output, _ = world.network(torch.as_tensor(inputs))
    np.testing.assert_allclose(output.detach().numpy(), world.loop(inputs), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("spikes", [False, True])
@pytest.mark.parametrize("cuts", [(7,), (1, 2, 3), (2, 11)])
def test_running_in_pieces_equals_running_at_once_with_its_gradients(spikes, cuts):
    network, inputs = World(spikes=spikes).network, 3 * torch.as_tensor(inputs_of(2, 16))
    whole, end = network(inputs)
    pieces, state = [], None
    for start, stop in zip((0, *cuts), (*cuts, 16), strict=True):
        output, state = network(inputs[start:stop], state)
        pieces.append(output)
    parameters = list(network.parameters())
    for one, other in zip(leaves(state), leaves(end), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(torch.cat(pieces), whole, rtol=1e-12, atol=1e-13)
    slope = torch.randn(whole.shape, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    found = torch.autograd.grad((torch.cat(pieces) * slope).sum(), parameters)
    expected = torch.autograd.grad((whole * slope).sum(), parameters)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_inputs_under_way_arrive_after_the_inputs_have_ended():
    network = Network({"only": Layer(LeakyIntegrator(1e-9), 1, inputs=exactly(np.ones((1, 1)), delay=3 * DT))}, dt=DT)
    output, state = network(torch.tensor([1.0, 2.0]).reshape(2, 1, 1))
    assert output.flatten().tolist() == [0, 0]
    assert state[0].underway.flatten().tolist() == [0, 1, 2]
    output, state = network(None, state, frames=4)
    assert output.flatten().tolist() == [0, 1, 2, 0]
    assert state[0].underway.flatten().tolist() == [0, 0, 0]


def test_the_state_remembers_as_long_as_the_longest_delay_and_no_longer():
    network = World().network
    first, second = network.initial_state(BATCH)
    steps = {name: c.lags(DT, soonest=0)[-1] for name, c in network.connections().items()}
    assert len(first.history) == max(3, steps["first.recurrent"])
    assert len(second.history) == steps["second -> first"]
    assert len(first.underway) == steps["first.inputs"]
    assert second.underway is None
    plain = Network({"only": Layer(LIF(), 3, recurrent=Connection(3, 3))}, dt=DT)
    assert plain.initial_state(2)[0].history.shape == (1, 2, 3)
    assert plain.initial_state(2)[0].underway is None


def test_a_layer_alone_keeps_its_delays(generator):
    layer = Layer(
        FiringRate(0.1), 4, inputs=Connection(2, 4, delay=0.04), recurrent=Connection(4, 4, delay=0.06)
    ).double()
    network = Network({"only": layer}, dt=0.02)
    inputs = torch.randn(12, 3, 2, generator=generator, dtype=DOUBLE)
    whole, end = layer(inputs, dt=0.02)
    torch.testing.assert_close(whole, network(inputs)[0], rtol=1e-12, atol=1e-13)
    first, state = layer(inputs[:5], dt=0.02)
    rest, state = layer(inputs[5:], state, dt=0.02)
    torch.testing.assert_close(torch.cat([first, rest]), whole, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(state.history, end.history, rtol=1e-12, atol=1e-13)
    with pytest.raises(ValueError, match=r"delay of 2 steps, but the state holds no inputs"):
        layer(inputs, state._replace(underway=None), dt=0.02)


def test_a_lesion_acts_on_the_weight_whatever_the_delays():
    world, inputs = World(), torch.as_tensor(inputs_of(3, 12))
    lesioned = world.network.effective_weights()["first.recurrent"].clone()
    lesioned[:, 2] = 0
    found, _ = world.network(inputs, weights={"first.recurrent": lesioned})
    world.weights["first.recurrent"][:, 2] = 0
    np.testing.assert_allclose(found.detach().numpy(), world.loop(inputs.numpy()), rtol=1e-11, atol=1e-12)


def test_delays_survive_a_description_and_a_cast():
    network = World().network
    again = build(describe(network), tensors=network.state_dict()).double()
    again.load_state_dict(network.state_dict())
    inputs = torch.as_tensor(inputs_of(4, 10))
    assert torch.equal(again(inputs)[0], network(inputs)[0])
    build(describe(network))  # without tensors, delays are zeros for now
    torch.testing.assert_close(network.float()(inputs.float())[0], again(inputs)[0].float(), rtol=1e-4, atol=1e-5)


def test_forecasts_and_balance_take_delays_into_account(generator):
    own = torch.rand(4, 4, generator=generator) * 0.3 + 0.1
    layer = Layer(
        WilsonCowan(0.3),
        4,
        inputs=Connection(2, 4, delay=0.2, generator=generator),
        recurrent=Connection(4, 4, dale=Dale.fraction(4, 0.5), delay=own, generator=generator),
        bias=learned(torch.full((4,), 0.2)),
    )
    network = Network({"cortex": layer}, dt=0.1, observation=Observation(gain=2.0)).double()
    activity = torch.rand(20, 4, generator=generator, dtype=DOUBLE)
    inputs = torch.rand(20, 2, generator=generator, dtype=DOUBLE)
    recording = Recording(activity.numpy(), 0.1, inputs=inputs.numpy())
    origins = np.array([5, 9, 14])
    found = RunningForecaster(network).forecast(recording, origins, 4)
    for row, origin in zip(found, origins, strict=True):
        recent = activity[: origin + 1, None]
        with torch.no_grad():
            one = forecast(network, recent, 4, inputs=inputs[: origin + 5, None])
        np.testing.assert_allclose(row, one[:, 0].numpy(), rtol=1e-10)
    run = simulate(network, inputs[:, None], record=("emitted", "currents"))
    found = measure_balance(network, run.emitted, layer="cortex", inputs=inputs[:, None])
    total = found.excitation + found.inhibition + layer.bias().detach()
    torch.testing.assert_close(total, run.currents["cortex"], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("delay", "error", "message"),
    [
        (-0.001, ValueError, "`delay` is -0.001 s, but activity cannot arrive before it is emitted"),
        (float("nan"), ValueError, "delay"),
        (torch.zeros(2, 3), ValueError, r"`delay` has shape \(2, 3\), but .*\(post, pre\) = \(3, 2\)"),
        (True, TypeError, "must be seconds"),
    ],
)
def test_a_delay_that_is_none_is_refused(delay, error, message):
    with pytest.raises(error, match=message):
        Connection(2, 3, delay=delay)


def test_a_delay_shorter_than_one_step_is_refused_where_there_is_a_synapse():
    delay = torch.tensor([[0.0005, 0.002], [0.002, 0.001]])
    mask = torch.tensor([[False, True], [True, True]])
    neurons = 2

    def network(**options):
        return Network({"only": Layer(LIF(), neurons, recurrent=Connection(2, 2, **options))}, dt=DT)

    with pytest.raises(ValueError, match=r"'only.recurrent', a delay is 0.0005 s, shorter than one step.*0.001 s"):
        network(delay=delay)
    network(delay=delay, mask=mask)
    with pytest.raises(ValueError, match="shorter than one step"):
        network(delay=0.0009)


def test_the_nearest_whole_number_of_steps_is_taken():
    connection = Connection(1, 3, delay=torch.tensor([[0.0014], [0.0016], [0.003]]))
    assert connection.lags(DT, soonest=0) == [1, 2, 3]
    assert Connection(1, 1, delay=0.3).lags(0.1, soonest=0) == [3]
    assert Connection(1, 1, delay=0.1 + 0.2).lags(0.1, soonest=0) == [3]


def test_conduction_delays_are_distances_over_velocity():
    places = torch.tensor([[0.0, 0.0], [3e-3, 4e-3]])
    found = conduction_delays(places, velocity=0.5, least=0.001)
    torch.testing.assert_close(found, torch.tensor([[0.001, 0.01], [0.01, 0.001]], dtype=DOUBLE))
    with pytest.raises(ValueError, match="velocity"):
        conduction_delays(places, velocity=0)
