import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

import neurotorch
from neurotorch.core.storage import load_state, load_tensors, save_state
from neurotorch.training import Callback, Checkpoint, EarlyStopping, ResumeWarning, Trainer
from tests.training.tiny import Regression, Shuffled, batches, data, mean_square

ROOT = Path(neurotorch.__path__[0]).parent
EPOCHS, BATCHES = 3, 4


class StopAt(Callback):
    def __init__(self, epoch, batch):
        self.at = (epoch, batch)

    def on_batch_end(self, trainer, report):
        if (trainer.epoch, trainer.batch) == self.at:
            trainer.stop("asked")

    def on_epoch_end(self, trainer):
        if (trainer.epoch, trainer.batch) == self.at:
            trainer.stop("asked")


class Draws(Callback):
    """Draws from torch's generator while it starts: a resumed run must not notice."""

    def on_fit_start(self, trainer):
        if trainer.epoch or trainer.batch:
            torch.rand(5)


def trainer(*callbacks):
    stopping = EarlyStopping("error", higher_is_better=False, patience=50)
    return Trainer(Regression(), callbacks=[*callbacks, stopping], metrics={"error": mean_square})


def outcome(run):
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in run.history]
    parameters = {name: tensor.tolist() for name, tensor in run.network.state_dict().items()}
    return rows, parameters, torch.get_rng_state().tolist(), run.callbacks.state_dict()["EarlyStopping.0"]["best"]


@pytest.mark.parametrize("loader", [Shuffled, batches])
@pytest.mark.parametrize("at", [(e, b) for e in range(EPOCHS + 1) for b in range(BATCHES + 1)][1:-BATCHES])
def test_resumed_anywhere_equals_uninterrupted_bit_for_bit(tmp_path, at, loader):
    whole = trainer()
    whole.fit(loader(), data(), epochs=EPOCHS)
    expected = outcome(whole)

    first = trainer(Checkpoint(tmp_path, every_epochs=100), StopAt(*at))
    first.fit(loader(), data(), epochs=EPOCHS)
    assert (first.epoch, first.batch) == at
    elapsed = load_state(tmp_path)["elapsed"]
    torch.manual_seed(99)
    second = trainer(Draws(), Checkpoint(tmp_path))
    second.fit(loader(), data(), epochs=EPOCHS, resume_from=tmp_path)
    assert outcome(second) == expected
    assert second.elapsed > elapsed
    assert second.stopped_by == "epochs"


@pytest.mark.parametrize("loader", [Shuffled, batches])
def test_stopped_and_fitted_again_in_the_same_process_equals_uninterrupted(loader):
    whole = Trainer(Regression())
    losses = whole.fit(loader(), epochs=EPOCHS).column("loss")
    train, again = loader(), Trainer(Regression(), callbacks=[StopAt(1, 2)])
    again.fit(train, epochs=EPOCHS)
    assert (again.stopped_by, again.batch) == ("asked", 2)
    assert again.fit(train, epochs=EPOCHS).column("loss") == losses
    assert all(map(torch.equal, whole.network.parameters(), again.network.parameters()))


def run(folder, result, *, kill=(-1, -1)):
    arguments = [sys.executable, "-W", "error", "-m", "tests.training.killed", folder, result, *kill]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(a) for a in arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == (0 if kill == (-1, -1) else -signal.SIGKILL), done.stderr


def test_a_process_killed_in_the_middle_resumes_to_the_same_parameters_bit_for_bit(tmp_path):
    run(tmp_path / "whole", tmp_path / "whole.safetensors")
    # Batch 3 is one after a checkpoint, and batch 4 due one itself, which the kill comes just before.
    for kill in [(1, 3), (2, 4)]:
        run(tmp_path / "killed", tmp_path / "killed.safetensors", kill=kill)
    assert not (tmp_path / "killed.safetensors").exists()
    run(tmp_path / "killed", tmp_path / "killed.safetensors")
    whole, killed = (load_tensors(tmp_path / f"{name}.safetensors") for name in ("whole", "killed"))
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    histories = [
        pd.read_csv(tmp_path / f"{name}.safetensors.csv").drop(columns="seconds") for name in ("whole", "killed")
    ]
    pd.testing.assert_frame_equal(*histories, check_exact=True)


def checkpoint(folder, loader, at=(1, 2)):
    trainer(Checkpoint(folder), StopAt(*at)).fit(loader, data(), epochs=EPOCHS)


@pytest.mark.parametrize("name", ["torch", "threads", "platform"])
def test_another_environment_is_said(tmp_path, name):
    checkpoint(tmp_path, batches())
    state = load_state(tmp_path)
    state["environment"][name] = "something else"
    save_state(tmp_path, state)
    with pytest.warns(ResumeWarning, match=f"{name} something else then, .* now"):
        trainer().fit(batches(), data(), epochs=EPOCHS, resume_from=tmp_path)


def test_callbacks_that_are_in_one_run_only_are_said(tmp_path):
    checkpoint(tmp_path, batches())
    with pytest.warns(ResumeWarning, match=r"these callbacks: \['EarlyStopping.0'\]"):
        Trainer(Regression()).fit(batches(), epochs=EPOCHS, resume_from=tmp_path)


def test_a_loader_whose_order_cannot_be_known_is_said_inside_an_epoch_only(tmp_path):
    loader = DataLoader(batches(), batch_size=None, shuffle=True)
    checkpoint(tmp_path / "inside", loader)
    with pytest.warns(ResumeWarning, match="its first 2 batches are skipped"):
        trainer().fit(loader, data(), epochs=EPOCHS, resume_from=tmp_path / "inside")
    checkpoint(tmp_path / "between", loader, at=(1, 0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer().fit(loader, data(), epochs=EPOCHS, resume_from=tmp_path / "between")


def test_another_kind_of_loader_is_refused(tmp_path):
    checkpoint(tmp_path / "shuffled", Shuffled())
    with pytest.raises(ValueError, match="does not keep its place but that of the saved run did"):
        trainer().fit(batches(), data(), epochs=EPOCHS, resume_from=tmp_path / "shuffled")
    checkpoint(tmp_path / "list", batches())
    with pytest.raises(ValueError, match="keeps its place but that of the saved run does not"):
        trainer().fit(Shuffled(), data(), epochs=EPOCHS, resume_from=tmp_path / "list")


def test_a_folder_without_a_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing` holds no saved state"):
        trainer().fit(batches(), data(), epochs=1, resume_from=tmp_path / "nothing")
