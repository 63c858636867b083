"""Linear filters in float64 numpy, written from the papers' equations. Time is axis 0."""

import numpy as np


def leaky_integrator(current, weight, *, tau_mem, dt):
    """Return the potentials of leaky readouts that also receive their own potential of the step before.

    Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, equation 11: ``y^t = kappa y^{t-1} + sum_j W_kj z_j^t + b``,
    ``kappa = exp(-dt / tau_out)``.
    """
    kappa = np.exp(-dt / np.asarray(tau_mem, dtype=float))
    y, found = np.zeros(current.shape[1]), []
    for drive in current:
        y = kappa * y + drive + weight @ y
        found.append(y)
    return np.array(found)


def calcium(activity, weight, *, tau, dt):
    """Return calcium given activity, each neuron's calcium acting on the others a step later.

    Vogelstein et al. 2010, doi:10.1152/jn.01073.2009, equation 2 without noise and baseline, in units of a spike's jump
    ``A``: ``C_t = gamma C_{t-1} + n_t``, with the exact decay ``gamma = exp(-dt / tau)`` in place of ``1 - dt / tau``.
    """
    gamma = np.exp(-dt / np.asarray(tau, dtype=float))
    c, found = np.zeros(activity.shape[1]), []
    for n in activity:
        c = gamma * c + n + weight @ c
        found.append(c)
    return np.array(found)
