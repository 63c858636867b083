"""Every bad input is one line, exit status 2, and leaves every file as it was."""

import h5py
import numpy as np
import pytest
import torch

from neurotorch.cli import info
from neurotorch.cli.main import main
from tests.cli.tiny import activity, contents, fit

GIVEN = ["--axes", "time,neuron", "--dt", "0.5"]


def saved(folder, values, name="x.npy"):
    np.save(folder / name, values)
    return folder / name


def with_value(value, frame=7, neuron=2):
    values = activity()
    values[frame, neuron] = value
    return values


def fitted(folder, values, *options):
    return ["fit", saved(folder, values), *GIVEN, "--out", folder / "out", *options]


def missing(folder):
    saved(folder, activity(), "fish1.npy")
    return ["fit", folder / "fsh1.npy", *GIVEN, "--out", folder / "out"]


def truncated(folder):
    path = saved(folder, activity())
    path.write_bytes(path.read_bytes()[:500])
    return ["fit", path, *GIVEN, "--out", folder / "out"]


def pickled(folder):
    np.save(folder / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return ["fit", folder / "x.npy", *GIVEN, "--out", folder / "out"]


def hdf5_without_key(folder):
    with h5py.File(folder / "x.h5", "w") as file:
        file["session/dff"], file["session/rate"] = activity(), activity()
    return ["fit", folder / "x.h5", *GIVEN, "--key", "dff", "--out", folder / "out"]


def not_ours(folder):
    (folder / "out").mkdir()
    (folder / "out" / "thesis.tex").write_text("years of work")
    return fitted(folder, activity(), "--overwrite")


def out_is_a_file(folder):
    (folder / "out").write_text("not a folder")
    return fitted(folder, activity())


def two_axes_stated(folder):
    np.savez(folder / "x.npz", activity=activity(), axes=np.array("neuron,time"))
    return ["fit", folder / "x.npz", *GIVEN, "--out", folder / "out"]


def simulate_over(folder):
    return ["simulate", "--out", saved(folder, activity()).rename(folder / "x.npz")]


def misspelt_run(folder):
    (folder / "fish1").mkdir()
    return ["report", folder / "fish2"]


DEAD = np.column_stack([activity(), np.ones(160)])
SHORT = np.concatenate([np.ones(130), np.random.default_rng(0).normal(size=30)])  # alive in the held-out part only

BAD = {
    "missing file": (missing, ["There is no file", "Did you mean 'fish1.npy'?"]),
    "missing folder": (lambda f: ["fit", f / "a" / "x.npy", "--out", f / "out"], ["does not exist either"]),
    "a folder": (lambda f: ["fit", f, "--out", f / "out"], ["is a folder, but a recording is one file"]),
    "truncated": (truncated, ["x.npy cannot be read", "truncated"]),
    "pickled": (pickled, ["Python objects, which only pickle can read"]),
    "hdf5 without key": (hdf5_without_key, ["holds no array 'dff'", "'session/dff' (160, 4)", "'session/rate'"]),
    "unknown ending": (
        lambda f: ["info", saved(f, activity()).rename(f / "x.nyp")],
        ["'.nyp', but recordings are read from .npy"],
    ),
    "NaN": (lambda f: fitted(f, with_value(np.nan), "--dead", "error"), ["1 with NaN: '2'", "--dead drop"]),
    "infinite": (lambda f: fitted(f, with_value(np.inf)), ["infinite values, the first in frame 7 of neuron '2'"]),
    "all dead": (lambda f: fitted(f, np.ones((160, 3))), ["All 3 neurons are dead"]),
    "dead": (lambda f: fitted(f, DEAD, "--dead", "error"), ["1 constant: '4'"]),
    "dead while training": (
        lambda f: fitted(f, np.column_stack([activity(), SHORT]), "--dead", "error"),
        ["dead in the training part: 1 constant: '4'"],
    ),
    "one frame": (lambda f: fitted(f, activity()[:1]), ["1 frame of 4 neurons"]),
    "few frames": (lambda f: fitted(f, activity()[:4]), ["frames"]),
    "zero neurons": (lambda f: fitted(f, activity()[:, :0]), ["zero neurons"]),
    "three axes": (lambda f: fitted(f, activity()[None]), ["(1, 160, 4)"]),
    "text": (lambda f: fitted(f, np.array([["a", "b"]] * 9)), ["no matrix of numbers"]),
    "no axes": (
        lambda f: ["fit", saved(f, activity()[:9, :]), "--dt", "1", "--out", f / "out"],
        ["9 frames of 4 neurons (axes='time,neuron') or 4 frames of 9 neurons"],
    ),
    "other axes": (lambda f: fitted(f, activity(), "--axes", "time,cell"), ["'time,cell'", "'time,neuron'"]),
    "axes that are not the file's": (two_axes_stated, ["`axes` is 'time,neuron', but", "'neuron,time'"]),
    "axes the wrong way": (lambda f: fitted(f, activity(), "--axes", "neuron,time"), ["4 frames"]),
    "no dt": (lambda f: ["fit", saved(f, activity()), *GIVEN[:2], "--out", f / "out"], ["pass `dt` in seconds"]),
    "dt zero": (lambda f: fitted(f, activity(), "--dt", "0"), ["`dt` is 0 s, but it must be"]),
    "dt negative": (lambda f: fitted(f, activity(), "--dt", "-1"), ["`dt` is -1 s"]),
    "dt absurd": (lambda f: fitted(f, activity(), "--dt", "10000"), ["a frame lasts", "not in milliseconds or hertz"]),
    "dt no number": (lambda f: fitted(f, activity(), "--dt", "1s"), ["argument --dt: invalid float value: '1s'"]),
    "long window": (
        lambda f: fitted(f, activity(), "--rule", "bptt", "--warm-up", "500"),
        ["516 in all, but the longest segment", "102"],
    ),
    "held out": (lambda f: fitted(f, activity(), "--held-out", "1.5"), ["`held_out` is 1.5"]),
    "nothing held out": (lambda f: fitted(f, activity(), "--held-out", "0"), ["each part needs at least 2"]),
    "excitatory": (lambda f: fitted(f, activity(), "--excitatory", "2"), ["`excitatory` is 2"]),
    "steps": (lambda f: fitted(f, activity(), "--steps-per-frame", "0"), ["`steps_per_frame` is 0"]),
    "epochs": (lambda f: fitted(f, activity(), "--epochs", "0"), ["`epochs` is 0, but it must be at least 1"]),
    "seconds": (lambda f: fitted(f, activity(), "--seconds", "-1"), ["`seconds` is -1 s"]),
    "threads": (lambda f: fitted(f, activity(), "--threads", "0"), ["`--threads` is 0"]),
    "learning rate": (lambda f: fitted(f, activity(), "--learning-rate", "nan"), ["`learning_rate` is nan"]),
    "neuron": (lambda f: fitted(f, activity(), "--neuron", "wilson_cowen"), ["Did you mean 'wilson-cowan'?"]),
    "key": (lambda f: fitted(f, activity(), "--inputs-key", "light"), ["holds no array 'light'", "'array' (160, 4)"]),
    "folder of another": (not_ours, ["holds no run of neurotorch"]),
    "folder is a file": (out_is_a_file, ["is a file, but a run needs a folder"]),
    "unknown option": (lambda f: fitted(f, activity(), "--epoch", "3"), ["--epoch 3", "Did you mean '--epochs'?"]),
    "no out": (lambda f: ["fit", saved(f, activity())], ["required: --out"]),
    "both": (lambda f: fitted(f, activity(), "--resume", "--overwrite"), ["not allowed with argument"]),
    "protocol": (lambda f: fitted(f, activity(), "--protocol", "paper"), ["'held-out', 'literature'"]),
    "option of the other protocol": (
        lambda f: fitted(f, activity(), "--protocol", "literature", "--free", "4"),
        ["--free does nothing under --protocol literature"],
    ),
    "literature holds nothing out": (
        lambda f: fitted(f, activity(), "--protocol", "literature", "--held-out", "0.3"),
        ["--held-out does nothing under --protocol literature"],
    ),
    "no recording": (
        lambda f: ["fit", "--dt", "1", "--key", "x", "--out", f / "out"],
        ["--dt, --key do nothing without PATH"],
    ),
    "no command": (lambda f: [], ["say what to do: fit, ablate"]),
    "command": (lambda f: ["fti"], ["invalid choice: 'fti'", "'fit'"]),
    "report of nothing": (misspelt_run, ["There is no folder", "Did you mean 'fish1'?"]),
    "report of another folder": (lambda f: ["report", f], ["holds no run of neurotorch"]),
    "ablate nothing": (lambda f: ["ablate", f], ["holds no run of neurotorch"]),
    "info of nothing": (lambda f: ["info", f / "x.npy"], ["There is no file"]),
    "info of another folder": (lambda f: ["info", f], ["holds no run of neurotorch"]),
    "info with wrong options": (lambda f: ["info", saved(f, activity()), *GIVEN[:2]], ["pass `dt` in seconds"]),
    "simulate over a file": (simulate_over, ["x.npz exists", "--overwrite"]),
    "simulate another format": (lambda f: ["simulate", "--out", f / "x.mat"], ["must end in .npz", "x.npz"]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_input_is_one_line_and_changes_nothing(tmp_path, capsys, name):
    make, expected = BAD[name]
    arguments = [str(argument) for argument in make(tmp_path)]
    before = contents(tmp_path), sorted(tmp_path.iterdir())
    assert main(arguments) == 2
    said = capsys.readouterr()
    error = said.err.splitlines()[-1]
    assert said.out == ""
    assert error.startswith("neurotorch: error: ")
    assert [text for text in expected if text not in error] == []
    assert all(line.startswith("neurotorch: ") for line in said.err.splitlines())
    assert said.err.count("error: ") == 1
    assert (contents(tmp_path), sorted(tmp_path.iterdir())) == before


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--strategies", "weekest"], "Did you mean 'weakest'?"),
        (["--strategies", ","], "at least one"),
        (["--strategies", "random,random"], "each of another name"),
        (["--points", "1"], "`points` is 1"),
        (["--repeats", "0"], "`repeats` is 0"),
    ],
)
def test_a_bad_ablation_changes_nothing(finished, capsys, options, expected):
    before = contents(finished)
    assert main(["ablate", str(finished), *options]) == 2
    assert expected in capsys.readouterr().err.splitlines()[-1]
    assert contents(finished) == before


@pytest.mark.parametrize("command", ["report", "ablate", "info"])
@pytest.mark.parametrize("file", ["model.safetensors", "report.json", "config.json"])
def test_a_damaged_run_is_said(finished, capsys, command, file):
    (finished / file).write_bytes((finished / file).read_bytes()[:-20])
    assert main([command, str(finished)]) == 2
    assert str(finished / file) in capsys.readouterr().err


def test_a_run_that_fails_leaves_an_empty_folder_empty(tmp_path, capsys):
    (tmp_path / "out").mkdir()
    assert main([str(a) for a in fitted(tmp_path, activity(), "--warm-up", "500")]) == 2
    assert list((tmp_path / "out").iterdir()) == []


def test_a_finished_run_outlives_a_bad_attempt_to_replace_it(recording, finished, capsys):
    before = contents(finished)
    for options in (["--warm-up", "500"], ["--neuron", "lf"], ["--dt", "0"]):
        assert main([*fit(recording, finished), "--overwrite", *options]) == 2
    after = contents(finished)
    assert {path: data for path, data in after.items() if path in before} == before


def test_training_that_explodes_is_said(recording, tmp_path, capsys):
    assert main([*fit(recording, tmp_path / "out"), "--learning-rate", "1e30"]) == 2
    assert "the learning rate" in capsys.readouterr().err.splitlines()[-1]


def broken(args):
    raise RuntimeError("a mistake of ours")


def broken_types(args):
    return None + 1


@pytest.mark.parametrize(("mistake", "kind"), [(broken, RuntimeError), (broken_types, TypeError)])
def test_a_mistake_in_the_program_shows_where_it_is(monkeypatch, mistake, kind):
    monkeypatch.setattr(info, "run", mistake)
    with pytest.raises(kind):
        main(["info"])


@pytest.mark.parametrize("allocate", [torch.zeros, np.zeros])
def test_too_little_memory_is_one_line(monkeypatch, capsys, allocate):
    monkeypatch.setattr(info, "run", lambda args: allocate((10**7, 10**9)))
    assert main(["info"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("neurotorch: error: there is not enough memory (")
    assert line.endswith("use fewer neurons or steps, or smaller batches.")


def test_debug_shows_where_an_error_comes_from(tmp_path, capsys):
    assert main(["info", str(tmp_path / "x.npy"), "--debug"]) == 2
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.splitlines()[-1].startswith("neurotorch: error: There is no file")
