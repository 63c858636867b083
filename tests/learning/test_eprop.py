"""E-prop against numpy written from the paper, its updates within a window, what is below the top layer, bad input."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from neurotorch.connections import Connection
from neurotorch.core.trees import transform
from neurotorch.data import Batch, Recording, WindowLoader, Windows
from neurotorch.learning import (
    Adaptive,
    EProp,
    FiringRatePenalty,
    MeanSquaredError,
    NonFiniteError,
    Random,
    Symmetric,
    WarmUp,
    local_block,
)
from neurotorch.learning import eprop as eprop_module
from neurotorch.network import Layer, Network, Observation
from neurotorch.neurons import (
    LIF,
    AdaptiveLIF,
    FiringRate,
    LeakyIntegrator,
    NeuronModel,
    Tanh,
    Triangular,
    WilsonCowan,
    learned,
)
from neurotorch.training import Callback, Checkpoint, Curriculum, Trainer
from tests.learning.eprop_networks import (
    DOUBLE,
    DT,
    HalfSquares,
    deep_batch,
    deep_network,
    drawn,
    exactly,
)
from tests.reference.eprop import eprop

# Ours sums in another order: 1e-10 of the norm is five digits above the rounding of these short sums in float64.
RELATIVE = 1e-10
ALPHA, RHO, KAPPA, THRESHOLD = 0.9, 0.97, 0.85, 0.7


class Task:
    """Weights, inputs and targets for two adaptive or plain neurons' worth of the paper's network."""

    def __init__(self, random, *, beta, samples=3, steps=40):
        self.beta = beta
        self.inputs = (random.random((steps, samples, 4)) < 0.3).astype(float)
        self.target = random.normal(size=(steps, samples, 2))
        self.weights = [0.7 * random.normal(size=s) for s in ((6, 4), (6, 6), (2, 6))]
        self.random_feedback = random.normal(size=(6, 2))
        self.constants = {"alpha": ALPHA, "kappa": KAPPA, "threshold": THRESHOLD, "rho": RHO, "beta": beta}

    def network(self):
        def number(value):
            return torch.tensor(value, dtype=DOUBLE)

        if self.beta:
            taus = number(-DT / np.log(ALPHA)), number(-DT / np.log(RHO))
            model = AdaptiveLIF(*taus, beta=number(self.beta), threshold=number(THRESHOLD))
        else:
            surrogate = Triangular(1 / THRESHOLD, 0.3 / THRESHOLD)
            model = LIF(number(-DT / np.log(ALPHA)), number(THRESHOLD), surrogate=surrogate)
        w_in, w_rec, w_out = (exactly(w) for w in self.weights)
        layers = {
            "cortex": Layer(model, 6, inputs=w_in, recurrent=w_rec),
            "readout": Layer(LeakyIntegrator(number(-DT / np.log(KAPPA))), 2, inputs=w_out),
        }
        return Network(layers, dt=DT).double()

    def batch(self):
        return Batch(torch.as_tensor(self.target), torch.as_tensor(self.inputs))


def parameters_of(network):
    layers = network.layers
    return [layers["cortex"].inputs.raw, layers["cortex"].recurrent.raw, layers["readout"].inputs.raw]


def rule_of(network, *, lr=0.1, loss=HalfSquares(), **options):
    return EProp(network, loss, optimizer=torch.optim.SGD(network.parameters(), lr=lr), **options)


def assert_close(found, wanted, name=""):
    found, wanted = torch.as_tensor(found), torch.as_tensor(wanted)
    assert float(wanted.norm()) > 0, name
    assert float((found - wanted).norm()) <= RELATIVE * float(wanted.norm()), name


@pytest.mark.parametrize("online", [False, True], ids=["offline", "online"])
@pytest.mark.parametrize("feedback", ["symmetric", "random"])
@pytest.mark.parametrize("beta", [0.0, 0.4], ids=["LIF", "adaptive LIF"])
def test_what_it_finds_is_what_the_paper_says(beta, feedback, online, random):
    task = Task(random, beta=beta)
    given, way = None, Symmetric()
    if feedback == "random":
        given, way = task.random_feedback, Random(matrices={"cortex": torch.as_tensor(task.random_feedback)})
    wanted, output, _ = eprop(task.inputs, task.target, task.weights, given, **task.constants)
    network = task.network()
    report = rule_of(network, feedback=way, online=online).compute(task.batch())
    assert report.loss == pytest.approx(0.5 * np.sum((output - task.target) ** 2), rel=1e-12)
    for parameter, gradient in zip(parameters_of(network), wanted, strict=True):
        assert_close(parameter.grad, gradient)


@pytest.mark.parametrize("feedback", ["symmetric", "random"])
@pytest.mark.parametrize("beta", [0.0, 0.4], ids=["LIF", "adaptive LIF"])
def test_an_update_at_every_step_follows_the_paper_step_by_step(beta, feedback, random):
    task = Task(random, beta=beta)
    given, way = None, Symmetric()
    if feedback == "random":
        given, way = task.random_feedback, Random(matrices={"cortex": torch.as_tensor(task.random_feedback)})
    rate = 2e-3
    _, _, wanted = eprop(task.inputs, task.target, task.weights, given, **task.constants, learning_rate=rate)
    network = task.network()
    rule = rule_of(network, lr=rate, feedback=way, online=True, update_every=1)
    rule.compute(task.batch())
    rule.apply()
    for parameter, weight, start in zip(parameters_of(network), wanted, task.weights, strict=True):
        assert np.linalg.norm(weight - start) > 1e-3 * np.linalg.norm(start)
        assert_close(parameter.detach(), weight)


def test_samples_do_not_meet_before_their_traces():
    # Two samples whose errors are opposite: averaged over the batch first, they would leave no gradient at all.
    random = np.random.default_rng(0)
    task = Task(random, beta=0.0, samples=2)
    task.weights[2][:] = np.abs(task.weights[2])
    network = task.network()
    output, _ = network(torch.as_tensor(task.inputs))
    task.target = output.detach().numpy() + np.array([1.0, -1.0])[None, :, None]
    for online in (False, True):
        rule_of(network, online=online).compute(task.batch())
        together = [p.grad.clone() for p in parameters_of(network)]
        apart = [torch.zeros_like(g) for g in together]
        for b in range(2):
            one = Batch(torch.as_tensor(task.target[:, b : b + 1]), torch.as_tensor(task.inputs[:, b : b + 1]))
            rule_of(network, online=online).compute(one)
            apart = [old + p.grad for old, p in zip(apart, parameters_of(network), strict=True)]
        for one, other in zip(together, apart, strict=True):
            assert_close(one, other)


def own_step_gradient(network, batch, name):
    """Return autograd's gradient of layer `name` where no layer above it carries anything from step to step."""
    layers, weights = network.named_layers(), network.effective_weights()
    names, start = list(layers), list(layers).index(name)
    states, histories = list(network.initial_state(batch.inputs.shape[1])), None
    histories = [state.history[-1] for state in states]
    states = [state.neuron for state in states]
    loss = 0.0
    for x, target in zip(batch.inputs, batch.target, strict=True):
        emitted, activity = [], x
        for index, layer in enumerate(layers.values()):
            current = activity @ weights[f"{names[index]}.inputs"].t()
            current = current + (0.0 if layer.bias is None else layer.bias())
            for address, weight in weights.items():
                source = names[index] if address == f"{names[index]}.recurrent" else address.split(" -> ")[0]
                if address == f"{names[index]}.recurrent" or address.endswith(f" -> {names[index]}"):
                    current = current + histories[names.index(source)].detach() @ weight.t()
            before = states[index] if index <= start else transform(states[index], torch.Tensor.detach)
            activity, states[index] = type(layer.neuron).step(layer.neuron.coefficients(network.dt), before, current)
            emitted.append(activity)
        histories = emitted
        loss = loss + 0.5 * (emitted[-1] - target).square().sum()
    parameters = dict(layers[name].named_parameters())
    return dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True))


