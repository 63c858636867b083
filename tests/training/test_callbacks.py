"""Callbacks: the contract of every one found in `neurotorch.training`, then each of them by itself."""

import csv
import errno
import importlib
import inspect
import io
import math
import os
import pkgutil

import pandas as pd
import pytest
import torch

import neurotorch.training
from neurotorch.analysis import Doctor
from neurotorch.connections import Connection, Dale, Projected, sparse
from neurotorch.core.storage import has_state, load_state, save_state
from neurotorch.learning import BPTT, MeanSquaredError
from neurotorch.learning.base import BatchReport
from neurotorch.network import Layer, Network
from neurotorch.neurons import FiringRate
from neurotorch.training import (
    Callback,
    Checkpoint,
    DeepR,
    EarlyStopping,
    GradientAudit,
    History,
    HistoryFile,
    LearningRateSchedule,
    Progress,
    Trainer,
)
from tests.contracts.rules import closed_loop, drawn
from tests.training.tiny import Regression, Shuffled, batches, data, mean_square


def walk(cls):
    for child in cls.__subclasses__():
        yield child
        yield from walk(child)


for module in pkgutil.iter_modules(neurotorch.training.__path__, "neurotorch.training."):
    importlib.import_module(module.name)
FOUND = sorted({c for c in walk(Callback) if c.__module__.startswith("neurotorch.")}, key=lambda c: c.__name__)
HOOKS = [name for name in vars(Callback) if name.startswith("on_")]


# These look at the network of a rule, its optimizer or its gradients.
OF_GRADIENTS = {DeepR, Doctor, GradientAudit, LearningRateSchedule}
# These change the network: it is what they are for.
THAT_ACT = {DeepR}


def rule_for(cls):
    """Return a rule that a callback of `cls` can watch, the same every time."""
    if cls not in OF_GRADIENTS:
        return Regression()
    generator = torch.Generator().manual_seed(1)
    network = sparse_loop(generator) if cls is DeepR else closed_loop(generator)
    return BPTT(network, MeanSquaredError(), optimizer=torch.optim.Adam(network.parameters(), lr=0.01))


def sparse_loop(generator):
    """Return a network that can be rewired."""
    dale = Dale.fraction(6, 0.5, magnitude=Projected())
    connection = Connection(6, 6, dale=dale, mask=sparse(6, 6, density=0.7, generator=generator), generator=generator)
    return Network({"loop": Layer(FiringRate(), 6, recurrent=connection)}, dt=0.05)


def train_for(rule, loader=batches):
    """Return what the rule can be trained on."""
    if isinstance(rule, Regression):
        return loader()
    return [drawn(rule.network, torch.Generator().manual_seed(seed)) for seed in range(4)]


def make(cls, folder, rule=None):
    """Build any callback: a new one needs a line here only if it has a required argument of a new name."""
    known = {"folder": folder / "made", "path": folder / "made.csv", "monitor": "loss", "higher_is_better": False}
    known["address"] = "loop.recurrent"
    if rule is not None and cls in OF_GRADIENTS:
        known |= {"rules": {"BPTT": rule}, "batch": drawn(rule.network, torch.Generator().manual_seed(9))}
        known["scheduler"] = lambda optimizer: torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    parameters = inspect.signature(cls).parameters.values()
    return cls(**{p.name: known[p.name] for p in parameters if p.default is p.empty})


