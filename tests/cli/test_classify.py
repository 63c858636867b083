"""``neurotorch classify`` on a small data set that stands in for MNIST."""

import json

import numpy as np
import pytest

import neurotorch.runs.classification.task as task
from neurotorch.cli.main import main
from tests.cli.tiny import outcome
from tests.runs.classification_worlds import images

SMALL = ["--units", "8", "--epochs", "2", "--batch-size", "32", "--quiet"]


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    def opened(name, part, folder):
        assert name == "mnist"
        assert folder is None
        return images(150 if part == "train" else 40, seed=1 if part == "train" else 2, part=part)

    monkeypatch.setattr(task, "_opened", opened)


def run(folder, *options):
    return main(["classify", "mnist", "--out", str(folder), *SMALL, *options])


def test_it_prints_an_honest_report_and_leaves_a_run_folder(tmp_path, capsys):
    assert run(tmp_path / "run") == 0
    printed = capsys.readouterr().out
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert f"{report['test']['accuracy']:.4f}" in printed
    assert "linear, accuracy" in printed
    assert "standard error" in printed
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"config.json", "history.csv", "model.safetensors", "report.json", "figures"} <= names
    assert {p.name for p in (tmp_path / "run" / "figures").iterdir()} == {"learning.png", "confusion.png", "sample.png"}
    for command in ("report", "info"):
        assert main([command, str(tmp_path / "run")]) == 0
        assert f"{report['test']['accuracy']:.4f}" in capsys.readouterr().out


def test_options_reach_the_run(tmp_path):
    given = "--neuron current-lif --recurrent --excitatory 0.75 --rule eprop --encoding poisson --steps 6 --dt 0.002"
    more = "--learned-constants --spread 0.2 --pooling maximum --smoothing 0.1 --keep best --firing-rate 20"
    assert run(tmp_path / "run", *given.split(), *more.split()) == 0
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["network"] | {"parameters": 0} == {
        "neuron": "current-lif",
        "units": [8],
        "recurrent": True,
        "excitatory": 0.75,
        "parameters": 0,
        "dt": 0.002,
        "steps": 6,
    }
    assert report["training"]["rule"] == "eprop"
    assert report["dale"]["violations"] == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["plan"]["pooling"] == "maximum"
    assert config["presentation"]["arguments"]["encoding"]["class"].endswith("Poisson")


def test_a_run_that_was_cut_off_is_resumed_to_the_same_end(tmp_path, monkeypatch, capsys):
    assert run(tmp_path / "whole") == 0
    from neurotorch.training import Progress

    def interrupt(self, trainer):
        del self
        if trainer.epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "on_epoch_start", interrupt)
    assert run(tmp_path / "cut") == 130
    assert "--resume continues" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setattr(
        task,
        "_opened",
        lambda name, part, folder: images(150 if part == "train" else 40, seed=1 if part == "train" else 2, part=part),
    )
    assert run(tmp_path / "cut", "--resume", "--seed", "1") == 2
    assert "seed was 0 and is 1" in capsys.readouterr().err
    assert run(tmp_path / "cut", "--resume") == 0
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")
    assert run(tmp_path / "cut", "--resume") == 0
    assert "nothing to resume" in capsys.readouterr().err


def test_a_finished_run_of_other_settings_is_not_passed_off_as_this_one(tmp_path, capsys):
    assert run(tmp_path / "run") == 0
    capsys.readouterr()
    assert run(tmp_path / "run", "--resume", "--units", "9", "--smoothing", "0.1") == 2
    printed = capsys.readouterr()
    assert "(blueprint units was [8] and is [9]; plan smoothing was 0.0 and is 0.1)" in printed.err
    assert printed.out == ""
    np.save(tmp_path / "recording.npy", np.random.default_rng(0).random((60, 3)))
    recording = [str(tmp_path / "recording.npy"), "--axes", "time,neuron", "--dt", "0.1"]
    assert main(["fit", *recording, "--out", str(tmp_path / "run"), "--resume"]) == 2
    assert "protocol was classification and is held-out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pool", "10"], "--pool does nothing for mnist"),
        (["--neuron", "lf"], "There is no neuron 'lf'"),
        (["--encoding", "poison"], "Did you mean 'poisson'"),
        (["--pooling", "mode"], "There is no pooling 'mode'"),
        (["--units", "8,x"], "'8,x' is no list of whole numbers"),
        (["--epochs", "0"], "epochs"),
        (["--by-speaker"], "have none"),
        (["--tau-syn", "0.01"], "--tau-syn does nothing for lif"),
        (["--slope", "4", "--neuron", "firing-rate"], "--slope does nothing for firing-rate"),
        (["--encoder", "firing-rate"], "must be a model that emits spikes"),
        (["--weight-decay", "-1"], "`weight_decay` is -1"),
        (["--firing-rate", "nan"], "`firing_rate` is nan Hz"),
        (["--unit", "8"], "Did you mean '--units'"),
    ],
)
def test_bad_options_are_one_line(tmp_path, capsys, options, message):
    assert main(["classify", "mnist", "--out", str(tmp_path / "run"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_an_ablation_of_a_classifier_is_refused(tmp_path, capsys):
    assert run(tmp_path / "run") == 0
    capsys.readouterr()
    assert main(["ablate", str(tmp_path / "run")]) == 2
    assert "holds a classifier" in capsys.readouterr().err
