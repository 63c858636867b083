"""Classification tasks: a data set, and the settings that were chosen for it on its validation part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor

from neurotorch.core.checks import nearest
from neurotorch.core.storage import PathLike
from neurotorch.data import Images, SpikeTrains, catalog, refuse_test
from neurotorch.neurons import LIF, CurrentLIF
from neurotorch.runs.classification.blueprint import ClassifierBlueprint
from neurotorch.runs.classification.plan import ClassifierPlan
from neurotorch.runs.classification.presentation import ImagePresentation, Presentation, SpikePresentation

Data = Images | SpikeTrains


@dataclass(frozen=True, eq=False)
class ClassificationTask:
    """Data to train on, and a way to the test part that is gone once, when training is over.

    Parameters
    ----------
    name
        Of the data set.
    train
        The training part; validation is split from it.
    open_test
        Called once, at the end.
    presentation
        How samples are shown.
    groups
        What samples share, such as speakers, ``(sample,)``; None if that is not known.
    """

    name: str
    train: Data
    open_test: Callable[[], Data]
    presentation: Presentation
    groups: Tensor | None = None

    def __post_init__(self) -> None:
        refuse_test(self.train, "training")


class Preset(NamedTuple):
    """The settings for a data set unless others are asked for."""

    presentation: Presentation
    blueprint: ClassifierBlueprint
    plan: ClassifierPlan


_SPOKEN = Preset(
    SpikePresentation(shift=1),
    ClassifierBlueprint(CurrentLIF, (256,), recurrent=True, learned_constants=True),
    ClassifierPlan(epochs=80, batch_size=32, smoothing=0.1),
)

PRESETS = {
    "mnist": Preset(ImagePresentation(), ClassifierBlueprint(LIF), ClassifierPlan()),
    "fashion-mnist": Preset(
        ImagePresentation(), ClassifierBlueprint(LIF, (256,), slope=3.0), ClassifierPlan(epochs=12, smoothing=0.1)
    ),
    "heidelberg": _SPOKEN,
    "spoken-digits": _SPOKEN,
}


def preset(name: str) -> Preset:
    """Return the settings for a data set.

    Raises
    ------
    ValueError
        If there are none.
    """
    if name not in PRESETS:
        raise ValueError(f"There is no task {name!r}; there are {list(PRESETS)}.{nearest(name, PRESETS)}")
    return PRESETS[name]


def open_task(
    name: str, presentation: Presentation | None = None, *, folder: PathLike | None = None
) -> ClassificationTask:
    """Return the task of a data set of the catalog.

    Parameters
    ----------
    name
        One of `PRESETS`.
    presentation
        How samples are shown; as the preset has it unless given.
    folder
        Where the files are; by default where the catalog looks.

    Raises
    ------
    ValueError
        If there is no such task, or a file is damaged.
    FileNotFoundError
        If a file is not on this machine and cannot be downloaded; the text says where to put it.
    """
    presentation = preset(name).presentation if presentation is None else presentation
    train = _opened(name, "train", folder)
    groups = train.speakers if isinstance(train, SpikeTrains) else None
    return ClassificationTask(name, train, lambda: _opened(name, "test", folder), presentation, groups)


def _opened(name: str, part: Literal["train", "test"], folder: PathLike | None) -> Data:
    about = catalog.card(name)
    for file in about.of("test"):  # one that is missing is an error now, and not when training is over
        catalog.locate(about, file, folder=folder)
    data = catalog.open(name, part, folder=folder)
    assert isinstance(data, (Images, SpikeTrains))  # as every preset is of
    return data