def test_below_the_top_layer_it_learns_from_the_error_of_its_own_step(generator, monkeypatch):
    network, batch = deep_network(generator), deep_batch(generator)
    offline = rule_of(network)
    offline.compute(batch)
    exact = {name: p.grad.clone() for name, p in network.named_parameters()}
    wanted = own_step_gradient(network, batch, "first")
    for frames in (1, 6, 64):
        monkeypatch.setattr(local_block, "BLOCK_FRAMES", frames)
        rule_of(network, online=True).compute(batch)
        for name, gradient in wanted.items():
            assert_close(network.layers["first"].get_parameter(name).grad, gradient, name)
            assert float((exact[f"layers.first.{name}"] - gradient).norm()) > 0.01 * float(gradient.norm()), name
        for layer in ("second", "readout"):
            for name, parameter in network.layers[layer].named_parameters():
                assert_close(parameter.grad, exact[f"layers.{layer}.{name}"], name)


def test_random_feedback_reaches_every_layer_as_if_it_projected_to_the_readout(generator, monkeypatch):
    network, batch = deep_network(generator), deep_batch(generator)
    feedback = Random(seed=3)
    rule_of(network, feedback=feedback).compute(batch)
    offline = {name: p.grad.clone() for name, p in network.named_parameters()}
    monkeypatch.setattr(local_block, "BLOCK_FRAMES", 6)
    rule_of(network, feedback=Random(seed=3), online=True).compute(batch)
    for name, parameter in network.named_parameters():
        assert_close(parameter.grad, offline[name], name)
    rule_of(network).compute(batch)
    for name, parameter in network.layers["readout"].named_parameters():
        assert_close(parameter.grad, offline[f"layers.readout.{name}"], name)
    # the symmetric gradient, where B is the way up
    matrices = {"second": network.layers["readout"].inputs.raw.detach().t(), "first": torch.zeros(6, 2)}
    rule_of(network, feedback=Random(matrices=matrices)).compute(batch)
    found = {name: p.grad.clone() for name, p in network.named_parameters()}
    rule_of(network).compute(batch)
    for name, parameter in network.layers["second"].named_parameters():
        assert_close(found[f"layers.second.{name}"], parameter.grad, name)
    assert not found["layers.first.inputs.raw"].any()


