"""A classifier read back from its run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurotorch.core.storage import PathLike
from neurotorch.network import Network
from neurotorch.runs.classification.plan import pooling_named
from neurotorch.runs.classification.presentation import Presentation
from neurotorch.runs.classification.scoring import classified, scores


@dataclass(frozen=True)
class LoadedClassifier:
    """A finished classifier, read back and checked.

    Attributes
    ----------
    network
        With the trained parameters.
    presentation
        How samples are shown to it.
    report, config
        As in the folder.
    folder
        Where it was read from.
    """

    network: Network
    presentation: Presentation
    report: Mapping[str, Any]
    config: Mapping[str, Any]
    folder: Path

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(self.config["classes"])

    def evaluate(self, file: PathLike, *, labels: PathLike | None = None) -> dict[str, Any]:
        """Return the scores on another file of the same layout.

        Parameters
        ----------
        file
            An idx file of images, gzipped or not, or an HDF5 file of spike trains.
        labels
            The idx file of the images' labels; unless given it is the one beside `file` that is named as MNIST names
            it.

        Returns
        -------
        dict
            ``accuracy``, ``f1``, ``confusion``, ``spikes_per_inference``, ...: the ``test`` part of a report.

        Raises
        ------
        ValueError
            If the file is damaged, or has other classes or channels.
        """
        samples = self.presentation.samples(self.presentation.read(file, classes=self.classes, labels=labels))
        pooling = pooling_named(self.config["plan"]["pooling"])
        seed = int(self.config["seed"])
        return scores(classified(self.network, samples, pooling, seed=seed), self.classes)
