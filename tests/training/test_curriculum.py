from types import SimpleNamespace

import pytest
import torch

from neurotorch.training import Checkpoint, Curriculum, Trainer
from tests.training.test_resume import StopAt
from tests.training.tiny import Regression, batches

EPOCHS = 4


class Follows:
    """Batches whose number depends on the progress that they were told."""

    def __init__(self):
        self.progress, self.told = 0.0, []

    def __iter__(self):
        self.told.append(self.progress)
        return iter(batches())


class RecordingRule(Regression):
    def __init__(self):
        super().__init__()
        self.progress, self.seen = 0.0, []

    def compute(self, batch):
        self.seen.append((self.progress, self.optimizer.param_groups[0]["lr"]))
        return super().compute(batch)


def trained(curriculum, rule, train, **options):
    trainer = Trainer(rule, callbacks=[curriculum, *options.pop("callbacks", ())])
    trainer.fit(train, epochs=EPOCHS, **options)
    return rule


def test_rule_and_loader_are_told_how_far_training_has_come_before_each_epoch():
    rule, train = RecordingRule(), Follows()
    trained(Curriculum(), rule, train)
    assert train.told == [0, 0.25, 0.5, 0.75]
    assert rule.seen == [(progress, 0.05) for progress in train.told for _ in range(4)]


def test_parts_that_follow_no_plan_are_left_alone():
    rule, train = Regression(), batches()
    trained(Curriculum(), rule, train)
    assert not hasattr(rule, "progress")


def test_the_learning_rate_of_every_group_is_a_factor_of_what_it_started_with():
    rule, rates = RecordingRule(), []
    first, second = rule.network[0].parameters(), rule.network[2].parameters()
    rule.optimizer = torch.optim.Adam([{"params": first}, {"params": second, "lr": 0.01}], lr=0.05)
    rule.apply = lambda: rates.append([group["lr"] for group in rule.optimizer.param_groups])
    trained(Curriculum(lambda progress: 1 - progress), rule, batches())
    assert rates[::4] == [pytest.approx([0.05 * factor, 0.01 * factor], rel=1e-15) for factor in (1, 0.75, 0.5, 0.25)]


def test_a_rule_without_an_optimizer_has_no_learning_rate_to_change():
    rule = SimpleNamespace(progress=0.0)
    trainer = SimpleNamespace(rule=rule, train=batches(), epoch=1, epochs=EPOCHS)
    Curriculum(lambda progress: 0.0).on_epoch_start(trainer)
    assert vars(rule) == {"progress": 0.25}


@pytest.mark.parametrize("at", [(1, 2), (2, 0)])
def test_a_resumed_run_goes_on_from_the_rate_that_the_first_started_with(at, tmp_path):
    def halving():
        return Curriculum(lambda progress: 1 - 0.5 * progress)

    whole = trained(halving(), RecordingRule(), batches())
    first = trained(halving(), RecordingRule(), batches(), callbacks=[Checkpoint(tmp_path), StopAt(*at)])
    assert len(first.seen) < len(whole.seen)
    second = trained(halving(), RecordingRule(), batches(), resume_from=tmp_path)
    assert first.seen + second.seen == whole.seen
    assert all(map(torch.equal, second.network.parameters(), whole.network.parameters()))