class TestContract:
    def test_the_callbacks_of_the_room_are_found(self):
        assert {Checkpoint, EarlyStopping, HistoryFile, Progress} <= set(FOUND)

    @pytest.mark.parametrize("cls", FOUND)
    def test_hooks_have_the_signature_of_the_base(self, cls):
        for hook in [*HOOKS, "state_dict", "load_state_dict"]:
            own, base = (inspect.signature(getattr(c, hook)).parameters for c in (cls, Callback))
            assert list(own) == list(base)

    @pytest.mark.parametrize("cls", FOUND)
    def test_everything_after_two_arguments_is_by_keyword(self, cls):
        positional = [p for p in inspect.signature(cls).parameters.values() if p.kind is not p.KEYWORD_ONLY]
        assert len(positional) <= 2

    @pytest.mark.parametrize("cls", FOUND)
    def test_the_state_goes_through_storage_into_a_new_one(self, cls, tmp_path):
        rule = rule_for(cls)
        callback = make(cls, tmp_path / "first", rule)
        Trainer(rule, callbacks=[callback]).fit(train_for(rule), epochs=3)
        state = callback.state_dict()
        save_state(tmp_path / "state", state)
        other = make(cls, tmp_path / "second", rule)
        other.load_state_dict(load_state(tmp_path / "state"))
        save_state(tmp_path / "again", other.state_dict())
        assert (tmp_path / "again/state.json").read_bytes() == (tmp_path / "state/state.json").read_bytes()

    @pytest.mark.parametrize("cls", FOUND)
    def test_a_fit_that_fails_at_once_ends_without_another_error(self, cls, tmp_path):
        class Fails(Callback):
            def on_fit_start(self, trainer):
                raise RuntimeError("at once")

        rule = rule_for(cls)
        trainer = Trainer(rule, callbacks=[Fails(), make(cls, tmp_path, rule)])
        with pytest.raises(RuntimeError, match="at once") as raised:
            trainer.fit(train_for(rule), epochs=1)
        assert raised.value.__context__ is None

    @pytest.mark.parametrize("cls", [cls for cls in FOUND if cls not in THAT_ACT])
    def test_it_does_not_change_the_training(self, cls, tmp_path):
        plain, watched = Trainer(rule_for(cls)), Trainer(rule := rule_for(cls), callbacks=[make(cls, tmp_path, rule)])
        losses = []
        for trainer in (plain, watched):
            torch.manual_seed(0)
            losses.append(trainer.fit(train_for(trainer.rule, Shuffled), epochs=3).column("loss"))
        assert losses[0] == losses[1]
        assert all(map(torch.equal, plain.network.parameters(), watched.network.parameters()))

    def test_a_misspelled_hook_is_refused(self):
        with pytest.raises(TypeError, match="`Typo.on_epoch_ends` would never be called.*Did you mean 'on_epoch_end'"):
            type("Typo", (Callback,), {"on_epoch_ends": lambda self, trainer: None})

    def test_those_that_run_last_come_last(self, tmp_path):
        checkpoint, stopping, file = (make(cls, tmp_path) for cls in (Checkpoint, EarlyStopping, HistoryFile))
        assert list(Trainer(Regression(), callbacks=[checkpoint, stopping, file]).callbacks) == [
            stopping,
            file,
            checkpoint,
        ]


class Losses(Regression):
    """Reports the losses it was given, one per epoch, and sets the last bias to their number."""

    def __init__(self, losses):
        super().__init__(lr=0.0)
        self.losses = list(losses)
        self.count = 0

    def compute(self, batch):
        super().compute(batch)
        self.count += 1
        self.network[2].bias.data.fill_(self.count)
        return BatchReport(self.losses[self.count - 1], 1)


def fit_losses(losses, **arguments):
    stopping = EarlyStopping("loss", **({"higher_is_better": False} | arguments))
    rule = Losses(losses)
    trainer = Trainer(rule, callbacks=[stopping])
    trainer.fit(batches()[:1], epochs=len(losses))
    return trainer, stopping


