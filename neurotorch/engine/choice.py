"""Whether a scan runs compiled or as a loop in torch.

Beyond a few steps compiled was faster at every size that was measured (`benchmarks/training_step.py`, docs/speed.md):
against autograd through the reference loop, 7 % of the neurons spiking at a step, 30 times for 128 current-based LIF
neurons, 12 for 522 and 7 for 2048 (single samples), 6 for 522 x 32 samples, 5 for 256 x 128; for Wilson-Cowan units 19,
8, 6, 4 and 3 times. So there is no size from which on it is torch; what decides is device, dtype and what the step is.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from neurotorch.core.trees import leaves
from neurotorch.engine.circuit import Link, Population
from neurotorch.engine.kernel import kernel
from neurotorch.engine.program import Traced
from neurotorch.engine.tracing import OutsideVocabularyError, trace

_LOGGER = logging.getLogger(__name__)
FEW = 4
"""Steps up to which a scan without a gradient runs in torch: laying a scan out takes half a millisecond, and 67 and 522
neurons were even at 6 and 8 steps of LIF, at 9 and 15 of Wilson-Cowan."""

_NAMES = {torch.float32: "float32", torch.float64: "float64"}


class Compiled(NamedTuple):
    """What a compiled scan needs: the machine, and the program of every population."""

    kernel: Callable[..., None]
    traced: tuple[Traced, ...]


def choose(populations: Sequence[Population], links: Sequence[Link]) -> Compiled | None:
    """Return what it takes to run a circuit compiled, or None if it runs in torch.

    Compiled run circuits in float32 or float64 on the CPU whose steps are frozen dataclasses, which is how a step says
    that it is the same at every call; a plain function is called at every step, as it might count. A step that leaves
    the vocabulary is reported once.
    """
    dtype = populations[0].history.dtype
    tensors = [
        t for p in populations for t in (*leaves((p.coefficients, p.state, p.drive, p.inputs)), p.history, p.current)
    ]
    if (
        dtype not in _NAMES
        or torch.compiler.is_compiling()
        or (not torch.is_grad_enabled() and len(populations[0].current) <= FEW)
        or not all(_frozen(population.step) for population in populations)
        or not all(type(t) in _PLAIN and t.device.type == "cpu" for t in (*tensors, *(link.weight for link in links)))
    ):
        return None
    traced = []
    for population in populations:
        try:
            traced.append(trace(population))
        except OutsideVocabularyError as error:
            _report(repr(population.step), str(error))
            return None
    machine = kernel(_NAMES[dtype])
    return None if machine is None else Compiled(machine, tuple(traced))


_PLAIN = (Tensor, torch.nn.Parameter)


def _frozen(step: object) -> bool:
    parameters: Any = getattr(type(step), "__dataclass_params__", None)
    return parameters is not None and parameters.frozen


@functools.cache
def _report(step: str, reason: str) -> None:
    _LOGGER.warning("%s is not compiled and runs in torch, slower: %s", step, reason)
