"""Rate models in float64 numpy, written from the papers' equations and solved by Euler's method. Time is axis 0."""

import numpy as np


def logistic(x):
    """Return ``1 / (1 + exp(-x))``."""
    return 1 / (1 + np.exp(-x))


def firing_rate(current, weight, *, tau, dt, phi):
    """Return the rates of a recurrent network.

    Dayan & Abbott 2001, Theoretical Neuroscience, equation 7.11: ``tau dv/dt = -v + F(h + M v)``.
    """
    v, found = np.zeros(current.shape[1]), []
    for h in current:
        v = v + dt * (-v + phi(h + weight @ v)) / tau
        found.append(v)
    return np.array(found)


def wilson_cowan(current, weight, *, tau, mu, r, dt):
    """Return the active fractions of coupled populations.

    Wilson & Cowan 1972, doi:10.1016/S0006-3495(72)86068-5, equation 11: ``tau dE/dt = -E + (1 - r E) S(c E + P)``, with
    a logistic ``S`` of unit slope around ``mu``.
    """
    e, found = np.zeros(current.shape[1]), []
    for p in current:
        e = e + dt * (-e + (1 - r * e) * logistic(weight @ e + p - mu)) / tau
        found.append(e)
    return np.array(found)


def multi_timescale_rate(current, weight, *, own, taus, tau_trace, dt, phi):
    """Return what is emitted and what is observed of units with filters of their own past.

    Section 5 of the design, after the multi-timescale adaptive filters of Pozzorini et al. 2013, doi:10.1038/nn.3431::

        x(t) = sum_k a_k m_k(t - 1) + I(t) + sum_j W_ij phi(s_j(t - 1))
        tau_k dm_k/dt = x - m_k,     tau_s ds/dt = x - s

    Written without a state, as sums over the whole past,
    ``m_k(t) = (dt / tau_k) sum_{u <= t} (1 - dt / tau_k)^(t - u) x(u)``. Before the first step nothing was emitted.
    """
    steps, neurons = current.shape
    x, emitted = np.zeros((steps, neurons)), np.zeros((steps, neurons))

    def filtered(tau, until):
        """Return the filter of `x` over the steps before `until`."""
        ages = np.arange(until)[::-1, None]
        kernel = (dt / tau) * (1 - dt / tau) ** ages
        return (kernel * x[:until]).sum(axis=0)

    for t in range(steps):
        x[t] = current[t] + (weight @ emitted[t - 1] if t else 0)
        for k, tau in enumerate(taus):
            x[t] += own[k] * filtered(tau, t)
        emitted[t] = phi(filtered(tau_trace, t + 1))
    return emitted, x


def current_rate(current, weight, *, tau, dt, phi):
    """Return the rates ``phi(h)`` of a recurrent network in the current form.

    Sompolinsky, Crisanti & Sommers 1988, doi:10.1103/PhysRevLett.61.259, equation 1, with time constants and input:
    ``tau dh/dt = -h + J phi(h) + I``.
    """
    h, found = np.zeros(current.shape[1]), []
    emitted = np.zeros(current.shape[1])  # before the first step nothing was emitted
    for drive in current:
        h = h + dt * (-h + weight @ emitted + drive) / tau
        emitted = phi(h)
        found.append(emitted)
    return np.array(found)


def elman(current, weight, *, gain, phi):
    """Return the activity of Elman's recurrent network, 1990, doi:10.1207/s15516709cog1402_1."""
    x, found = np.zeros(current.shape[1]), []
    for drive in current:
        x = phi(gain * (weight @ x + drive))
        found.append(x)
    return np.array(found)
