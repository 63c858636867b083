"""E-prop in float64 numpy, written from the papers' equations. Time is axis 0, then the sample; weights (post, pre)."""

import numpy as np


def pseudo_derivative(v, threshold, adapted, gamma):
    """Return ``psi = gamma / v_th max(0, 1 - |v - A| / v_th)``: scaled by the baseline threshold (Methods)."""
    return gamma / threshold * np.maximum(0.0, 1 - np.abs((v - adapted) / threshold))


def eprop(
    inputs,
    target,
    weights,
    feedback,
    *,
    alpha,
    kappa,
    threshold,
    gamma=0.3,
    rho=0.0,
    beta=0.0,
    learning_rate=0.0,
):
    """Return what e-prop finds for ``E = 1/2 sum (y - y*)^2``, by weight, and the outputs.

    Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, Methods, with adaptive neurons (LIF where ``beta = 0``)::

        v_j^{t+1} = alpha v_j^t + sum W_rec z_i^t + sum W_in x_i^{t+1} - z_j^t v_th
        a_j^{t+1} = rho a_j^t + z_j^t,   A_j^t = v_th + beta a_j^t,   z_j^t = H(v_j^t - A_j^t)
        y_k^t = kappa y_k^{t-1} + sum_j W_out z_j^t
        eps_v_ji^{t+1} = alpha eps_v_ji^t + z_i^t
        eps_a_ji^{t+1} = psi_j^t eps_v_ji^t + (rho - psi_j^t beta) eps_a_ji^t
        e_ji^t = psi_j^t (eps_v_ji^t - beta eps_a_ji^t)
        dE/dW_ji = sum_t (sum_k B_jk (y_k^t - y*_k^t)) sum_{t' <= t} kappa^{t - t'} e_ji^{t'}

    With a `learning_rate` the weights change after every step by the term of that step. One sample at a time: no trace
    and no error ever meets one of another sample, save where the changes of a step are added up.
    """
    w_in, w_rec, w_out = (np.array(w) for w in weights)
    samples, steps = inputs.shape[1], inputs.shape[0]
    neurons, outputs = len(w_rec), len(w_out)
    v, a, z = (np.zeros((samples, neurons)) for _ in range(3))
    y, filtered_z = np.zeros((samples, outputs)), np.zeros((samples, neurons))
    pre_in, pre_rec = np.zeros((samples, inputs.shape[2])), np.zeros((samples, neurons))
    eps_a = [np.zeros((samples, neurons, n)) for n in (inputs.shape[2], neurons)]
    filtered = [np.zeros_like(eps) for eps in eps_a]
    psi = np.zeros((samples, neurons))
    total = [np.zeros_like(w) for w in (w_in, w_rec, w_out)]
    record = []
    for t in range(steps):
        change = [np.zeros_like(w) for w in total]
        current_feedback = w_out.T if feedback is None else feedback
        for b in range(samples):
            eps_v_old = (pre_in[b].copy(), pre_rec[b].copy())
            a[b] = rho * a[b] + z[b]
            pre_in[b] = alpha * pre_in[b] + inputs[t, b]
            pre_rec[b] = alpha * pre_rec[b] + z[b]
            v[b] = alpha * v[b] + w_rec @ z[b] + w_in @ inputs[t, b] - z[b] * threshold
            adapted = threshold + beta * a[b]
            z[b] = (v[b] > adapted).astype(float)
            psi_old, psi[b] = psi[b].copy(), pseudo_derivative(v[b], threshold, adapted, gamma)
            y[b] = kappa * y[b] + w_out @ z[b]
            filtered_z[b] = kappa * filtered_z[b] + z[b]
            error = y[b] - target[t, b]
            signal = current_feedback @ error
            for k, (old, new) in enumerate(zip(eps_v_old, (pre_in[b], pre_rec[b]), strict=True)):
                eps_a[k][b] = np.outer(psi_old, old) + (rho - psi_old * beta)[:, None] * eps_a[k][b]
                e = psi[b][:, None] * (new[None, :] - beta * eps_a[k][b])
                filtered[k][b] = kappa * filtered[k][b] + e
                change[k] += signal[:, None] * filtered[k][b]
            change[2] += np.outer(error, filtered_z[b])
        record.append(y.copy())
        total = [old + new for old, new in zip(total, change, strict=True)]
        w_in, w_rec, w_out = (w - learning_rate * new for w, new in zip((w_in, w_rec, w_out), change, strict=True))
    return total, np.stack(record), (w_in, w_rec, w_out)


def rflo(inputs, target, weights, feedback, *, rate):
    """Return what RFLO finds for ``E = 1/2 sum (y - y*)^2`` (its changes are minus this), and the outputs.

    Murray 2019, doi:10.7554/eLife.43299, with ``rate = 1 / tau`` and the output of the same step::

        u = W h(t) + W_in x(t + 1),   h(t + 1) = h(t) + rate (-h(t) + tanh(u)),   y = W_out h
        p_ab(t + 1) = rate tanh'(u_a) h_b(t) + (1 - rate) p_ab(t)
        dW_ab = -sum_t [B (y - y*)]_a p_ab,   dW_out = -sum_t (y - y*) h
    """
    w_in, w_rec, w_out = weights
    steps, samples = inputs.shape[:2]
    total, record = [np.zeros_like(w) for w in weights], np.zeros((steps, samples, len(w_out)))
    for b in range(samples):
        h = np.zeros(len(w_rec))
        p_in, p_rec = np.zeros_like(w_in), np.zeros_like(w_rec)
        for t in range(steps):
            u = w_rec @ h + w_in @ inputs[t, b]
            slope = 1 - np.tanh(u) ** 2
            p_in = rate * np.outer(slope, inputs[t, b]) + (1 - rate) * p_in
            p_rec = rate * np.outer(slope, h) + (1 - rate) * p_rec
            h = h + rate * (-h + np.tanh(u))
            record[t, b] = w_out @ h
            error = record[t, b] - target[t, b]
            total[0] += (feedback @ error)[:, None] * p_in
            total[1] += (feedback @ error)[:, None] * p_rec
            total[2] += np.outer(error, h)
    return total, record
