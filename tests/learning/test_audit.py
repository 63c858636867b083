"""Comparing gradients: with themselves, with known ones, at no cost to the training."""

import copy
import math

import pytest
import torch

from neurotorch.data import Batch
from neurotorch.learning import (
    BPTT,
    BatchReport,
    GradientRule,
    LearningRule,
    MeanSquaredError,
    TruncatedBPTT,
    WarmUp,
    compare_gradients,
)
from neurotorch.learning.peak_memory import peak_memory
from tests.contracts.rules import closed_loop, drawn


class DetachedRecurrence(GradientRule):
    """The gradient of the graph in which activity that arrives a step later is a constant."""

    def compute(self, batch):
        self.zero_grad()
        output, _ = self.network(batch.inputs, frames=len(batch.target), detach_recurrent=True)
        loss = (output - batch.target).square().mean()
        loss.backward()
        return BatchReport(loss.item(), batch.target.shape[1])


class Scaled(BPTT):
    """Half the gradient, turned round, and none for one parameter."""

    def compute(self, batch):
        report = super().compute(batch)
        for parameter in self.network.parameters():
            parameter.grad.mul_(-0.5)
        self.network.layers["cortex"].bias.raw.grad = None
        return report


class Drawn(BPTT):
    """A gradient with noise from torch's own generator."""

    def compute(self, batch):
        report = super().compute(batch)
        for parameter in self.network.parameters():
            parameter.grad.add_(torch.randn(parameter.shape, dtype=parameter.dtype))
        return report


class Adding(BPTT):
    """Adds its gradient to whatever is there."""

    def zero_grad(self):
        pass

    def compute(self, batch):
        output, _ = self.network(batch.inputs, frames=len(batch.target))
        loss = self.loss(output, batch.target)
        loss.backward()
        return BatchReport(loss.item(), batch.target.shape[1])


class Careless(BPTT):
    def compute(self, batch):
        with torch.no_grad():
            self.network.layers["cortex"].bias.raw.add_(1.0)
        return super().compute(batch)


def adam(network):
    return torch.optim.Adam(network.parameters(), lr=0.01)


def network_and_batch(generator):
    network = closed_loop(generator).double()
    return network, drawn(network, generator)


def rows(comparison):
    return {(row.rule, row.parameter): (row.cosine, row.norm_ratio) for row in comparison.agreements}


def compared(network, batch, rules, **options):
    return compare_gradients(network, batch, rules, **{"repeats": 0, "memory": False} | options)


def test_bptt_agrees_with_itself_and_with_chunks_that_reach_back_to_the_start(generator):
    network, batch = network_and_batch(generator)
    rules = {
        "first": BPTT(network, MeanSquaredError(), optimizer=adam(network)),
        "second": BPTT(network, MeanSquaredError(), optimizer=adam(network)),
        "chunks": TruncatedBPTT(network, MeanSquaredError(), optimizer=adam(network), k1=4, k2=14),
    }
    found = compared(network, batch, rules)
    assert found.reference == "first"
    names = [name for name, _ in network.named_parameters()]
    assert [row.parameter for row in found.agreements if row.rule == "chunks"] == [*names, "all"]
    for (rule, _), pair in rows(found).items():
        # a cosine is off by rounding; the chunks add the same terms in another order
        assert pair == pytest.approx((1, 1), rel=1e-15 if rule != "chunks" else 1e-9)


def test_a_known_gradient_has_its_cosine_and_norm_and_an_absent_one_none(generator):
    network, batch = network_and_batch(generator)
    rules = {
        name: kind(network, MeanSquaredError(), optimizer=adam(network)) for name, kind in (("b", BPTT), ("s", Scaled))
    }
    found = rows(compared(network, batch, rules))
    missing = "layers.cortex.bias.raw"
    for name, _ in network.named_parameters():
        if name != missing:
            assert found["s", name] == pytest.approx((-1, 0.5), rel=1e-14)
    assert math.isnan(found["s", missing][0])
    assert found["s", missing][1] == 0
    rules["b"].compute(batch)
    squares = {name: float(p.grad.square().sum()) for name, p in network.named_parameters()}
    share = 1 - squares[missing] / sum(squares.values())
    assert found["s", "all"] == pytest.approx((-(share**0.5), 0.5 * share**0.5), rel=1e-12)


def test_a_rule_that_cuts_the_recurrence_agrees_where_no_path_leads_through_it(generator):
    network, batch = network_and_batch(generator)
    rules = {
        "BPTT": BPTT(network, MeanSquaredError(), optimizer=adam(network)),
        "cut": DetachedRecurrence(network, optimizer=adam(network)),
        "short": TruncatedBPTT(network, MeanSquaredError(), optimizer=adam(network), k1=1, k2=1),
    }
    found = rows(compared(network, batch, rules))
    # the gain of the observation acts on the output at once
    assert found["cut", "observation.gain.raw"] == pytest.approx((1, 1), rel=1e-12)
    assert found["short", "observation.gain.raw"] == pytest.approx((1, 1), rel=1e-9)
    for rule in ("cut", "short"):
        cosine, ratio = found[rule, "layers.cortex.recurrent.raw"]
        assert abs(cosine) < 1 - 1e-6
        assert ratio != pytest.approx(1, rel=1e-3)


