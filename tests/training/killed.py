"""Run as a process of its own: train, perhaps resume, perhaps kill yourself in the middle. See test_resume.py."""

import os
import signal
import sys

from neurotorch.core.storage import has_state, save_tensors
from neurotorch.training import Callback, Checkpoint, EarlyStopping, Trainer
from tests.training.tiny import Regression, Shuffled, data, mean_square


class Kill(Callback):
    def __init__(self, epoch, batch):
        self.at = (epoch, batch)

    def on_batch_end(self, trainer, report):
        if (trainer.epoch, trainer.batch) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder, result, epoch, batch):
    callbacks = [
        Checkpoint(folder, every_batches=2),
        EarlyStopping("error", higher_is_better=False, patience=50),
        Kill(int(epoch), int(batch)),
    ]
    trainer = Trainer(Regression(), callbacks=callbacks, metrics={"error": mean_square})
    trainer.fit(Shuffled(), data(), epochs=6, resume_from=folder if has_state(folder) else None)
    save_tensors(result, trainer.network.state_dict())
    trainer.history.write_csv(f"{result}.csv")


if __name__ == "__main__":
    main(*sys.argv[1:])
