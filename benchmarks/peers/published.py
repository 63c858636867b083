"""Imports the published NeuroTorch 0.0.2, whose package has the name of ours: only in a process of its own.

It needs ``torchvision.transforms`` for `Compose` and `Lambda` alone. Where torchvision does not import, a stand-in
with these two takes its place; nothing that is timed passes through it.
"""

from __future__ import annotations

import os
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any


class Compose:
    """Apply functions one after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, value: Any) -> Any:
        for transform in self.transforms:
            value = transform(value)
        return value


class Lambda:
    """Apply one function."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        self.lambd = lambd

    def __call__(self, value: Any) -> Any:
        return self.lambd(value)


def published() -> types.ModuleType:
    """Return the published package, found by PYTHONPATH.

    Raises
    ------
    ImportError
        If another package of that name is found first.
    """
    os.environ.setdefault("MPLBACKEND", "Agg")  # it imports pyplot
    transforms = types.ModuleType("torchvision.transforms")
    vars(transforms).update(Compose=Compose, Lambda=Lambda, ToTensor=Compose)
    parent = types.ModuleType("torchvision")
    vars(parent).update(transforms=transforms)
    sys.modules.update({"torchvision": parent, "torchvision.transforms": transforms})
    warnings.simplefilter("ignore")  # it reports its own deprecations at every use
    import neurotorch

    if "SpyLIFLayerLPF" not in vars(neurotorch):
        raise ImportError(
            f"`neurotorch` is {neurotorch.__file__}, but the published 0.0.2 is wanted: put its folder on PYTHONPATH."
        )
    return neurotorch