def test_random_feedback_is_drawn_from_its_seed_with_a_spread_of_scale_over_root_neurons():
    layers = {
        "cortex": Layer(LIF(), 400, inputs=Connection(2, 400)),
        "readout": Layer(LeakyIntegrator(), 300, inputs=Connection(400, 300)),
    }
    network = Network(layers, dt=DT)

    def matrix(seed):
        feedback = Random(seed, scale=3.0)
        feedback.start(network)
        return feedback.matrices["cortex"]

    assert torch.equal(matrix(1), matrix(1))
    assert not torch.equal(matrix(1), matrix(2))
    # 120,000 draws: the standard error of the spread is 0.2 %
    assert float(matrix(1).std()) == pytest.approx(3.0 / 20, rel=0.01)


@pytest.mark.parametrize("online", [False, True], ids=["offline", "online"])
def test_adaptive_feedback_follows_the_readout_and_aligns_with_it(online, generator):
    network, batch = deep_network(generator), deep_batch(generator)
    feedback = Adaptive(decay=0.1)
    rule = rule_of(network, lr=1e-3, feedback=feedback, online=online, update_every=5 if online else None)
    readout = network.layers["readout"].inputs
    first = {name: matrix.clone() for name, matrix in feedback.matrices.items()}
    apart, before = feedback.matrices["second"] - readout.weight().detach().t(), readout.weight().detach().clone()
    rule.compute(batch)
    rule.apply()
    steps = 5 if online else 1
    found = feedback.matrices["second"] - readout.weight().detach().t()
    assert_close(found, 0.9**steps * apart)
    assert float((readout.weight().detach() - 0.9**steps * before).norm()) > 1e-6, "the readout has learnt besides"
    assert torch.equal(feedback.matrices["first"], first["first"])


