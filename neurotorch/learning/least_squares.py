"""A warm start by least squares: the weights with which each neuron makes its next recorded frame, found in turn."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neurotorch.core.checks import check_positive
from neurotorch.core.trees import transform
from neurotorch.engine import Run
from neurotorch.learning.checks import only_lag
from neurotorch.network.delays import arriving
from neurotorch.network.forcing import Forcing
from neurotorch.network.network import Network

Array = NDArray[np.float64]


def warm_start(network: Network, target: Tensor, *, ridge: float = 0.1) -> None:
    r"""Set the recurrent weights and the bias of a fully observed layer by teacher-forced, one-step least squares.

    With the layer forced on the target, the current ``I*`` that each neuron needs to show its next frame is known, and
    so is the activity that every other neuron emits. For each postsynaptic neuron `i` alone::

        minimise  sum_t s_i(t)^2 (I*_i(t) - b_i - sum_j w_ij z_j(t - d))^2  +  ridge^2 sum_j w_ij^2

    over weights of the right sign (non-negative least squares) where the mask allows one; ``d`` is the delay of the
    connection in steps, 1 without one, and ``s`` the slope of what is observed in the current, so that errors are
    counted where they show.

    Parameters
    ----------
    network
        Its last layer is observed one step per frame without an instrument, has a recurrent connection and a bias, and
        a model that knows its `required_current`.
    target
        ``(time, neuron)``, in the unit of the recording.
    ridge
        Penalty on the weights, in units of the observed quantity.

    Raises
    ------
    TypeError
        If the model has no `required_current`.
    ValueError
        If the last layer lacks a recurrent connection or a bias per neuron, or is seen through an instrument, or the
        target does not fit it, or its synapses have delays of their own.
    """
    check_positive("ridge", ridge)
    name, population = list(network.named_layers().items())[-1]
    connection = population.recurrent
    if connection is None or population.bias is None:
        raise ValueError(f"Layer {name!r} needs a recurrent connection and a bias to start warm.")
    neurons = population.neurons
    if tuple(population.bias.value.shape) != (neurons,):
        raise ValueError(
            f"The bias of layer {name!r} is {tuple(population.bias.value.shape)}, but a warm start finds one per "
            f"neuron: build the layer with bias=learned(torch.zeros({neurons}))."
        )
    if target.dim() != 2 or target.shape[1] != neurons or len(target) < 2:
        raise ValueError(f"`target` is {tuple(target.shape)}, but it must be (time, neuron) = (at least 2, {neurons}).")
    signs = np.zeros(connection.pre) if connection.dale is None else connection.dale.signs.double().cpu().numpy()
    mask = np.ones((connection.post, connection.pre), dtype=bool)
    if connection.mask is not None:
        mask = connection.mask.cpu().numpy()
    current, slope, activity = _teacher_forced(network, target)
    weight, bias = np.zeros(mask.shape), np.zeros(connection.post)
    for post in range(connection.post):
        weight[post], bias[post] = _fit_neuron(current[:, post], slope[:, post], activity, mask[post], signs, ridge)
    # Under the square map an exact zero has no gradient and would stay: start it a thousandth of a typical weight away.
    floor = 1e-3 * np.abs(weight[weight != 0]).mean() if weight.any() else 1e-6
    weight = np.where(mask & (weight == 0) & (signs != 0), floor * signs, weight)
    connection.set_weight(torch.from_numpy(weight).to(connection.raw))
    population.bias.assign(torch.from_numpy(bias).to(connection.raw))


def _teacher_forced(network: Network, target: Tensor) -> tuple[Array, Array, Array]:
    """Return required current, slope and emitted activity before, ``(time - 1, neuron)`` each."""
    (name, layer), observation = list(network.named_layers().items())[-1], network.observation
    recurrent = layer.recurrent
    assert recurrent is not None  # warm_start checks
    model = layer.neuron
    required = type(model).required_current
    if required is None:
        raise TypeError(
            f"{type(model).__name__} has no `required_current`, which a warm start by least squares inverts."
        )
    if observation is not None and not observation.is_direct():
        raise ValueError("A warm start by least squares needs neurons that are observed directly, one step per frame.")
    with torch.no_grad():
        start = network.initial_state()
        run = network.run(None, start, forcing=Forcing.full(target[:, None]), record=True).runs[-1]
        lag = only_lag("a warm start", f"{name}.recurrent", recurrent, network.dt)
        activity = arriving(start[-1].history, run.emitted, lag)[1:]
        others = _other_current(network, run, activity)
        gain = 1.0 if observation is None else observation.gain()
        before = transform(run.states, lambda field: field[:-1])
        wanted = (target if observation is None else observation.inward(target))[1:, None]
        coefficients = transform(model.coefficients(network.dt), torch.Tensor.detach)
        current = required(coefficients, before, wanted)
    current.requires_grad_()
    with torch.enable_grad():
        emitted, after = model.step(coefficients, before, current)
        (slope,) = torch.autograd.grad((gain * model.observe(after, emitted)).sum(), current)
    current, slope, activity = (x[:, 0].detach().double().cpu() for x in (current - others, slope, activity))
    return current.numpy(), slope.numpy(), activity.numpy()


def _other_current(network: Network, run: Run, activity: Tensor) -> Tensor | float:
    """Return the current ``(time - 1, 1, neuron)`` that reaches the last layer from neither itself nor its bias."""
    layer = list(network.named_layers().values())[-1]
    if len(network.layers) == 1 and not network.feedback and layer.electrical is None:
        return 0.0
    assert layer.recurrent is not None
    assert layer.bias is not None
    assert run.currents is not None
    own = torch.nn.functional.linear(activity, layer.recurrent.weight()) + layer.bias()
    return run.currents[1:] - own


def _fit_neuron(
    current: Array, slope: Array, activity: Array, mask: NDArray[np.bool_], signs: Array, ridge: float
) -> tuple[Array, float]:
    """Return weights ``(pre,)`` and bias of one neuron. Free presynaptic neurons get a column for either sign."""
    from scipy.linalg import cholesky, solve_triangular
    from scipy.optimize import nnls

    columns = [(j, sign) for j in np.flatnonzero(mask) for sign in ((signs[j],) if signs[j] else (1.0, -1.0))]
    pre, sign = np.array([j for j, _ in columns], dtype=int), np.array([s for _, s in columns])
    ones = np.ones((len(activity), 1))
    design = slope[:, None] * np.hstack([activity[:, pre] * sign, ones, -ones])
    penalty = np.append(np.full(len(pre), ridge**2), [1e-9, 1e-9])
    # The normal equations, factored, are a problem with one row per column in place of one per frame.
    factor = cholesky(design.T @ design + np.diag(penalty))
    solution, _ = nnls(factor, solve_triangular(factor, design.T @ (slope * current), trans="T"))
    weight = np.zeros(len(mask))
    np.add.at(weight, pre, sign * solution[:-2])
    return weight, float(solution[-2] - solution[-1])
