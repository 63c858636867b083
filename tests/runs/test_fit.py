from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from neurotorch.connections import Dale
from neurotorch.data import Recording
from neurotorch.evaluation import check_causal
from neurotorch.evaluation.network_forecaster import NetworkForecaster
from neurotorch.neurons import NeuronModel
from neurotorch.runs import Blueprint, TrainingPlan, fit, neuron_named, neuron_names
from neurotorch.runs.blueprint import LAYER, name_of, recurrent_of
from tests.runs.worlds import PLAN, blueprint, recording

MODELS = sorted(neuron_names())


@pytest.mark.parametrize("name", MODELS)
def test_every_neuron_model_fits_a_recording_under_dales_law(name: str) -> None:
    result = fit(recording(), blueprint(neuron_named(name), steps_per_frame=2), plan=PLAN)
    assert result.network.dale_violations() == 0
    weight = recurrent_of(result.network)
    assert weight is not None
    assert np.all(np.diag(weight) == 0)
    assert set(result.held_out.horizons) == {1, 4, 8, 16}
    assert all(np.isfinite(score.r2) for score in result.held_out.horizons.values())


def test_the_same_seed_gives_the_same_fit_and_another_seed_another() -> None:
    model = neuron_named("wilson-cowan")
    first, again, other = (fit(recording(), blueprint(model), plan=PLAN, seed=seed) for seed in (1, 1, 2))
    for a, b in zip(first.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert any(
        not torch.equal(a, b) for a, b in zip(first.network.parameters(), other.network.parameters(), strict=True)
    )


def test_nothing_that_is_fitted_depends_on_held_out_frames() -> None:
    whole = recording()
    changed = dataclasses.replace(whole, activity=np.vstack([whole.activity[:192], 9 - 2 * whole.activity[192:]]))
    model = neuron_named("multi-timescale-rate")
    first, second = (fit(r, blueprint(model), plan=PLAN) for r in (whole, changed))
    assert first.start == second.start == 192
    for trained, other in ((first.trained, second.trained), (first.unconnected, second.unconnected)):
        for a, b in zip(trained.network.parameters(), other.network.parameters(), strict=True):
            assert torch.equal(a, b)


def test_a_network_forecasts_from_the_past_alone() -> None:
    result = fit(recording(), blueprint(neuron_named("multi-timescale-rate")), plan=PLAN)
    forecaster = NetworkForecaster(result.network, warm_up=20)
    check_causal(forecaster, result.recording, origins=[5, 100, 200], steps=8, tolerance=1e-4)


def test_a_forecast_is_warmed_up_on_at_most_the_frames_it_is_told() -> None:
    result = fit(recording(), blueprint(neuron_named("multi-timescale-rate")), plan=PLAN)
    changed = np.array(result.recording.activity)
    changed[:80] += 5
    other = dataclasses.replace(result.recording, activity=changed)
    forecaster = NetworkForecaster(result.network, warm_up=20)
    one, two = (forecaster.forecast(r, np.array([99]), 3) for r in (result.recording, other))
    np.testing.assert_array_equal(one, two)
    three = forecaster.forecast(other, np.array([98]), 3)
    assert not np.allclose(forecaster.forecast(result.recording, np.array([98]), 3), three)


def test_a_forecaster_refuses_a_recording_with_another_frame_time_or_other_neurons() -> None:
    network = blueprint(neuron_named("wilson-cowan")).build(recording(), seed=0)
    with pytest.raises(ValueError, match=r"`recording.dt` is 0.25 s but a frame of the network is 0.5 s: resample"):
        NetworkForecaster(network).forecast(dataclasses.replace(recording(), dt=0.25), np.array([9]), 1)
    with pytest.raises(ValueError, match="has 5 neurons, but the network observes 6"):
        NetworkForecaster(network).forecast(recording(neurons=5), np.array([9]), 1)


def test_the_network_is_refitted_without_connections_but_with_everything_else() -> None:
    result = fit(recording(), blueprint(neuron_named("multi-timescale-rate")), plan=PLAN)
    connected, unconnected = (dict(t.network.named_parameters()) for t in (result.trained, result.unconnected))
    assert set(connected) - set(unconnected) == {f"layers.{LAYER}.recurrent.raw"}


def test_inputs_of_the_experiment_reach_the_network() -> None:
    base = recording()
    stimulus = np.zeros((base.frames, 1))
    stimulus[::20] = 1
    driven = Recording(base.activity, base.dt, inputs=stimulus)
    result = fit(driven, blueprint(neuron_named("multi-timescale-rate")), plan=PLAN)
    assert result.network.effective_weights()[f"{LAYER}.inputs"].shape == (6, 1)


def test_given_types_are_kept() -> None:
    signs = torch.tensor([1.0, -1, 1, -1, 1, -1])
    network = Blueprint(neuron=neuron_named("wilson-cowan"), dale=Dale(signs)).build(recording(), seed=0)
    weight = network.effective_weights()[f"{LAYER}.recurrent"]
    assert torch.equal(torch.sign(weight.sum(0)), signs)


def test_without_dales_law_a_neuron_has_weights_of_both_signs() -> None:
    network = Blueprint(neuron=neuron_named("wilson-cowan"), excitatory=None).build(recording(neurons=20), seed=0)
    weight = network.effective_weights()[f"{LAYER}.recurrent"]
    assert bool(((weight > 0).any(0) & (weight < 0).any(0)).all())


def test_names_on_the_command_line_are_the_models_in_kebab_case() -> None:
    assert {"lif", "current-lif", "wilson-cowan", "multi-timescale-rate", "firing-rate"} <= set(MODELS)
    assert all(issubclass(model, NeuronModel) and name_of(model) == name for name, model in neuron_names().items())
    with pytest.raises(ValueError, match="Did you mean 'wilson-cowan'"):
        neuron_named("wilson-cowen")


def test_a_constant_neuron_is_named_and_not_dropped_in_silence() -> None:
    activity = np.array(recording().activity)
    activity[:, 2] = 1.5
    with pytest.raises(ValueError, match="drop_dead"):
        fit(Recording(activity, 0.5), blueprint(neuron_named("wilson-cowan")), plan=PLAN)


def test_a_window_longer_than_the_recording_says_both_numbers() -> None:
    plan = TrainingPlan(warm_up=500, free=4)
    with pytest.raises(
        ValueError,
        match="500 frames of warm-up and 4 free ones, 504 in all, but the longest segment to train on has 154",
    ):
        fit(recording(), blueprint(neuron_named("wilson-cowan")), plan=plan)


def test_a_neuron_that_is_silent_until_validation_does_not_stop_the_fit() -> None:
    whole = recording()
    activity = whole.activity.copy()
    activity[:160, 2] = 1.0  # of 192 frames of training, 154 of them before validation
    result = fit(dataclasses.replace(whole, activity=activity), blueprint(neuron_named("wilson-cowan")), plan=PLAN)
    assert all(np.isfinite(score.r2) for score in result.held_out.horizons.values())


def test_inputs_that_are_unknown_in_missing_frames_reach_no_forecast() -> None:
    whole = recording()
    inputs = np.random.default_rng(1).normal(size=(whole.frames, 2))
    missing = np.zeros(whole.frames, dtype=bool)
    missing[[60, 215]] = True  # one in training, one held out
    inputs[missing] = np.nan
    shown = dataclasses.replace(whole, inputs=inputs, missing=missing)
    result = fit(shown, blueprint(neuron_named("wilson-cowan")), plan=PLAN)
    assert all(np.isfinite(score.r2) for score in result.held_out.horizons.values())


def test_origins_forecast_in_blocks_give_what_all_at_once_give(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, origins = recording(), np.arange(40, 75)
    network = blueprint(neuron_named("wilson-cowan")).build(whole, seed=0)
    at_once = NetworkForecaster(network, warm_up=20).forecast(whole, origins, 4)
    monkeypatch.setattr("neurotorch.evaluation.network_forecaster.VALUES_AT_ONCE", 24 * 6 * 10)
    in_blocks = NetworkForecaster(network, warm_up=20).forecast(whole, origins, 4)
    np.testing.assert_allclose(in_blocks, at_once, rtol=1e-5)  # float32: products of other shapes round differently


@pytest.mark.parametrize("neuron", [neuron_named("wilson-cowan")(), "wilson-cowan"])
def test_a_blueprint_takes_the_class_of_a_model(neuron: object) -> None:
    with pytest.raises(TypeError, match="the class of a model"):
        Blueprint(neuron=neuron)  # type: ignore[arg-type]


def test_stated_types_are_reported_and_not_the_default_fraction() -> None:
    result = fit(recording(), Blueprint(dale=Dale(torch.tensor([1.0, 1, 1, -1, -1, -1]))), plan=PLAN)
    assert result.report()["network"]["excitatory"] == 0.5
    assert result.settings()["blueprint"]["excitatory"] == 0.5


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"recording": recording(seed=1)}, "recording"),
        ({"blueprint": Blueprint(dale=Dale(torch.tensor([1.0, 1, 1, -1, -1, -1])))}, "dale, .*neuron"),
        ({"plan": dataclasses.replace(PLAN, free=5)}, "free"),
    ],
)
def test_checkpoints_of_another_fit_are_not_taken_for_those_of_this_one(
    tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    arguments = {
        "recording": recording(),
        "blueprint": blueprint(neuron_named("wilson-cowan")),
        "plan": PLAN,
        "seed": 0,
        "checkpoints": tmp_path,
    }
    first = fit(**arguments)  # type: ignore[arg-type]
    again = fit(**arguments)  # type: ignore[arg-type]
    for a, b in zip(first.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match=f"another fit, which differs in .*{named}"):
        fit(**{**arguments, **changes})  # type: ignore[arg-type]
