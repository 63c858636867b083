"""The protocol of the literature: an in-sample free run, for comparison with published numbers only."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from neurotorch.core.checks import check_count, check_fraction, check_positive
from neurotorch.core.seeds import numpy_generator, torch_generator
from neurotorch.core.storage import has_state
from neurotorch.data import Batch, Recording
from neurotorch.evaluation import (
    LiteratureActivity,
    LiteratureCompanions,
    literature_companions,
    p_variance,
    prepare_literature,
    time_shuffled,
)
from neurotorch.learning import BPTT, LearningRule, MeanSquaredError, WarmUp, Weaning, warm_start
from neurotorch.network import Forcing, Network
from neurotorch.runs.blueprint import Blueprint
from neurotorch.runs.figures import literature_figures
from neurotorch.runs.report import literature_report
from neurotorch.runs.same_fit import check_same_fit
from neurotorch.runs.training_plan import CHECKPOINT_SECONDS, raise_if_interrupted
from neurotorch.training import Callback, Checkpoint, Curriculum, EarlyStopping, History, Trainer

if TYPE_CHECKING:
    import pandas as pd

    from neurotorch.plotting.style import Figure

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiteraturePlan:
    """Training towards a free run over the whole recording.

    A warm start by least squares puts the network near the data; then segments of it are run, forced to the data with a
    strength that fades while the segments grow, until the whole recording runs freely from its first frame.

    Parameters
    ----------
    sigma
        Of the symmetric Gaussian, in frames.
    epochs, batches
        Epochs of training, updates in each.
    learning_rate, clip
        Of Adam; the rate falls linearly while the run is free.
    forcing
        Strength at the start.
    fading
        Fraction of the training after which nothing is forced any more.
    ridge
        Of the warm start; see `warm_start`.
    weaning
        Epochs of `Weaning`, one update each, in place of the warm start and of backpropagation; 0 for none. It is for
        Wilson-Cowan networks with about as many neurons as there are frames: 500 epochs brought 522 neurons under
        Dale's law to 0.992 and 0.995 over 620 simulated frames (seeds 0 and 1). With few neurons it fails: the 67 of
        fish 1 came to 0.68. Multi-timescale units, whose own filters hardly decay, came to nothing.
    enough
        Stop once the p-variance is so high. None: never.
    seconds
        Stop after so many seconds.
    """

    sigma: float = 10.0
    epochs: int = 1800
    batches: int = 25
    learning_rate: float = 8e-3
    clip: float = 0.1
    forcing: float = 0.1
    fading: float = 0.5
    ridge: float = 0.1
    weaning: int = 0
    enough: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batches"):
            check_count(name, getattr(self, name))
        for name in ("learning_rate", "clip", "ridge"):
            check_positive(name, getattr(self, name))
        for name in ("forcing", "fading"):
            check_fraction(name, getattr(self, name))
        check_count("weaning", self.weaning, least=0)
        if self.seconds is not None:
            check_positive("seconds", self.seconds, "s")

    def strength(self, progress: float) -> float:
        """Return the forcing at a progress in 0..1: it falls with the square of what is left of the fading."""
        return 0.0 if progress >= self.fading else self.forcing * (1 - progress / self.fading) ** 2

    def learning_rate_factor(self, progress: float) -> float:
        """Return the factor of the learning rate: 1 while forcing fades, then falling to a fiftieth."""
        if progress < self.fading:
            return 1.0
        return 1 - 0.98 * (progress - self.fading) / (1 - self.fading)


@dataclass(frozen=True)
class LiteratureFit:
    """A network fitted under the protocol of the literature.

    Attributes
    ----------
    recording
        As it was given, without dead neurons.
    activity, free_run
        ``(time, neuron)``: prepared activity, and the network's free run from its first frame.
    p_variance, shuffled_p_variance
        Global p-variance of the free run, and of the same fit to time-shuffled activity.
    companions
        What scores without dynamics.
    constants
        ``(neuron,)``: the dropped neurons that never change, in the unit of `activity`. Where they are kept, as in some
        published numbers, the variance between neurons grows and every p-variance with it.
    """

    recording: Recording
    network: Network
    history: History
    seconds: float
    stopped_by: str
    activity: NDArray[np.float64]
    free_run: NDArray[np.float64]
    p_variance: float
    shuffled_p_variance: float
    companions: LiteratureCompanions
    constants: NDArray[np.float64]
    blueprint: Blueprint
    plan: LiteraturePlan
    seed: int

    def settings(self) -> dict[str, Any]:
        """Return the settings that the fit can be repeated with."""
        return {
            "protocol": "literature",
            "start": len(self.activity),
            "seed": self.seed,
            "blueprint": self.blueprint.to_json(),
            "plan": asdict(self.plan),
        }

    def stored(self) -> Recording:
        """Return the recording in the unit of the network: smoothed and scaled by the protocol."""
        return replace(self.recording, activity=self.activity)

    def history_table(self) -> pd.DataFrame:
        """Return one row per epoch."""
        return self.history.to_frame()

    def report(self) -> dict[str, Any]:
        """Return the content of ``report.json``."""
        return literature_report(self)

    def figures(self) -> Mapping[str, Figure]:
        """Return the figures by name."""
        return literature_figures(self)


def fit_literature(
    recording: Recording,
    blueprint: Blueprint = Blueprint(),
    *,
    plan: LiteraturePlan = LiteraturePlan(),
    seed: int = 0,
    checkpoints: Path | None = None,
    callbacks: Iterable[Callback] = (),
) -> LiteratureFit:
    """Fit a network to a whole recording by the protocol of the literature; the score is in-sample.

    Parameters
    ----------
    recording
        One unbroken segment. Dead neurons are dropped: the protocol says so.
    blueprint
        The network to build: one step per frame, and a model that knows its `required_current`. It gets no inputs.
    plan
        How to train it.
    seed
        Of everything that is drawn.
    checkpoints
        Folder for checkpoints; if it holds those of an interrupted fit of the same, that fit is continued.
    callbacks
        Called while training.
    """
    prepared = prepare_literature(recording, sigma=plan.sigma)
    alive = recording.drop_dead() if prepared.dropped else recording
    if checkpoints is not None:
        check_same_fit(checkpoints, alive, blueprint=blueprint, plan=plan, seed=seed)
    logger.info("fitting %d neurons", len(alive.neurons))
    folders = [None, None] if checkpoints is None else [checkpoints / name for name in ("network", "time_shuffled")]
    trainer, network, free = _train(prepared.activity, alive, blueprint, plan, seed, folders[0], callbacks)
    logger.info("fitting time-shuffled data")
    shuffled = time_shuffled(prepared.activity, numpy_generator(seed, "time-shuffled"))
    _, _, shuffled_free = _train(shuffled, alive, blueprint, plan, seed, folders[1], callbacks)
    return LiteratureFit(
        recording=alive,
        network=network,
        history=trainer.history,
        seconds=trainer.elapsed,
        stopped_by=trainer.stopped_by or "",
        activity=prepared.activity,
        free_run=free,
        p_variance=p_variance(prepared.activity, free),
        shuffled_p_variance=p_variance(shuffled, shuffled_free),
        companions=literature_companions(prepared.activity),
        constants=_constants(recording, prepared),
        blueprint=blueprint,
        plan=plan,
        seed=seed,
    )


def _constants(recording: Recording, prepared: LiteratureActivity) -> NDArray[np.float64]:
    raw = recording.select(list(recording.dead().constant)).activity[0] if recording.dead().constant else np.empty(0)
    scaled: NDArray[np.float64] = (raw - prepared.minimum) / (prepared.maximum - prepared.minimum)
    return scaled


def _train(
    activity: NDArray[np.float64],
    recording: Recording,
    blueprint: Blueprint,
    plan: LiteraturePlan,
    seed: int,
    folder: Path | None,
    callbacks: Iterable[Callback],
) -> tuple[Trainer, Network, NDArray[np.float64]]:
    prepared = Recording(activity, recording.dt, neurons=recording.neurons)
    network = blueprint.build(prepared, seed=seed)
    target = torch.from_numpy(activity).float()
    stopping = EarlyStopping("p_variance", higher_is_better=True, target=plan.enough, seconds=plan.seconds)
    metrics = {"p_variance": lambda network, data: p_variance(activity, free_run(network, data))}
    epochs = plan.weaning or plan.epochs
    saving = [] if folder is None else [Checkpoint(folder, every_epochs=epochs, every_seconds=CHECKPOINT_SECONDS)]
    rule, batches = _weaning(network, target) if plan.weaning else _backpropagation(network, target, plan, seed)
    curriculum = Curriculum(plan.learning_rate_factor)
    trainer = Trainer(rule, callbacks=[curriculum, stopping, *callbacks, *saving], metrics=metrics)
    saved = folder if folder is not None and has_state(folder) else None
    trainer.fit(batches, target, epochs=epochs, resume_from=saved)
    raise_if_interrupted(trainer)
    return trainer, network, free_run(network, target)


def _weaning(network: Network, target: torch.Tensor) -> tuple[LearningRule, Iterable[Batch]]:
    return Weaning(network), [Batch(target[:, None], None)]


def _backpropagation(
    network: Network, target: torch.Tensor, plan: LiteraturePlan, seed: int
) -> tuple[LearningRule, Iterable[Batch]]:
    warm_start(network, target, ridge=plan.ridge)
    optimizer = torch.optim.Adam(network.parameters(), lr=plan.learning_rate, betas=(0.9, 0.99))
    rule = BPTT(network, MeanSquaredError(skip=1), optimizer=optimizer, forcing=_Fading(plan), clip=plan.clip)
    return rule, _GrowingSegments(target, plan, seed)


@torch.no_grad()
def free_run(
    network: torch.nn.Module, target: torch.Tensor, *, weights: Mapping[str, torch.Tensor] | None = None
) -> NDArray[np.float64]:
    """Return a free run from the first frame of `target` ``(time, neuron)``; the first frame is the data's."""
    strength = torch.zeros(len(target))
    strength[0] = 1
    output, _ = network(None, forcing=Forcing(target[:, None], strength), weights=weights)
    return torch.cat([target[:1], output[1:, 0]]).double().numpy()