def test_nothing_is_changed_by_looking(generator):
    network, batch = network_and_batch(generator)
    rules = {
        "BPTT": BPTT(network, MeanSquaredError(), optimizer=adam(network), forcing=WarmUp(2), accumulate=2),
        "chunks": TruncatedBPTT(network, MeanSquaredError(), optimizer=adam(network), k1=3, k2=5),
        "drawn": Drawn(network, MeanSquaredError(), optimizer=adam(network)),
    }
    for rule in rules.values():  # so that optimizers have a state
        for _ in range(3):
            rule.compute(batch)
            rule.apply()
    rules["BPTT"].compute(batch)
    before = {name: (p.detach().clone(), p.grad, p.grad.clone()) for name, p in network.named_parameters()}
    states = copy.deepcopy({name: rule.state_dict() for name, rule in rules.items()})
    random = torch.get_rng_state()
    first = compare_gradients(network, batch, rules, repeats=2)
    second = compared(network, batch, rules)
    assert first.agreements == second.agreements
    assert torch.equal(torch.get_rng_state(), random)
    for name, parameter in network.named_parameters():
        value, gradient, copied = before[name]
        assert torch.equal(parameter, value), name
        assert parameter.grad is gradient, name
        assert torch.equal(gradient, copied), name
    for name, rule in rules.items():
        assert str(rule.state_dict()) == str(states[name])


def test_no_rule_is_given_what_another_left(generator):
    network, batch = network_and_batch(generator)
    kinds = {"BPTT": BPTT, "one": Adding, "two": Adding}
    rules = {name: kind(network, MeanSquaredError(), optimizer=adam(network)) for name, kind in kinds.items()}
    for pair in rows(compared(network, batch, rules)).values():
        assert pair == pytest.approx((1, 1), rel=1e-12)


def test_frozen_parameters_are_left_out(generator):
    network, batch = network_and_batch(generator)
    rule = BPTT(network, MeanSquaredError(), optimizer=adam(network))
    network.freeze("cortex")
    found = compared(network, batch, {"BPTT": rule})
    assert not [row for row in found.agreements if row.parameter.startswith("layers.cortex")]
    assert found.agreements[-1].parameter == "all"


def test_costs_are_medians_and_bytes_that_grow_with_what_is_kept(generator, monkeypatch):
    network = closed_loop(generator).double()
    batch = drawn(network, generator, frames=1200)
    rules = {
        "BPTT": BPTT(network, MeanSquaredError(), optimizer=adam(network)),
        "chunks": TruncatedBPTT(network, MeanSquaredError(), optimizer=adam(network), k1=10, k2=10),
    }
    ticks = iter([0.0, 3.0, 10.0, 11.0, 20.0, 22.0, 30.0, 31.0, 40.0, 44.0, 50.0, 59.0])
    monkeypatch.setattr("neurotorch.learning.audit.time.perf_counter", lambda: next(ticks))
    found = compare_gradients(network, batch, rules, repeats=3)
    costs = {cost.rule: cost for cost in found.costs}
    assert (costs["BPTT"].seconds, costs["chunks"].seconds) == (2.0, 4.0)
    assert costs["BPTT"].bytes > 5 * costs["chunks"].bytes
    assert costs["BPTT"].loss == pytest.approx(costs["chunks"].loss, rel=1e-12)
    assert list(found.to_frame().columns) == ["rule", "parameter", "cosine", "norm_ratio"]
    assert len(found.to_frame()) == len(found.agreements)
    assert list(found.costs_to_frame()["rule"]) == ["BPTT", "chunks"]


def test_peak_memory_counts_what_is_alive_at_once():
    held = torch.zeros(1000)

    def work():
        for _ in range(5):
            view = held[1:]  # not new
            twice = view.double()  # 8 * 999 bytes
            del view
            (twice + 1).sum()  # as much again, and a sum of 8 bytes
            del twice

    assert peak_memory(work) == 2 * 8 * 999 + 8
    assert peak_memory(held.add_, 1) == 0


class NoGradient(LearningRule):
    def __init__(self, network):
        self.network = network

    def compute(self, batch):
        return BatchReport(0.0, 1)

    def apply(self):
        pass

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def test_bad_rules_are_named(generator):
    network, batch = network_and_batch(generator)
    other = closed_loop(generator).double()
    bptt = BPTT(network, MeanSquaredError(), optimizer=adam(network))
    foreign = BPTT(other, MeanSquaredError(), optimizer=adam(other))
    cut = DetachedRecurrence(network, optimizer=adam(network))
    for rules, error, says in (
        ({"mine": bptt, "theirs": foreign}, ValueError, "Rule 'theirs' trains another network"),
        ({"cut": cut}, ValueError, r"Among the rules \['cut'\] is no BPTT"),
        ({}, ValueError, r"Among the rules \[\] is no BPTT"),
        ({"mine": bptt, "none": NoGradient(network)}, TypeError, "'none' is a NoGradient, which follows no gradient"),
    ):
        with pytest.raises(error, match=says):
            compared(network, batch, rules)


def test_a_rule_that_changes_parameters_is_told_of_and_its_change_undone(generator):
    network, batch = network_and_batch(generator)
    before = [p.detach().clone() for p in network.parameters()]
    rules = {
        "BPTT": BPTT(network, MeanSquaredError(), optimizer=adam(network)),
        "careless": Careless(network, MeanSquaredError(), optimizer=adam(network)),
    }
    with pytest.raises(RuntimeError, match=r"Rule 'careless' changed the parameter 'layers.cortex.bias.raw'"):
        compared(network, batch, rules)
    assert all(map(torch.equal, before, network.parameters()))
    assert all(p.grad is None for p in network.parameters())


def test_a_batch_that_does_not_fit_leaves_things_as_they_were(generator):
    network, batch = network_and_batch(generator)
    rule = BPTT(network, MeanSquaredError(), optimizer=adam(network))
    rule.compute(batch)
    kept = [p.grad for p in network.parameters()]
    with pytest.raises(TypeError, match="cast one of them"):
        compared(network, Batch(batch.target.float(), batch.inputs), {"BPTT": rule})
    assert all(p.grad is gradient for p, gradient in zip(network.parameters(), kept, strict=True))
