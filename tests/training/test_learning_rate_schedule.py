"""Learning rate schedules: every scheduler of torch, their rates against closed forms, restarts, and bad input."""

import inspect
import math

import pytest
import torch
from torch.optim import lr_scheduler

from neurotorch.learning import BPTT, MeanSquaredError, TruncatedBPTT
from neurotorch.training import Callback, Checkpoint, Curriculum, LearningRateSchedule, Trainer
from tests.contracts.rules import closed_loop, drawn
from tests.training.test_resume import StopAt
from tests.training.tiny import Regression, batches

EPOCHS, BATCHES, RATE = 3, 4, 0.02
# Made from others, or the class that all derive from.
NO_SCHEDULERS = {"LRScheduler", "_LRScheduler"}
SCHEDULERS = {
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.5, 2), lr_scheduler.ExponentialLR(o, 0.9)]
    ),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.3, 2),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 12),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.001, 0.1, step_size_up=3, cycle_momentum=True),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.7),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.1, total_iters=4),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [1, 5, 5], 0.5),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda step: 0.9),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=EPOCHS * BATCHES),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 12, 2),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0, factor=0.5, threshold=1.0),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o, 0.5, 2), lr_scheduler.ExponentialLR(o, 0.9)], [2]
    ),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 2, 0.5),
}


class Rates(Callback):
    """Keeps the learning rate and momentum that every batch was trained with."""

    def __init__(self):
        self.seen = []

    def on_gradients(self, trainer, report):
        group = trainer.rule.optimizer.param_groups[0]
        self.seen.append((float(group["lr"]), group["momentum"]))


def rule_of(*, lr=RATE, **options):
    network = closed_loop(torch.Generator().manual_seed(1))
    optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=0.9)
    return BPTT(network, MeanSquaredError(), optimizer=optimizer, **options)


def train_of(rule):
    return [drawn(rule.network, torch.Generator().manual_seed(seed)) for seed in range(BATCHES)]


def fitted(schedule, *callbacks, rule=None, **options):
    rule, rates = rule or rule_of(), Rates()
    trainer = Trainer(rule, callbacks=[schedule, rates, *callbacks])
    trainer.fit(train_of(rule), epochs=EPOCHS, **options)
    return trainer, rates.seen


def schedule_of(name, every, rule=None):
    """Return a schedule by a function, or by a scheduler where a rule is given."""
    monitor = "loss" if name == "ReduceLROnPlateau" else None
    scheduler = SCHEDULERS[name] if rule is None else SCHEDULERS[name](rule.optimizer)
    return LearningRateSchedule(scheduler, every=every, monitor=monitor)


def test_all_schedulers_of_torch_are_tried():
    found = {
        name
        for name, value in vars(lr_scheduler).items()
        if inspect.isclass(value) and issubclass(value, lr_scheduler.LRScheduler)
    }
    assert found - NO_SCHEDULERS == set(SCHEDULERS)


@pytest.mark.parametrize(
    ("every", "given", "at"),
    [("batch", "function", (0, 3)), ("epoch", "function", (1, 2)), ("batch", "scheduler", (2, 0))],
)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_resumed_run_has_the_rates_of_one_that_was_not_stopped(name, every, given, at, tmp_path):
    if name == "ReduceLROnPlateau" and every == "batch":
        return  # it watches a column of the history, which has a row per epoch

    def run(*callbacks, **options):
        rule = rule_of()
        return fitted(
            schedule_of(name, every, rule if given == "scheduler" else None), *callbacks, rule=rule, **options
        )

    whole, expected = run()
    _, first = run(Checkpoint(tmp_path), StopAt(*at))
    assert len(first) == at[0] * BATCHES + at[1]
    second, rest = run(resume_from=tmp_path)
    assert first + rest == expected
    assert len({rate for rate, _ in expected}) > 1
    assert all(map(torch.equal, whole.network.parameters(), second.network.parameters()))


