from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from neurotorch.connections import Connection, Given, no_self
from neurotorch.network import Layer, Network
from neurotorch.neurons import FiringRate
from neurotorch.runs import Blueprint, TrainingPlan, fit
from neurotorch.runs.blueprint import LAYER
from neurotorch.runs.demo import Demo, demo_blueprint, demo_plan, demo_recording, recovery

TINY = TrainingPlan(warm_start=False, warm_up=12, free=4, batch_size=8, batches=3, epochs=2, patience=2)


@pytest.fixture(scope="module")
def demo() -> Demo:
    return demo_recording(neurons=30, frames=300, seed=3)


def network_with(weight: np.ndarray) -> Network:
    """Return a network of these weights, under no law."""
    count = len(weight)
    recurrent = Connection(count, count, init=Given(torch.from_numpy(weight)))
    return Network({LAYER: Layer(FiringRate(), count, recurrent=recurrent)}, dt=0.1)


def shuffled(weight: np.ndarray, seed: int) -> np.ndarray:
    """Return the weights in another order, whatever the types; the diagonal stays zero."""
    pairs, result = no_self(len(weight)).numpy(), np.zeros_like(weight)
    result[pairs] = np.random.default_rng(seed).permutation(weight[pairs])
    return result


def test_the_seed_decides_everything() -> None:
    first, again, other = (demo_recording(neurons=8, frames=40, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.recording.activity, again.recording.activity)
    np.testing.assert_array_equal(first.weight, again.weight)
    assert not np.array_equal(first.recording.activity, other.recording.activity)
    assert not np.array_equal(first.weight, other.weight)


def test_the_truth_obeys_dales_law_without_self_connections(demo: Demo) -> None:
    assert demo.network.dale_violations() == 0
    assert np.all(demo.weight * demo.signs >= 0)
    assert (demo.signs > 0).sum() == 24
    assert np.all(np.diag(demo.weight) == 0)
    assert (demo.weight != 0).sum() == round(0.2 * 30 * 29)
    found = demo.network.effective_weights()[f"{LAYER}.recurrent"].detach().numpy()
    np.testing.assert_array_equal(demo.weight, found)


def test_the_truth_is_balanced_wherever_a_neuron_has_inputs_of_both_types(demo: Demo) -> None:
    both = (demo.weight > 0).any(axis=1) & (demo.weight < 0).any(axis=1)
    assert both.sum() >= 15
    size = np.abs(demo.weight[both]).sum(axis=1)
    np.testing.assert_array_less(np.abs(demo.weight[both].sum(axis=1)), 1e-5 * size)


def test_the_recording_says_that_it_is_simulated_and_how(demo: Demo) -> None:
    provenance = demo.recording.provenance
    assert provenance["simulated"] is True
    assert provenance["seed"] == 3
    assert "no animal" in provenance["source"]
    json.dumps(dict(provenance))
    assert demo.recording.kind == "dff"
    assert demo.recording.activity.shape == (300, 30)
    assert demo.recording.dt == pytest.approx(demo.network.frame_dt)
    assert not demo.recording.dead().neurons


def test_the_simulation_has_settled_and_does_not_saturate() -> None:
    activity = demo_recording(frames=2000).recording.activity
    drift = np.abs(activity[:1000].mean(axis=0) - activity[1000:].mean(axis=0))
    # Means of 1000 frames, correlated over about ten, differ by the standard deviation times sqrt(2 * 10 / 1000).
    assert np.median(drift / activity.std(axis=0)) < 0.2
    assert 0.1 < activity.mean(axis=0).min() < activity.mean(axis=0).max() < 0.9


def test_the_true_weights_are_recovered_in_full(demo: Demo) -> None:
    found = recovery(demo, demo.network)
    for name in ("pearson", "rank", "auc"):
        assert found[name] == pytest.approx(1.0)
        assert found["null"][name]["mean"] + 4 * found["null"][name]["sd"] < 1.0
    assert found["types_given"] is True
    assert (found["pairs"], found["connections"]) == (30 * 29, 174)
    assert (found["excitatory"], found["inhibitory"]) == (24, 6)


def test_recovery_knows_no_unit(demo: Demo) -> None:
    # A power of two scales without rounding, so that not even a tie is broken.
    scaled = recovery(demo, network_with(2.0**-6 * demo.weight))
    assert [scaled[name] for name in ("pearson", "rank", "auc")] == pytest.approx([1.0, 1.0, 1.0])
    assert scaled["types_given"] is False
    assert "types of the neurons were not given to the fit" in scaled["sentence"]


def test_shuffled_weights_recover_nothing(demo: Demo) -> None:
    found = recovery(demo, network_with(shuffled(demo.weight, seed=0)))
    # Over 870 pairs a correlation by chance has a standard deviation of 0.034; the AUC, of half that or less.
    assert abs(found["pearson"]) < 4 / np.sqrt(870)
    assert abs(found["rank"]) < 4 / np.sqrt(870)
    assert abs(found["auc"] - 0.5) < 2 / np.sqrt(870)


def test_the_null_keeps_what_the_types_alone_tell(demo: Demo) -> None:
    by_type = np.where(demo.signs > 0, 1.0, demo.weight.sum() / -1e3 - 4.0) * no_self(30).numpy()
    found = recovery(demo, network_with(by_type))
    assert found["pearson"] > 0.1
    for name in ("pearson", "rank", "auc"):
        assert found["null"][name]["mean"] == pytest.approx(found[name])
        assert found["null"][name]["sd"] == pytest.approx(0.0, abs=1e-12)


def test_weights_that_are_all_equal_have_no_correlation(demo: Demo) -> None:
    found = recovery(demo, network_with(np.zeros((30, 30))))
    assert found["pearson"] is None
    assert found["null"]["pearson"] is None
    assert found["auc"] == pytest.approx(0.5)
    json.dumps(found, allow_nan=False)


def test_recovery_refuses_a_network_that_cannot_be_compared(demo: Demo) -> None:
    with pytest.raises(ValueError, match="29 neurons but the demo 30"):
        recovery(demo, network_with(demo.weight[:29, :29]))
    alone = Network({LAYER: Layer(FiringRate(), 30)}, dt=0.1)
    with pytest.raises(ValueError, match="has no recurrent connection"):
        recovery(demo, alone)


def test_the_demo_is_fitted_end_to_end() -> None:
    small = demo_recording(neurons=8, frames=300)
    result = fit(small.recording, demo_blueprint(small), plan=TINY)
    found = recovery(small, result.network)
    assert found["types_given"] is True
    assert result.network.dale_violations() == 0
    assert -1 <= found["pearson"] <= 1
    assert "types of the neurons were given to the fit" in found["sentence"]
    assert f"{found['pearson']:.2f}" in found["sentence"]
    json.dumps(found, allow_nan=False)


def test_the_demo_gives_the_fit_types_but_no_connections(demo: Demo) -> None:
    plan, blueprint = demo_plan(), demo_blueprint(demo)
    assert blueprint.dale is not None
    np.testing.assert_array_equal(blueprint.dale.signs.numpy(), demo.signs)
    assert blueprint.mask is None
    assert dataclasses.replace(blueprint, dale=None).to_json() == Blueprint().to_json()
    assert plan.refit
