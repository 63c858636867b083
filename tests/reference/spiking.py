"""Integrate-and-fire neurons in float64 numpy, written from the papers' equations. Time is axis 0.

In all of them neuron ``i`` receives ``I_i(t) + sum_j W_ij z_j(t - 1)``.
"""

import numpy as np


def lif(current, weight, *, tau_mem, threshold, dt, reset):
    """Return spikes and potentials of a leaky integrate-and-fire neuron.

    Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, equation 6::

        v^{t+1} = alpha v^t + sum_j W_ij z_j^t + I^{t+1} - z^t v_th,     alpha = exp(-dt / tau_m)

    and equation 7, ``z^t = H(v^t - v_th)``. With `reset` ``"zero"`` the potential of a neuron that fired restarts from
    0 instead of losing ``v_th`` (Gerstner et al. 2014, Neuronal Dynamics, equation 1.11).
    """
    steps, neurons = current.shape
    alpha = np.exp(-dt / np.asarray(tau_mem, dtype=float))
    potentials, spikes = np.zeros((steps, neurons)), np.zeros((steps, neurons))
    v, z = np.zeros(neurons), np.zeros(neurons)
    for t in range(steps):
        carried = {"subtract": alpha * v - z * threshold, "zero": np.where(z == 1, 0.0, alpha * v)}
        v = carried[reset] + weight @ z + current[t]
        z = np.where(v > threshold, 1.0, 0.0)
        potentials[t], spikes[t] = v, z
    return spikes, potentials


def current_lif(current, weight, *, tau_syn, tau_mem, threshold, dt, reset):
    """Return spikes and potentials of a leaky integrate-and-fire neuron with a synaptic current.

    Neftci, Mostafa & Zenke 2019, doi:10.1109/MSP.2019.2931595, equations 4 and 5, with their current one step earlier
    (that is, ``syn`` is what the paper calls ``I[n + 1]``)::

        I[n + 1] = alpha I[n] + sum_j W_ij S_j[n] + input,   U[n + 1] = beta U[n] + I[n + 1] - S[n] theta
    """
    steps, neurons = current.shape
    alpha, beta = np.exp(-dt / np.asarray(tau_syn, dtype=float)), np.exp(-dt / np.asarray(tau_mem, dtype=float))
    potentials, spikes = np.zeros((steps, neurons)), np.zeros((steps, neurons))
    syn, u, s = np.zeros(neurons), np.zeros(neurons), np.zeros(neurons)
    for n in range(steps):
        syn = alpha * syn + weight @ s + current[n]
        carried = {"subtract": beta * u - s * threshold, "zero": np.where(s == 1, 0.0, beta * u)}
        u = carried[reset] + syn
        s = np.where(u > threshold, 1.0, 0.0)
        potentials[n], spikes[n] = u, s
    return spikes, potentials


def adaptive_lif(current, weight, *, tau_mem, tau_adaptation, beta, threshold, dt, tau_syn=None):
    """Return spikes, potentials and adaptations of an adaptive integrate-and-fire neuron.

    Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, Methods: equation 6 (see `lif`) with::

        z^t = H(v^t - A^t),     A^t = v_th + beta a^t,     a^{t+1} = rho a^t + z^t,     rho = exp(-dt / tau_a)

    With a `tau_syn`, the potential integrates the synaptic current of `current_lif` instead of its input.
    """
    steps, neurons = current.shape
    alpha, rho = np.exp(-dt / np.asarray(tau_mem, dtype=float)), np.exp(-dt / np.asarray(tau_adaptation, dtype=float))
    decay = 0.0 if tau_syn is None else np.exp(-dt / np.asarray(tau_syn, dtype=float))
    spikes, potentials, adaptations = (np.zeros((steps, neurons)) for _ in range(3))
    syn, v, a, z = (np.zeros(neurons) for _ in range(4))
    for t in range(steps):
        syn = decay * syn + weight @ z + current[t]
        a = rho * a + z
        v = alpha * v + syn - z * threshold
        z = np.where(v > threshold + beta * a, 1.0, 0.0)
        spikes[t], potentials[t], adaptations[t] = z, v, a
    return spikes, potentials, adaptations


def izhikevich(current, weight, *, a, b, c, d, dt):
    """Return spikes, potentials and recovery of Izhikevich neurons.

    Izhikevich 2003, doi:10.1109/TNN.2003.820440, equations 1 to 3, by the scheme of its code: of a neuron at 30 mV or
    more ``v = c``, ``u = u + d``; then two half steps of ``v`` and one of ``u``, in milliseconds. A spike ends at 30
    mV: half steps and the recovery see no more than that.
    """
    steps, neurons = current.shape
    ms = 1000 * dt
    v = np.full(neurons, -65.0)
    u, z = b * v, np.zeros(neurons)
    spikes, potentials, recovery = (np.zeros((steps, neurons)) for _ in range(3))
    for t in range(steps):
        drive = current[t] + weight @ z
        fired = np.flatnonzero(v > 30)
        v[fired] = np.broadcast_to(c, neurons)[fired]
        u[fired] += np.broadcast_to(d, neurons)[fired]
        v = np.minimum(v + 0.5 * ms * (0.04 * v**2 + 5 * v + 140 - u + drive), 30)
        v = v + 0.5 * ms * (0.04 * v**2 + 5 * v + 140 - u + drive)
        u = u + ms * a * (b * np.minimum(v, 30) - u)
        z = np.where(v > 30, 1.0, 0.0)
        spikes[t], potentials[t], recovery[t] = z, v, u
    return spikes, potentials, recovery