class TestEarlyStopping:
    def test_patience_counts_epochs_without_a_new_best(self):
        trainer, _ = fit_losses([5, 4, 6, 3, 3, 4, 2, 1], patience=3)
        assert trainer.stopped_by == "epochs"
        trainer, stopping = fit_losses([5, 4, 6, 3, 3, 4, 2, 1], patience=2)
        assert (trainer.stopped_by, trainer.epoch) == ("patience", 6)
        assert (stopping.best, stopping.best_epoch, stopping.waited) == (3, 4, 2)

    def test_higher_may_be_better(self):
        trainer, stopping = fit_losses([1, 3, 2, 2, 9], patience=2, higher_is_better=True)
        assert (trainer.stopped_by, trainer.epoch, stopping.best) == ("patience", 4, 3)

    def test_an_improvement_of_min_delta_is_not_enough(self):
        _, stopping = fit_losses([2.0, 1.5, 1.0, 0.75], patience=3, min_delta=0.5)
        assert (stopping.best, stopping.best_epoch) == (1.0, 3)

    @pytest.mark.parametrize(("target", "epoch"), [(3, 2), (2.5, 4)])
    def test_a_target_that_is_reached_stops(self, target, epoch):
        trainer, _ = fit_losses([5, 3, 4, 2, 1], target=target)
        assert (trainer.stopped_by, trainer.epoch) == ("target", epoch)

    def test_nan_is_never_the_best(self):
        values = iter([math.nan, 2.0, math.nan, math.nan])
        stopping = EarlyStopping("score", higher_is_better=True, patience=2)
        trainer = Trainer(
            Regression(), callbacks=[stopping], metrics={"score": lambda network, validation: next(values)}
        )
        trainer.fit(batches(), 0, epochs=9)
        assert (trainer.stopped_by, trainer.epoch, stopping.best) == ("patience", 4, 2.0)

    def test_the_time_limit_stops_inside_an_epoch_and_counts_time_before_a_restart(self, tmp_path):
        class Clock(Callback):
            def on_gradients(self, trainer, report):
                trainer._elapsed += 10

        def trainer(seconds):
            stopping = EarlyStopping("loss", higher_is_better=False, seconds=seconds)
            return Trainer(Regression(), callbacks=[Clock(), stopping, Checkpoint(tmp_path)])

        first = trainer(65)
        first.fit(batches(), epochs=9)
        assert (first.stopped_by, first.epoch, first.batch) == ("time", 1, 3)
        second = trainer(65)
        second.fit(batches(), epochs=9, resume_from=tmp_path)
        assert (second.stopped_by, second.epoch, second.batch) == ("time", 1, 3)
        third = trainer(95)
        third.fit(batches(), epochs=9, resume_from=tmp_path)
        assert (third.stopped_by, third.epoch, third.batch) == ("time", 2, 2)

    def test_the_best_parameters_are_restored(self):
        trainer, _ = fit_losses([5, 1, 6, 7])
        assert trainer.network[2].bias.item() == 2
        trainer, _ = fit_losses([5, 1, 6, 7], restore_best=False)
        assert trainer.network[2].bias.item() == 4

    def test_a_finished_run_that_is_resumed_ends_as_it_had(self, tmp_path):
        def fit(resume_from):
            stopping = EarlyStopping("loss", higher_is_better=False, patience=2)
            trainer = Trainer(Losses([5, 1, 6, 7, 0]), callbacks=[Checkpoint(tmp_path), stopping])
            trainer.fit(batches()[:1], epochs=5, resume_from=resume_from)
            return trainer.stopped_by, trainer.epoch, trainer.network[2].bias.item()

        assert fit(None) == fit(tmp_path) == ("patience", 4, 2)

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ({"patience": 0}, "`patience` is 0"),
            ({"min_delta": -0.1}, "`min_delta` is -0.1"),
            ({"min_delta": math.nan}, "`min_delta` is nan"),
            ({"seconds": 0}, "`seconds` is 0 s"),
        ],
    )
    def test_bad_input_is_named(self, arguments, says):
        with pytest.raises(ValueError, match=says):
            EarlyStopping("loss", higher_is_better=False, **arguments)

    def test_a_column_that_is_not_there_is_named(self):
        trainer = Trainer(Regression(), callbacks=[EarlyStopping("los", higher_is_better=False)])
        with pytest.raises(ValueError, match="`monitor` is 'los', but the history has .* Did you mean 'loss'"):
            trainer.fit(batches(), epochs=1)


class TestCheckpoint:
    @pytest.mark.parametrize(
        ("arguments", "saved"),
        [
            ({}, [(1, 0), (2, 0), (3, 0)]),
            ({"every_epochs": 2}, [(2, 0), (3, 0)]),
            ({"every_batches": 3}, [(0, 3), (1, 0), (1, 3), (2, 0), (2, 3), (3, 0)]),
            ({"every_epochs": 9, "every_seconds": 25}, [(0, 3), (1, 2), (2, 1), (2, 4), (3, 0)]),
        ],
    )
    def test_it_saves_when_it_is_time_and_at_the_end(self, tmp_path, monkeypatch, arguments, saved):
        class Clock(Callback):
            def on_gradients(self, trainer, report):
                trainer._elapsed += 10

        seen = []
        monkeypatch.setattr(
            "neurotorch.training.checkpoint.save_state",
            lambda folder, state: seen.append((state["epoch"], state["batch"])),
        )
        Trainer(Regression(), callbacks=[Checkpoint(tmp_path, **arguments), Clock()]).fit(batches(), epochs=3)
        assert seen == saved

    def test_the_checkpoint_of_another_run_is_not_overwritten(self, tmp_path):
        Trainer(Regression(), callbacks=[Checkpoint(tmp_path)]).fit(batches(), epochs=1)
        with pytest.raises(FileExistsError, match=r"holds a checkpoint already.*resume_from="):
            Trainer(Regression(), callbacks=[Checkpoint(tmp_path)]).fit(batches(), epochs=1)

    def test_a_full_disk_stops_the_fit_and_keeps_the_last_checkpoint(self, tmp_path, monkeypatch):
        class Fill(Callback):
            def on_epoch_end(self, trainer):
                if trainer.epoch == 2:
                    monkeypatch.setattr(os, "fsync", full_disk)

        def full_disk(descriptor):
            raise OSError(errno.ENOSPC, "No space left on device")

        trainer = Trainer(Regression(), callbacks=[Checkpoint(tmp_path), Fill()])
        with pytest.raises(OSError, match=f"No space left on device.*{tmp_path}"):
            trainer.fit(batches(), epochs=5)
        monkeypatch.undo()
        assert load_state(tmp_path)["epoch"] == 1
        assert len(os.listdir(tmp_path)) == 2
        resumed = Trainer(Regression(), callbacks=[Checkpoint(tmp_path)])
        assert len(resumed.fit(batches(), epochs=3, resume_from=tmp_path)) == 3

    def test_an_interrupted_batch_is_not_saved(self, tmp_path):
        class Interrupt(Callback):
            def on_gradients(self, trainer, report):
                if (trainer.epoch, trainer.batch) == (1, 2):
                    raise KeyboardInterrupt

        Trainer(Regression(), callbacks=[Checkpoint(tmp_path), Interrupt()]).fit(batches(), epochs=5)
        state = load_state(tmp_path)
        assert (state["epoch"], state["batch"]) == (1, 0)

    @pytest.mark.parametrize("name", ["every_epochs", "every_batches", "every_seconds"])
    def test_bad_input_is_named(self, tmp_path, name):
        with pytest.raises(ValueError, match=f"`{name}` is 0"):
            Checkpoint(tmp_path, **{name: 0})
        assert not has_state(tmp_path)


