"""An ablation study: how a measure of a network falls as its connections are removed."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch

from neurotorch.analysis.ablation import Ablation, Weights, count_connections
from neurotorch.core.checks import check_count, check_fraction, check_kind, nearest, shown
from neurotorch.core.seeds import torch_generator

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("strategy", "repeat", "fraction", "removed", "connections")


class WeightedNetwork(Protocol):
    """A network whose effective weights can be looked up by address."""

    def effective_weights(self) -> Mapping[str, torch.Tensor]:
        """Return the effective weights ``(post, pre)`` by address, such as ``"cortex.recurrent"``."""
        ...


Metric = Callable[[Weights | None], "float | Mapping[str, float]"]
"""From effective weights by address to a number, or several by name; ``None`` means the intact network."""


class LesionedRow(NamedTuple):
    """One row to come: which ablation, which repeat, which fraction."""

    ablation: Ablation
    repeat: int
    fraction: float


class AblationStudy:
    """Measure a network under lesions of growing size, without touching its parameters.

    Parameters
    ----------
    network : WeightedNetwork
        Whose effective weights are lesioned.
    metric : callable
        ``metric(weights) -> float``, or a mapping of names to floats: evaluates the network with these effective
        weights in place of its own, for example ``lambda weights: score(network(inputs, weights=weights)[0])``.
    addresses : sequence of str, optional
        Which connections are lesioned, together: all of the network unless given.

    Raises
    ------
    ValueError
        If an address is not one of the network's, or there is none.

    Examples
    --------
    ``AblationStudy(network, metric).run([weakest, random], [0.0, 0.5, 1.0], repeats=8)``
    """

    def __init__(self, network: WeightedNetwork, metric: Metric, *, addresses: Sequence[str] | None = None) -> None:
        if not callable(metric):
            raise TypeError(f"`metric` is {shown(metric)}, but it must be a function of effective weights by address.")
        self.network = network
        self.metric = metric
        known = list(network.effective_weights())
        self.addresses = tuple(known if addresses is None else _checked_addresses(addresses, known))
        if not self.addresses:
            raise ValueError(f"There are no connections to lesion: the network has weights at {known}.")

    def weights(self) -> Weights:
        """Return a copy of the intact effective weights of the study's addresses."""
        effective = self.network.effective_weights()
        return {address: effective[address].detach().clone() for address in self.addresses}

    def lesioned(self, ablation: Ablation, fraction: float, *, repeat: int = 0, seed: int = 0) -> Weights:
        """Return the weights of one row of the table, from these four alone.

        Each repeat of a random ablation has a generator of its own, seeded by `seed`, the ablation's name and `repeat`.
        It does not depend on `fraction`: within a repeat the lesions of rising fractions are nested, one curve.
        """
        generator = torch_generator(seed, f"ablation/{ablation.name}/{repeat}")
        return ablation(self.weights(), fraction, generator=generator)

    def run(
        self,
        ablations: Sequence[Ablation],
        fractions: Sequence[float],
        *,
        repeats: int = 1,
        seed: int = 0,
        progress: Callable[[Sequence[LesionedRow]], Iterable[LesionedRow]] | None = None,
    ) -> pd.DataFrame:
        """Measure the network under every ablation at every fraction.

        Parameters
        ----------
        ablations : sequence of Ablation
            Such as ``[weakest, random]``.
        fractions : sequence of float
            Of the existing connections to remove, each in 0..1.
        repeats : int
            How often a random ablation is repeated; others run once, as repeat 0. Repeats of a lesion say how far
            chance moves *this* model: a statistic over models or animals counts those, not repeats.
        seed : int
            Of all random lesions.
        progress : callable, optional
            Wraps the sequence of rows while they are measured, for example ``tqdm.tqdm``.

        Returns
        -------
        pandas.DataFrame
            One row per lesion: ``strategy``, ``repeat``, ``fraction``, ``removed`` (connections that were removed),
            ``connections`` (that existed before), then ``metric`` or one column per name that the metric returns.
            ``attrs`` holds ``seed``, ``repeats``, ``addresses`` and ``versions``.

        Raises
        ------
        ValueError
            If a fraction lies outside 0..1, two ablations share a name, or the metric's names change between rows.
        RuntimeError
            If the metric has changed the network's effective weights.
        """
        import pandas as pd

        rows = _planned(ablations, fractions, check_count("repeats", repeats))
        intact = {address: weight.detach().clone() for address, weight in self.network.effective_weights().items()}
        connections = count_connections(self.weights())
        table = []
        for row in rows if progress is None else progress(rows):
            weights = self.lesioned(row.ablation, row.fraction, repeat=row.repeat, seed=seed)
            removed = connections - count_connections(weights)
            first = (row.ablation.name, row.repeat, row.fraction, removed, connections)
            table.append({**dict(zip(COLUMNS, first, strict=True)), **_measured(self.metric(weights))})
            if table[-1].keys() != table[0].keys():
                raise ValueError(
                    f"`metric` returned the names {list(table[-1])[len(COLUMNS) :]} after "
                    f"{list(table[0])[len(COLUMNS) :]}: return the same names for every lesion, NaN where there is no "
                    "value."
                )
        self._check_untouched(intact)
        frame = pd.DataFrame(table)
        frame.attrs = {"seed": seed, "repeats": repeats, "addresses": list(self.addresses), "versions": _versions()}
        return frame

    def _check_untouched(self, intact: Weights) -> None:
        for address, weight in self.network.effective_weights().items():
            if not torch.equal(weight, intact[address]):
                raise RuntimeError(
                    f"The weights at {address!r} changed while the study ran: `metric` must use the weights that it "
                    "gets, as in `network(inputs, weights=weights)`, and train nothing."
                )


