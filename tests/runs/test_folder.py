from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import neurotorch as nt
from neurotorch.analysis import random, weakest
from neurotorch.neurons import CurrentLIF, MultiTimescaleRate, WilsonCowan
from neurotorch.runs import Fit, RunFolder, fit, fit_literature, load
from neurotorch.runs.report import table
from tests.runs.worlds import LITERATURE, PLAN, blueprint, recording


@pytest.fixture(scope="module")
def result() -> Fit:
    return fit(recording(), blueprint(MultiTimescaleRate), plan=PLAN)


@pytest.fixture
def folder(result: Fit, tmp_path: Path) -> Path:
    return nt.save(result, tmp_path / "run")


def test_a_run_comes_back_as_it_was_saved(result: Fit, folder: Path) -> None:
    run = load(folder)
    for name, tensor in result.network.state_dict().items():
        assert torch.equal(run.network.state_dict()[name], tensor)
    np.testing.assert_array_equal(run.recording.activity, result.recording.activity)
    assert (run.recording.dt, run.recording.neurons) == (result.recording.dt, result.recording.neurons)
    assert (run.start, run.protocol, run.config["seed"]) == (result.start, "held-out", 0)
    one, two = (nt.network.forecast(n, torch.randn(5, 2, 6), 3) for n in (run.network, run.network))
    assert one.shape == two.shape == (3, 2, 6)


def test_a_loaded_network_forecasts_as_the_fitted_one(result: Fit, folder: Path) -> None:
    recent = torch.randn(8, 3, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(
        nt.network.forecast(load(folder).network, recent, 4), nt.network.forecast(result.network, recent, 4)
    )


def test_the_folder_holds_what_the_readme_says(folder: Path) -> None:
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    figures = {f"figures/{name}.png" for name in ("traces", "learning", "horizons", "weights")}
    assert {
        "config.json",
        "model.safetensors",
        "history.csv",
        "report.json",
        "recording.safetensors",
    } | figures <= names


def test_the_report_has_every_part(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    assert set(report) >= {"protocol", "recording", "network", "training", "p_var", "held_out", "dale", "verdict"}
    assert set(report["recording"]) >= {"path", "sha256", "neurons", "frames", "dt"}
    assert set(report["network"]) >= {"neuron", "excitatory", "parameters"}
    assert set(report["training"]) >= {"epochs", "seconds", "seed", "stopped_by"}
    assert set(report["p_var"]) >= {"global", "per_neuron_mean", "per_neuron"}
    assert set(report["held_out"]["horizons"]) == {"1", "4", "8", "16"}
    for score in report["held_out"]["horizons"].values():
        assert set(score) >= {"r2", "r2_training_mean", "r2_neuron_median", "without_connections", "baselines", "skill"}
        assert set(score["baselines"]) == {"mean", "persistence", "ar", "ar_direct", "ridge_var", "low_rank"}
    assert report["dale"]["violations"] == 0
    assert len(report["verdict"]) > 40
    assert all(horizon in table(report) for horizon in ("1", "4", "8", "16"))


def test_a_spiking_network_seen_through_an_indicator_comes_back_too(tmp_path: Path) -> None:
    spiking = fit(recording(), blueprint(CurrentLIF, steps_per_frame=2), plan=PLAN)
    run = load(nt.save(spiking, tmp_path / "run"))
    recent = torch.randn(8, 3, 6)
    assert torch.equal(nt.network.forecast(run.network, recent, 4), nt.network.forecast(spiking.network, recent, 4))


@pytest.mark.parametrize("name", ["model.safetensors", "recording.safetensors", "report.json"])
def test_a_damaged_file_is_named(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[-3] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(ValueError, match=rf"{name}.*SHA-256"):
        load(folder)


def test_a_folder_without_a_run_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="neurotorch fit --out"):
        load(tmp_path)


def test_an_unfinished_run_says_how_to_continue(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="--resume"):
        load(tmp_path / "run")


def test_a_folder_of_others_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for choice in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(FileExistsError, match="choose another folder"):
            RunFolder.create(tmp_path, **choice)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("x")
    with pytest.raises(NotADirectoryError, match="choose another path"):
        RunFolder.create(tmp_path / "run")


def test_a_run_is_replaced_only_when_asked_for(result: Fit, folder: Path) -> None:
    before = (folder / "report.json").read_bytes()
    with pytest.raises(FileExistsError, match="overwrite"):
        nt.save(result, folder)
    assert (folder / "report.json").read_bytes() == before
    nt.save(dataclasses.replace(result, seed=7), folder, overwrite=True)
    assert load(folder).config["seed"] == 7


def test_nothing_derived_from_an_earlier_run_stays_beside_a_new_one(result: Fit, folder: Path) -> None:
    RunFolder(folder).save_ablation(nt.ablate(load(folder), [weakest], points=2))
    nt.save(dataclasses.replace(result, seed=7), folder, overwrite=True)
    assert not (folder / "ablation.csv").exists()
    names = {path.name for path in (folder / "figures").iterdir()}
    assert names == {"traces.png", "learning.png", "horizons.png", "weights.png"}


def test_an_ablation_removes_exact_counts_and_leaves_the_network_alone(folder: Path) -> None:
    run = load(folder)
    before = {name: tensor.clone() for name, tensor in run.network.state_dict().items()}
    lesions = nt.ablate(run, [weakest, random], points=3, repeats=2)
    assert all(torch.equal(before[name], tensor) for name, tensor in run.network.state_dict().items())
    assert lesions["removed"].tolist() == [0, 15, 30] * 3
    assert set(lesions.columns) >= {"strategy", "repeat", "fraction", "removed", "connections", "r2_1", "r2_16"}
    intact = lesions[lesions["fraction"] == 0]["r2_4"].to_numpy()
    np.testing.assert_allclose(intact, run.report["held_out"]["horizons"]["4"]["r2"], rtol=1e-6)
    RunFolder(folder).save_ablation(lesions)
    assert (folder / "figures" / "ablation.png").exists()


def test_the_protocol_of_the_literature_is_reported_with_its_companions(tmp_path: Path) -> None:
    result = fit_literature(recording(), blueprint(WilsonCowan), plan=LITERATURE)
    run = load(nt.save(result, tmp_path / "run"))
    report = run.report
    assert report["protocol"] == run.protocol == "literature"
    assert set(report["companions"]) == {"own_mean", "static_rank_5", "repeated_last_frame", "time_shuffled_fit"}
    assert report["p_var"]["global"] == pytest.approx(result.p_variance)
    assert "not what it can predict" in " ".join(report["verdict"].split())
    lesions = nt.ablate(run, [weakest], points=2)
    assert lesions["p_variance"].iloc[0] == pytest.approx(result.p_variance)
