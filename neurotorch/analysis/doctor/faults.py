"""The faults that the doctor knows, each a function from what a layer did to the neurons that have it."""

from __future__ import annotations

import torch
from torch import Tensor

from neurotorch.analysis.balance import Balance, measure_balance
from neurotorch.analysis.doctor.limits import Limits
from neurotorch.analysis.doctor.look import Seen, sizes
from neurotorch.connections.spectrum import SpectrumReport, spectrum_report
from neurotorch.core.trees import transform
from neurotorch.network.layer import Layer
from neurotorch.network.network import Network

FULL = 0.8  # of the largest rate a spiking neuron can have
EDGE = 0.02  # of the range of a rate neuron
LEAST_DERIVATIVE = 1e-3
GROWTH = 2.0
RATIO = 2.0
FEW = 20  # neurons: with fewer, chance makes outliers


def settled(z: Tensor) -> Tensor:
    """Return the second half of a run: what comes before may be the way there from rest."""
    return z[len(z) // 2 :]


def silent(seen: Seen, limits: Limits) -> Tensor:
    """Return which neurons never spike, or rest at a floor of not less than zero throughout, ``(neuron,)`` bool."""
    z = seen.emitted
    if seen.spiking:
        return ~(z > 0).flatten(0, 1).any(0)
    never = ~(z != 0).flatten(0, 1).any(0)
    z = settled(z)
    floor, range_ = limits.floor, limits.ceiling - limits.floor
    # Without a ceiling the most active neuron of the layer says what is little.
    margin = torch.where(range_.isnan(), 1e-3 * (z.max() - floor), EDGE * range_)
    resting = (z <= floor + margin).flatten(0, 1).all(0) & (floor > -EDGE * range_.nan_to_num(1.0))
    return never | resting


def saturated(seen: Seen, limits: Limits) -> Tensor:
    """Return which neurons spike in nearly every step that they can, or are at an end of their range throughout."""
    z = settled(seen.emitted)
    if seen.spiking:
        return z.mean((0, 1)) >= FULL * limits.ceiling
    margin = EDGE * (limits.ceiling - limits.floor)
    signed = limits.floor < -margin
    return ((z >= limits.ceiling - margin) | (signed & (z <= limits.floor + margin))).flatten(0, 1).all(0)


def exploding(seen: Seen, limits: Limits) -> Tensor:
    """Return which neurons have a state that more than doubles from each quarter of the run to the next."""
    if seen.spiking or bool((~limits.ceiling.isnan() & ~limits.floor.isnan()).any()):
        return torch.zeros_like(limits.floor, dtype=torch.bool)
    size = sizes(seen)
    if len(size) < 4:
        return torch.zeros_like(limits.floor, dtype=torch.bool)
    first, second, third, fourth = (part.amax(0) for part in size.tensor_split(4))
    doubled = (third > GROWTH * second) & (fourth > GROWTH * third) & (second > GROWTH * first) & (second > 0)
    return doubled | ~torch.isfinite(fourth)


def largest(seen: Seen) -> Tensor:
    """Return which neurons have the largest states at the end, half of the largest or more, ``(neuron,)`` bool."""
    size = sizes(seen)[-1]
    return size >= 0.5 * size.max()


@torch.enable_grad()
def derivatives(seen: Seen, *, dt: float) -> Tensor:
    """Return the largest derivative of the spikes of each neuron by its current, over steps and samples."""
    coefficients = seen.layer.neuron.coefficients(dt)
    before = transform(seen.states, lambda leaf: leaf[:-1].detach())
    current = seen.currents[1:].detach().requires_grad_()
    emitted, _ = seen.layer.neuron.step(coefficients, before, current)
    if not emitted.requires_grad or not len(current):
        return seen.emitted.new_zeros(seen.emitted.shape[-1])
    (found,) = torch.autograd.grad(emitted.sum(), current)
    return found.abs().amax((0, 1))


def imbalance(network: Network, name: str, seen: Seen) -> Tensor | None:
    """Return inhibition over excitation of each neuron ``(neuron,)``, or None where balance is not the question.

    What comes from outside of the layer counts by its sign at each moment. It is no question where a neuron has no
    type, emits a negative activity, or gets more from outside than recurrent excitation and inhibition leave over.
    """
    recurrent = seen.layer.recurrent
    if recurrent is None or recurrent.dale is None or len(seen.emitted) < 2 or bool((seen.emitted < 0).any()):
        return None
    signs = recurrent.dale.signs
    if not (bool((signs > 0).any()) and bool((signs < 0).any())):
        return None
    inner = measure_balance(network, {name: seen.emitted}, layer=name, addresses=[f"{name}.recurrent"], discard=1)
    outer = seen.currents[1:] - inner.net
    if float(inner.net.mean((0, 1)).abs().mean()) <= float(outer.abs().mean()):
        return None
    return Balance(inner.excitation + outer.clamp(min=0), inner.inhibition + outer.clamp(max=0)).ratio


def out_of_balance(ratio: Tensor | None) -> Tensor | None:
    """Return which neurons have a ratio beyond `RATIO`, or None unless that of the median neuron is."""
    if ratio is None or bool(ratio.isnan().all()):
        return None
    beyond = (ratio > RATIO) | (ratio < 1 / RATIO)
    middle = ratio[~ratio.isnan()].median()
    return beyond if bool((middle > RATIO) | (middle < 1 / RATIO)) else None


def outlier(layer: Layer) -> SpectrumReport | None:
    """Return the spectrum of the recurrent weights if they have an outlier above 1: activity that feeds itself."""
    if layer.recurrent is None or layer.neurons < FEW:
        return None
    report = spectrum_report(layer.recurrent.weight())
    return report if report.outlier is not None and report.outlier.real > 1 else None