def _checked_addresses(addresses: Sequence[str], known: Sequence[str]) -> list[str]:
    if isinstance(addresses, str):
        raise TypeError(
            f"`addresses` is the text {addresses!r}, but it must be a sequence of addresses: [{addresses!r}]."
        )
    for address in addresses:
        if address not in known:
            raise ValueError(
                f"`addresses` holds {address!r}, but the network has weights at {', '.join(map(repr, known))}."
                f"{nearest(address, known)}"
            )
    return list(dict.fromkeys(addresses))


def _planned(ablations: Sequence[Ablation], fractions: Sequence[float], repeats: int) -> list[LesionedRow]:
    check_kind("ablations", ablations, Sequence, example="[weakest, random]")
    check_kind("fractions", fractions, Iterable, example="[0.0, 0.5, 1.0]")
    for ablation in ablations:
        if not isinstance(ablation, Ablation):
            raise TypeError(
                f"`ablations` holds {ablation!r}, but it must hold ablations such as `weakest`: a name becomes one by "
                "`ablation_named(name)`."
            )
    names = [ablation.name for ablation in ablations]
    if len(set(names)) < len(names) or not names:
        raise ValueError(f"`ablations` has the names {names}, but it must hold at least one, each of another name.")
    if not len(fractions):
        raise ValueError("`fractions` is empty, but it must hold at least one fraction in 0..1: [0.0, 0.5, 1.0].")
    checked = [check_fraction(f"fractions[{index}]", fraction) for index, fraction in enumerate(fractions)]
    return [
        LesionedRow(ablation, repeat, fraction)
        for ablation in ablations
        for repeat in range(repeats if ablation.stochastic else 1)
        for fraction in checked
    ]


def _measured(result: float | Mapping[str, float]) -> dict[str, float]:
    if not isinstance(result, Mapping):
        return {"metric": float(result)}
    taken = [name for name in result if name in COLUMNS]
    if taken:
        raise ValueError(f"`metric` returned the names {taken}, which the table uses itself: rename them.")
    return {name: float(value) for name, value in result.items()}


def _versions() -> dict[str, Any]:
    versions = {"python": platform.python_version()}
    for package in ("neurotorch", "torch", "numpy", "pandas"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions
