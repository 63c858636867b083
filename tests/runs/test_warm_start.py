"""Fits that start, and mostly end, by least squares: what is chosen, from what, and with a look at what."""

from __future__ import annotations

import dataclasses
import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from neurotorch.connections import Dale, NoInputWarning, no_self
from neurotorch.data import Recording
from neurotorch.evaluation import Mean, Persistence
from neurotorch.learning import BPTT, EProp, Random, TruncatedBPTT
from neurotorch.learning.convex import Shrinkage
from neurotorch.neurons import MultiTimescaleRate, WilsonCowan
from neurotorch.neurons.transfer import Sigmoid, Softplus
from neurotorch.runs import Blueprint, TrainingPlan, WarmStart, fit, load, rule_named, save
from neurotorch.runs.one_step import Setting, Timescales, fit_one_step
from neurotorch.runs.training_plan import rule_name
from tests.runs.worlds import PLAN, blueprint, recording

FEW = WarmStart(filters=((1, 3),), weights=(2.0, 0.2), folds=2)
ONLY = TrainingPlan(warm_start=FEW)
BASELINES = (Mean(), Persistence())


def parameters(result):
    return [p for trained in (result.trained, result.unconnected) for p in trained.network.state_dict().values()]


def test_a_fit_of_multi_timescale_units_is_a_convex_one_unless_told_otherwise() -> None:
    result = fit(recording(), blueprint(MultiTimescaleRate), plan=ONLY)
    training = result.report()["training"]
    assert (training["start"], training["rule"], training["epochs"]) == ("least squares", None, 0)
    assert len(training["warm_start"]["tried"]) == 1 + 2 * 2
    assert result.network.dale_violations() == 0
    assert all(np.isfinite(score.r2) for score in result.held_out.horizons.values())
    assert result.history_table().empty
    assert TrainingPlan().start(Blueprint()) == WarmStart()
    assert TrainingPlan().rule_after(WarmStart()) is None
    assert TrainingPlan().start(Blueprint(WilsonCowan)) is None
    assert TrainingPlan().rule_after(None) is BPTT


