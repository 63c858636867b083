"""What learning rules refuse beyond their own tables: wrong kinds of things, and what would go wrong in silence."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from neurotorch.data import Batch
from neurotorch.learning import (
    BPTT,
    Adaptive,
    EProp,
    FiringRatePenalty,
    MeanSquaredError,
    Random,
    Symmetric,
    ThreeFactor,
    TruncatedBPTT,
    compare_gradients,
)
from tests.learning.eprop_networks import deep_batch, deep_network


def reward(output, batch):
    return -(output - batch.target).square().mean((0, 2))


RULES = {
    "BPTT": partial(BPTT, loss=MeanSquaredError()),
    "TruncatedBPTT": partial(TruncatedBPTT, loss=MeanSquaredError(), k1=5, k2=8),
    "offline": partial(EProp, loss=MeanSquaredError()),
    "online": partial(EProp, loss=MeanSquaredError(), online=True),
    "every frame": partial(EProp, loss=MeanSquaredError(), online=True, update_every=1),
    "ThreeFactor": partial(ThreeFactor, modulator=reward),
}
every_rule = pytest.mark.parametrize("make", RULES.values(), ids=RULES.keys())


def built(make, network, **options):
    return make(network, optimizer=torch.optim.Adam(network.parameters()), **options)


BATCHES = {
    "inputs longer than the target": (
        lambda b: Batch(b.target[:-1], b.inputs),
        ValueError,
        r"\(25, 2, 3\) and .*\(24,",
    ),
    "inputs shorter than the target": (lambda b: Batch(b.target, b.inputs[:-1]), ValueError, "the same frames"),
    "fewer samples of inputs": (lambda b: Batch(b.target, b.inputs[:, :1]), ValueError, "the same frames and samples"),
    "no frames": (lambda b: Batch(b.target[:0], b.inputs[:0]), ValueError, r"\(0, 2, 2\): it needs at least one frame"),
    "no samples": (lambda b: Batch(b.target[:, :0], b.inputs[:, :0]), ValueError, "at least one frame and one sample"),
    "inputs without samples": (
        lambda b: Batch(b.target, b.inputs[:, 0]),
        ValueError,
        r"must be \(time, batch, channel\)",
    ),
    "a bare tensor": (lambda b: b.target, TypeError, r"`batch` is a Tensor, but \w+ takes a Batch"),
    "a plain pair": (tuple, TypeError, "`batch` is a tuple"),
    "arrays": (lambda b: Batch(b.target.numpy(), None), TypeError, "`batch.target` is a ndarray"),
    "no target": (lambda b: Batch(None, b.inputs), TypeError, "`batch.target` is a NoneType"),
}


@every_rule
@pytest.mark.parametrize(("change", "error", "message"), BATCHES.values(), ids=BATCHES.keys())
def test_a_batch_that_does_not_fit_is_refused_before_anything_moves(make, change, error, message, generator):
    network = deep_network(generator)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    rule = built(make, network)
    with pytest.raises(error, match=message):
        rule.compute(change(deep_batch(generator)))
    assert all(torch.equal(p, before[name]) for name, p in network.named_parameters())


@every_rule
def test_a_network_that_was_frozen_since_has_nothing_to_train(make, generator):
    network = deep_network(generator)
    rule = built(make, network)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(ValueError, match="has nothing to train"):
        rule.compute(deep_batch(generator))


@every_rule
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_a_gradient_where_torch_takes_none_is_refused(make, context, generator):
    rule, batch = built(make, deep_network(generator)), deep_batch(generator)
    with context(), pytest.raises(ValueError, match="was asked for a gradient where torch takes none"):
        rule.compute(batch)


@every_rule
def test_the_state_of_another_rule_is_refused(make, generator):
    network = deep_network(generator)
    rule, other = built(make, network), RULES["BPTT" if make is not RULES["BPTT"] else "offline"]
    with pytest.raises(ValueError, match=rf"is one of {other.func.__name__}, but .* is {make.func.__name__}"):
        rule.load_state_dict(built(other, network).state_dict())


@every_rule
def test_network_and_optimizer_are_those(make, generator):
    network = deep_network(generator)
    with pytest.raises(TypeError, match=r"neurotorch\.network\.Network, but got a Linear"):
        make(nn.Linear(3, 3), optimizer=torch.optim.Adam(network.parameters()))
    with pytest.raises(TypeError, match="`optimizer` is the class Adam"):
        make(network, optimizer=torch.optim.Adam)


def test_a_feedback_serves_one_rule(generator):
    network, feedback = deep_network(generator), Adaptive(0)
    EProp(network, MeanSquaredError(), optimizer=torch.optim.Adam(network.parameters()), feedback=feedback)
    with pytest.raises(ValueError, match="belongs to another rule already"):
        EProp(network, MeanSquaredError(), optimizer=torch.optim.Adam(network.parameters()), feedback=feedback)


def test_the_state_of_another_feedback_is_refused(generator):
    network = deep_network(generator)
    rules = {kind: built(RULES["offline"], network, feedback=kind(), clip=1.0) for kind in (Symmetric, Random)}
    states = {kind: rule.state_dict() for kind, rule in rules.items()}
    with pytest.raises(ValueError, match=r"matrices for \['first', 'second'\], but Symmetric has none"):
        rules[Symmetric].load_state_dict(states[Random])
    with pytest.raises(ValueError, match=r"holds feedback matrices \{\}, but Random has \{'first': \(6, 2\)"):
        rules[Random].load_state_dict(states[Symmetric])


WRONG = {
    "a loss by its class": (
        lambda n: built(partial(BPTT, loss=MeanSquaredError), n),
        TypeError,
        r"MeanSquaredError\(\)",
    ),
    "a truncated loss by its class": (
        lambda n: built(partial(TruncatedBPTT, loss=MeanSquaredError, k1=2, k2=2), n),
        TypeError,
        "is a sum over time",
    ),
    "no loss": (lambda n: built(partial(BPTT, loss=None), n), TypeError, "function of output and target"),
    "a feedback by name": (lambda n: built(RULES["offline"], n, feedback="random"), TypeError, "must be a Feedback"),
    "a feedback by class": (lambda n: built(RULES["offline"], n, feedback=Random), TypeError, "must be a Feedback"),
    "feedback of NaN": (
        lambda n: built(RULES["offline"], n, feedback=Random(matrices={"first": torch.full((6, 2), np.nan)})),
        ValueError,
        "NaN or infinite",
    ),
    "one matrix": (lambda n: Random(matrices=torch.ones(6, 2)), TypeError, "maps names of layers"),
    "one penalty": (lambda n: built(RULES["BPTT"], n, penalties=FiringRatePenalty(1.0)), TypeError, "must be a list"),
    "a function": (lambda n: built(RULES["BPTT"], n, penalties=[reward]), TypeError, "an object with a text as `name`"),
    "an infinite rate": (lambda n: FiringRatePenalty(float("inf")), ValueError, "`target` is inf"),
    "layers as text": (lambda n: FiringRatePenalty(1.0, layers="first"), TypeError, r"list of names: \['first'\]"),
    "no layers": (lambda n: FiringRatePenalty(1.0, layers=[]), ValueError, "`layers` is empty"),
    "a list of rules": (
        lambda n: compare_gradients(n, None, [built(RULES["BPTT"], n)]),
        TypeError,
        "maps names to rules",
    ),
    "parts in a list": (lambda n: n.freeze(["first"]), TypeError, "names are text"),
}


@pytest.mark.parametrize(("make", "error", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_kinds_are_refused(make, error, message, generator):
    network = deep_network(generator)
    with pytest.raises(error, match=message):
        make(network)


@pytest.mark.parametrize("rule", [BPTT, EProp, partial(EProp, feedback=Random(0))])
def test_a_loss_that_is_no_scalar_is_refused(rule, generator):
    network = deep_network(generator)
    with pytest.raises(ValueError, match=r"returned a tensor \(25, 2, 2\)"):
        built(partial(rule, loss=nn.MSELoss(reduction="none")), network).compute(deep_batch(generator))


@pytest.mark.parametrize(
    ("found", "error", "message"),
    [
        (1.0, TypeError, r"is 1\.0, but it must be a tensor"),
        (None, TypeError, "is None, but it must be a tensor"),
        ({}, ValueError, "names no layer; there are"),
    ],
)
def test_a_modulator_returns_a_tensor(found, error, message, generator):
    network = deep_network(generator)
    rule = built(partial(ThreeFactor, modulator=lambda output, batch: found), network)
    with pytest.raises(error, match=message):
        rule.compute(deep_batch(generator))


def test_a_modulator_may_count(generator):
    network, batch = deep_network(generator), deep_batch(generator)
    found = []
    for hits in (torch.tensor([1, 3]), torch.tensor([1.0, 3.0], dtype=torch.float64)):
        built(partial(ThreeFactor, modulator=lambda output, batch, hits=hits: hits), network).compute(batch)
        found.append([p.grad.clone() for p in network.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