@pytest.mark.parametrize(("every", "period"), [("batch", 1), ("epoch", BATCHES)])
def test_rates_follow_the_closed_form_from_the_first_batch_on(every, period):
    _, seen = fitted(LearningRateSchedule(lambda o: lr_scheduler.CosineAnnealingLR(o, 20), every=every))
    # torch multiplies from step to step
    expected = [RATE / 2 * (1 + math.cos(math.pi * (i // period) / 20)) for i in range(EPOCHS * BATCHES)]
    assert [rate for rate, _ in seen] == pytest.approx(expected, rel=1e-12)


def test_one_cycle_rises_to_its_largest_rate_and_ends_with_the_fit():
    _, seen = fitted(schedule_of("OneCycleLR", "batch"))
    rates = [rate for rate, _ in seen]
    assert rates[0] == pytest.approx(0.1 / 25, rel=1e-12)
    assert max(rates) == pytest.approx(0.1, rel=0.01)
    assert rates[-1] == pytest.approx(0.1 / 25 / 1e4, rel=1e-9)
    assert min(momentum for _, momentum in seen) == pytest.approx(0.85, rel=0.01)


def test_under_accumulation_it_steps_with_the_optimizer():
    rule = rule_of(accumulate=3)
    _, seen = fitted(LearningRateSchedule(lambda o: lr_scheduler.ExponentialLR(o, 0.5), every="batch"), rule=rule)
    assert [rate for rate, _ in seen] == pytest.approx([RATE * 0.5 ** (i // 3) for i in range(12)], rel=1e-12)


def test_updates_within_a_batch_count_once():
    network = closed_loop(torch.Generator().manual_seed(1))
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=0.9)
    rule = TruncatedBPTT(network, MeanSquaredError(), optimizer=optimizer, k1=5, k2=5)
    _, seen = fitted(LearningRateSchedule(lambda o: lr_scheduler.ExponentialLR(o, 0.5), every="batch"), rule=rule)
    assert [rate for rate, _ in seen] == pytest.approx([RATE * 0.5**i for i in range(12)], rel=1e-12)


def test_a_learning_rate_that_is_a_tensor_goes_through_a_restart(tmp_path):
    def run(*callbacks, **options):
        return fitted(schedule_of("OneCycleLR", "batch"), *callbacks, rule=rule_of(lr=torch.tensor(RATE)), **options)

    _, expected = run()
    _, first = run(Checkpoint(tmp_path), StopAt(1, 1))
    _, rest = run(resume_from=tmp_path)
    assert first + rest == expected


def foreign():
    return lr_scheduler.StepLR(rule_of().optimizer, 1)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: fitted(LearningRateSchedule(foreign())), ValueError, "one of another optimizer.*rule.optimizer"),
        (lambda: fitted(LearningRateSchedule(lambda o: foreign())), ValueError, "one of another optimizer"),
        (lambda: fitted(LearningRateSchedule(lambda o: o)), TypeError, "returned a SGD, but it must return"),
        (lambda: LearningRateSchedule(foreign(), every="frame"), ValueError, "`every` is 'frame'"),
        (lambda: LearningRateSchedule(foreign(), monitor="loss"), ValueError, "no other scheduler watches.*StepLR"),
        (
            lambda: fitted(LearningRateSchedule(SCHEDULERS["ReduceLROnPlateau"])),
            ValueError,
            "needs the name of a column",
        ),
        (
            lambda: fitted(LearningRateSchedule(SCHEDULERS["ReduceLROnPlateau"], every="batch", monitor="loss")),
            ValueError,
            "every='epoch'",
        ),
        (
            lambda: fitted(LearningRateSchedule(SCHEDULERS["ReduceLROnPlateau"], monitor="los")),
            ValueError,
            "`monitor` is 'los'.*Did you mean 'loss'",
        ),
        (
            lambda: fitted(LearningRateSchedule(SCHEDULERS["StepLR"]), Curriculum(lambda progress: 1.0)),
            ValueError,
            "Both LearningRateSchedule and Curriculum",
        ),
        (
            lambda: Trainer(Regression(), callbacks=[schedule_of("StepLR", "batch")]).fit(batches(), epochs=1),
            TypeError,
            "Regression has no optimizer",
        ),
    ],
)
def test_bad_input_is_named(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_a_curriculum_that_leaves_the_rate_alone_may_stand_beside_it():
    _, seen = fitted(schedule_of("StepLR", "epoch"), Curriculum())
    assert [rate for rate, _ in seen[::BATCHES]] == pytest.approx([RATE, RATE, RATE / 2], rel=1e-12)


def test_what_is_neither_a_scheduler_nor_a_function_is_refused():
    with pytest.raises(TypeError, match="`scheduler` is a float, but it must be a scheduler"):
        LearningRateSchedule(0.1)