@pytest.mark.parametrize("online", [False, True], ids=["offline", "online"])
@pytest.mark.parametrize("way", [Symmetric, Random])
def test_rates_are_kept_through_the_same_traces(way, online, random, monkeypatch):
    task = Task(random, beta=0.4)
    network, penalty = task.network(), FiringRatePenalty(0.1, 7.0)
    monkeypatch.setattr(local_block, "BLOCK_FRAMES", 6)
    rule_of(network, feedback=way(), online=online).compute(task.batch())
    plain = [p.grad.clone() for p in parameters_of(network)]
    report = rule_of(network, feedback=way(), online=online, penalties=[penalty]).compute(task.batch())
    # by the oracle: E = sum_t c_j z_j with c constant is the e-prop of a linear readout without memory
    rates = network.run(torch.as_tensor(task.inputs)).runs[0].emitted.mean((0, 1)).detach().numpy()
    factor = 7.0 * (rates - 0.1) / task.inputs[..., 0].size
    weights = [task.weights[0], task.weights[1], np.zeros((6, 6))]
    constants = task.constants | {"kappa": 0.0}
    # y = 0, so with the target -1 every error is 1, and with the diagonal B the signal is c
    target = -np.ones((*task.inputs.shape[:2], 6))
    wanted, _, _ = eprop(task.inputs, target, weights, np.diag(factor), **constants)
    assert report.terms["firing_rate"] == pytest.approx(3.5 * np.sum((rates - 0.1) ** 2), rel=1e-12)
    assert report.loss == pytest.approx(report.terms["data"] + report.terms["firing_rate"], rel=1e-12)
    for k in range(2):
        assert_close(parameters_of(network)[k].grad - plain[k], wanted[k])
    assert torch.equal(parameters_of(network)[2].grad, plain[2])


def test_a_rate_in_hertz_is_one_per_step_over_dt(random):
    network = Task(random, beta=0.0).network()
    rates = [torch.tensor([0.01, 0.03], dtype=DOUBLE)]
    hertz = FiringRatePenalty(20.0, 2.0, dt=0.001).of_rates(network, rates)
    assert float(hertz) == pytest.approx(2.0 / 2 * ((10 - 20) ** 2 + (30 - 20) ** 2), rel=1e-12)
    per_step = FiringRatePenalty(0.02, 2.0).of_rates(network, rates)
    assert float(per_step) == pytest.approx(2.0 / 2 * 2 * 0.01**2, rel=1e-12)


def test_decays_of_a_readout_that_part_while_they_are_learnt_take_their_traces_along(generator):
    batch, seed = deep_batch(generator), generator.initial_seed()

    def weights(taus, every):
        network = deep_network(torch.Generator().manual_seed(seed))
        readout = network.layers["readout"]
        readout.neuron = LeakyIntegrator(learned(torch.tensor(taus, dtype=DOUBLE)))
        rule = rule_of(network, lr=5e-3, online=True, update_every=every)
        rule.compute(batch)
        rule.apply()
        return network.layers["second"].inputs.raw.detach(), readout.neuron.tau_mem.value

    # decays that differ from the start, by next to nothing, are never in one group
    for every in (1, 4):
        together, tau = weights([0.01, 0.01], every)
        apart, _ = weights([0.01, 0.01 * (1 + 1e-13)], every)
        assert abs(float(tau[0] - tau[1])) > 1e-5
        assert float((together - apart).norm()) <= 1e-9 * float(apart.norm())