def test_a_convex_fit_is_saved_and_read_back(tmp_path: Path) -> None:
    result = fit(recording(), blueprint(MultiTimescaleRate), plan=ONLY, baselines=BASELINES)
    loaded = load(save(result, tmp_path / "run"))
    for a, b in zip(result.network.state_dict().values(), loaded.network.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert loaded.config["plan"]["warm_start"] == json.loads(json.dumps(FEW.to_json()))
    assert loaded.config["plan"]["rule"] is None
    assert not (tmp_path / "run" / "figures" / "learning.png").exists()
    assert set(loaded.report["held_out"]["horizons"]["1"]["baselines"]) == {"mean", "persistence"}


@pytest.mark.parametrize("poison", [1e12, -1e12])
def test_what_is_chosen_and_fitted_knows_nothing_of_held_out_frames(poison: float) -> None:
    whole = recording()
    changed = dataclasses.replace(whole, activity=np.vstack([whole.activity[:192], whole.activity[192:] + poison]))
    first, second = (fit(r, blueprint(MultiTimescaleRate), plan=ONLY, baselines=BASELINES) for r in (whole, changed))
    assert first.choice == second.choice
    for a, b in zip(parameters(first), parameters(second), strict=True):
        assert torch.equal(a, b)


def test_a_fold_is_scaled_by_what_precedes_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    # the mean of the whole training part would tell a fold where the block that it is scored on lies
    parts: list[Recording] = []

    def spy(part, *arguments, **options):
        parts.append(part)
        return fit_one_step(part, *arguments, **options)

    monkeypatch.setattr("neurotorch.runs.warm_start.fit_one_step", spy)
    training = recording()
    drifting = dataclasses.replace(training, activity=training.activity + np.linspace(0, 9, training.frames)[:, None])
    FEW.choose(drifting, blueprint(MultiTimescaleRate), seed=0)
    assert [part.frames for part in parts] == [120, 180]
    for part in parts:
        np.testing.assert_allclose(part.activity.mean(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(part.activity.std(axis=0), 1, rtol=1e-9)


def test_the_refit_without_connections_is_the_fit_with_an_infinite_penalty() -> None:
    plan = TrainingPlan(warm_start=dataclasses.replace(FEW, weights=(math.inf,)))
    result = fit(recording(), blueprint(MultiTimescaleRate), plan=plan, baselines=BASELINES)
    for horizon in (1, 4, 8):
        score = result.held_out.horizons[horizon]
        assert score.connections.value == pytest.approx(0, abs=1e-6)  # float32 forecasts
    connected, alone = (t.network.named_layers()["population"] for t in (result.trained, result.unconnected))
    torch.testing.assert_close(connected.neuron.own.value, alone.neuron.own.value, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(connected.bias.value, alone.bias.value, rtol=1e-6, atol=1e-7)
    assert not connected.recurrent.weight().any()
    # JSON knows no infinity
    assert json.loads(json.dumps(result.choice.to_json(), allow_nan=False))["chosen"]["shrinkage"]["weight"] is None
    assert json.loads(json.dumps(result.settings()["plan"], allow_nan=False))["warm_start"]["weights"] == [None]


def test_connections_that_are_there_are_chosen_and_those_that_are_not_are_not() -> None:
    # a ring in which each neuron drives the next, and the same neurons shuffled in time against each other
    coupled = recording(frames=500, neurons=8)
    plan = WarmStart(filters=((1, 3),), weights=(50.0, 5.0, 0.5), folds=3, caution=0)
    free = blueprint(MultiTimescaleRate, excitatory=None)
    chosen = plan.choose(coupled, free, seed=0)
    assert chosen.setting.shrinkage.weight < 50
    rolled = np.column_stack([np.roll(coupled.activity[:, i], 40 * i) for i in range(8)])
    alone = plan.choose(Recording(rolled, 0.5), free, seed=0)
    assert alone.setting.shrinkage.weight >= 50


def test_caution_takes_the_smallest_weights_that_keep_the_share() -> None:
    scales = Timescales((1.0,), 1.5, Sigmoid(1.0))
    settings = {w: Setting(scales, Shrinkage(weight=w)) for w in (math.inf, 10.0, 1.0, 0.1)}
    errors = {settings[math.inf]: 1.0, settings[10.0]: 0.9, settings[1.0]: 0.83, settings[0.1]: 0.8}
    for caution, expected in ((0.0, 0.1), (0.2, 1.0), (0.6, 10.0)):
        plan = dataclasses.replace(FEW, caution=caution)
        assert plan._cautious(errors, settings[math.inf]).shrinkage.weight == expected
    worse = {**errors, settings[math.inf]: 0.7}
    assert FEW._cautious(worse, settings[math.inf]).shrinkage.weight == math.inf
    exploded = {**errors, settings[math.inf]: math.inf}
    assert FEW._cautious(exploded, settings[math.inf]).shrinkage.weight == 0.1


def test_transfer_functions_of_one_gain_are_different_settings() -> None:
    # options are tuples: those of two classes are equal to Python
    assert Sigmoid(1.0) == Softplus(1.0)
    assert Timescales((1.0,), 1.5, Sigmoid(1.0)) != Timescales((1.0,), 1.5, Softplus(1.0))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rule": "eprop"}, "`rule` is the name 'eprop'"),
        ({"rule": torch.optim.Adam}, "a class of gradient rules"),
        ({"rule": 3}, "`rule` is 3"),
        ({"warm_start": "yes"}, "`warm_start` is 'yes'"),
        ({"warm_start": 0}, "`warm_start` is 0"),
        ({"warm_start": WarmStart}, r"must be a WarmStart\(...\)"),
    ],
)
def test_a_plan_takes_rules_and_starts_alone(given: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        TrainingPlan(**given)


def test_plan_and_blueprint_cannot_be_confused() -> None:
    with pytest.raises(TypeError, match="`blueprint` is a TrainingPlan"):
        fit(recording(), PLAN)  # type: ignore[arg-type]


def test_rules_with_other_arguments_have_other_names() -> None:
    first, second = (partial(TruncatedBPTT, k1=k1, k2=20) for k1 in (5, 10))
    assert [rule_name(rule) for rule in (first, second)] == [
        "truncatedbptt(k1=5, k2=20)",
        "truncatedbptt(k1=10, k2=20)",
    ]
    assert rule_name(partial(EProp, feedback=Random(0))) == "eprop(feedback=Random)"
    assert TrainingPlan(rule=first).to_json()["rule"] == rule_name(first)


def test_given_types_and_mask_hold() -> None:
    signs = torch.tensor([1.0, -1, 1, -1, 1, -1])
    mask = torch.rand(6, 6, generator=torch.Generator().manual_seed(0)) < 0.5
    result = fit(recording(), Blueprint(dale=Dale(signs), mask=mask), plan=ONLY, baselines=BASELINES)
    weight = result.network.effective_weights()["population.recurrent"]
    assert not weight[~mask].any()
    assert bool((weight * signs >= 0).all())


def test_neurons_without_input_are_named_once() -> None:
    world = recording()
    mask = no_self(len(world.neurons))
    mask[1] = False
    with pytest.warns(NoInputWarning) as caught:
        result = fit(world, Blueprint(mask=mask), plan=ONLY, baselines=BASELINES)
    assert [str(warning.message) for warning in caught] == [
        f"`mask` leaves 1 of the {len(world.neurons)} neurons without input from the others: {world.neurons[1]}. They "
        "are forecast from their own past alone."
    ]
    assert caught[0].filename == __file__
    assert not result.network.effective_weights()["population.recurrent"][1].any()


def test_a_rule_refines_a_warm_start_or_leaves_it() -> None:
    plan = dataclasses.replace(PLAN, warm_start=FEW, rule=BPTT, epochs=2, batches=2)
    result = fit(recording(), blueprint(MultiTimescaleRate), plan=plan, baselines=BASELINES)
    report = result.report()["training"]
    assert (report["start"], report["rule"]) == ("least squares", "bptt")
    assert set(result.trained.histories) >= {"choose"}
    # steps so large that validation cannot like them
    ruined = dataclasses.replace(plan, learning_rate=10.0)
    left = fit(recording(), blueprint(MultiTimescaleRate), plan=ruined, baselines=BASELINES)
    assert left.trained.best_epoch == 0
    figure = left.figures()["learning"]
    assert figure.axes[0].get_title(loc="left").startswith("best: the start")
    plt.close("all")
    start = fit(recording(), blueprint(MultiTimescaleRate), plan=ONLY, baselines=BASELINES)
    for own, expected in zip(parameters(left), parameters(start), strict=True):
        assert torch.equal(own, expected)  # weights that are zero included


def test_a_fit_with_inputs_missing_frames_and_trials_goes_through() -> None:
    base = recording()
    rng = np.random.default_rng(1)
    inputs, missing = rng.normal(size=(base.frames, 2)), np.zeros(base.frames, dtype=bool)
    missing[[60, 215]] = True
    inputs[missing] = np.nan
    activity = np.array(base.activity)
    activity[missing] = np.nan
    driven = Recording(activity, base.dt, inputs=inputs, missing=missing, trials=((0, 120), (120, 240)))
    result = fit(driven, blueprint(MultiTimescaleRate), plan=ONLY, baselines=BASELINES)
    assert all(np.isfinite(score.r2) for score in result.held_out.horizons.values())


def test_a_neuron_that_is_silent_in_the_first_folds_does_not_stop_the_choice() -> None:
    activity = np.array(recording().activity)
    activity[:150, 2] = 1.0
    result = fit(Recording(activity, 0.5), blueprint(MultiTimescaleRate), plan=ONLY, baselines=BASELINES)
    assert all(np.isfinite(score.r2) for score in result.held_out.horizons.values())


REFUSED = {
    "a warm start of another model": (
        lambda: fit(recording(), blueprint(WilsonCowan), plan=TrainingPlan(warm_start=True)),
        "asks for a warm start, but a warm start is for MultiTimescaleRate, and the neurons are WilsonCowan",
    ),
    "several steps": (
        lambda: TrainingPlan(warm_start=FEW).start(Blueprint(steps_per_frame=2)),
        "one step per frame, and there are 2",
    ),
    "no weights": (lambda: WarmStart(weights=()), "`weights` is empty"),
    "faster than a frame": (lambda: WarmStart(traces=(0.5,)), r"0.5 frames, but it must be at least 1"),
    "no share": (lambda: WarmStart(caution=1.0), "`caution` is 1"),
    "too short": (lambda: WarmStart().choose(recording(frames=8), Blueprint(), seed=0), "at least"),
    "a misspelt rule": (lambda: rule_named("bpt"), "no rule 'bpt'.*Did you mean 'bptt'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_start_warm_says_why(case: str) -> None:
    call, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_e_prop_trains_from_a_warm_start() -> None:
    try:
        rule = rule_named("eprop")
    except ValueError:
        pytest.skip("EProp is not in this version of `neurotorch.learning`")
    assert rule_name(rule) == "eprop"
    plan = dataclasses.replace(PLAN, warm_start=FEW, rule=rule, epochs=1, batches=2)
    result = fit(recording(), blueprint(MultiTimescaleRate), plan=plan, baselines=BASELINES)
    assert result.report()["training"]["rule"] == "eprop"
