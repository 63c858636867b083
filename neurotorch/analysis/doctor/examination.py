"""Looking for every fault in one run of a network, and for what mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from neurotorch.analysis.doctor import faults, remedies
from neurotorch.analysis.doctor.diagnosis import Finding
from neurotorch.analysis.doctor.limits import Limits, limits_of
from neurotorch.analysis.doctor.look import Look, Seen, sizes
from neurotorch.analysis.doctor.remedies import Case
from neurotorch.analysis.doctor.search import Trial, Tried, first_that_mends
from neurotorch.connections.spectrum import spectrum_report
from neurotorch.data.windows import Batch
from neurotorch.network.network import Network

Count = Callable[[Network, Look], int]
Attempts = Callable[[Case], Iterator[Tried | None]]
BEFORE = "Nothing arrives at it: mend the layer before it first."
DERIVATIVE = "Their largest surrogate derivative"
WIDER = "A wider surrogate, such as FastSigmoid(slope=1), has one everywhere."


class Examination:
    """One run of a network, the faults in it, and the search for what mends them; arguments as of `examine`."""

    def __init__(
        self,
        network: Network,
        batch: Batch | Tensor | None,
        seen: Look,
        *,
        frames: int,
        tolerance: float,
        prescribe: bool,
    ) -> None:
        self.network, self.look, self.prescribe = network, seen, prescribe
        self.trial = Trial(network, batch, frames=frames)
        self.limits = {name: limits_of(each.layer, dt=network.dt) for name, each in seen.layers.items()}
        self.allowed = {name: int(tolerance * each.layer.neurons) for name, each in seen.layers.items()}

    def of(self, name: str) -> Iterator[Finding]:
        """Yield the findings of a layer, causes before what they cause."""
        yield from self._exploding(name)
        yield from self._outlier(name)
        yield from self._unbalanced(name)
        yield from self._saturated(name)
        yield from self._silent(name)
        yield from self._no_gradient(name)

    def _exploding(self, name: str) -> Iterator[Finding]:
        seen, limits = self.look.layers[name], self.limits[name]
        neurons = _indices(faults.exploding(seen, limits))
        if not neurons and self.look.exploded is not None and f"Layer {name!r}" in self.look.exploded:
            neurons = _indices(faults.largest(seen))  # too fast to have been seen growing
        if not neurons:
            return
        size = sizes(seen)[:, list(neurons)].amax(1)
        half = len(size) // 2
        growth = float(size[half:].amax() / size[:half].amax())

        def count(network: Network, after: Look) -> int:
            del network
            still = int(faults.exploding(after.layers[name], limits).sum())
            return still if after.exploded is None else max(still, 1)

        case = Case(self.trial, name, neurons, count, 0)
        measure = "Growth of their states from the first half of the run to the second"
        spectrum = faults.outlier(seen.layer)
        yield self._finding(
            "exploding",
            case,
            measure,
            growth,
            lambda case: remedies.against_explosion(case, spectrum),
            note=self.look.exploded or "",
        )

    def _outlier(self, name: str) -> Iterator[Finding]:
        spectrum = faults.outlier(self.look.layers[name].layer)
        if spectrum is None:
            return

        def count(network: Network, after: Look) -> int:
            del network
            return 0 if faults.outlier(after.layers[name].layer) is None else 1

        measure = f"Leading eigenvalue, beside a bulk of radius {spectrum.bulk_radius:.3g}"
        case = Case(self.trial, name, (), count, 0)
        yield self._finding(
            "outlier", case, measure, spectrum.leading.real, lambda case: remedies.against_an_outlier(case, spectrum)
        )

    def _unbalanced(self, name: str) -> Iterator[Finding]:
        seen = self.look.layers[name]
        ratio = faults.imbalance(self.network, name, seen)
        beyond = faults.out_of_balance(ratio)
        recurrent = seen.layer.recurrent
        if ratio is None or beyond is None or recurrent is None or recurrent.dale is None:
            return
        median = float(ratio[~ratio.isnan()].median())
        signs, radius = recurrent.dale.signs, spectrum_report(recurrent.weight()).bulk_radius

        def count(network: Network, after: Look) -> int:
            now = faults.out_of_balance(faults.imbalance(network, name, after.layers[name]))
            return 0 if now is None else int(now.sum())

        case = Case(self.trial, name, _indices(beyond), count, 0)
        measure = "Inhibition over excitation of the median neuron"
        yield self._finding(
            "unbalanced",
            case,
            measure,
            median,
            lambda case: remedies.against_imbalance(case, signs, median, radius=radius),
        )

    def _saturated(self, name: str) -> Iterator[Finding]:
        seen = self.look.layers[name]
        neurons = _indices(faults.saturated(seen, self.limits[name]))
        if len(neurons) <= self.allowed[name]:
            return
        case = Case(self.trial, name, neurons, self._ill(name, neurons), self.allowed[name])
        measure = "Their spikes per step" if seen.spiking else "Their mean activity"
        value = float(faults.settled(seen.emitted)[..., list(neurons)].mean())
        yield self._finding("saturated", case, measure, value, self._calming(name))

    def _silent(self, name: str) -> Iterator[Finding]:
        seen = self.look.layers[name]
        neurons = _indices(faults.silent(seen, self.limits[name]))
        if len(neurons) <= self.allowed[name]:
            return
        case = Case(self.trial, name, neurons, self._ill(name, neurons), self.allowed[name])
        measure, note = "Their largest activity", ""
        value = float(faults.settled(seen.emitted)[..., list(neurons)].max())
        if seen.spiking:
            measure, value = DERIVATIVE, self._derivative(name, neurons)
            note = "Training cannot wake them." if value < faults.LEAST_DERIVATIVE else ""
        if self._cut_off(name):
            yield self._finding("silent", case, measure, value, None, note=BEFORE)
            return
        currents = seen.currents.mean((0, 1))

        def attempts(case: Case) -> Iterator[Tried | None]:
            return remedies.against_silence(case, currents)

        yield self._finding("silent", case, measure, value, attempts, note=note)

    def _no_gradient(self, name: str) -> Iterator[Finding]:
        seen = self.look.layers[name]
        if not seen.spiking or len(seen.emitted) < 2:
            return
        neurons = _indices(self._dead(seen, name))
        if len(neurons) <= self.allowed[name]:
            return
        ill = self._ill(name, neurons)

        def count(network: Network, after: Look) -> int:
            return ill(network, after) + int(self._dead(after.layers[name], name).sum())

        case = Case(self.trial, name, neurons, count, self.allowed[name])
        value = self._derivative(name, neurons)
        yield self._finding("no gradient", case, DERIVATIVE, value, self._calming(name), note=WIDER)

    def _finding(
        self, fault: str, case: Case, measure: str, value: float, attempts: Attempts | None, *, note: str = ""
    ) -> Finding:
        best = None
        if self.prescribe and attempts is not None:
            best = first_that_mends(attempts(case), allowed=case.allowed)
        if best is not None and best.left >= max(len(case.neurons), 1):
            best = None
        change, left = (None, None) if best is None else best
        size = self.look.layers[case.layer].layer.neurons
        return Finding(fault, case.layer, case.neurons, size, measure, value, change, left, case.allowed, note)

    def _calming(self, name: str) -> Attempts:
        seen = self.look.layers[name]
        currents, spectrum = seen.currents.mean((0, 1)), faults.outlier(seen.layer)
        return lambda case: remedies.against_saturation(case, currents, spectrum)

    def _ill(self, name: str, neurons: tuple[int, ...]) -> Count:
        """Return the function that counts which of `neurons`, or of the well, are silent, saturated or exploding."""
        limits = self.limits[name]
        others = _ill(self.look.layers[name], limits)
        others[list(neurons)] = False

        def count(network: Network, after: Look) -> int:
            del network
            return int((_ill(after.layers[name], limits) & ~others).sum())

        return count

    def _dead(self, seen: Seen, name: str) -> Tensor:
        """Return which neurons fire, but without a derivative."""
        other = faults.silent(seen, self.limits[name]) | faults.saturated(seen, self.limits[name])
        return (faults.derivatives(seen, dt=self.network.dt) < faults.LEAST_DERIVATIVE) & ~other

    def _derivative(self, name: str, neurons: tuple[int, ...]) -> float:
        return float(faults.derivatives(self.look.layers[name], dt=self.network.dt)[list(neurons)].max())

    def _cut_off(self, name: str) -> bool:
        """Return whether a layer gets no current at all, and is not the first."""
        first = next(iter(self.look.layers))
        return name != first and not bool(torch.any(self.look.layers[name].currents != 0))


def _ill(seen: Seen, limits: Limits) -> Tensor:
    return faults.silent(seen, limits) | faults.saturated(seen, limits) | faults.exploding(seen, limits)


def _indices(which: Tensor) -> tuple[int, ...]:
    return tuple(int(j) for j in which.nonzero().flatten())
