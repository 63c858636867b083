import logging

import pytest
import torch

from neurotorch.learning.base import BatchReport
from neurotorch.training import Callback, NonFiniteError, Trainer
from tests.training.tiny import Regression, batches, data, mean_square


class Recorder(Callback):
    def __init__(self):
        self.calls = []

    def note(self, hook, trainer):
        self.calls.append((hook, trainer.epoch, trainer.batch))

    def on_fit_start(self, trainer):
        self.note("fit_start", trainer)

    def on_epoch_start(self, trainer):
        self.note("epoch_start", trainer)

    def on_gradients(self, trainer, report):
        self.note("gradients", trainer)

    def on_batch_end(self, trainer, report):
        self.note("batch_end", trainer)

    def on_epoch_end(self, trainer):
        self.note("epoch_end", trainer)

    def on_fit_end(self, trainer):
        self.note("fit_end", trainer)


class Acts(Callback):
    """Does something at one hook of one epoch and batch."""

    def __init__(self, action, *, epoch=0, batch=1):
        self.action, self.epoch, self.batch = action, epoch, batch

    def on_batch_end(self, trainer, report):
        if (trainer.epoch, trainer.batch) == (self.epoch, self.batch):
            self.action(trainer)


class Scripted(Regression):
    """Reports the losses it was given."""

    def __init__(self, reports):
        super().__init__()
        self.reports = iter(reports)

    def compute(self, batch):
        super().compute(batch)
        return next(self.reports)


def interrupt(trainer):
    raise KeyboardInterrupt


def test_hooks_come_in_order_with_finished_epochs_and_batches_counted():
    recorder = Recorder()
    Trainer(Regression(), callbacks=[recorder]).fit(batches()[:2], epochs=2)
    epochs = [
        call
        for epoch in range(2)
        for call in [
            ("epoch_start", epoch, 0),
            ("gradients", epoch, 0),
            ("batch_end", epoch, 1),
            ("gradients", epoch, 1),
            ("batch_end", epoch, 2),
            ("epoch_end", epoch + 1, 0),
        ]
    ]
    assert recorder.calls == [("fit_start", 0, 0), *epochs, ("fit_end", 2, 0)]


def test_on_gradients_runs_between_compute_and_apply():
    class Freeze(Callback):
        def on_gradients(self, trainer, report):
            for parameter in trainer.network.parameters():
                assert parameter.grad.abs().sum() > 0
                parameter.grad.zero_()

    rule = Regression()
    before = [parameter.clone() for parameter in rule.network.parameters()]
    Trainer(rule, callbacks=[Freeze()]).fit(batches(), epochs=1)
    assert all(map(torch.equal, before, rule.network.parameters()))


def test_a_row_holds_means_weighted_by_samples_metrics_and_seconds():
    reports = [BatchReport(1.0, 1), BatchReport(4.0, 2, {"penalty": 0.5})]
    trainer = Trainer(Scripted(reports), metrics={"error": lambda network, validation: validation * 2})
    history = trainer.fit(batches()[:2], 21, epochs=1)
    row = history[0]
    assert list(row) == ["epoch", "loss", "penalty", "error", "seconds"]
    assert row | {"seconds": 0} == {"epoch": 1, "loss": 3.0, "penalty": 0.5, "error": 42.0, "seconds": 0}
    assert 0 < row["seconds"] < 60


def test_metrics_see_the_network_in_evaluation_mode_and_without_gradients():
    seen = []

    def metric(network, validation):
        seen.append((network.training, torch.is_grad_enabled()))
        return 0.0

    rule = Regression()
    Trainer(rule, metrics={"score": metric}).fit(batches(), (), epochs=2)
    assert seen == [(False, False)] * 2
    assert rule.network.training


def test_training_finds_the_solution():
    rule = Regression()
    rule.network[1].p = 0.0
    history = Trainer(rule, metrics={"error": mean_square}).fit(batches(), data(), epochs=150)
    assert history[-1]["error"] < 1e-3 * history[0]["error"]


def test_epochs_is_the_number_in_all():
    trainer = Trainer(Regression())
    trainer.fit(batches(), epochs=2)
    assert trainer.stopped_by == "epochs"
    trainer.fit(batches(), epochs=3)
    assert [row["epoch"] for row in trainer.history] == [1, 2, 3]
    assert trainer.elapsed == pytest.approx(sum(trainer.history.column("seconds")), abs=1)


