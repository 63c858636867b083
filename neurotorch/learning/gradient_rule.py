"""What learning rules that follow a gradient share: an optimizer, clipping, accumulation, and the constraints."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from neurotorch.core.checks import check_count, check_positive
from neurotorch.data.windows import Batch
from neurotorch.learning.base import BatchReport, LearningRule
from neurotorch.learning.checks import check_batch, check_network, check_optimizer
from neurotorch.learning.forcing_plan import ForcingPlan
from neurotorch.learning.non_finite import check_gradients
from neurotorch.network.forcing import Forcing
from neurotorch.network.network import Network


class GradientRule(LearningRule):
    """A rule whose `compute` writes ``parameter.grad`` and whose `apply` steps an optimizer.

    A parameter that is frozen (``network.freeze(...)``, or ``parameter.requires_grad_(False)``) is never moved: not by
    weight decay, not by momentum from before, not by `Network.project_`.

    Parameters
    ----------
    network
        What is trained.
    optimizer
        Any torch optimizer over parameters of `network` whose step needs no closure.
    clip
        Largest norm of the whole gradient; longer ones are scaled down. None leaves them.
    accumulate
        Batches per step of the optimizer, which follows the mean of their gradients: with batches of one size, that
        of one batch so many times as large. `apply` keeps the sum of the gradients so far beside ``parameter.grad``,
        which always belongs to the last batch alone. The end of an epoch changes nothing: a sum that is not complete
        goes on into the next epoch. When the fit ends it has moved nothing; it is part of `state_dict`, and a later
        fit completes it.

    Attributes
    ----------
    steps
        How often the optimizer was stepped.
    progress
        How far training has come, 0..1, for plans that change; the `Curriculum` callback keeps it.

    Raises
    ------
    ValueError
        If the optimizer holds parameters that are not the network's, or only frozen ones.
    TypeError
        If the optimizer needs a closure, or network or optimizer are something else.
    """

    def __init__(
        self, network: Network, *, optimizer: Optimizer, clip: float | None = None, accumulate: int = 1
    ) -> None:
        check_network(type(self).__name__, network)
        self.network: Network = network
        self.optimizer = optimizer
        self.clip = None if clip is None else check_positive("clip", clip)
        self.accumulate = check_count("accumulate", accumulate)
        self.steps = 0
        self.progress = 0.0
        self._sums: dict[str, Tensor] = {}
        self._summed = 0
        check_optimizer(type(self).__name__, network, optimizer)

    def gradient(self, batch: Batch) -> BatchReport:
        """Write the gradient for `batch` at the present parameters to ``parameter.grad``, and change nothing else.

        It is what `neurotorch.learning.compare_gradients` looks at. A rule whose `compute` makes updates on its way, or
        changes anything but ``parameter.grad``, overrides it.
        """
        return self.compute(batch)

    def apply(self) -> None:
        """Clip the gradient, step the optimizer, then move parameters back into their constraints.

        With `accumulate` the gradient is the mean over the last batches, and other calls only add to it.
        """
        if self.accumulate == 1 or self._gather():
            self.step()

    def step(self, where: str = "") -> None:
        """Do what `apply` does with what ``parameter.grad`` holds; errors say `where`.

        Raises
        ------
        NonFiniteError
            If a gradient is NaN or infinite.
        """
        for parameter in self.network.parameters():
            if not parameter.requires_grad:
                parameter.grad = None  # one from before it was frozen; optimizers pass over parameters without any
        check_gradients(self.network, where=where or f"before step {self.steps + 1} of the optimizer")
        if self.clip is not None:
            parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.clip)
        self.optimizer.step()
        self.network.project_()
        self.steps += 1

    def zero_grad(self) -> None:
        """Remove the gradients of all parameters of the network, those that the optimizer does not hold included."""
        self.network.zero_grad(set_to_none=True)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of `loss` to ``parameter.grad``; raise if no parameter could get one."""
        if not loss.requires_grad:
            raise ValueError(self._nothing())
        loss.backward()

    def check_batch(self, batch: Batch) -> None:
        """Raise unless `batch` is one that the network takes, and something is left to train."""
        check_batch(type(self).__name__, self.network, batch)
        if not torch.is_grad_enabled():
            raise ValueError(
                f"{type(self).__name__} was asked for a gradient where torch takes none: call it outside of "
                "torch.no_grad() and torch.inference_mode()."
            )
        if not any(parameter.requires_grad for parameter in self.network.parameters()):
            raise ValueError(self._nothing())

    def forcing_of(self, plan: ForcingPlan | None, batch: Batch) -> Forcing | None:
        """Return how `plan` forces the network on `batch` at the present `progress`."""
        if plan is None:
            return None
        return Forcing(batch.target, plan.strength(len(batch.target), self.progress).to(batch.target))

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the optimizer, the gradients of an incomplete step, progress, and what is frozen."""
        return {
            "rule": type(self).__name__,
            "optimizer": self.optimizer.state_dict(),
            "steps": self.steps,
            "progress": self.progress,
            "summed": self._summed,
            "sums": dict(self._sums),
            "frozen": [name for name, p in self.network.named_parameters() if not p.requires_grad],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state; exactly those parameters are frozen that were frozen in it."""
        own = type(self).__name__
        if (saved := state.get("rule", own)) != own:
            raise ValueError(
                f"The state is one of {saved}, but the rule that takes it up is {own}: continue with {saved}, or start "
                f"{own} anew with the parameters of the network alone."
            )
        _load_optimizer(self.optimizer, state["optimizer"])
        self.steps, self.progress = int(state["steps"]), float(state["progress"])
        parameters = dict(self.network.named_parameters())
        self._summed = int(state["summed"])
        self._sums = {name: total.to(parameters[name], copy=True) for name, total in state["sums"].items()}
        for name, parameter in parameters.items():
            parameter.requires_grad_(name not in state["frozen"])

    def _nothing(self) -> str:
        return (
            f"{type(self).__name__} has nothing to train: the loss depends on no parameter of the layers "
            f"{list(self.network.layers)} that is not frozen. Call network.unfreeze(...)."
        )

    def _gather(self) -> bool:
        """Add the batch's gradient to the sum; if that completes it, make the mean the gradient and return True."""
        trained = {name: p for name, p in self.network.named_parameters() if p.requires_grad}
        for name, parameter in trained.items():
            if parameter.grad is not None:
                gradient = parameter.grad.detach()
                self._sums[name] = self._sums[name] + gradient if name in self._sums else gradient.clone()
        self._summed += 1
        if self._summed < self.accumulate:
            return False
        for name, parameter in trained.items():
            parameter.grad = self._sums[name] / self._summed if name in self._sums else None
        self._sums, self._summed = {}, 0
        return True


def check_autocast(dtype: torch.dtype | None) -> torch.dtype | None:
    """Return `dtype`, or raise if gradients would be lost in it."""
    if dtype not in (None, torch.bfloat16):
        raise ValueError(
            f"`autocast` is {dtype}, but it must be torch.bfloat16 or None: float16 gradients vanish below 6e-8."
        )
    return dtype


def autocast(network: Network, dtype: torch.dtype | None) -> AbstractContextManager[Any]:
    """Return a context in which products outside the scans over time are taken in `dtype`; None changes nothing."""
    if dtype is None:
        return nullcontext()
    return torch.autocast(next(network.parameters()).device.type, dtype=dtype)


def _load_optimizer(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Load `state`, and give scalars back the dtype they had: torch casts NAdam's float32 ``mu_product`` to float64."""
    optimizer.load_state_dict(dict(state))
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, saved in state["state"].items():
        own = optimizer.state[parameters[int(index)]]
        for name, value in saved.items():
            if isinstance(value, Tensor) and not value.dim():
                own[name] = value.to(own[name].device, copy=True)