@pytest.mark.parametrize(
    "options",
    [{"feedback": Random}, {"feedback": Random, "online": True}, {"online": True}],
    ids=["random", "random online", "online"],
)
def test_a_long_window_is_linearised_piece_by_piece(options, generator, monkeypatch):
    network, batch = deep_network(generator), deep_batch(generator)
    network.observation = Observation(gain=learned(torch.tensor(2.0, dtype=DOUBLE)), steps_per_frame=2)
    penalties = [FiringRatePenalty(0.1, 3.0)]

    def gradients():
        given = {name: value() if name == "feedback" else value for name, value in options.items()}
        rule_of(network, penalties=penalties, **given).compute(batch)
        return {name: p.grad.clone() for name, p in network.named_parameters()}

    whole = gradients()
    per_step = local_block.BLOCK_ELEMENTS // local_block.steps_at_once(network, 2)
    for steps in (1, 7):
        monkeypatch.setattr(local_block, "BLOCK_ELEMENTS", steps * (per_step + 1))
        assert local_block.steps_at_once(network, 2) == steps
        for name, gradient in gradients().items():
            assert_close(gradient, whole[name], name)


@pytest.mark.parametrize("freeze", ["requires_grad", "optimizer"])
def test_a_frozen_readout_stays_under_adaptive_feedback(freeze, generator):
    network, batch = deep_network(generator), deep_batch(generator)
    readout = network.layers["readout"].inputs.raw
    if freeze == "requires_grad":
        readout.requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in network.parameters() if p is not readout], lr=0.1)
    rule = EProp(network, MeanSquaredError(), optimizer=optimizer, feedback=Adaptive(decay=0.5))
    weights, matrix = readout.detach().clone(), rule.feedback.matrices["second"].clone()
    rule.compute(batch)
    rule.apply()
    assert torch.equal(readout.detach(), weights)
    assert torch.equal(rule.feedback.matrices["second"], matrix)


def test_what_is_carried_does_not_grow_with_the_window(random, monkeypatch):
    sizes = {}
    carried = eprop_module.LocalWindow.advance

    def watched(window):
        carried(window)
        tensors = [*window.tensors(), *(s.history for s in window.state), *window.rates.values()]
        assert not any(tensor.requires_grad for tensor in tensors)
        sizes.setdefault(window.frames_of_test, []).append(sum(tensor.untyped_storage().nbytes() for tensor in tensors))

    monkeypatch.setattr(eprop_module.LocalWindow, "advance", watched)
    monkeypatch.setattr(local_block, "BLOCK_FRAMES", 5)
    network = Task(random, beta=0.4).network()
    for frames in (20, 400):
        monkeypatch.setattr(eprop_module.LocalWindow, "frames_of_test", frames, raising=False)
        inputs = torch.rand(1, 2, 4, dtype=DOUBLE).expand(frames, 2, 4)
        rule_of(network, online=True).compute(Batch(torch.zeros(1, 2, 2, dtype=DOUBLE).expand(frames, 2, 2), inputs))
    assert set(sizes[20][1:]) == set(sizes[400][1:])
    assert len(sizes[400]) == 79


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW], ids=lambda o: o.__name__)
@pytest.mark.parametrize("online", [False, True], ids=["offline", "online"])
def test_signs_survive_every_optimizer(online, optimizer, generator):
    network = deep_network(generator, dale=True)
    before = network.effective_weights()["first.recurrent"].detach().clone()
    rule = EProp(
        network,
        MeanSquaredError(),
        optimizer=optimizer(network.parameters(), lr=0.05),
        feedback=Random(),
        online=online,
        update_every=4 if online else None,
        penalties=[FiringRatePenalty(0.2)],
    )
    for _ in range(4):
        rule.compute(deep_batch(generator))
        rule.apply()
        assert network.dale_violations() == 0
    assert float((network.effective_weights()["first.recurrent"].detach() - before).norm()) > 1e-3


