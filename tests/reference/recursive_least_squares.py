"""Recursive least squares and FORCE in float64 numpy, written from the papers. Time is axis 0, weights (post, pre)."""

import itertools

import numpy as np


def ridge(activity, target, *, alpha, start, ages, forgetting=1.0, allowed=None):
    """Return the weights ``(post, pre)`` that minimise the exponentially weighted ridge cost, row by row.

    ``sum_n forgetting^ages[n] (w r_n - d_n)^2 + forgetting^steps alpha |w - w_0|^2`` by its normal equations, over the
    `allowed` entries of every row. `activity` is ``(sample, pre)``, `target` ``(sample, post)``.
    """
    weight = start.copy()
    importance, steps = forgetting ** np.asarray(ages, dtype=float), max(ages) + 1
    for post in range(len(start)):
        free = np.ones(start.shape[1], dtype=bool) if allowed is None else allowed[post]
        r = activity[:, free]
        rest = target[:, post] - activity[:, ~free] @ start[post, ~free]
        prior = forgetting**steps * alpha
        gram = r.T @ (importance[:, None] * r) + prior * np.eye(free.sum())
        weight[post, free] = np.linalg.solve(gram, r.T @ (importance * rest) + prior * start[post, free])
    return weight


def force_step(weight, inverse, activity, error, *, forgetting=1.0):
    """Return weights and inverse after one step.

    Sussillo & Abbott 2009, doi:10.1016/j.neuron.2009.07.018, equation 5 for `inverse` and 4 for the weights, whose
    error is that of before the update. With a forgetting factor: Haykin 2002, *Adaptive Filter Theory*, table 9.1.
    """
    inverse = inverse / forgetting
    inverse = inverse - np.outer(inverse @ activity, activity @ inverse) / (1 + activity @ inverse @ activity)
    return weight - np.outer(error, inverse @ activity), inverse


def readout_force(target, recurrent, feedback, bias, *, dt, tau, tau_readout, alpha):
    """Return output and readout weights ``(post, pre)`` of a tanh network that is trained while it hears its readout.

    ``x' = x + dt/tau (-x + tanh(J x + F z + b))``, then ``z' = exp(-dt/tau_readout) z + w x'``, then the update by
    ``e = z' - target``. Nothing is learnt in the first step.
    """
    neurons, outputs = recurrent.shape[0], target.shape[1]
    x, z, found = np.zeros(neurons), np.zeros(outputs), []
    weight, inverse = np.zeros((outputs, neurons)), np.eye(neurons) / alpha
    for t, wanted in enumerate(target):
        x = x + dt / tau * (-x + np.tanh(recurrent @ x + feedback @ z + bias))
        z = np.exp(-dt / tau_readout) * z + weight @ x
        found.append(z)
        if t:
            weight, inverse = force_step(weight, inverse, x, z - wanted)
    return np.array(found), weight


def full_force(target, weight, *, dt, tau, alpha, forgetting):
    """Return activity and weights of a fully observed network whose recurrent weights learn at every step.

    ``h' = h + dt/tau (-h) + W tanh(h)``, started on the first target; as in CURBD (Perich et al. 2020,
    doi:10.1101/2020.12.18.423348), but with the error in the current: that which leads from target to target is
    ``target(t) - (1 - dt/tau) target(t - 1)``.
    """
    h, inverse, found = target[0], np.eye(weight.shape[1]) / alpha, [target[0]]
    for before, wanted in itertools.pairwise(target):
        r = np.tanh(h)
        current = weight @ r
        h = (1 - dt / tau) * h + current
        found.append(h)
        error = current - (wanted - (1 - dt / tau) * before)
        weight, inverse = force_step(weight, inverse, r, error, forgetting=forgetting)
    return np.array(found), weight


def three_regions(neurons, frames, *, gains, seed, dt=0.1, tau=1.0):
    """Return the activity ``(frame, 3 neurons)`` of three regions of rate neurons, the first driven by a sequence.

    After the generator in the supplement of Perich et al. 2020: ``h' = h + dt/tau (-h + W tanh(h) + drive)``, with
    random weights of standard deviation ``gain / sqrt(neurons)`` within a region and sparse weak ones between regions;
    the drive is a bump that moves over the first region.
    """
    random = np.random.default_rng(seed)
    total = 3 * neurons
    regions = np.repeat(np.arange(3), neurons)
    inside = regions[:, None] == regions[None]
    within = np.asarray(gains)[regions][:, None] * random.standard_normal((total, total)) / np.sqrt(neurons)
    present = random.random((total, total)) < 0.05
    between = present * 0.15 * random.standard_normal((total, total)) / np.sqrt(0.05 * neurons)
    weight = np.where(inside, within, between)
    time = np.arange(frames)[:, None]
    bump = np.exp(-((time - np.linspace(0, frames, neurons)) ** 2) / (2 * (0.05 * frames) ** 2))
    drive = np.hstack([bump * random.uniform(-2, 2, neurons), np.zeros((frames, 2 * neurons))])
    h, found = random.uniform(-1, 1, total), []
    for outside in drive:
        h = h + dt / tau * (-h + weight @ np.tanh(h) + outside)
        found.append(h)
    return np.array(found)
