import shutil

import numpy as np
import pytest

from neurotorch.cli.main import main
from tests.cli.tiny import activity, fit


@pytest.fixture(scope="session")
def recording(tmp_path_factory):
    """A `.npy` of 160 frames of 4 neurons."""
    path = tmp_path_factory.mktemp("cli") / "tiny.npy"
    np.save(path, activity())
    return path


@pytest.fixture(scope="session")
def whole(recording, tmp_path_factory):
    """The folder of a run that nothing interrupted: to be read only."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert main([*fit(recording, folder), "--quiet"]) == 0
    return folder


@pytest.fixture
def finished(whole, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(whole, tmp_path / "run")
