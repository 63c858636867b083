"""The doctor while training: it says what comes up once, and training does not notice it."""

import logging

import pytest
import torch

from neurotorch.analysis import Doctor, examine
from neurotorch.data.windows import Batch
from neurotorch.learning import BPTT, MeanSquaredError
from neurotorch.network import Layer, Network
from neurotorch.neurons import FiringRate, learned
from neurotorch.training import Callback, Checkpoint, Trainer
from tests.training.test_resume import StopAt
from tests.training.tiny import Regression, batches

LOGGER = "neurotorch.analysis.doctor.callback"


def rule():
    """Three neurons of which one sleeps, and is woken by its target."""
    layer = Layer(FiringRate(0.02), 3, bias=learned(torch.tensor([0.0, 1.0, -6.0])))
    network = Network({"cortex": layer}, dt=0.005)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.15)
    return BPTT(network, MeanSquaredError(), optimizer=optimizer)


def windows():
    return [Batch(torch.full((30, 2, 3), 0.4), None)] * 5


def fitted(*callbacks, epochs=6, **options):
    trainer = Trainer(rule(), callbacks=callbacks)
    trainer.fit(windows(), epochs=epochs, **options)
    return trainer


def test_training_is_the_same_with_and_without_it():
    plain, watched = fitted(), fitted(Doctor(windows()[0], every=1))
    assert plain.history.column("loss") == watched.history.column("loss")
    assert all(map(torch.equal, plain.network.parameters(), watched.network.parameters()))


def test_a_fault_is_said_when_it_comes_and_when_it_goes(caplog):
    doctor = Doctor(frames=40, every=1)
    with caplog.at_level(logging.INFO, logger=LOGGER):
        fitted(doctor)
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert said[0][0] == "WARNING"
    assert said[0][1].startswith("after epoch 0, cortex: 1 of 3 neurons is silent (2). Their largest activity: 0.00")
    assert said[1] == ("INFO", f"after epoch {doctor.rows[-1]['epoch'] + 1}, cortex: no longer silent")
    assert len(said) == 2
    assert [row["epoch"] for row in doctor.rows] == list(range(len(doctor.rows)))
    assert 2 <= len(doctor.rows) <= 5
    first = examine(rule().network, frames=40).findings[0]
    assert doctor.rows[0] == {
        "epoch": 0, "layer": "cortex", "fault": "silent", "neurons": 1, "value": first.value, "text": str(first),
    }  # fmt: skip


class Count(Callback):
    """Counts the examinations so far."""

    def __init__(self, doctor):
        self.doctor, self.seen = doctor, []

    def on_epoch_end(self, trainer):
        self.seen.append(len(self.doctor.rows))


def test_it_looks_every_few_epochs(caplog):
    doctor = Doctor(frames=40, every=2, prescribe=False)
    count = Count(doctor)
    with caplog.at_level(logging.ERROR, logger=LOGGER):
        trainer = Trainer(rule(), callbacks=[doctor, count])
        trainer.rule.optimizer.param_groups[0]["lr"] = 0.0
        trainer.fit(windows(), epochs=5)
    assert count.seen == [1, 2, 2, 3, 3]


def test_a_resumed_run_goes_on_with_its_rows(tmp_path):
    whole, first, again = (Doctor(frames=40, every=1, prescribe=False) for _ in range(3))
    fitted(whole)
    fitted(first, Checkpoint(tmp_path), StopAt(1, 2))
    fitted(again, resume_from=tmp_path)
    assert again.rows == whole.rows
    assert len(first.rows) < len(whole.rows)


def test_it_examines_networks_only():
    with pytest.raises(TypeError, match="examines a Network, not a Sequential"):
        Trainer(Regression(), callbacks=[Doctor()]).fit(batches(), epochs=1)
    with pytest.raises(ValueError, match="`every` is 0"):
        Doctor(every=0)
