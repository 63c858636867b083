"""What all tests share: one thread, no display, reproducible properties, seeds and the folder of real recordings."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

# Thread counts are read when the libraries are first loaded, so they are set before torch is imported.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"
os.environ["MPLBACKEND"] = "Agg"

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)

# Shared machines stall: a deadline or a slow draw says nothing about the code.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def _data_folder() -> Path | None:
    value = os.environ.get("NEUROTORCH_DATA")
    if not value:
        return None
    folder = Path(value).resolve()
    if not folder.is_dir():
        raise pytest.UsageError(f"NEUROTORCH_DATA is {value!r}, which is not a folder: unset it or correct it.")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use `data_folder`, and skip what this machine cannot run, with the reason."""
    data, gpu = _data_folder() is not None, torch.cuda.is_available()
    for item in items:
        if "data_folder" in getattr(item, "fixturenames", ()):
            item.add_marker("data")
        if not data and item.get_closest_marker("data"):
            item.add_marker(pytest.mark.skip(reason="needs real recordings: NEUROTORCH_DATA is not set"))
        if not gpu and item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real recordings; a test that uses it is skipped where NEUROTORCH_DATA is not set."""
    folder = _data_folder()
    assert folder is not None
    return folder


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A seed of the test's own: the same in every run and order, another one for every test and parameter."""
    return zlib.crc32(request.node.nodeid.encode())


@pytest.fixture
def generator(seed: int) -> torch.Generator:
    """A torch generator with the test's seed."""
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def random(seed: int) -> np.random.Generator:
    """A numpy generator with the test's seed."""
    return np.random.default_rng(seed)
