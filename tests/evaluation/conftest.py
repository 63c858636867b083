"""Simulated processes with known forecasts, and the real recordings."""

import numpy as np
import pytest

from neurotorch.data.recording import Recording


def simulated_var(weight, frames, *, seed, noise=1.0):
    """z(t+1) = W z(t) + noise, from its stationary past."""
    rng = np.random.default_rng(seed)
    z = np.zeros((frames + 200, len(weight)))
    for t in range(1, len(z)):
        z[t] = weight @ z[t - 1] + noise * rng.normal(size=len(weight))
    return z[200:]


@pytest.fixture(scope="session")
def small():
    """Five coupled neurons in odd units, 400 frames, in two trials with a gap of missing frames."""
    rng = np.random.default_rng(3)
    weight = 0.8 * np.eye(5) + np.diag([0.1] * 4, k=1)
    activity = simulated_var(weight, 400, seed=4) * rng.uniform(0.1, 50, 5) + rng.normal(size=5) * 10
    missing = np.zeros(400, dtype=bool)
    missing[120:125] = True
    activity[missing] = np.nan
    return Recording(activity, dt=0.5, trials=((0, 250), (250, 400)), missing=missing)


@pytest.fixture(scope="session")
def real(data_folder):
    """Load a real recording by name: live neurons, z-scored on the training part; and its first held-out frame."""

    def load(name):
        if name == "tectum":
            from scipy.io import loadmat

            activity = loadmat(data_folder / "zebrafish_tectum" / "zf_20151104-f1.mat")["activity_matrix"].T
        elif name == "worm":
            activity = np.load(data_folder / "celegans" / "atanas2023_worm_2022-08-02-01.npz")["trace_z"].T
        else:
            activity = np.load(data_folder / "zebrafish_regions" / f"timeseries_regions_{name}.npy").T
        recording = Recording(activity.astype(np.float64), dt=1.0).drop_dead()
        train, test = recording.split(0.2)
        return recording.standardize(fit_on=train), recording.frames - test.frames

    return load
