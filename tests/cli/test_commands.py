import csv
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from neurotorch.cli.main import main
from neurotorch.runs import demo, load
from tests.cli.tiny import activity, contents, fit


def run(*arguments, **options):
    command = [sys.executable, "-m", "neurotorch", *map(str, arguments)]
    options = {"stdout": subprocess.PIPE, **options}
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=300, check=False, **options)


def test_a_fit_from_the_shell_prints_its_report_and_says_what_it_does(recording, whole, tmp_path, capsys):
    done = run(*fit(recording, tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert main(["report", str(tmp_path / "run")]) == 0
    assert done.stdout == f"{capsys.readouterr().out}\nReport, network, history and figures: {tmp_path / 'run'}\n"
    assert done.stderr.splitlines()[0] == "neurotorch: training the network: finding the number of epochs"
    assert done.stderr.splitlines()[-1] == "neurotorch: fitting the baselines"
    for file in ("model.safetensors", "recording.safetensors"):
        assert (tmp_path / "run" / file).read_bytes() == (whole / file).read_bytes()


def test_the_report_shows_every_horizon_and_the_verdict(whole, capsys):
    assert main(["report", str(whole)]) == 0
    said = capsys.readouterr().out
    table, report = said.partition("\n\n")[0], load(whole).report
    for horizon, score in report["held_out"]["horizons"].items():
        (row,) = (line for line in table.splitlines() if line.strip().startswith(f"{horizon} "))
        assert f" {score['r2']:.3f} " in row
        assert f" {score['without_connections']:.3f} " in row
        assert f"{score['skill']['over']} {score['baselines'][score['skill']['over']]:.3f}" in row
        assert "[{:+.3f}, {:+.3f}]".format(*score["skill"]["interval"]) in row
    assert " ".join(said.split()).endswith(report["verdict"])


def test_a_run_is_replaced_when_asked_by_one_with_all_the_options(recording, finished, capsys):
    options = "--neuron wilson-cowan --no-dale --learning-rate 0.01 --held-out 0.25 --seconds 50 --seed 4 --epochs 1"
    assert main([*fit(recording, finished), "--overwrite", "--quiet", *options.split()]) == 0
    assert capsys.readouterr().err == ""
    config = load(finished).config
    assert (config["blueprint"]["neuron"], config["blueprint"]["excitatory"]) == ("wilson-cowan", None)
    plan = {name: config["plan"][name] for name in ("learning_rate", "seconds", "epochs", "warm_up", "free")}
    assert plan == {"learning_rate": 0.01, "seconds": 50.0, "epochs": 1, "warm_up": 8, "free": 4}
    assert (config["seed"], config["start"]) == (4, 120)


def test_the_protocol_of_the_literature_is_reported_with_its_companions(recording, tmp_path, capsys):
    folder = tmp_path / "run"
    command = ["fit", recording, "--axes", "time,neuron", "--dt", 0.5, "--out", folder, "--neuron", "wilson-cowan"]
    assert main([*map(str, command), "--protocol", "literature", "--epochs", "1"]) == 0
    said = capsys.readouterr()
    report = load(folder).report
    assert report["protocol"] == "literature"
    assert f"{report['p_var']['global']:.4f}" in said.out
    assert all(f"{value:.4f}" in said.out for value in report["companions"].values())
    assert "time-shuffled" in said.err
    assert main(["ablate", str(folder), "--points", "2", "--repeats", "1", "--quiet"]) == 0
    assert "p_variance" in capsys.readouterr().out


def test_weaning_takes_the_place_of_backpropagation_under_the_protocol_of_the_literature(recording, tmp_path, capsys):
    command = ["fit", recording, "--axes", "time,neuron", "--dt", "0.5", "--out", tmp_path / "run"]
    given = [*command, "--protocol", "literature", "--neuron", "wilson-cowan", "--weaning", "3"]
    assert main(list(map(str, given))) == 0
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    with open(tmp_path / "run" / "history.csv", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 3
    assert report["dale"]["violations"] == 0
    assert main(["fit", str(recording), "--out", str(tmp_path / "other"), "--weaning", "3"]) == 2
    assert "--weaning does nothing under --protocol held-out" in capsys.readouterr().err


def test_dead_neurons_are_named_and_dropped_even_where_only_training_cannot_use_them(tmp_path, capsys):
    constant, late, alive = np.ones(160), activity()[:, 0] * (np.arange(160) >= 130), activity()
    hole = np.where(np.arange(160) == 150, np.nan, activity()[:, 1])
    np.save(tmp_path / "x.npy", np.column_stack([constant, alive, hole, late]))
    assert main([*fit(tmp_path / "x.npy", tmp_path / "run"), "--quiet", "--epochs", "1"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "neurotorch: dropped neurons that are dead: 1 constant: '0'; 1 with NaN: '5'",
        "neurotorch: dropped neurons that are dead in the training part: 1 constant: '6'",
    ]
    assert load(tmp_path / "run").recording.neurons == ("1", "2", "3", "4")


def test_an_ablation_is_printed_and_saved(finished, capsys):
    before = contents(finished)
    options = ["--strategies", "random,weakest", "--points", "5", "--repeats", "2", "--seed", "3", "--quiet"]
    assert main(["ablate", str(finished), *options]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    rows = list(csv.DictReader((finished / "ablation.csv").read_text().splitlines()))
    assert len(rows) == 15
    assert [line.split()[0] for line in said.out.splitlines()[3:8]] == ["0.00", "0.25", "0.50", "0.75", "1.00"]
    assert f"{float(rows[0]['r2_4']):.3f}" in said.out.splitlines()[3].split()
    assert said.out.splitlines()[-1].startswith(f"Table and figure: {finished / 'ablation.csv'}")
    assert (finished / "figures" / "ablation.png").stat().st_size > 10_000
    assert {path: data for path, data in contents(finished).items() if path in before} == before


def test_info_tells_of_the_installation(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("NEUROTORCH_DATA", str(tmp_path))
    assert main(["info"]) == 0
    rows = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    assert rows["data folder"].strip() == str(tmp_path)
    assert rows["threads"].strip() == "1"
    assert {"python", "torch", "numpy", "neurotorch", "package"} <= rows.keys()


def test_info_tells_what_a_file_holds(tmp_path, capsys):
    values = activity()
    values[:, 2] = 5
    np.savez(tmp_path / "x.npz", dff=values, other=values.T, axes=np.array("time,neuron"))
    assert main(["info", str(tmp_path / "x.npz")]) == 0
    said = capsys.readouterr().out
    assert "'dff' (160, 4), 'other' (4, 160)" in said
    assert "not without more" in said
    assert main(["info", str(tmp_path / "x.npz"), "--key", "dff", "--dt", "0.5"]) == 0
    said = capsys.readouterr().out
    assert "160 frames of 4 neurons, dt 0.5 s, 80 s in all" in said
    assert "1 constant: '2'" in said


def test_info_tells_what_a_run_is(whole, recording, capsys):
    assert main(["info", str(whole)]) == 0
    said = capsys.readouterr().out
    assert f"{recording}: 160 frames of 4 neurons, dt 0.5 s" in said
    assert "seed 0" in said
    assert "multi-timescale-rate" in said


def test_a_simulated_recording_can_be_fitted(tmp_path, capsys):
    path = tmp_path / "known.npz"
    simulate = ["simulate", "--out", str(path), "--neurons", "6", "--frames", "240", "--seed", "2"]
    assert main(simulate) == 0
    command = capsys.readouterr().out.splitlines()[-1].removeprefix("Fit it with: neurotorch ").split()
    with np.load(path) as archive:
        assert archive["activity"].shape == (240, 6)
        assert archive["weights"].shape == (6, 6)
        assert not np.diag(archive["weights"]).any()
        assert (archive["neurons"].shape, archive["dt"].shape) == ((6,), ())
    first = path.read_bytes()
    assert main([*simulate, "--overwrite"]) == 0
    assert path.read_bytes() == first
    command[-1] = str(tmp_path / "run")
    assert main([*command, "--rule", "bptt", "--epochs", "1", "--warm-up", "8", "--free", "4", "--quiet"]) == 0
    known = load(tmp_path / "run").recording.provenance
    assert known["sha256"] == hashlib.sha256(first).hexdigest()
    assert json.loads((tmp_path / "run" / "report.json").read_text())["recording"]["neurons"] == 6


def test_without_a_path_a_known_network_is_fitted_and_its_recovery_reported(tmp_path, capsys, monkeypatch):
    # The demo itself takes a minute: here a smaller one.
    monkeypatch.setattr(demo.demo_recording, "__kwdefaults__", {"neurons": 8, "frames": 200, "seed": 0})
    monkeypatch.chdir(tmp_path)
    options = "--out run --epochs 1 --warm-up 8 --free 4 --batch-size 4 --seed 2 --quiet"
    assert main(["fit", *options.split()]) == 0
    said = " ".join(capsys.readouterr().out.split())
    report = load("run").report
    assert report["recovery"]["types_given"]
    assert report["recovery"]["sentence"] in said
    assert report["verdict"] in said
    assert report["recording"]["path"] is None
    truth = demo.demo_recording(neurons=8, frames=200, seed=2)
    assert demo.recovery(truth, load("run").network) == report["recovery"]
    assert main(["info", "run"]) == 0
    assert "simulated: 200 frames of 8 neurons, dt 0.2 s" in capsys.readouterr().out


def test_help_is_given_by_every_command():
    for command in ("", "fit", "ablate", "report", "info", "simulate"):
        with pytest.raises(SystemExit, match="^0$"):
            main([*command.split(), "--help"])


def test_a_closed_pipe_is_no_error(whole):
    read, write = os.pipe()
    os.close(read)
    done = run("report", whole, stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_command_loads_nothing_heavy_before_it_runs():
    heavy = ["numba", "pandas", "scipy", "matplotlib", "h5py"]
    program = f"import sys, neurotorch.cli.main; print(*set({heavy}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.split() == []
