"""What to try against each fault, in order of how little it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from neurotorch.analysis.doctor.changes import AddBias, Rebalance, ScaleInputs, ScaleOutputs
from neurotorch.analysis.doctor.look import Look
from neurotorch.analysis.doctor.search import Trial, Tried
from neurotorch.connections.spectrum import SpectrumReport
from neurotorch.network.network import Network

UP = tuple(2.0**k for k in range(1, 11))
DOWN = tuple(1 / factor for factor in UP)
GENTLY_DOWN = tuple(0.8**k for k in range(1, 41))
CURRENTS = tuple(0.01 * 2.0**k for k in range(17))  # to 655: units of the threshold, and those of models in mV
TOWARDS_BALANCE = (1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True)
class Case:
    """A fault to mend.

    Attributes
    ----------
    trial
        On which changes are tried.
    layer, neurons
        Who has it.
    count
        How many still have a fault, of a changed network and its run.
    allowed
        How many may.
    """

    trial: Trial
    layer: str
    neurons: tuple[int, ...]
    count: Callable[[Network, Look], int]
    allowed: int


def against_an_outlier(case: Case, spectrum: SpectrumReport | None) -> Iterator[Tried | None]:
    """Yield balance of every row at the radius of the bulk, or below it."""
    if spectrum is None:
        return
    radii = tuple(spectrum.bulk_radius * 2.0**-k for k in range(5))
    address = f"{case.layer}.recurrent"
    yield case.trial.mildest(lambda r: Rebalance(address, r), radii, count=case.count, allowed=case.allowed)


def against_silence(case: Case, currents: Tensor) -> Iterator[Tried | None]:
    """Yield what wakes neurons: stronger input weights, then a bias; `currents` are their means ``(neuron,)``."""
    yield from _by_inputs(case, UP)
    yield from _by_bias(case, currents, sign=1)


def against_saturation(case: Case, currents: Tensor, spectrum: SpectrumReport | None) -> Iterator[Tried | None]:
    """Yield what calms neurons: balance where an outlier drives them, weaker inputs or recurrence, a negative bias."""
    yield from against_an_outlier(case, spectrum)
    yield from _by_inputs(case, DOWN)
    yield from _by_loops(case, DOWN)
    yield from _by_bias(case, currents, sign=-1)


def against_explosion(case: Case, spectrum: SpectrumReport | None) -> Iterator[Tried | None]:
    """Yield what stops growth: balance where an outlier drives it, a weaker loop."""
    yield from against_an_outlier(case, spectrum)
    yield from _by_loops(case, GENTLY_DOWN)


def against_imbalance(case: Case, signs: Tensor, ratio: float, *, radius: float) -> Iterator[Tried | None]:
    """Yield what brings inhibition and excitation together: other inhibitory weights, or balance row by row."""
    address = f"{case.layer}.recurrent"
    inhibitory = tuple(int(j) for j in (signs < 0).nonzero().flatten())
    which = f"the {len(inhibitory)} inhibitory neurons"
    strengths = tuple((1 / ratio) ** power for power in TOWARDS_BALANCE) if 0 < ratio < float("inf") else ()
    scaled = case.trial.mildest(
        lambda f: ScaleOutputs(address, inhibitory, f, which), strengths, count=case.count, allowed=case.allowed
    )
    yield scaled
    yield case.trial.mildest(lambda r: Rebalance(address, r), (radius,), count=case.count, allowed=case.allowed)


def _by_inputs(case: Case, factors: tuple[float, ...]) -> Iterator[Tried | None]:
    address = f"{case.layer}.inputs"
    if address in case.trial.network.connections():
        yield case.trial.mildest(
            lambda f: ScaleInputs(address, case.neurons, f), factors, count=case.count, allowed=case.allowed
        )


def _by_loops(case: Case, factors: tuple[float, ...]) -> Iterator[Tried | None]:
    for address, connection in case.trial.network.connections().items():
        if address == f"{case.layer}.recurrent" or address.endswith(f" -> {case.layer}"):
            make = _scaling_all(address, connection.pre)
            yield case.trial.mildest(make, factors, count=case.count, allowed=case.allowed)


def _scaling_all(address: str, pre: int) -> Callable[[float], ScaleOutputs]:
    return lambda factor: ScaleOutputs(address, tuple(range(pre)), factor, "all neurons")


def _by_bias(case: Case, currents: Tensor, *, sign: int) -> Iterator[Tried | None]:
    """Yield one bias for all of the neurons, then one for each that brings the mean of its current to one value."""

    def one(current: float) -> AddBias:
        return AddBias(case.layer, case.neurons, (current,) * len(case.neurons))

    def each(mean: float) -> AddBias:
        added = tuple(float(f"{mean - float(currents[j]):.3g}") for j in case.neurons)
        return AddBias(case.layer, case.neurons, added)

    strengths = tuple(sign * current for current in CURRENTS)
    yield case.trial.mildest(one, strengths, count=case.count, allowed=case.allowed)
    means = CURRENTS if sign > 0 else CURRENTS[::-1]
    yield case.trial.mildest(each, means, count=case.count, allowed=case.allowed)
