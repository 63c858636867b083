"""What the doctor found, and what it proposes."""

from __future__ import annotations

from dataclasses import dataclass

from neurotorch.analysis.doctor.changes import Change

SHOWN = 8  # neurons that a report names; a finding holds all of them
WORDS = {"no gradient": "without a gradient", "unbalanced": "out of balance"}


@dataclass(frozen=True)
class Finding:
    """One fault of one layer.

    Attributes
    ----------
    fault : str
        ``"silent"``, ``"saturated"``, ``"exploding"``, ``"no gradient"``, ``"unbalanced"`` or ``"outlier"``.
    layer : str
        Which.
    neurons : tuple of int
        Those that have it; none are named where it is one of the whole layer, such as an outlier.
    size : int
        Neurons of the layer.
    measure, value
        What was measured, in words, and the number.
    change : Change or None
        What to do; it was tried on a copy of the network and mends the fault, or does so most of all that was tried.
    left : int or None
        How many neurons had the fault when `change` was tried.
    tolerated : int
        How many may.
    note : str
        What else is to be said, such as where the cause is.
    """

    fault: str
    layer: str
    neurons: tuple[int, ...]
    size: int
    measure: str
    value: float
    change: Change | None = None
    left: int | None = None
    tolerated: int = 0
    note: str = ""

    def __str__(self) -> str:
        """Return it as two or three sentences."""
        text = f"{self.layer}: {self._what()}. {self.measure}: {self.value:.3g}."
        if self.note:
            text += f" {self.note}"
        if self.change is not None:
            order = str(self.change)
            text += f" {order[0].upper()}{order[1:]}."
            text += f" {self._tried()}"
        return text

    def _tried(self) -> str:
        """Return what came of the change."""
        if not self.left:
            return "Tried: mended."
        enough = "within tolerance" if self.left <= self.tolerated else "not enough by itself"
        return f"Tried: {self.left} {'is' if self.left == 1 else 'are'} left, {enough}."

    def _what(self) -> str:
        """Return which neurons have which fault."""
        if not self.neurons:
            return f"{self.fault} of the recurrent weights"
        shown = ", ".join(str(j) for j in self.neurons[:SHOWN])
        more = ", ..." if len(self.neurons) > SHOWN else ""
        verb = "is" if len(self.neurons) == 1 else "are"
        return f"{len(self.neurons)} of {self.size} neurons {verb} {WORDS.get(self.fault, self.fault)} ({shown}{more})"


@dataclass(frozen=True)
class Diagnosis:
    """What `examine` found; its text is a report.

    Attributes
    ----------
    findings
        In the order of the layers: what comes first may cause what follows.
    steps, samples
        How long and on how many samples the network was looked at, after `warm_up` steps that follow data.
    warm_up
        Steps that were forced.
    """

    findings: tuple[Finding, ...]
    steps: int
    samples: int
    warm_up: int = 0

    @property
    def healthy(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def of(self, fault: str) -> tuple[Finding, ...]:
        """Return the findings of one fault."""
        return tuple(finding for finding in self.findings if finding.fault == fault)

    def __str__(self) -> str:
        """Return one line per finding."""
        run = f"{self.steps} steps of {self.samples} {'sample' if self.samples == 1 else 'samples'}"
        if self.healthy:
            return f"Healthy: in {run} no neuron is silent, saturated or exploding beyond what is tolerated."
        lines = [f"In {run}:", *(f"- {finding}" for finding in self.findings)]
        return "\n".join(lines)
