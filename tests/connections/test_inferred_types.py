"""Types that are inferred: free at first, then hard, and how sure that was."""

from __future__ import annotations

import copy
import json
import math
import pickle
import warnings
from functools import partial

import pytest
import torch

from neurotorch.connections import (
    Absolute,
    Balanced,
    Connection,
    Dale,
    Exponential,
    Given,
    InferredTypes,
    NoInputWarning,
    Normal,
    Projected,
    Softplus,
    Square,
    UndecidedTypesWarning,
    harden_types,
    no_self,
    sparse,
    undecided_types,
)
from neurotorch.connections.hardening import FLOOR
from neurotorch.core.config import build, describe
from neurotorch.core.storage import load_tensors, save_tensors
from neurotorch.data import Batch
from neurotorch.learning import BPTT, EProp, MeanSquaredError, TruncatedBPTT
from neurotorch.network import Layer, Network
from neurotorch.neurons import FiringRate, learned
from neurotorch.training import Callback, Checkpoint, Trainer, TypeHardening

NEURONS = 12
MAPS = [Square(), Absolute(), Softplus(), Exponential(), Projected()]
ADDRESS = "cortex.recurrent"


def population(recurrent):
    """Return neurons with an input each and a learned bias, which takes the mean current that no type explains."""
    inputs = Connection(NEURONS, NEURONS, mask=torch.eye(NEURONS) > 0, init=Given(torch.eye(NEURONS)))
    bias = learned(torch.zeros(NEURONS))
    layer = Layer(FiringRate(0.2), NEURONS, inputs=inputs, recurrent=recurrent, bias=bias)
    network = Network({"cortex": layer}, dt=0.1)
    network.freeze("cortex.inputs")
    return network


def world(seed, *, noise=0.02, frames=80, samples=8):
    """Return the types of a teacher whose weights are sparse, and what it does under known noise."""
    generator = torch.Generator().manual_seed(seed)
    truth = Dale.fraction(NEURONS, 0.75, generator=generator)
    mask = sparse(NEURONS, NEURONS, density=0.5, generator=generator) & no_self(NEURONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoInputWarning)
        start = Balanced(spectral_radius=2.0)
        recurrent = Connection(NEURONS, NEURONS, dale=truth, mask=mask, init=start, generator=generator)
    inputs = 2 * torch.randn(frames, samples, NEURONS, generator=generator)
    seen = population(recurrent)(inputs)[0].detach()
    return truth.signs, Batch(seen + noise * torch.randn(seen.shape, generator=generator), inputs)


def student(dale, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return population(
        Connection(NEURONS, NEURONS, dale=dale, mask=no_self(NEURONS), init=Normal(0.01), generator=generator)
    )


def rule_of(cls, network):
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.03)
    return cls(network, MeanSquaredError(), optimizer=optimizer)


def train(rule, batch, steps):
    for _ in range(steps):
        loss = rule.compute(batch).loss
        rule.apply()
    return loss


RULES = {
    "BPTT": BPTT,
    "TruncatedBPTT": partial(TruncatedBPTT, k1=20, k2=40),
    "EProp": EProp,
    "EProp online": partial(EProp, online=True),
}


@pytest.mark.parametrize("seed", range(3))
def test_the_inferred_types_are_those_of_the_teacher(seed):
    truth, batch = world(seed)
    network = student(Dale.inferred(NEURONS), seed)
    dale, rule = network.connections()[ADDRESS].dale, rule_of(EProp, network)
    train(rule, batch, 100)
    assert harden_types(network) == NEURONS
    assert torch.equal(dale.signs, truth)
    hard = rule.compute(batch).loss
    assert train(rule, batch, 20) < hard
    assert network.dale_violations() == 0
    assert torch.equal(dale.signs, truth)


@pytest.mark.parametrize("rule", sorted(set(RULES) - {"EProp"}))
def test_other_gradient_rules_infer_them_as_well(rule):
    truth, batch = world(0)
    network = student(Dale.inferred(NEURONS))
    trained = rule_of(RULES[rule], network)
    train(trained, batch, 60)
    harden_types(network)
    train(trained, batch, 5)
    assert torch.equal(network.connections()[ADDRESS].dale.signs, truth)
    assert network.dale_violations() == 0


def test_right_types_are_decided_with_more_confidence_than_wrong_ones():
    found = {True: [], False: []}
    for seed in range(6):
        # so much noise in so few frames that some types cannot be told
        truth, batch = world(seed, noise=0.2, frames=40, samples=4)
        network = student(Dale.inferred(NEURONS), seed)
        train(rule_of(EProp, network), batch, 100)
        harden_types(network)
        types = network.connections()[ADDRESS].dale.types()
        for right, confidence in zip((types.signs == truth).tolist(), types.confidence.tolist(), strict=True):
            found[right].append(confidence)
    right, wrong = torch.tensor(found[True]), torch.tensor(found[False])
    assert len(wrong) >= 8
    assert len(right) > 0.7 * (len(right) + len(wrong))
    # how often a right one is surer than a wrong one: a half by chance
    assert float((right[:, None] > wrong).double().mean()) > 0.65
    assert right.mean() > wrong.mean() + 0.1


