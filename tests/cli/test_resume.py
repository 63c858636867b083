import errno
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings

import pytest
import torch

from neurotorch.cli.main import main
from neurotorch.cli.progress import PhasedProgress
from tests.cli.tiny import contents, fit, outcome


def kill_when(file, arguments):
    """Run a command in a process of its own and kill it as soon as `file` exists."""
    command = [sys.executable, "-W", "error", "-m", "neurotorch", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not file.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL, said
    assert "Traceback" not in said


def test_a_fit_killed_twice_ends_like_one_that_was_not_bit_for_bit(recording, whole, tmp_path, capsys):
    folder, command = tmp_path / "run", fit(recording, tmp_path / "run")
    kill_when(folder / "checkpoints" / "network" / "choose" / "state.json", command)
    kill_when(folder / "checkpoints" / "without_connections" / "choose" / "state.json", [*command, "--resume"])
    assert not (folder / "config.json").exists()

    assert main(["report", str(folder)]) == 2
    assert "not finished: continue it with `neurotorch fit ... --resume`" in capsys.readouterr().err
    assert main(command) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    assert "continued after epoch" in capsys.readouterr().err
    assert outcome(folder) == outcome(whole)
    assert not (folder / "checkpoints").exists()


@pytest.fixture
def takes_ctrl_c():
    """Python's own handler of Ctrl-C, which a process that was begun in the background of a shell has not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("takes_ctrl_c")
def test_ctrl_c_and_a_full_disk_lose_nothing(recording, whole, tmp_path, capsys, monkeypatch):
    folder, command = tmp_path / "run", fit(recording, tmp_path / "run")

    def interrupt(self, trainer, report):
        if trainer.epoch == 2 and trainer.batch == 3:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(PhasedProgress, "on_batch_end", interrupt)
        assert main(command) == 130
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == "neurotorch: interrupted; the same command with --resume continues"
    assert (said.out, said.err.count("training")) == ("", 1)  # and the other networks are not begun

    real, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 10:  # two for the folder, four for each checkpoint
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert main([*command, "--resume"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"neurotorch: error: {folder / 'checkpoints'}")
    assert "No space left on device" in error
    assert main([*command, "--resume"]) == 0
    assert "finding the number of epochs, continued after epoch 4" in capsys.readouterr().err
    assert outcome(folder) == outcome(whole)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["--seed", "3"], "seed was 0 and is 3"),
        (["--free", "5"], "free was 4 and is 5"),
        (["--no-dale"], "excitatory was 0.8 and is None"),
    ],
)
def test_a_run_is_not_continued_with_other_settings(recording, tmp_path, capsys, monkeypatch, changed, said):
    folder, command = tmp_path / "run", fit(recording, tmp_path / "run")

    def interrupt(self, trainer):
        if trainer.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PhasedProgress, "on_epoch_start", interrupt)
        assert main(command) == 130
    before = contents(folder)
    assert main([*command, "--resume", *changed]) == 2
    assert said in capsys.readouterr().err
    assert contents(folder) == before


def test_a_finished_run_is_not_passed_off_as_one_of_other_settings(recording, whole, tmp_path, capsys):
    folder, command = tmp_path / "run", fit(recording, tmp_path / "run")
    shutil.copytree(whole, folder)
    assert main([*command, "--resume"]) == 0
    assert "there is nothing to resume" in capsys.readouterr().err
    for changed, said in (
        (["--seed", "3"], "seed was 0 and is 3"),
        (["--free", "5"], "free was 4 and is 5"),
        (["--no-dale"], "excitatory was 0.8 and is None"),
        (["--held-out", "0.3"], "start was"),
    ):
        assert main([*command, "--resume", *changed]) == 2
        assert said in capsys.readouterr().err


def test_a_run_that_goes_on_with_other_threads_says_that_its_bits_may_differ(recording, tmp_path, capsys, monkeypatch):
    command = fit(recording, tmp_path / "run")

    def interrupt(self, trainer):
        if trainer.epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(PhasedProgress, "on_epoch_start", interrupt)
    assert main(command) == 130
    capsys.readouterr()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            assert main([*command, "--resume", "--threads", "2", "--quiet"]) == 130
    finally:
        torch.set_num_threads(1)
    (said, _) = capsys.readouterr().err.splitlines()
    assert said.startswith("neurotorch: warning: The run was saved elsewhere: threads 1 then, 2 now. It continues")


def test_a_finished_run_is_not_run_again(recording, finished, capsys):
    before = contents(finished)
    assert main([*fit(recording, finished), "--resume"]) == 0
    said = capsys.readouterr()
    assert "is finished, there is nothing to resume" in said.err
    assert "frames ahead" in said.out
    assert contents(finished) == before
