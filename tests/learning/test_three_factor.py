"""The three-factor rule against numpy written from its equation, RFLO, rewards, and its baseline."""

import numpy as np
import pytest
import torch

from neurotorch.data import Batch
from neurotorch.learning import EProp, MeanSquaredError, Random, ThreeFactor, error_through
from neurotorch.network import Layer, Network
from neurotorch.neurons import FiringRate, LeakyIntegrator, Tanh, learned
from neurotorch.training import Trainer
from tests.learning.eprop_networks import DOUBLE, HalfSquares, deep_batch, deep_network, drawn, exactly
from tests.reference.eprop import rflo

RATE = 0.25


class Task:
    """A rate network with a readout without memory, inputs and targets."""

    def __init__(self, random, *, steps=15, samples=3):
        self.inputs, self.target = random.normal(size=(steps, samples, 3)), random.normal(size=(steps, samples, 2))
        self.weights = [random.normal(size=s) * k for s, k in (((6, 3), 0.5), ((6, 6), 0.4), ((2, 6), 0.5))]
        self.feedback = random.normal(size=(6, 2))

    def network(self):
        w_in, w_rec, w_out = (exactly(w) for w in self.weights)
        unit = FiringRate(torch.tensor(1 / RATE, dtype=DOUBLE), transfer=Tanh())
        # exp(-1 / 1e-9) is 0: it emits what it gets
        forgetful = LeakyIntegrator(torch.tensor(1e-9, dtype=DOUBLE))
        layers = {
            "cortex": Layer(unit, 6, inputs=w_in, recurrent=w_rec),
            "readout": Layer(forgetful, 2, inputs=w_out),
        }
        return Network(layers, dt=1.0).double()

    def batch(self):
        return Batch(torch.as_tensor(self.target), torch.as_tensor(self.inputs))


def rule_of(network, modulator, *, lr=0.1, **options):
    return ThreeFactor(network, modulator, optimizer=torch.optim.SGD(network.parameters(), lr=lr), **options)


def changes(network, rule, batch):
    before = [p.detach().clone() for p in network.parameters()]
    rule.compute(batch)
    rule.apply()
    return {name: (p.detach() - old).numpy() for (name, p), old in zip(network.named_parameters(), before, strict=True)}


