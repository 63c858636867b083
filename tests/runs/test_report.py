from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from neurotorch.data import Recording
from neurotorch.evaluation import p_variance
from neurotorch.neurons import WilsonCowan
from neurotorch.runs import LiteraturePlan, fit_literature
from neurotorch.runs.literature import free_run
from neurotorch.runs.report import recording_part
from neurotorch.training import Callback, Trainer
from tests.runs.worlds import LITERATURE, blueprint, recording


def test_constant_neurons_are_dropped_and_what_keeping_them_would_give_is_reported() -> None:
    base = recording()
    activity = np.hstack([base.activity, np.full((base.frames, 2), 30.0)])
    result = fit_literature(Recording(activity, base.dt), blueprint(WilsonCowan), plan=LITERATURE)
    report = result.report()
    assert (report["recording"]["neurons"], report["with_constant_neurons"]["neurons"]) == (6, 8)
    plain = fit_literature(base, blueprint(WilsonCowan), plan=LITERATURE)
    assert report["p_var"]["global"] == pytest.approx(plain.p_variance)
    assert plain.report()["with_constant_neurons"] is None
    kept = np.hstack([result.activity, np.broadcast_to(result.constants, (base.frames, 2))])
    run = np.hstack([result.free_run, np.broadcast_to(result.constants, (base.frames, 2))])
    assert report["with_constant_neurons"]["global"] == pytest.approx(p_variance(kept, run))
    assert report["with_constant_neurons"]["own_mean"] > report["companions"]["own_mean"]


def test_a_free_run_starts_on_the_data_and_sees_no_more_of_it() -> None:
    result = fit_literature(recording(), blueprint(WilsonCowan), plan=LITERATURE)
    changed = result.activity.copy()
    changed[1:] = 0.5
    runs = [free_run(result.network, torch.from_numpy(a).float()) for a in (result.activity, changed)]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_allclose(runs[0][0], result.activity[0], rtol=1e-6)


def test_the_forcing_of_the_plan_fades_to_nothing() -> None:
    plan = dataclasses.replace(LITERATURE, forcing=0.2, fading=0.5)
    strengths = [plan.strength(progress) for progress in (0.0, 0.25, 0.5, 0.9)]
    assert strengths == pytest.approx([0.2, 0.05, 0.0, 0.0])
    assert dataclasses.replace(plan, fading=0.0).strength(0.0) == 0


def test_the_report_names_the_neurons_that_were_dropped() -> None:
    base = recording()
    activity = np.hstack([base.activity, np.full((base.frames, 1), 3.0)])
    dead = Recording(activity, base.dt, neurons=(*base.neurons, "silent"))
    assert recording_part(dead.drop_dead())["dropped_neurons"] == ["silent"]


@pytest.mark.parametrize(
    "plan", [LITERATURE, dataclasses.replace(LITERATURE, weaning=4)], ids=["backpropagation", "weaning"]
)
def test_an_interrupted_fit_under_the_protocol_of_the_literature_continues_bit_for_bit(
    plan: LiteraturePlan, tmp_path: Path
) -> None:
    class Interrupt(Callback):
        def on_batch_end(self, trainer: Trainer, report: object) -> None:
            if trainer.epoch == 1:
                trainer.stop("here")

    model = blueprint(WilsonCowan)
    whole = fit_literature(recording(), model, plan=plan)
    fit_literature(recording(), model, plan=plan, checkpoints=tmp_path, callbacks=[Interrupt()])
    resumed = fit_literature(recording(), model, plan=plan, checkpoints=tmp_path)
    for a, b in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert whole.shuffled_p_variance == resumed.shuffled_p_variance


def test_a_plan_with_weaning_stops_once_it_is_good_enough() -> None:
    plan = dataclasses.replace(LITERATURE, weaning=50, enough=-10.0)
    result = fit_literature(recording(), blueprint(WilsonCowan), plan=plan)
    assert result.stopped_by == "target"
    assert len(result.history) == 1
    assert result.history[0]["forcing"] == 1.0
    assert result.network.dale_violations() == 0


def test_the_figure_of_an_in_sample_score_does_not_call_it_held_out() -> None:
    figures = fit_literature(recording(), blueprint(WilsonCowan), plan=LITERATURE).figures()
    titles = [ax.get_title(loc="left") for ax in figures["traces"].axes]
    assert all("in-sample p-variance" in title and "held-out" not in title for title in titles)