def test_in_float32_it_is_the_same_to_single_precision(generator):
    network, batch = deep_network(generator), deep_batch(generator, frames=10)
    for options in ({}, {"online": True}, {"feedback": Random(), "online": True}):
        rule_of(network.double(), **options).compute(batch)
        wanted = {name: p.grad.clone() for name, p in network.named_parameters()}
        network.float()
        if "feedback" in options:
            options = options | {"feedback": Random()}
        rule_of(network, **options).compute(Batch(batch.target.float(), batch.inputs.float()))
        for name, parameter in network.named_parameters():
            assert parameter.grad.dtype == torch.float32
            # parameters are float32 and no spike flips in these few steps
            torch.testing.assert_close(parameter.grad.double(), wanted[name], rtol=2e-4, atol=2e-4)


class StopAt(Callback):
    def __init__(self, epoch, batch):
        self.at = (epoch, batch)

    def on_batch_end(self, trainer, report):
        if (trainer.epoch, trainer.batch) == self.at:
            trainer.stop("asked")


@pytest.mark.parametrize("online", [False, True], ids=["offline", "online"])
def test_resumed_in_the_middle_of_an_epoch_equals_uninterrupted_bit_for_bit(online, tmp_path):
    activity = np.cumsum(np.random.default_rng(0).normal(size=(60, 5)), axis=0) / 10
    windows = Windows(Recording(activity, 0.1), 12)

    def trainer(*callbacks):
        generator = torch.Generator().manual_seed(1)
        layers = {
            "cortex": Layer(WilsonCowan(learned(0.3)), 7, recurrent=Connection(7, 7, generator=generator)),
            "readout": Layer(LeakyIntegrator(learned(0.2)), 5, inputs=Connection(7, 5, generator=generator)),
        }
        network = Network(layers, dt=0.1)
        rule = EProp(
            network,
            MeanSquaredError(skip=1),
            optimizer=torch.optim.Adam(network.parameters(), lr=0.01),
            feedback=Adaptive(decay=0.01),
            online=online,
            update_every=5 if online else None,
            forcing=WarmUp(3, 0.5, 0.0),
            clip=1.0,
        )
        return Trainer(rule, callbacks=[Curriculum(), *callbacks])

    def loader():
        return WindowLoader(windows, 4, generator=torch.Generator().manual_seed(2), batches=4)

    def outcome(run):
        state = run.rule.state_dict()
        return (
            run.history.column("loss"),
            {name: tensor.tolist() for name, tensor in run.network.state_dict().items()},
            {name: tensor.tolist() for name, tensor in state["feedback"].items()},
            state["progress"],
        )

    whole = trainer()
    whole.fit(loader(), epochs=2)
    first = trainer(Checkpoint(tmp_path), StopAt(1, 2))
    first.fit(loader(), epochs=2)
    assert (first.epoch, first.batch) == (1, 2)
    second = trainer(Checkpoint(tmp_path))
    second.fit(loader(), epochs=2, resume_from=tmp_path)
    assert outcome(second) == outcome(whole)
    drawn_anew = trainer().rule.feedback.matrices["cortex"].tolist()
    assert outcome(whole)[2]["cortex"] != drawn_anew


@pytest.mark.parametrize("options", [{"online": True, "update_every": 10}, {}], ids=["online", "offline"])
def test_a_network_whose_readout_is_frozen_learns_a_pattern(options, generator):
    unit = FiringRate(torch.tensor(0.1, dtype=DOUBLE), transfer=Tanh())
    cortex = Layer(unit, 40, inputs=drawn(generator, 40, 3, 1.0), recurrent=drawn(generator, 40, 40, 0.2))
    readout = Layer(LeakyIntegrator(0.02), 1, inputs=drawn(generator, 1, 40, 0.2))
    network = Network({"cortex": cortex, "readout": readout}, dt=0.02).double()
    time = torch.arange(60, dtype=DOUBLE)[:, None, None]
    inputs = torch.cat([torch.ones_like(time), torch.sin(time / 6), torch.cos(time / 6)], -1)
    batch = Batch(torch.sin(time / 6) * torch.cos(time / 9), inputs)
    optimizer = torch.optim.Adam(network.layers["cortex"].parameters(), lr=0.005)
    rule = EProp(network, MeanSquaredError(), optimizer=optimizer, **options)
    for _ in range(40 if options else 200):
        loss = rule.compute(batch).loss
        rule.apply()
    # a constant would leave all of the variance
    assert loss < 0.2 * float(batch.target.var())