ADEX = {
    "capacitance": 281e-12,
    "g_leak": 30e-9,
    "e_leak": -70.6e-3,
    "v_threshold": -50.4e-3,
    "delta": 2e-3,
    "tau_w": 0.144,
    "a": 4e-9,
    "b": 0.0805e-9,
    "v_reset": -70.6e-3,
    "peak": 20e-3,
}


def adex(current, weight, *, dt, **constants):
    """Return spikes, potentials and adaptation of adaptive exponential neurons, all in SI units (A, V, A).

    Brette & Gerstner 2005, doi:10.1152/jn.00686.2005, equations 1 to 3, by Euler's method::

        C dV/dt = -g_L (V - E_L) + g_L Delta_T exp((V - V_T) / Delta_T) - w + I,     tau_w dw/dt = a (V - E_L) - w
        at V > 20 mV:  V = V_r,  w = w + b
    """
    k = ADEX | constants
    steps, neurons = current.shape
    v = np.zeros(neurons) + k["e_leak"]
    w, z = np.zeros(neurons), np.zeros(neurons)
    spikes, potentials, adaptation = (np.zeros((steps, neurons)) for _ in range(3))
    for t in range(steps):
        v, w = np.where(z == 1, k["v_reset"], v), w + k["b"] * z
        upstroke = k["g_leak"] * k["delta"] * np.exp((v - k["v_threshold"]) / k["delta"])
        flow = -k["g_leak"] * (v - k["e_leak"]) + upstroke - w + current[t] + weight @ z
        v, w = v + dt * flow / k["capacitance"], w + dt * (k["a"] * (v - k["e_leak"]) - w) / k["tau_w"]
        z = np.where(v > k["peak"], 1.0, 0.0)
        spikes[t], potentials[t], adaptation[t] = z, v, w
    return spikes, potentials, adaptation


def refractory_lif(
    current, weight, *, tau_mem, threshold, held, dt, reset="zero", tau_syn=None, tau_adaptation=None, beta=0.0
):
    """Return spikes and potentials of integrate-and-fire neurons held for `held` steps after each spike.

    Gerstner et al. 2014, Neuronal Dynamics, section 1.3: the dynamics of the potential are interrupted during the
    absolute refractory time and start again from where the reset put it; synaptic current and threshold go on. Written
    with the times of the last spikes.
    """
    steps, neurons = current.shape
    alpha = np.exp(-dt / np.asarray(tau_mem, dtype=float))
    gamma = 0.0 if tau_syn is None else np.exp(-dt / np.asarray(tau_syn, dtype=float))
    rho = 0.0 if tau_adaptation is None else np.exp(-dt / np.asarray(tau_adaptation, dtype=float))
    spikes, potentials = np.zeros((steps, neurons)), np.zeros((steps, neurons))
    v, z, syn, a, last = *(np.zeros(neurons) for _ in range(4)), np.full(neurons, -np.inf)
    for t in range(steps):
        syn = gamma * syn + weight @ z + current[t]
        a = rho * a + z
        left = {"zero": np.where(z == 1, 0.0, alpha * v), "subtract": alpha * v - threshold * z}[reset]
        age = t - last
        v = np.where(age > held, left + syn, np.where(age == 1, left, v))
        z = np.where((age > held) & (v > threshold + beta * a), 1.0, 0.0)
        last = np.where(z == 1, t, last)
        spikes[t], potentials[t] = z, v
    return spikes, potentials


def double_exponential_lif(current, weight, *, tau_rise, tau_syn, tau_mem, threshold, dt):
    """Return spikes and potentials of integrate-and-fire neurons with a synaptic current of two exponentials.

    The current is the sum over the whole past of the kernel, Gerstner et al. 2014, Neuronal Dynamics, section 3.1, here
    in steps: ``(1 - x) (y^(n+1) - x^(n+1)) / (y - x)`` at age ``n``, ``x`` and ``y`` the decays of rise and fall per
    step.
    """
    steps, neurons = current.shape
    x, y, beta = (np.exp(-dt / np.asarray(tau, dtype=float)) for tau in (tau_rise, tau_syn, tau_mem))
    spikes, potentials, arrived = (np.zeros((steps, neurons)) for _ in range(3))
    u, s = np.zeros(neurons), np.zeros(neurons)
    for t in range(steps):
        arrived[t] = current[t] + weight @ s
        after = np.arange(t + 1)[::-1, None] + 1
        syn = ((1 - x) * (y**after - x**after) / (y - x) * arrived[: t + 1]).sum(axis=0)
        u = beta * u + syn - s * threshold
        s = np.where(u > threshold, 1.0, 0.0)
        spikes[t], potentials[t] = s, u
    return spikes, potentials


def qif(current, weight, *, tau_mem, v_reset, peak, dt):
    """Return spikes and potentials of quadratic integrate-and-fire neurons.

    Montbrio, Pazo & Roxin 2015, doi:10.1103/PhysRevX.5.021028, equation 1: ``tau dV/dt = V^2 + I``; above `peak` the
    potential is put to `v_reset`. By Euler's method.
    """
    steps, neurons = current.shape
    spikes, potentials = np.zeros((steps, neurons)), np.zeros((steps, neurons))
    v, z = np.zeros(neurons), np.zeros(neurons)
    for t in range(steps):
        v = np.where(z == 1, v_reset, v)
        v = v + dt / tau_mem * (v**2 + current[t] + weight @ z)
        z = np.where(v > peak, 1.0, 0.0)
        spikes[t], potentials[t] = z, v
    return spikes, potentials
