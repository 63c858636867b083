"""What every benchmark says of how it was made, and one thread per process."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_FIRST = ("torch", "numpy", "numba", "scipy")


def one_thread() -> None:
    """Ask for one thread, for this process and those it starts.

    Raises
    ------
    RuntimeError
        If a library that reads the variables when it is imported already is.
    """
    late = [name for name in _FIRST if name in sys.modules]
    if late:
        raise RuntimeError(f"`one_thread()` comes after the import of {late}: call it first.")
    os.environ.update(dict.fromkeys(_VARIABLES, "1"))


def threads() -> dict[str, int]:
    """Return the threads of every pool of this process: BLAS and OpenMP as loaded, torch, numba.

    Raises
    ------
    RuntimeError
        If one of them has more than one.
    """
    import threadpoolctl
    import torch

    found = {f"{pool['user_api']} {pool['prefix']}": pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    found["torch"] = torch.get_num_threads()
    if "numba" in sys.modules:
        found["numba"] = sys.modules["numba"].get_num_threads()
    if any(count != 1 for count in found.values()):
        raise RuntimeError(f"One thread is wanted, but there are {found}: call `one_thread()` before the first import.")
    return found


def made() -> dict[str, Any]:
    """Return date, commit and command."""
    folder = Path(__file__).parent
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"date": date, "commit": commit.stdout.strip() or None, "command": sys.argv}


def machine() -> dict[str, Any]:
    """Return processor, cores, memory and system, and the load of the last minute: above one, others were at work."""
    cores = os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": cores,
        "memory_gib": round(memory, 1),
        "system": platform.platform(),
        "load": os.getloadavg()[0],
        "accelerator": None,
    }


def versions(*packages: str) -> dict[str, str | None]:
    """Return the versions of Python and of `packages`, None for those that are absent."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _processor() -> str:
    """Return the processor's name, where Linux says it."""
    table = Path("/proc/cpuinfo")
    if table.is_file():
        for line in table.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