class MixingState(NamedTuple):
    v: Any
    a: Any


class Mixing(NeuronModel):
    """Breaks the contract: each neuron sees its neighbour."""

    State = MixingState
    Coefficients = MixingState
    emits = "rates"

    def coefficients(self, dt):
        return MixingState(torch.tensor(0.5), torch.tensor(0.5))

    @staticmethod
    def step(coefficients, state, current):
        v = coefficients.v * state.v + current + 0.01 * state.a.roll(1, -1)
        return v, MixingState(v=v, a=current)


class NoSum:
    def __call__(self, output, target):
        return (output - target).square().mean().sqrt()


class WeightPenalty:
    name = "weights"

    def __call__(self, network, run):
        return sum(weight.square().sum() for weight in network.effective_weights().values())


def single():
    return Network({"cortex": Layer(FiringRate(), 4, recurrent=Connection(4, 4))}, dt=0.1).double()


BAD = {
    "a loss that is no sum": (
        lambda network: rule_of(network, loss=NoSum(), online=True),
        TypeError,
        r"not a sum over time .* use a SummedLoss such as MeanSquaredError\(\), or online=False",
    ),
    "no frame": (lambda network: rule_of(network, online=True, update_every=0), ValueError, "`update_every` is 0"),
    "half a frame": (
        lambda network: rule_of(network, online=True, update_every=0.5),
        TypeError,
        "must be a whole number",
    ),
    "updates offline": (lambda network: rule_of(network, update_every=3), ValueError, "Set online=True"),
    "a matrix that does not fit": (
        lambda network: rule_of(network, feedback=Random(matrices={"second": torch.zeros(2, 5)})),
        ValueError,
        r"of layer 'second' is \(2, 5\), but \(neuron, output neuron\) is \(5, 2\)",
    ),
    "a matrix of no layer": (
        lambda network: rule_of(network, feedback=Random(matrices={"third": torch.zeros(2, 5)})),
        ValueError,
        r"names \['third'\], but the layers below the last are \['first', 'second'\]",
    ),
    "random feedback to nothing": (
        lambda _: rule_of(single(), feedback=Random()),
        ValueError,
        r"one layer 'cortex', whose own error is known: .* Use feedback=Symmetric\(\)",
    ),
    "a step that mixes": (
        lambda _: rule_of(Network({"odd": Layer(Mixing(), 5, recurrent=Connection(5, 5))}, dt=0.1)),
        ValueError,
        "The step of layer 'odd' is not pointwise",
    ),
    "another network's optimizer": (
        lambda network: EProp(network, MeanSquaredError(), optimizer=torch.optim.SGD(single().parameters(), lr=0.1)),
        ValueError,
        r"not the network's: build it with network.parameters\(\)",
    ),
    "a penalty that is no function of rates": (
        lambda network: rule_of(network, online=True, penalties=[WeightPenalty()]),
        TypeError,
        "'weights' is not a function of mean rates",
    ),
    "a penalty on no layer": (
        lambda network: rule_of(network, penalties=[FiringRatePenalty(0.1, layers=["secnd"])]),
        ValueError,
        "names 'secnd'; .* Did you mean 'second'",
    ),
    "a penalty without spikes": (
        lambda _: rule_of(single(), penalties=[FiringRatePenalty(0.1)]),
        ValueError,
        r"No layer of \['cortex'\] emits spikes",
    ),
    "a rate below zero": (
        lambda _: FiringRatePenalty(-1.0),
        ValueError,
        "`target` is -1, but it must be a finite number of at least 0",
    ),
    "too much decay": (lambda _: Adaptive(decay=2.0), ValueError, "`decay` is 2"),
}


