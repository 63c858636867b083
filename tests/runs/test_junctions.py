"""Gap junctions of a blueprint: built, fitted by least squares and by gradients, reported, saved, refused."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from neurotorch.connections import NoInputWarning, no_self
from neurotorch.core.config import build, describe
from neurotorch.evaluation import Mean, Persistence
from neurotorch.learning import BPTT
from neurotorch.network import Network
from neurotorch.neurons import CurrentLIF, MultiTimescaleRate
from neurotorch.runs import Blueprint, TrainingPlan, WarmStart, fit, load, save
from tests.runs.worlds import PLAN, blueprint, recording

RING = torch.eye(6, dtype=torch.bool).roll(1, 0) | torch.eye(6, dtype=torch.bool).roll(-1, 0)
FEW = WarmStart(filters=((1, 3),), weights=(2.0, 0.2), folds=2)
BASELINES = (Mean(), Persistence())
ADDRESS = "population.electrical"


def conductances(network: Network) -> Tensor:
    return network.effective_weights()[ADDRESS].detach()


def under(electrical: Tensor, **changes: Any) -> Blueprint:
    return blueprint(MultiTimescaleRate, electrical=electrical, **changes)


def test_a_mask_starts_alike_and_the_largest_sum_is_the_coupling() -> None:
    network = under(RING | RING.roll(3, 0).logical_and(RING.roll(3, 0).T), coupling=0.2).build(recording(), seed=0)
    assert float(conductances(network).sum(1).max()) == pytest.approx(0.2)
    network = under(RING).build(recording(), seed=0)
    torch.testing.assert_close(conductances(network), 0.025 * RING.float())
    (junctions,) = network.electrical_connections().values()
    assert junctions.mask is not None
    assert torch.equal(junctions.mask, RING)


def test_strengths_are_averaged_over_both_directions_and_a_neurons_own_is_left_out() -> None:
    strength = torch.zeros(6, 6, dtype=torch.int64)
    strength[0, 1], strength[1, 0], strength[2, 0], strength[4, 4] = 3, 1, 6, 9
    found = conductances(under(strength).build(recording(), seed=0))
    expected = torch.zeros(6, 6)
    # sums are 2 + 3 for the first neuron, which is the largest
    expected[0, 1] = expected[1, 0] = 0.05 * 2 / 5
    expected[0, 2] = expected[2, 0] = 0.05 * 3 / 5
    torch.testing.assert_close(found, expected)


def test_a_convex_fit_finds_conductances_and_is_saved_with_them(tmp_path: Path) -> None:
    given = under(RING, excitatory=None, mask=torch.zeros(6, 6, dtype=torch.bool))
    plan = TrainingPlan(warm_start=dataclasses.replace(FEW, weights=(0.02,), caution=0.0))
    result = fit(recording(), given, plan=plan, baselines=BASELINES)
    found = conductances(result.network)
    assert torch.equal(found, found.T)
    assert bool((found >= 0).all())
    assert bool(found.any())
    assert not found[~RING].any()
    assert ADDRESS not in result.unconnected.network.effective_weights()
    assert result.report()["network"]["gap_junctions"] == int((found > 0).sum()) // 2
    loaded = load(save(result, tmp_path / "run"))
    assert torch.equal(conductances(loaded.network), found)
    assert (loaded.config["blueprint"]["electrical"], loaded.config["blueprint"]["coupling"]) == ("given", 0.05)
    plain = fit(recording(), blueprint(MultiTimescaleRate), plan=TrainingPlan(warm_start=FEW), baselines=BASELINES)
    assert plain.settings()["blueprint"]["electrical"] == "none"
    assert plain.report()["network"]["gap_junctions"] == 0


def test_a_rule_moves_the_conductances_from_either_start() -> None:
    for plan in (PLAN, dataclasses.replace(PLAN, warm_start=FEW, rule=BPTT, learning_rate=1e-4, refit=False)):
        result = fit(recording(), under(RING), plan=plan, baselines=BASELINES)
        found = conductances(result.network)
        assert torch.equal(found, found.T)
        assert not found[~RING].any()
        start = under(RING).build(recording(), seed=0)
        assert not torch.allclose(found, conductances(start))


def test_the_decay_of_a_plan_acts_on_junctions_as_on_synapses() -> None:
    network = under(RING).build(recording(), seed=0)
    rule = PLAN.build_rule(BPTT, network, 10)
    decayed = [p for group in rule.optimizer.param_groups if group["weight_decay"] for p in group["params"]]
    raw = [network.connections()["population.recurrent"].raw, network.electrical_connections()[ADDRESS].raw]
    assert {id(p) for p in decayed} == {id(p) for p in raw}


def test_neurons_that_spike_have_junctions_too() -> None:
    spiking = blueprint(CurrentLIF, steps_per_frame=2, electrical=RING)
    result = fit(recording(), spiking, plan=PLAN, baselines=BASELINES)
    assert bool((conductances(result.network)[RING] > 0).all())


def test_a_neuron_with_junctions_is_not_called_alone() -> None:
    world, mask = recording(), no_self(6)
    mask[1], mask[4] = False, False
    joined = torch.zeros(6, 6)
    joined[1, 2] = 1
    with pytest.warns(NoInputWarning) as caught:
        fit(world, under(joined, mask=mask), plan=TrainingPlan(warm_start=FEW), baselines=BASELINES)
    (warning,) = caught
    assert str(warning.message).startswith("`mask` leaves 1 of the 6 neurons without input from the others: n4.")


def test_checkpoints_under_other_junctions_are_not_continued(tmp_path: Path) -> None:
    fit(recording(), under(RING), plan=PLAN, baselines=BASELINES, checkpoints=tmp_path)
    with pytest.raises(ValueError, match="another fit, which differs in junctions:"):
        fit(recording(), under(no_self(6)), plan=PLAN, baselines=BASELINES, checkpoints=tmp_path)


@pytest.mark.parametrize(
    ("electrical", "error", "says"),
    [
        ([[0, 1], [1, 0]], TypeError, "`electrical` is a list"),
        (torch.ones(6, 5), ValueError, "shape (6, 5)"),
        (RING.tril(), ValueError, "not symmetric"),
        (-RING.float(), ValueError, "negative numbers"),
        (RING / 0.0, ValueError, "electrical"),
        (torch.eye(6), ValueError, "no junction between different neurons"),
    ],
)
def test_junctions_that_make_no_sense_are_refused(electrical: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=re.escape(says)):
        Blueprint(electrical=electrical)


def test_junctions_of_other_neurons_and_too_strong_ones_are_refused() -> None:
    with pytest.raises(ValueError, match=r"of 4 neurons, but the recording has 6.*matched"):
        under(no_self(4)).build(recording(), seed=0)
    with pytest.raises(ValueError, match="too strong for steps"):
        under(no_self(6), coupling=3.0).build(recording(), seed=0)


def test_many_weak_junctions_are_read_back() -> None:
    # a hundredth for each of them, the default of one number for all, would be refused
    world = recording(neurons=120)
    network = under(no_self(120)).build(world, seed=0)
    again = build(describe(network), tensors=network.state_dict())
    again.load_state_dict(network.state_dict())
    assert torch.equal(conductances(again), conductances(network))
