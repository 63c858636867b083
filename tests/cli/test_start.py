"""The start of a fit and the rule after it, on the command line."""

import pytest

from neurotorch.cli.main import main
from neurotorch.runs import load

PLAIN = "--axes time,neuron --dt 0.5 --quiet"


def command(recording, folder, options=""):
    return ["fit", str(recording), "--out", str(folder), *PLAIN.split(), *options.split()]


def training(folder):
    return load(folder).report["training"]


def test_without_more_a_fit_starts_warm_and_no_rule_follows(recording, tmp_path):
    assert main(command(recording, tmp_path / "run")) == 0
    report = training(tmp_path / "run")
    assert (report["start"], report["rule"]) == ("least squares", None)
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert main(["report", str(tmp_path / "run")]) == 0
    assert main(command(recording, tmp_path / "again", "--warm-start --rule none")) == 0
    model = "model.safetensors"
    assert (tmp_path / "again" / model).read_bytes() == (tmp_path / "run" / model).read_bytes()


def test_a_rule_may_follow_the_warm_start(recording, tmp_path):
    options = "--warm-start --rule bptt --epochs 1 --warm-up 8 --free 4 --batch-size 4"
    assert main(command(recording, tmp_path / "run", options)) == 0
    report = training(tmp_path / "run")
    assert (report["start"], report["rule"]) == ("least squares", "bptt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--epochs 3", "--epochs does nothing after a warm start without a rule: add --rule bptt, or --no-warm-start"),
        ("--rule none --no-warm-start", "--no-warm-start with --rule none would fit nothing"),
        ("--rule none --neuron wilson-cowan", "--rule none would fit nothing: a warm start is for MultiTimescaleRate"),
        ("--warm-start --neuron lif", "a warm start is for MultiTimescaleRate, and the neurons are LIF"),
        ("--warm-start --steps-per-frame 2", "one step per frame"),
        ("--warm-start --no-warm-start", "not allowed with"),
        ("--rule hebb", "invalid choice: 'hebb'"),
        ("--protocol literature --rule bptt --neuron wilson-cowan", "--rule does nothing under --protocol literature"),
        ("--protocol literature --warm-start", "--warm-start does nothing under --protocol literature"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(recording, tmp_path, capsys, options, message):
    assert main(command(recording, tmp_path / "run", options)) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "run").exists()