class TestHistory:
    def history(self):
        history = History()
        history.append({"epoch": 1, "loss": 0.1})
        history.append({"epoch": 2, "loss": 1 / 3, "score": math.nan})
        return history

    def test_it_is_data(self):
        history = self.history()
        assert len(history) == 2
        assert history[-1]["epoch"] == 2
        assert [row["loss"] for row in history] == history.column("loss") == [0.1, 1 / 3]
        assert len(history.column("score")) == 1

    def test_rows_are_copied(self):
        history, row = History(), {"epoch": 1}
        history.append(row)
        row["epoch"] = 7
        state = history.state_dict()
        state["rows"][0]["epoch"] = 8
        assert history[0] == {"epoch": 1}

    def test_the_csv_reads_back_exactly(self, tmp_path):
        self.history().write_csv(tmp_path / "history.csv")
        with open(tmp_path / "history.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [float(row["loss"]) for row in rows] == [0.1, 1 / 3]
        assert [row["epoch"] for row in rows] == ["1", "2"]
        assert [row["score"] for row in rows] == ["nan", "nan"]

    def test_the_table_has_a_row_per_epoch(self):
        frame = self.history().to_frame()
        expected = pd.DataFrame({"epoch": [1, 2], "loss": [0.1, 1 / 3], "score": [math.nan, math.nan]})
        pd.testing.assert_frame_equal(frame, expected, check_exact=True)

    def test_a_column_that_is_not_there_is_named(self):
        with pytest.raises(ValueError, match="no column 'lost'; it has .* Did you mean 'loss'"):
            self.history().column("lost")

    def test_the_file_is_there_after_every_epoch(self, tmp_path):
        rows = []

        class Look(Callback):
            def on_epoch_start(self, trainer):
                rows.append(len(pd.read_csv(tmp_path / "h.csv")) if trainer.epoch else 0)

        Trainer(Regression(), callbacks=[HistoryFile(tmp_path / "h.csv"), Look()]).fit(batches(), epochs=3)
        assert rows == [0, 1, 2]


class TestProgress:
    def shown(self, train):
        file = io.StringIO()
        trainer = Trainer(Regression(), callbacks=[Progress(file=file, disable=False)], metrics={"error": mean_square})
        trainer.fit(train, data(), epochs=3)
        return file.getvalue().split("\r")[-1], trainer.history[-1]

    @pytest.mark.parametrize(("train", "count"), [(batches(), "12/12"), (Shuffled(), "3/3")])
    def test_the_last_line_shows_epoch_loss_and_score(self, train, count):
        line, row = self.shown(train)
        assert line.startswith("epoch 3/3: 100%")
        assert count in line
        assert f"loss={row['loss']:.4g}" in line
        assert f"error={row['error']:.4g}" in line

    def test_nothing_is_shown_where_there_is_no_terminal(self, capsys):
        Trainer(Regression(), callbacks=[Progress()]).fit(batches(), epochs=2)
        assert capsys.readouterr() == ("", "")