@dataclass(frozen=True)
class _Fading:
    """The plan's forcing, after a first frame that puts the network on the data."""

    plan: LiteraturePlan

    def strength(self, frames: int, progress: float) -> torch.Tensor:
        return WarmUp(1, self.plan.strength(progress), self.plan.strength(progress)).strength(frames, progress)


class _GrowingSegments:
    """Batches of equally long segments that cover the recording, from a random start; longer as forcing weakens.

    With a forcing of strength ``s`` a state forgets its start within ``1 / s`` frames: segments of ``6 / s`` lose
    little.
    """

    shortest = 60
    memories = 6.0

    def __init__(self, target: torch.Tensor, plan: LiteraturePlan, seed: int) -> None:
        self.target, self.plan, self.progress = target, plan, 0.0
        self.generator = torch_generator(seed, "segments")
        self.drawn = 0  # in this epoch

    def __len__(self) -> int:
        return self.plan.batches

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state(), "drawn": self.drawn}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.generator.set_state(state["generator"])
        self.drawn = int(state["drawn"])

    def __iter__(self) -> Iterator[Batch]:
        frames, strength = len(self.target), self.plan.strength(self.progress)
        length = frames if strength == 0 else min(frames, max(self.shortest, int(self.memories / strength)))
        count = frames // length
        length = frames if count == 1 else length
        while self.drawn < self.plan.batches:
            self.drawn += 1
            spare = frames - count * length
            first = int(torch.randint(0, spare + 1, (1,), generator=self.generator))
            starts = first + length * torch.arange(count)
            yield Batch(self.target[starts[None, :] + torch.arange(length)[:, None]], None)
        self.drawn = 0