def test_rflo_is_error_through_random_weights_and_e_prop_with_random_feedback(random):
    task = Task(random)
    wanted, output = rflo(task.inputs, task.target, task.weights, task.feedback, rate=RATE)
    matrix = {"cortex": torch.as_tensor(task.feedback)}
    network = task.network()
    rule = rule_of(network, error_through(matrix), loss=HalfSquares())
    report = rule.compute(task.batch())
    assert report.loss == pytest.approx(0.5 * np.sum((output - task.target) ** 2), rel=1e-12)
    found = [network.layers["cortex"].inputs.raw.grad, network.layers["cortex"].recurrent.raw.grad]
    for gradient, other in zip(found, wanted[:2], strict=True):
        # the same sums in another order
        np.testing.assert_allclose(gradient.numpy(), other, rtol=1e-10, atol=1e-12)
    assert network.layers["readout"].inputs.raw.grad is None
    for online in (False, True):
        rule = EProp(network, HalfSquares(), optimizer=rule.optimizer, feedback=Random(matrices=matrix), online=online)
        rule.compute(task.batch())
        for name, other in zip(("cortex.inputs", "cortex.recurrent", "readout.inputs"), wanted, strict=True):
            gradient = network.connections()[name].raw.grad.numpy()
            np.testing.assert_allclose(gradient, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("form", ["per sample", "per frame", "per neuron"])
def test_a_change_is_eta_times_the_sum_of_modulator_times_trace(form, random):
    task = Task(random, steps=4, samples=2)
    network, eta = task.network(), 0.1
    shape = {"per sample": (2,), "per frame": (4, 2), "per neuron": (4, 2, 6)}[form]
    signal = random.normal(size=shape)
    found = changes(network, rule_of(network, lambda *_: {"cortex": torch.as_tensor(signal)}, lr=eta), task.batch())
    full = np.broadcast_to(
        {"per sample": lambda: signal[None, :, None], "per frame": lambda: signal[..., None]}.get(
            form, lambda: signal
        )(),
        (4, 2, 6),
    )
    wanted = np.zeros((6, 6))
    for b in range(2):
        h, trace = np.zeros(6), np.zeros((6, 6))
        for t in range(4):
            u = task.weights[1] @ h + task.weights[0] @ task.inputs[t, b]
            trace = (1 - RATE) * trace + RATE * np.outer(1 - np.tanh(u) ** 2, h)
            h = (1 - RATE) * h + RATE * np.tanh(u)
            wanted += eta * full[t, b][:, None] * trace
    np.testing.assert_allclose(found["layers.cortex.recurrent.raw"], wanted, rtol=1e-10, atol=1e-12)
    assert not found["layers.readout.inputs.raw"].any()


def test_a_baseline_is_the_running_mean_of_batches_and_starts_with_the_first(random):
    task = Task(random)
    network, given = task.network(), iter([3.0, 5.0, 1.0])
    rule = rule_of(network, lambda output, _: torch.full((3,), next(given), dtype=DOUBLE), baseline=0.5)
    factors = []
    unit = rule_of(network, lambda *_: torch.ones(3, dtype=DOUBLE))
    for _ in range(3):
        unit.compute(task.batch())
        one = network.layers["cortex"].recurrent.raw.grad.clone()
        rule.compute(task.batch())
        factors.append(float((network.layers["cortex"].recurrent.raw.grad / one).mean()))
    # baselines 3, 3, 4
    assert factors == pytest.approx([0.0, 2.0, -3.0], abs=1e-9)
    assert rule.means == {"cortex": 2.5, "readout": 2.5}
    other = rule_of(network, lambda *_: torch.ones(3, dtype=DOUBLE), baseline=0.5)
    other.load_state_dict(rule.state_dict())
    assert other.means == rule.means


def test_a_global_reward_teaches_a_rate(generator):
    """The reward is how far the output lies below its target: one number per sample and frame for all neurons."""
    unit = FiringRate(torch.tensor(4.0, dtype=DOUBLE), transfer=Tanh())
    cortex = Layer(unit, 20, inputs=drawn(generator, 20, 2, 0.5), recurrent=drawn(generator, 20, 20, 0.1))
    out = exactly(torch.full((1, 20), 0.1))
    network = Network({"cortex": cortex, "readout": Layer(LeakyIntegrator(1e-9), 1, inputs=out)}, dt=1.0).double()
    inputs = torch.ones(40, 1, 2, dtype=DOUBLE)
    batch = Batch(torch.full((40, 1, 1), 0.8, dtype=DOUBLE), inputs)

    def reward(output, batch):
        return {"cortex": (batch.target - output)[..., 0]}

    rule = rule_of(network, reward, lr=0.01, loss=MeanSquaredError(skip=10))
    first = rule.compute(batch).loss
    history = Trainer(rule).fit([batch], epochs=60).column("loss")
    assert history[-1] < 0.01 * first


def test_rflo_learns_a_pattern(generator):
    unit = FiringRate(torch.tensor(4.0, dtype=DOUBLE), transfer=Tanh())
    cortex = Layer(unit, 40, inputs=drawn(generator, 40, 3, 1.0), recurrent=drawn(generator, 40, 40, 0.2))
    readout = Layer(LeakyIntegrator(1e-9), 1, inputs=drawn(generator, 1, 40, 0.2))
    network = Network({"cortex": cortex, "readout": readout}, dt=1.0).double()
    time = torch.arange(60, dtype=DOUBLE)[:, None, None]
    inputs = torch.cat([torch.ones_like(time), torch.sin(time / 6), torch.cos(time / 6)], -1)
    batch = Batch(torch.sin(time / 6) * torch.cos(time / 9), inputs)
    # the way back is the readout's, which is frozen: random weights cannot align with one that does not learn
    way_back = {"cortex": readout.inputs.weight().detach().t()}
    optimizer = torch.optim.Adam(network.layers["cortex"].parameters(), lr=0.005)
    rule = ThreeFactor(network, error_through(way_back), optimizer=optimizer, loss=MeanSquaredError())
    for _ in range(200):
        loss = rule.compute(batch).loss
        rule.apply()
    # a constant would leave all of the variance
    assert loss < 0.2 * float(batch.target.var())


def test_it_works_on_several_layers_and_leaves_signs_alone(generator):
    network = deep_network(generator, dale=True)
    rule = rule_of(network, lambda output, _: output.mean((0, 2)), lr=0.01, baseline=0.9)
    for _ in range(4):
        rule.compute(deep_batch(generator))
        assert all(p.grad is not None for n, p in network.named_parameters() if "inputs" in n)
        rule.apply()
        assert network.dale_violations() == 0


BAD = {
    "a modulator that is none": (lambda n: rule_of(n, 3.0), TypeError, "`modulator` is 3.0"),
    "a layer that is none": (
        lambda n: rule_of(n, lambda *_: {"third": torch.ones(2)}).compute(deep_batch(torch.Generator())),
        ValueError,
        "names a layer 'third'",
    ),
    "another shape": (
        lambda n: rule_of(n, lambda *_: torch.ones(7)).compute(deep_batch(torch.Generator())),
        ValueError,
        r"of layer 'first' is \(7,\), but it must be \(batch,\) = \(2,\), \(frame, batch\) = \(25, 2\) or",
    ),
    "a matrix that does not fit": (
        lambda n: rule_of(n, error_through({"first": torch.ones(6, 3)})).compute(deep_batch(torch.Generator())),
        ValueError,
        r"matrix of layer 'first' is \(6, 3\), but \(neuron, output neuron\) must end on 2",
    ),
    "a baseline above one": (lambda n: rule_of(n, lambda *_: torch.ones(2), baseline=1.5), ValueError, "`baseline` is"),
}


@pytest.mark.parametrize(("make", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused(make, error, message, generator):
    network = deep_network(generator)
    with pytest.raises(error, match=message):
        make(network)


def test_constants_learn_too(random):
    task = Task(random)
    network = task.network()
    network.layers["cortex"].neuron = FiringRate(learned(torch.full((6,), 4.0, dtype=DOUBLE)), transfer=Tanh())
    matrix = {"cortex": torch.as_tensor(task.feedback)}
    rule = rule_of(network, error_through(matrix))
    rule.compute(task.batch())
    found = network.layers["cortex"].neuron.tau.raw.grad.clone()
    EProp(network, HalfSquares(), optimizer=rule.optimizer, feedback=Random(matrices=matrix)).compute(task.batch())
    torch.testing.assert_close(network.layers["cortex"].neuron.tau.raw.grad, found, rtol=1e-10, atol=0)
    assert bool(found.all())
