"""The audit while training: it sees the network as it is then, and training does not see it."""

import pytest
import torch

from neurotorch.learning import BPTT, MeanSquaredError, TruncatedBPTT, WarmUp, compare_gradients
from neurotorch.training import Callback, Checkpoint, Curriculum, GradientAudit, Trainer
from tests.contracts.rules import closed_loop, drawn
from tests.training.test_resume import StopAt
from tests.training.tiny import Regression, batches


def rule_of(*, accumulate=2):
    network = closed_loop(torch.Generator().manual_seed(1))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    return BPTT(network, MeanSquaredError(), optimizer=optimizer, forcing=WarmUp(2, 0.5, 0.0), accumulate=accumulate)


def audit_of(rule, every=3):
    network = rule.network
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    rules = {
        "BPTT": BPTT(network, MeanSquaredError(), optimizer=optimizer, forcing=WarmUp(2, 0.5, 0.0)),
        "own": rule,
        "short": TruncatedBPTT(network, MeanSquaredError(), optimizer=optimizer, k1=2, k2=2),
    }
    return GradientAudit(rules, drawn(network, torch.Generator().manual_seed(9)), every=every)


def fitted(rule, *callbacks, epochs=2, **options):
    train = [drawn(rule.network, torch.Generator().manual_seed(seed)) for seed in range(5)]
    trainer = Trainer(rule, callbacks=[Curriculum(), *callbacks])
    trainer.fit(train, epochs=epochs, **options)
    return trainer


def test_training_is_the_same_with_and_without_it():
    plain = fitted(rule_of())
    watched = fitted(rule := rule_of(), audit_of(rule, every=1))
    assert plain.history.column("loss") == watched.history.column("loss")
    assert all(map(torch.equal, plain.network.parameters(), watched.network.parameters()))
    assert all(
        torch.equal(p.grad, q.grad) for p, q in zip(plain.network.parameters(), rule.network.parameters(), strict=True)
    )
    assert str(plain.rule.state_dict()) == str(watched.rule.state_dict())


class Expect(Callback):
    """Compares for itself after some batch."""

    def __init__(self, audit, at):
        self.audit, self.at, self.found = audit, at, None

    def on_batch_end(self, trainer, report):
        if (trainer.epoch, trainer.batch) == self.at:
            for rule in self.audit.rules.values():
                rule.progress = trainer.rule.progress
            rules = self.audit.rules
            self.found = compare_gradients(trainer.network, self.audit.batch, rules, repeats=0, memory=False)


def test_rows_are_of_the_network_at_their_time():
    rule = rule_of()
    audit = audit_of(rule)
    expect = Expect(audit, (1, 4))
    fitted(rule, audit, expect)
    places = list(dict.fromkeys((row["epoch"], row["batch"]) for row in audit.rows))
    assert places == [(0, 0), (0, 3), (1, 1), (1, 4)]
    frame = audit.to_frame()
    assert list(frame.columns) == ["epoch", "batch", "rule", "parameter", "cosine", "norm_ratio"]
    last = frame[(frame["epoch"] == 1) & (frame["batch"] == 4)]
    assert last["cosine"].tolist() == [row.cosine for row in expect.found.agreements]
    assert last["norm_ratio"].tolist() == [row.norm_ratio for row in expect.found.agreements]
    own = frame[frame["rule"] == "own"]
    assert own["cosine"].tolist() == pytest.approx([1.0] * len(own), rel=1e-6)  # float32: cosines of float64 sums
    short = frame[(frame["rule"] == "short") & (frame["parameter"] == "all")]
    assert short["cosine"].nunique() == 4


def test_the_progress_of_its_rules_is_given_back():
    rule = rule_of()
    audit = audit_of(rule)
    fitted(rule, audit)
    assert rule.progress == 0.5
    assert audit.rules["BPTT"].progress == 0


def test_a_resumed_run_goes_on_with_the_table(tmp_path):
    rule, again, whole = rule_of(), rule_of(), rule_of()
    audits = [audit_of(each) for each in (whole, rule, again)]
    fitted(whole, audits[0])
    fitted(rule, audits[1], Checkpoint(tmp_path), StopAt(0, 4))
    fitted(again, audits[2], resume_from=tmp_path)
    assert audits[2].rows == audits[0].rows
    assert len(audits[1].rows) < len(audits[0].rows)


def test_bad_input_is_named():
    rule = rule_of()
    with pytest.raises(ValueError, match="`every` is 0"):
        audit_of(rule, every=0)
    audit = audit_of(rule)
    with pytest.raises(TypeError, match="of a Network, not of a Sequential"):
        Trainer(Regression(), callbacks=[audit]).fit(batches(), epochs=1)
    with pytest.raises(ValueError, match="Rule 'BPTT' trains another network"):
        fitted(rule_of(), audit)