def test_stop_ends_after_the_running_batch_and_the_first_reason_counts():
    def stop(trainer):
        trainer.stop("enough")
        trainer.stop("later")

    recorder = Recorder()
    trainer = Trainer(Regression(), callbacks=[Acts(stop, epoch=1, batch=2), recorder])
    trainer.fit(batches(), epochs=5)
    assert trainer.stopped_by == "enough"
    assert (trainer.epoch, trainer.batch, len(trainer.history)) == (1, 2, 1)
    assert recorder.calls[-2:] == [("batch_end", 1, 2), ("fit_end", 1, 2)]


def test_an_interrupt_ends_the_fit_cleanly(caplog):
    recorder = Recorder()
    trainer = Trainer(Regression(), callbacks=[recorder, Acts(interrupt, epoch=1)])
    with caplog.at_level(logging.INFO, "neurotorch"):
        history = trainer.fit(batches(), epochs=5)
    assert trainer.stopped_by == "interrupt"
    assert len(history) == 1
    assert recorder.calls[-1][0] == "fit_end"
    assert "stopped by interrupt after 1 epochs" in caplog.text


def test_an_error_passes_through_after_on_fit_end():
    def fail(trainer):
        raise RuntimeError("broken")

    recorder = Recorder()
    trainer = Trainer(Regression(), callbacks=[recorder, Acts(fail)])
    with pytest.raises(RuntimeError, match="broken"):
        trainer.fit(batches(), epochs=5)
    assert trainer.stopped_by == "error"
    assert recorder.calls[-1][0] == "fit_end"


@pytest.mark.parametrize(
    ("report", "says"),
    [
        (BatchReport(float("nan"), 3), "`loss` is nan in epoch 2, batch 3; all parameters are finite"),
        (BatchReport(1.0, 3, {"penalty": float("inf")}), "`penalty` is inf in epoch 2, batch 3"),
    ],
)
def test_a_non_finite_loss_stops_with_its_place(report, says):
    trainer = Trainer(Scripted([BatchReport(1.0, 3)] * 6 + [report]))
    with pytest.raises(NonFiniteError, match=says):
        trainer.fit(batches(), epochs=5)


def test_a_non_finite_parameter_is_named_with_the_loss():
    rule = Regression()
    rule.network[2].bias.data[0] = torch.inf
    with pytest.raises(NonFiniteError, match=r"epoch 1, batch 1; these parameters hold NaN or infinity: \['2\.bias'\]"):
        Trainer(rule).fit(batches(), epochs=1)


def test_a_non_finite_gradient_stops_before_it_is_applied():
    rule = Regression()
    rule.network[2].weight.register_hook(lambda gradient: torch.where(gradient == gradient.min(), torch.nan, gradient))
    before = rule.network[2].weight.detach().clone()
    with pytest.raises(
        NonFiniteError, match=r"gradient of `2\.weight` holds 1 NaN or infinite values \(of 8\) in epoch 1"
    ):
        Trainer(rule).fit(batches(), epochs=1)
    assert torch.equal(before, rule.network[2].weight)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: Trainer(Regression(), callbacks=[Callback]), TypeError, "subclasses of `Callback`"),
        (lambda: Trainer(Regression(), metrics={"loss": mean_square}), ValueError, r"uses the names \['loss'\]"),
        (lambda: Trainer(Regression()).fit(batches(), epochs=0), ValueError, "`epochs` is 0"),
        (lambda: Trainer(Regression()).fit([], epochs=1), ValueError, "no batches in epoch 1"),
        (lambda: Trainer(Regression()).fit(iter(batches()), epochs=2), ValueError, "no batches in epoch 2"),
        (
            lambda: Trainer(Regression(), metrics={"error": mean_square}).fit(batches(), epochs=1),
            ValueError,
            r"`validation` is missing, but the metrics \['error'\]",
        ),
        (
            lambda: Trainer(Regression(), metrics={"penalty": mean_square}).fit(batches(), data(), epochs=1),
            ValueError,
            r"\['penalty'\] are terms of the loss and metrics",
        ),
        (
            lambda: Trainer(Scripted([BatchReport(1.0, 0)])).fit(batches(), epochs=1),
            ValueError,
            "reported 0 samples",
        ),
        (
            lambda: Trainer(Scripted([BatchReport(1.0, 1, {"loss": 1.0})])).fit(batches(), epochs=1),
            ValueError,
            "a term named 'loss'",
        ),
    ],
)
def test_bad_input_is_named(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_the_trainer_stays_small():
    import inspect

    import neurotorch.training.trainer as module

    assert len(inspect.getsource(module).splitlines()) < 200


def test_a_network_in_place_of_a_rule_is_refused():
    with pytest.raises(TypeError, match="`rule` is a Linear, but a Trainer takes a learning rule"):
        Trainer(torch.nn.Linear(1, 1))