@pytest.mark.parametrize("magnitude", MAPS)
def test_known_types_stay_known_and_the_rest_is_inferred(magnitude):
    truth, batch = world(1)
    known = {str(j): int(truth[j]) for j in (0, 3, 7, 11)}
    network = student(Dale.inferred(NEURONS, known=known, magnitude=magnitude))
    dale, rule = network.connections()[ADDRESS].dale, rule_of(EProp, network)
    before = dale.types()
    assert int(before.inferred.sum()) == int(before.undecided.sum()) == dale.undecided == NEURONS - 4
    train(rule, batch, 100)
    assert torch.equal(dale.signs[[0, 3, 7, 11]], truth[[0, 3, 7, 11]]), "a known type changed"
    harden_types(network)
    types = dale.types()
    assert torch.equal(types.signs, truth)
    assert types.lean[[0, 3, 7, 11]].isnan().all()
    assert torch.equal(types.confidence.isnan(), ~types.inferred)
    assert dale.undecided == 0
    start = rule.compute(batch).loss
    assert train(rule, batch, 60) < start
    assert network.dale_violations() == 0


def test_a_decision_keeps_the_weights_of_the_sign_and_leaves_a_trace_of_the_others():
    dale = Dale.inferred(3, known=["i", None, None], magnitude=Softplus())
    weight = torch.tensor([[-1.0, 2.0, -3.0], [-2.0, -1.0, -4.0], [-1.0, 3.0, 1.0]])
    first = Connection(3, 3, dale=dale, init=Given(weight))
    mask = torch.tensor([[True, False, True]])
    second = Connection(3, 1, dale=dale, mask=mask, init=Given(torch.tensor([[-1.0, 0.0, 1.0]])))
    harden_types(torch.nn.ModuleList([first, second]))
    size = float(weight.square().mean().sqrt())
    floor = FLOOR * size
    expected = torch.tensor([[-1.0, 2.0, -3.0], [-2.0, floor, -4.0], [-1.0, 3.0, -floor]])
    # softplus takes weights to 4 ulp above 3.4e-4
    torch.testing.assert_close(first.weight(), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(second.weight(), torch.tensor([[-1.0, 0.0, -FLOOR]]), rtol=1e-6, atol=0)
    # by hand: weights in root mean squares of their connection, all that leave the neuron
    types = dale.types()
    expected = {1: [2 / size, -1 / size, 3 / size], 2: [-3 / size, -4 / size, 1 / size, 1.0]}
    for neuron, left in expected.items():
        lean = sum(left) / math.sqrt(sum(w * w for w in left))
        assert float(types.lean[neuron]) == pytest.approx(lean, rel=1e-6)
        assert float(types.agreement[neuron]) == pytest.approx(abs(sum(left)) / sum(map(abs, left)), rel=1e-6)
        assert float(types.confidence[neuron]) == pytest.approx(math.erf(abs(lean) / math.sqrt(2)), rel=1e-6)
    assert types.signs.tolist() == [-1, 1, -1]


def test_the_confidence_is_the_share_of_coin_tosses_that_lean_less():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(40, 1, generator=generator) + 0.2
    connection = Connection(1, 40, dale=Dale.inferred(1), init=Given(weight))
    harden_types(connection)
    coins = torch.randint(0, 2, (20_000, 40), generator=generator) * 2.0 - 1
    share = float(((coins @ weight.abs()).abs() < weight.sum().abs()).double().mean())
    # 20,000 tosses of 40 coins, and the normal approximation of their sum
    assert float(connection.dale.types().confidence) == pytest.approx(share, abs=0.02)


def test_one_type_is_found_from_all_connections_of_the_neuron():
    dale = Dale.inferred(2)
    # the recurrent weights of neuron 1 lean to inhibition, those to the readout more plainly to excitation
    recurrent = Connection(2, 2, dale=dale, init=Given(torch.tensor([[1.0, 1.0], [1.0, -1.2]])))
    onward = Connection(2, 4, dale=dale, init=Given(torch.tensor([[1.0, 1.0]] * 4)))
    harden_types(torch.nn.ModuleList([recurrent, onward]))
    assert dale.signs.tolist() == [1, 1]
    assert dale.violations(recurrent.weight()) == dale.violations(onward.weight()) == 0


def test_before_the_decision_everything_says_that_types_are_not_decided():
    dale = Dale.inferred(3, known=["e", None, None])
    connection = Connection(3, 3, dale=dale, init=Given(torch.tensor([[1.0, 1, 1], [1, -1, 1], [1, 1, 1]])))
    assert "excitatory=1, inhibitory=0, free=0, undecided=2, magnitude=Square()" in repr(dale)
    assert undecided_types(connection) == [dale]
    with pytest.warns(UndecidedTypesWarning, match="types of 2 of 3 neurons are not decided yet"):
        # any type of neuron 1 would forbid a weight
        assert dale.violations(connection.weight()) == 1
    network = student(Dale.inferred(NEURONS))
    with pytest.warns(UndecidedTypesWarning):
        network.dale_violations()
    harden_types(connection)
    assert undecided_types(connection) == []
    assert dale.violations(connection.weight()) == 0
    assert "excitatory=3, inhibitory=0, free=0, magnitude" in repr(dale)


def test_a_weight_is_set_as_of_a_free_neuron_before_and_under_the_law_after():
    connection = Connection(2, 2, dale=Dale.inferred(2, magnitude=Exponential()))
    mixed = torch.tensor([[1.0, 0.0], [-0.5, 2.0]])
    connection.set_weight(mixed)
    assert torch.equal(connection.weight(), mixed)
    harden_types(connection)
    with pytest.raises(ValueError, match=r"breaks Dale's law at 1 entries.*0 \(excitatory, 1 wrong\)"):
        connection.set_weight(mixed.where(mixed != 0, 1.0))


def test_hardening_twice_changes_nothing():
    connection = Connection(4, 4, dale=Dale.inferred(4))
    assert harden_types(connection) == 4
    kept, types = connection.weight(), connection.dale.types()
    assert harden_types(connection) == 0
    assert torch.equal(connection.weight(), kept)
    assert all(map(torch.equal, connection.dale.types(), types))


def stages():
    """Return a fresh network, one that has trained a little, and one that was hardened."""
    _, batch = world(2, frames=20)
    fresh = student(Dale.inferred(NEURONS, known={"0": "e"}))
    trained = copy.deepcopy(fresh)
    train(rule_of(EProp, trained), batch, 5)
    hard = copy.deepcopy(trained)
    harden_types(hard)
    return {"fresh": fresh, "trained": trained, "hard": hard}


def same(first: InferredTypes, second: InferredTypes) -> bool:
    return all(torch.equal(a.nan_to_num(7), b.nan_to_num(7)) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("stage", ["fresh", "trained", "hard"])
def test_every_stage_survives_saving_describing_copying_and_casting(stage, tmp_path):
    network = stages()[stage]
    save_tensors(tmp_path / "network.safetensors", network.state_dict())
    state = load_tensors(tmp_path / "network.safetensors")
    loaded = student(Dale.inferred(NEURONS, magnitude=Square()), seed=5)
    loaded.load_state_dict(state)
    described = build(json.loads(json.dumps(describe(network))), tensors=state)
    described.load_state_dict(state)
    copies = [loaded, described, copy.deepcopy(network), pickle.loads(pickle.dumps(network))]  # noqa: S301
    types = network.connections()[ADDRESS].dale.types()
    for other in copies:
        dale = other.connections()[ADDRESS].dale
        assert same(dale.types(), types)
        assert torch.equal(other.effective_weights()[ADDRESS], network.effective_weights()[ADDRESS])
        assert dale.undecided == (0 if stage == "hard" else NEURONS - 1)
    for dtype in (torch.float64, torch.bfloat16):
        cast = copy.deepcopy(network).to(dtype).connections()[ADDRESS]
        assert torch.equal(cast.dale.types().undecided, types.undecided)
        assert torch.equal(cast.dale.signs.float(), types.signs)
        if stage != "hard":
            harden_types(cast)
        assert cast.dale.violations(cast.weight()) == 0
        assert cast.weight().dtype == dtype


@pytest.mark.gpu
def test_it_is_decided_on_a_gpu():
    network = student(Dale.inferred(NEURONS)).cuda()
    expected = student(Dale.inferred(NEURONS))
    assert harden_types(network) == harden_types(expected) == NEURONS
    assert torch.equal(network.connections()[ADDRESS].dale.signs.cpu(), expected.connections()[ADDRESS].dale.signs)
    torch.testing.assert_close(network.effective_weights()[ADDRESS].cpu(), expected.effective_weights()[ADDRESS])


def trainer_of(network, **options):
    return Trainer(rule_of(EProp, network), callbacks=[TypeHardening(**options)])


def test_the_callback_decides_when_it_is_time():
    _, batch = world(0, frames=20)
    network = student(Dale.inferred(NEURONS))
    dale = network.connections()[ADDRESS].dale

    def undecided(network, validation):
        del network, validation
        return float(dale.undecided)

    trainer = Trainer(rule_of(EProp, network), callbacks=[TypeHardening(0.5)], metrics={"undecided": undecided})
    history = trainer.fit([batch], 0, epochs=5)
    # metrics are taken before the callbacks: after the third of five epochs, the fourth trains under the law
    left = [row["undecided"] for row in history]
    assert left == [NEURONS, NEURONS, NEURONS, 0, 0]
    assert network.dale_violations() == 0


@pytest.mark.parametrize("stop", [1, 3])
def test_a_resumed_fit_decides_and_goes_on_as_one_that_was_not_interrupted(stop, tmp_path):
    _, batch = world(0, frames=20)
    whole, first, second = (student(Dale.inferred(NEURONS), seed) for seed in (0, 0, 7))
    trainer_of(whole, at=0.5).fit([batch], epochs=4)
    callbacks = [TypeHardening(0.5), Checkpoint(tmp_path), Stopping(stop)]
    Trainer(rule_of(EProp, first), callbacks=callbacks).fit([batch], epochs=4)
    assert first.connections()[ADDRESS].dale.undecided == (NEURONS if stop == 1 else 0)
    resumed = Trainer(rule_of(EProp, second), callbacks=[TypeHardening(0.5), Checkpoint(tmp_path)])
    resumed.fit([batch], epochs=4, resume_from=tmp_path)
    assert same(second.connections()[ADDRESS].dale.types(), whole.connections()[ADDRESS].dale.types())
    assert torch.equal(second.effective_weights()[ADDRESS], whole.effective_weights()[ADDRESS])


class Stopping(Callback):
    def __init__(self, after):
        self.after = after

    def on_epoch_end(self, trainer):
        if trainer.epoch == self.after:
            trainer.stop("enough")


def test_the_callback_says_so_where_nothing_is_inferred(caplog):
    _, batch = world(0, frames=20)
    trainer_of(student(Dale.fraction(NEURONS))).fit([batch], epochs=1)
    assert "the network has none: give its connections `dale=Dale.inferred(...)`" in caplog.text


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Dale.inferred(0), ValueError, "`neurons` is 0"),
        (lambda: Dale.inferred(3.0), TypeError, "`neurons` is 3.0, but it must be a whole number"),
        (lambda: Dale.inferred("abc"), TypeError, "`neurons` is the text 'abc'"),
        (lambda: Dale.inferred(3, known=["e"]), ValueError, r"holds 1 types, but there are 3 neurons"),
        (lambda: Dale.inferred(3, known=Dale([1, 0])), ValueError, "`known` types 2 neurons, but.* of 3 neurons"),
        (lambda: Dale.inferred(2, known=Dale.inferred(2)), ValueError, "`known` is being inferred itself"),
        (lambda: Dale.inferred(["a", "b"], known={"c": "e"}), ValueError, r"1 of the 1 names"),
        (lambda: Dale([1, 0, -1], inference=Dale.inferred(2).inference), ValueError, "is of 2 neurons.*3 signs"),
        (
            lambda: harden_types(Connection(3, 3, dale=Dale.inferred(3), init=Given(torch.zeros(3, 3)))),
            ValueError,
            r"leave 3 neurons, 0, 1, 2, lean to no side.*`otherwise=1`",
        ),
        (
            lambda: harden_types(Connection(2, 2, dale=Dale.inferred(2), init=Given(torch.zeros(2, 2))), otherwise=2),
            ValueError,
            r"`otherwise` is 2, but a type is 1",
        ),
        (
            lambda: Dale.fraction(2).decide(
                torch.ones(2) > 0, torch.ones(2), lean=torch.ones(2), agreement=torch.ones(2)
            ),
            ValueError,
            "has 2 whose types are not being inferred",
        ),
        (
            lambda: Dale.inferred(2).decide(
                torch.ones(2) > 0, torch.zeros(2), lean=torch.ones(2), agreement=torch.ones(2)
            ),
            ValueError,
            r"types other than -1 and \+1",
        ),
        (lambda: TypeHardening(1.5), ValueError, "`at` is 1.5"),
    ],
)
def test_bad_input_says_what_came_and_what_to_do(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_neurons_that_lean_to_no_side_take_the_type_that_is_asked_for():
    mask = torch.tensor([[True, False], [True, False]])
    connection = Connection(2, 2, dale=Dale.inferred(2), mask=mask, init=Given(torch.tensor([[1.0, 0], [2.0, 0]])))
    with pytest.raises(ValueError, match="1 neurons, 1, lean"):
        harden_types(connection)
    assert connection.dale.undecided == 2, "a refused decision changes nothing"
    harden_types(connection, otherwise=-1)
    types = connection.dale.types()
    assert types.signs.tolist() == [1, -1]
    assert types.confidence.tolist() == [pytest.approx(math.erf(3 / math.sqrt(10))), 0.0]
