"""What the excitatory neurons of a layer do where the current from the inhibitory ones no longer answers them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from neurotorch.analysis.balance import measure_balance
from neurotorch.analysis.steady_state import SteadyRun
from neurotorch.core.trees import leaves, rebuild, transform
from neurotorch.network.network import NetworkState

EPSILON = 1e-6  # relative; central differences in float64: truncation 1e-12, rounding 1e-10


def frozen_rate(
    steady: SteadyRun, state: NetworkState, inhibitory: Tensor, rates: Tensor, *, currents: Tensor, kept: int
) -> float:
    """Return the mean excitatory rate per step that a layer comes to with the current of its inhibition frozen.

    Parameters
    ----------
    steady, state
        The run, and where it starts.
    inhibitory, rates : (neuron,)
        Which neurons are inhibitory, and the mean activity of each, from which the frozen current is taken.
    currents : (step, trial, neuron)
        Noise, and what else comes in.
    kept
        Steps at the end to take the mean over.

    Returns
    -------
    float
        Infinite where the activity leaves all numbers.
    """
    address = f"{steady.layer}.recurrent"
    weight = steady.network.effective_weights()[address]
    constant = functional.linear(torch.where(inhibitory, rates, 0.0), weight)
    excitation = {address: torch.where(inhibitory, 0.0, weight)}
    try:
        emitted, _ = steady.run(state, len(currents), currents + constant, weights=excitation)
    except FloatingPointError:
        return math.inf
    return float(emitted[-kept:, :, ~inhibitory].mean())


def loop_gain(
    steady: SteadyRun,
    state: NetworkState,
    inhibitory: Tensor,
    emitted: Tensor,
    *,
    currents: Tensor,
    kept: int,
    share: float,
) -> float:
    """Return by which share the excitatory rate rises, per share that its own recurrent current is raised by.

    The loop is opened: recurrent weights are zero, and each neuron gets the recurrent current of the run that is
    replayed, moment by moment, the part from excitatory neurons multiplied by ``1 + share``. A gain above 1 is a loop
    that feeds itself. Of linear populations it is ``phi' w_EE``.

    Parameters
    ----------
    steady, state, inhibitory
        The run, where it starts, and which neurons are inhibitory.
    emitted, currents : (step, trial, neuron)
        What the layer emitted in the run that is replayed, and what came in.
    kept
        Steps at the end to take means over.
    share
        By how much the excitatory current is raised.
    """
    address = f"{steady.layer}.recurrent"
    weight = steady.network.effective_weights()[address]

    def arriving(override: Tensor) -> Tensor:
        return measure_balance(
            steady.network,
            {steady.layer: emitted},
            layer=steady.layer,
            start=state,
            addresses=[address],
            weights={address: override},
        ).net

    inner, excitation = arriving(weight), arriving(torch.where(inhibitory, 0.0, weight))
    opened = {address: torch.zeros_like(weight)}
    means = []
    for raised in (0.0, share):
        found, _ = steady.run(state, len(currents), currents + inner + raised * excitation, weights=opened)
        means.append(float(found[-kept:, :, ~inhibitory].mean()))
    return (means[1] / means[0] - 1) / share if means[0] else 0.0


def frozen_growth(steady: SteadyRun, state: NetworkState, inhibitory: Tensor) -> float:
    r"""Return the largest growth rate of perturbations of the excitatory neurons alone around a state, in 1/s.

    With ``J`` the Jacobian of one step from the states of the excitatory neurons (and what they emitted last) to the
    same, all else held, it is ``log(max |eigenvalue of J|) / dt``. For ``x' = x + (dt / tau)(-x + phi(I))`` that is
    ``log(1 + (dt / tau)(phi' w_EE - 1)) / dt``, positive where ``phi' w_EE > 1``.

    The states of the first trial are taken. The work grows with the cube of the number of excitatory neurons.
    """
    base = transform(state, lambda leaf: leaf[..., :1, :])
    excited = (~inhibitory).nonzero().flatten()
    own = leaves(base[steady.index])
    places = [
        (number, row, int(neuron))
        for number, leaf in enumerate(own)
        for row in range(leaf[..., 0, :].reshape(-1, leaf.shape[-1]).shape[0])
        for neuron in excited
    ]
    samples = 2 * len(places)
    moved = [leaf.repeat_interleave(samples, dim=-2) for leaf in own]
    sizes = []
    for sample, (number, row, neuron) in enumerate(places):
        flat = moved[number].reshape(-1, samples, moved[number].shape[-1])
        sizes.append(EPSILON * max(1.0, float(flat[row, 2 * sample, neuron].abs())))
        flat[row, 2 * sample, neuron] += sizes[-1]
        flat[row, 2 * sample + 1, neuron] -= sizes[-1]
        moved[number] = flat.reshape(moved[number].shape)
    others = transform(base, lambda leaf: leaf.repeat_interleave(samples, dim=-2))
    start = tuple(rebuild(layer, moved) if index == steady.index else layer for index, layer in enumerate(others))
    _, after = steady.run(start, 1, None)
    reached = _coordinates(after[steady.index], excited)  # (sample, coordinate)
    jacobian = (reached[0::2] - reached[1::2]).T / (2 * reached.new_tensor(sizes))
    largest = float(torch.linalg.eigvals(jacobian).abs().max())
    return math.log(largest) / steady.network.dt if largest > 0 else -math.inf


def _coordinates(state: Any, excited: Tensor) -> Tensor:
    """Return the fields of the excitatory neurons side by side, ``(sample, field x step x neuron)``."""
    rows = [leaf.reshape(-1, *leaf.shape[-2:])[..., excited] for leaf in leaves(state)]
    return torch.cat([row.transpose(0, 1).flatten(1) for row in rows], dim=1)
