"""What learning rules refuse: losses, optimizers and batches that do not fit their network."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from neurotorch.connections.connection import Connection
from neurotorch.data.windows import Batch
from neurotorch.network.network import Network


def check_network(rule: str, network: Any) -> None:
    """Raise unless `network` is one."""
    if not isinstance(network, Network):
        raise TypeError(f"{rule} trains a neurotorch.network.Network, but got {_kind(network)}.")


def check_loss(rule: str, loss: Any) -> None:
    """Raise unless `loss` is a function of output and target."""
    if isinstance(loss, type):
        raise TypeError(f"`loss` is the class {loss.__name__}, but {rule} needs an object of it: {loss.__name__}().")
    if not callable(loss):
        raise TypeError(
            f"`loss` is {loss!r}, but {rule} needs a function of output and target such as MeanSquaredError()."
        )


def only_lag(rule: str, address: str, connection: Connection, dt: float) -> int:
    """Return how many steps late activity arrives by a connection that leads back, one number for all its synapses.

    Raises
    ------
    ValueError
        If synapses have delays of their own: then every neuron sees another past, and least squares in common, whose
        rows are what was seen, do not hold.
    """
    lags = connection.lags(dt, soonest=0 if address.endswith(".inputs") else 1)
    if len(lags) > 1:
        raise ValueError(
            f"The delays of {address!r} differ between synapses ({lags[0]} to {lags[-1]} steps), but {rule} solves for "
            "the weights of all neurons from one record of activity: give the connection one delay, or train it with "
            "BPTT or EProp."
        )
    return lags[0]


def check_scalar(loss: Tensor) -> None:
    """Raise unless what a loss returned is one number."""
    if loss.dim():
        raise ValueError(
            f"The loss returned a tensor {tuple(loss.shape)}, but it must return a scalar: take its sum or mean."
        )


def check_optimizer(rule: str, network: Network, optimizer: Any) -> None:
    """Raise unless `optimizer` is one over parameters of `network`, not all frozen, whose step needs no closure."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"`optimizer` is {_kind(optimizer)}, but {rule} needs an optimizer of torch.optim, such as "
            "torch.optim.Adam(network.parameters(), lr=1e-3)."
        )
    own = {id(parameter) for parameter in network.parameters()}
    for index, group in enumerate(optimizer.param_groups):
        foreign = [tuple(p.shape) for p in group["params"] if id(p) not in own]
        if foreign:
            raise ValueError(
                f"Parameter group {index} of the optimizer holds parameters that are not the network's: "
                f"build it with network.parameters(). {len(foreign)} of {len(group['params'])} are foreign, the first "
                f"of shape {foreign[0]}; {rule} trains the layers {list(network.layers)}."
            )
    if not any(p.requires_grad for group in optimizer.param_groups for p in group["params"]):
        raise ValueError(
            f"The optimizer holds no parameter that {rule} could train: all of them are frozen. Call "
            f"network.unfreeze(...) with some of the layers {list(network.layers)}, or build it with other parameters."
        )
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise TypeError(
            f"{type(optimizer).__name__} evaluates the loss several times in one step, by a closure, but {rule} "
            "computes one gradient per batch: use an optimizer whose step needs no closure, such as torch.optim.Adam."
        )


def check_batch(rule: str, network: Network, batch: Any) -> None:
    """Raise unless `batch` has the shape, dtype and device that `network` takes."""
    if not isinstance(batch, Batch):
        raise TypeError(f"`batch` is {_kind(batch)}, but {rule} takes a Batch(target, inputs), or an iterable of them.")
    likes = [layer.like() for layer in network.named_layers().values()]
    for name, tensor, own in (("target", batch.target, likes[-1]), ("inputs", batch.inputs, likes[0])):
        if tensor is None and name == "inputs":
            continue
        if not isinstance(tensor, Tensor):
            raise TypeError(f"`batch.{name}` is {_kind(tensor)}, but it must be a tensor: torch.as_tensor(...).")
        if tensor.dim() != 3:
            last = "neuron" if name == "target" else "channel"
            raise ValueError(f"`batch.{name}` is {tuple(tensor.shape)}, but it must be (time, batch, {last}).")
        if 0 in tensor.shape[:2]:
            raise ValueError(f"`batch.{name}` is {tuple(tensor.shape)}: it needs at least one frame and one sample.")
        if tensor.device != own.device:
            raise ValueError(
                f"`batch.{name}` is on {tensor.device}, but the network that {rule} trains is on "
                f"{own.device}: move one of them, with batch.{name}.to({str(own.device)!r}) or "
                f"network.to({str(tensor.device)!r})."
            )
        if tensor.dtype != own.dtype:
            raise TypeError(
                f"`batch.{name}` is {tensor.dtype}, but the network that {rule} trains is "
                f"{own.dtype}: cast one of them, with WindowLoader(..., dtype={own.dtype}) or "
                f"network.to({tensor.dtype})."
            )
    if batch.inputs is not None and batch.inputs.shape[:2] != batch.target.shape[:2]:
        raise ValueError(
            f"`batch.inputs` is {tuple(batch.inputs.shape)} and `batch.target` {tuple(batch.target.shape)}, but both "
            "must have the same frames and samples."
        )


def _kind(found: Any) -> str:
    return f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
