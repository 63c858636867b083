"""What every peer computes: one recurrent layer and a readout, on the same inputs, weights and target."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

CHANNELS, OUTPUTS, SEED = 16, 10, 0


@dataclass(frozen=True)
class Setting:
    """One row of the benchmark: `model` is "current-lif" or "wilson-cowan"."""

    model: str
    dale: bool
    neurons: int
    batch: int
    steps: int
    dtype: str = "float32"


@dataclass(frozen=True)
class Constants:
    """Seconds; `gain` of the input and of the recurrent weights, in units of ``1 / sqrt(fan-in)``."""

    dt: float
    tau_mem: float
    tau_syn: float
    tau_readout: float
    input_gain: float
    recurrent_gain: float


# Gains of the spiking layer are such that 5 to 12 % of the neurons fire at a step, at every size.
CONSTANTS = {
    "current-lif": Constants(0.001, 0.02, 0.005, 0.02, input_gain=0.18, recurrent_gain=0.2),
    "wilson-cowan": Constants(0.02, 0.1, 0.0, 0.1, input_gain=1.0, recurrent_gain=4.0),
}


class Problem(NamedTuple):
    """`inputs` ``(time, batch, channel)``, weights ``(post, pre)``, `signs` ``(pre,)``, `target` of the readout."""

    setting: Setting
    constants: Constants
    inputs: Tensor
    input_weight: Tensor
    recurrent_weight: Tensor
    readout_weight: Tensor
    signs: Tensor | None
    target: Tensor


def draw(setting: Setting) -> Problem:
    """Return the problem of a setting, the same in every process."""
    generator = torch.Generator().manual_seed(SEED)
    constants, n, dtype = CONSTANTS[setting.model], setting.neurons, getattr(torch, setting.dtype)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    recurrent, signs = normal(n, n), None
    if setting.dale:
        # Four fifths excitatory; in every row inhibition is scaled such that the row sums to zero.
        excitatory = torch.arange(n) < round(0.8 * n)
        signs = torch.where(excitatory, 1.0, -1.0)
        magnitude = recurrent.abs()
        balance = magnitude[:, excitatory].sum(1, keepdim=True) / magnitude[:, ~excitatory].sum(1, keepdim=True)
        recurrent = 0.5 * signs * torch.where(excitatory, magnitude, balance * magnitude)
    return Problem(
        setting,
        constants,
        normal(setting.steps, setting.batch, CHANNELS).to(dtype),
        (constants.input_gain / math.sqrt(CHANNELS) * normal(n, CHANNELS)).to(dtype),
        (constants.recurrent_gain / math.sqrt(n) * recurrent).to(dtype),
        (normal(OUTPUTS, n) / math.sqrt(n)).to(dtype),
        None if signs is None else signs.to(dtype),
        normal(setting.steps, setting.batch, OUTPUTS).to(dtype),
    )
