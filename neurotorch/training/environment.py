"""What the exact bits of a run depend on, beside its state."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import torch


class ResumeWarning(UserWarning):
    """A run is resumed under conditions in which it may not continue bit for bit."""


def environment() -> dict[str, str]:
    """Return versions, thread count and machine type by name."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": _version("numpy"),
        "numba": _version("numba"),
        "neurotorch": _version("neurotorch"),
        "threads": str(torch.get_num_threads()),
        "platform": f"{platform.system()} {platform.machine()}",
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }


def warn_of_differences(saved: Mapping[str, str]) -> None:
    """Warn with a `ResumeWarning` that names each difference between `saved` and the environment now."""
    now = environment()
    differences = [f"{name} {saved.get(name)} then, {now[name]} now" for name in now if saved.get(name) != now[name]]
    if differences:
        warnings.warn(
            f"The run was saved elsewhere: {'; '.join(differences)}. It continues, but perhaps not bit for bit.",
            ResumeWarning,
            stacklevel=4,
        )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