@pytest.mark.parametrize(("make", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused(make, error, message, generator):
    network = deep_network(generator)
    with pytest.raises(error, match=message):
        make(network)


def test_any_differentiable_loss_and_penalty_is_taken_offline(generator):
    network, batch = deep_network(generator), deep_batch(generator)
    report = rule_of(network, loss=NoSum(), penalties=[WeightPenalty()]).compute(batch)
    weights = sum(float(weight.detach().square().sum()) for weight in network.effective_weights().values())
    assert report.terms["weights"] == pytest.approx(weights, rel=1e-12)
    found = network.layers["readout"].inputs.raw.grad - 2 * network.layers["readout"].inputs.raw.detach()
    rule_of(network, loss=NoSum()).compute(batch)
    assert_close(found, network.layers["readout"].inputs.raw.grad)


def test_a_gradient_that_is_not_finite_stops_before_it_is_applied(generator):
    network, batch = deep_network(generator), deep_batch(generator)
    batch.target[7] = torch.inf
    rule = rule_of(network, online=True, update_every=4)
    with pytest.raises(NonFiniteError, match="NaN or infinite.*at the update after frame 8 of a window"):
        rule.compute(batch)
    assert all(bool(torch.isfinite(p).all()) for p in network.parameters())


def test_gradients_are_taken_without_the_updates_inside_a_window(generator):
    network, batch = deep_network(generator), deep_batch(generator)
    rule = rule_of(network, online=True, update_every=4)
    before = [p.detach().clone() for p in network.parameters()]
    rule.gradient(batch)
    assert rule.steps == 0
    assert all(torch.equal(p, kept) for p, kept in zip(network.parameters(), before, strict=True))
    found = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    rule_of(network, online=True).gradient(batch)
    for name, gradient in found.items():
        assert_close(network.get_parameter(name).grad, gradient, name)


def test_either_several_windows_per_update_or_several_updates_per_window(generator):
    with pytest.raises(ValueError, match="`accumulate` is 2 and `update_every` 4.*Give one of them"):
        rule_of(deep_network(generator), online=True, update_every=4, accumulate=2)


def test_frames_of_several_steps_are_learnt_online(generator):
    cortex = Layer(
        LIF(learned(0.01), 0.4), 6, inputs=drawn(generator, 6, 3, 0.5), recurrent=drawn(generator, 6, 6, 0.2)
    )
    readout = Layer(LeakyIntegrator(learned(0.01)), 2, inputs=drawn(generator, 2, 6, 0.3))
    observation = Observation(gain=learned(2.0), steps_per_frame=3)
    network = Network({"cortex": cortex, "readout": readout}, dt=DT, observation=observation).double()
    batch = deep_batch(generator, frames=9)
    rule_of(network).compute(batch)
    wanted = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    rule_of(network, lr=0.0, online=True, update_every=None).compute(batch)
    for name, gradient in wanted.items():
        assert_close(network.get_parameter(name).grad, gradient, name)


@pytest.mark.gpu
@pytest.mark.parametrize("options", [{}, {"online": True}, {"feedback": Random()}], ids=["offline", "online", "random"])
def test_on_a_gpu_it_is_the_same(options, generator):
    network, batch = deep_network(generator), deep_batch(generator)
    rule_of(network, **options).compute(batch)
    wanted = {name: p.grad.clone() for name, p in network.named_parameters()}
    network.cuda()
    if "feedback" in options:
        options = {"feedback": Random()}
    rule_of(network, **options).compute(Batch(batch.target.cuda(), batch.inputs.cuda()))
    for name, parameter in network.named_parameters():
        assert_close(parameter.grad.cpu(), wanted[name], name)
