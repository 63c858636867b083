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
