"""Deep rewiring: a sparse connection finds its places while it is trained, at a constant number of connections."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from neurotorch.connections.connection import Connection
from neurotorch.connections.rewiring import check_rewirable, rewire_
from neurotorch.connections.topology import no_self
from neurotorch.core.checks import as_tensor, check_kind, check_not_negative, nearest
from neurotorch.core.seeds import torch_generator
from neurotorch.learning.gradient_rule import GradientRule
from neurotorch.network.network import Network
from neurotorch.training.callback import Callback

if TYPE_CHECKING:
    from neurotorch.learning.base import BatchReport
    from neurotorch.training.trainer import Trainer


class DeepR(Callback):
    r"""Rewire a connection under Dale's law after every step of the optimizer, its density kept exactly.

    After the rule's own step, with the learning rate ``eta`` of the connection's parameter group, every connection that
    exists drifts and diffuses ::

        raw[i, j] <- raw[i, j] - eta l1 + sqrt(2 eta temperature) xi_ij,    xi_ij standard normal

    Where the step, or this, brought ``raw`` to zero or below, the connection is removed, and as many grow at random
    empty places, see `neurotorch.connections.rewire_`. The sign is always that of the presynaptic neuron. The
    optimizer's averages of places that a connection left or came to start from zero. The mask is a buffer of the
    network, so that it is saved with it; a run that is resumed goes on bit for bit.

    Parameters
    ----------
    address
        Of the connection, such as ``"cortex.recurrent"``; give several callbacks for several. It needs a mask, types
        for all its presynaptic neurons, and the magnitude map `Projected()` or `Absolute()`: those under which a weight
        is the raw parameter up to its sign, and can step across zero.
    l1
        Strength of the pull towards zero, ``alpha`` of the paper; without it only what the loss drives to zero moves.
    temperature
        ``T`` of the paper, of the noise that explores; 0 adds none.
    within
        ``(post, pre)`` bool: where connections may be; anywhere unless given, save that neurons of a recurrent
        connection do not connect to themselves.
    seed
        Of noise and places.

    Attributes
    ----------
    moved : int
        How many connections have been moved so far.

    Raises
    ------
    ValueError
        If `l1` or `temperature` is negative, or (when the fit starts) the connection cannot be rewired, or the
        optimizer does not train it.
    TypeError
        If the rule that trains has no optimizer.

    References
    ----------
    Bellec, Kappel, Maass & Legenstein (2018), ICLR, doi:10.48550/arXiv.1711.05136, algorithm 1. There signs are drawn
    per connection, here they are those of Dale's law.
    """

    def __init__(
        self, address: str, *, l1: float = 0.0, temperature: float = 0.0, within: Tensor | None = None, seed: int = 0
    ) -> None:
        for name, value in (("l1", l1), ("temperature", temperature)):
            check_not_negative(name, value)
        check_kind("address", address, str, example="'cortex.recurrent'")
        self.address, self.l1, self.temperature, self.within = address, l1, temperature, within
        self.generator = torch_generator(seed, f"deep-r {address}")
        self.moved = 0
        self._steps = 0

    def on_fit_start(self, trainer: Trainer) -> None:
        """Check that the connection can be rewired."""
        rule = _checked_rule(trainer)
        connection = self._connection(rule)
        check_rewirable(connection, self._places(connection))
        _group(rule.optimizer, connection.raw, self.address)
        self._steps = rule.steps
        with torch.no_grad():
            connection.raw.abs_()  # under `Absolute()` either sign is the same weight; both maps keep what is positive

    def on_batch_end(self, trainer: Trainer, report: BatchReport) -> None:
        """Drift, diffuse and rewire, for the optimizer's steps since the last time."""
        del report
        rule = _checked_rule(trainer)
        taken, self._steps = rule.steps - self._steps, rule.steps
        connection = self._connection(rule)
        if taken and connection.raw.requires_grad:
            rate = float(_group(rule.optimizer, connection.raw, self.address)["lr"])
            self._diffuse(connection, taken * rate)
            moved = rewire_(connection, within=self._places(connection), generator=self.generator)
            _forget(rule.optimizer, connection.raw, moved)
            self.moved += int((moved & (connection.raw > 0)).sum())

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the generator, and the count."""
        return {"generator": self.generator.get_state(), "moved": self.moved}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take them up."""
        self.generator.set_state(state["generator"])
        self.moved = int(state["moved"])

    @torch.no_grad()
    def _diffuse(self, connection: Connection, rate: float) -> None:
        """Drift and diffuse where connections exist and the step has left them above zero."""
        raw, change = connection.raw, torch.full_like(connection.raw, -rate * self.l1)
        if self.temperature:
            noise = torch.randn(raw.shape, generator=self.generator).to(raw)
            change += math.sqrt(2 * rate * self.temperature) * noise
        assert connection.mask is not None
        raw.add_(torch.where(connection.mask & (raw > 0), change, 0.0))

    def _connection(self, rule: GradientRule) -> Connection:
        known = rule.network.connections()
        if self.address not in known:
            raise ValueError(
                f"There is no connection {self.address!r}; there are {list(known)}.{nearest(self.address, known)}"
            )
        return known[self.address]

    def _places(self, connection: Connection) -> Tensor:
        if self.within is not None:
            return as_tensor("within", self.within)
        if self.address.endswith(".recurrent"):
            return no_self(connection.pre)
        return torch.ones(connection.post, connection.pre, dtype=torch.bool)


def _checked_rule(trainer: Trainer) -> GradientRule:
    rule = trainer.rule
    if not isinstance(rule, GradientRule) or not isinstance(rule.network, Network):
        raise TypeError(
            f"DeepR follows the steps of an optimizer on a Network, but the rule is {type(rule).__name__}: train with "
            "a gradient rule such as BPTT or EProp."
        )
    return rule


def _group(optimizer: Optimizer, raw: Tensor, address: str) -> dict[str, Any]:
    for group in optimizer.param_groups:
        if any(parameter is raw for parameter in group["params"]):
            return group
    raise ValueError(
        f"The optimizer does not train {address!r}: hand `network.parameters()` to it, or leave DeepR out."
    )


def _forget(optimizer: Optimizer, raw: Tensor, moved: Tensor) -> None:
    """Set what the optimizer remembers of moved places to zero."""
    for value in optimizer.state.get(raw, {}).values():
        if isinstance(value, Tensor) and value.shape == raw.shape:
            value[moved] = 0.0
