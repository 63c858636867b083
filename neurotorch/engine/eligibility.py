r"""Eligibility traces: what the past of a weight means for the state of its neuron now.

With ``h_j`` the state of neuron `j` and ``z_i`` the activity that a weight ``W_ji`` carries (Bellec et al. 2020,
doi:10.1038/s41467-020-17236-y, Methods)::

    eps_ji(t) = dh_j(t)/dh_j(t-1) eps_ji(t-1) + dh_j(t)/dI_j(t) z_i(t-1)

Over a block of steps, with ``P`` the product of the local Jacobians of the block and ``D(s)`` what a current at its
step `s` leaves in the state after it::

    eps(end) = P eps(start) + sum_s D_j(s) z_i(s - 1)

one product over the time of the block; a block of one step is the rule as printed. The gradient of a loss over the
block is that of a reverse scan *within* the block plus ``lambda_j(start) eps_ji(start)``, so that memory does not grow
with the length of a recording.

Traces are ``(batch, post, pre)`` per field of the state; where the Jacobian is the same for all postsynaptic neurons,
they are kept as one vector ``(batch, 1, pre)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from neurotorch.engine.jacobian import Jacobian, PulledBack, pull_back


class Filters(NamedTuple):
    """How a linear readout filters over one block; neurons that filter alike are one group.

    Attributes
    ----------
    groups
        ``(neuron of the readout,)``: the group of each.
    carried
        ``(field after, field before, batch, group)``: what a state before the block leaves in the one after it.
    impulse
        ``(field, time, batch, group)``: what a current at each step leaves in the state after the block.
    """

    groups: Tensor
    carried: Tensor
    impulse: Tensor


def groups_of(readout: Jacobian, before: Tensor | None) -> Tensor:
    """Return ``(neuron,)``: numbers of groups of neurons with one Jacobian, which `before` had in one group, too."""
    columns = readout.of_state().flatten(0, 3)
    if before is not None:
        columns = torch.cat([before[None].to(columns), columns])
    if bool((columns == columns[:, :1]).all()):
        return torch.zeros(columns.shape[1], dtype=torch.long, device=columns.device)
    groups: Tensor = torch.unique(columns, dim=1, return_inverse=True)[1]
    return groups


def filters_of(readout: Jacobian, groups: Tensor) -> Filters:
    """Return how a readout filters over a block."""
    first = _members(groups).int().argmax(1)  # one neuron of each group
    jacobian = Jacobian(readout.values[..., first], readout.fields)
    pulled = pull_back(jacobian, final=_identity(jacobian))
    return Filters(groups, pulled.start, pulled.inputs[:, 0])


class Eligibility:
    """The traces of one population within a window: of every weight that ends on it, and of its own constants.

    Parameters
    ----------
    links
        How many weights end on the population.

    Attributes
    ----------
    links
        Per weight ``(field, batch, post or 1, pre)``; None before the first block, and where none is wanted.
    own
        Of the constants, ``(constant, field, batch, neuron)``.
    filtered, filtered_own
        The same, filtered by a linear readout: ``(group, field of the readout, batch, post, pre)`` and
        ``(group, field of the readout, constant, batch, neuron)``.
    """

    def __init__(self, links: int) -> None:
        self.links: list[Tensor | None] = [None] * links
        self.filtered: list[Tensor | None] = [None] * links
        self.own: Tensor | None = None
        self.filtered_own: Tensor | None = None
        self.groups: Tensor | None = None

    def tensors(self) -> list[Tensor]:
        """Return all traces."""
        return [t for t in (*self.links, *self.filtered, self.own, self.filtered_own) if t is not None]

    def link_gradient(self, number: int, start: Tensor, filtered: Tensor | None) -> Tensor | float:
        """Return ``(post, pre)``: what the traces of a weight add to its gradient over the block that follows.

        `start` is ``(field, batch, neuron)``, `filtered` ``(group, field of the readout, batch, neuron)``: gradients by
        the state, and by the readout's state through this population.
        """
        total: Tensor | float = 0.0
        for trace, gradient in ((self.links[number], start), (self.filtered[number], filtered)):
            if trace is not None and gradient is not None:
                total = total + _contract(gradient.reshape(-1, gradient.shape[-1]), trace)
        return total

    def own_gradient(self, start: Tensor, filtered: Tensor | None) -> Tensor | float:
        """Return the same for the constants, ``(constant, neuron)``."""
        total: Tensor | float = 0.0
        if self.own is not None:
            total = total + torch.einsum("fbj,cfbj->cj", start, self.own)
        if self.filtered_own is not None and filtered is not None:
            total = total + torch.einsum("gfbj,gfcbj->cj", filtered, self.filtered_own)
        return total

    def advance(self, jacobian: Jacobian, activity: Sequence[Tensor | None], filters: Filters | None) -> None:
        """Carry the traces over a block; `activity` is ``(time, batch, pre)`` per weight, None where not wanted."""
        fields = jacobian.fields
        pulled = _impulses(jacobian, filters)
        shared = jacobian.same_for_all_neurons()
        if filters is not None:
            self._regroup(filters.groups)
        for number, z in enumerate(activity):
            if z is None:
                continue
            old = self.links[number]
            if filters is not None:
                self.filtered[number] = self._filtered_link(number, z, pulled, filters)
            width = 1 if shared else None
            self.links[number] = torch.stack(
                [
                    _sum(
                        _product(pulled.inputs[field, 0, ..., :width], z),
                        pulled.start[field, ..., :width],
                        None if old is None else old,
                    )
                    for field in range(fields)
                ]
            )
        self._advance_own(pulled, fields, filters)

    def _filtered_link(self, number: int, z: Tensor, pulled: PulledBack, filters: Filters) -> Tensor:
        """Return the filtered traces of a weight after the block; its other traces are still those before it."""
        count, fields = filters.carried.shape[-1], filters.carried.shape[0]
        seed = pulled.start.shape[0] - count * fields
        before, groups = self.filtered[number], []
        for group in range(count):
            rows = []
            for field in range(fields):
                new = _product(pulled.inputs[seed, 0], z)
                new = _sum(new, pulled.start[seed], self.links[number])
                rows.append(_sum(new, filters.carried[field, ..., group, None], _at(before, group)))
                seed += 1
            groups.append(torch.stack(rows))
        return torch.stack(groups)

    def _advance_own(self, pulled: PulledBack, fields: int, filters: Filters | None) -> None:
        if pulled.inputs.shape[1] == 0:
            return
        new = pulled.inputs.sum(2)  # (seed, current and constants, batch, neuron)
        if self.own is not None:
            new = new + torch.einsum("qfbj,cfbj->qcbj", pulled.start, self.own)
        self.own = new[:fields].transpose(0, 1)
        if filters is not None:
            own = new[fields:].unflatten(0, (filters.carried.shape[-1], filters.carried.shape[0]))
            if self.filtered_own is not None:
                own = own + torch.einsum("rsbg,gscbj->grcbj", filters.carried, self.filtered_own)
            self.filtered_own = own

    def _regroup(self, groups: Tensor) -> None:
        """Split groups of the readout that no longer filter alike: each takes the traces of the one it comes from."""
        if self.groups is not None and not torch.equal(groups, self.groups):
            origin = self.groups[_members(groups).int().argmax(1)]
            self.filtered = [None if trace is None else trace[origin] for trace in self.filtered]
            if self.filtered_own is not None:
                self.filtered_own = self.filtered_own[origin]
        self.groups = groups


def through_readout(start: Tensor, groups: Tensor, matrix: Tensor) -> Tensor:
    """Return what a gradient by the readout's state means for the filtered traces of the layer below.

    `start` is ``(field, batch, neuron of the readout)``, `matrix` ``(neuron of the readout, neuron)``; the result
    ``(group, field, batch, neuron)``.
    """
    members = _members(groups).to(start)
    return torch.stack([(start * member) @ matrix for member in members])


def _members(groups: Tensor) -> Tensor:
    """Return ``(group, neuron)``: which neurons are in which group."""
    return groups == torch.arange(int(groups.max()) + 1, device=groups.device)[:, None]


def _impulses(jacobian: Jacobian, filters: Filters | None) -> PulledBack:
    """Return what the state before a block and each current in it leave in the state after it, and in the filters."""
    final, emitted = _identity(jacobian), None
    if filters is not None:
        impulse = filters.impulse.movedim(-1, 0).flatten(0, 1).unsqueeze(-1)  # (group and field, time, batch, 1)
        final = torch.cat([final, final.new_zeros(len(impulse), *final.shape[1:])])
        emitted = torch.cat([impulse.new_zeros(jacobian.fields, *impulse.shape[1:]), impulse])
    return pull_back(jacobian, final=final, emitted=emitted)


def _identity(jacobian: Jacobian) -> Tensor:
    """Return ``(field, field, batch, neuron)``: one seed for every field of the state after a block."""
    shape = (jacobian.fields, jacobian.fields, *jacobian.values.shape[3:])
    eye = torch.eye(jacobian.fields, dtype=jacobian.values.dtype, device=jacobian.values.device)
    return eye[:, :, None, None].expand(shape)


def _product(impulse: Tensor, activity: Tensor) -> Tensor:
    """Return ``sum_s D(s) z(s)``: ``(time, batch, post)`` and ``(time, batch, pre)`` to ``(batch, post, pre)``."""
    return torch.bmm(impulse.permute(1, 2, 0), activity.transpose(0, 1))


def _sum(total: Tensor, factors: Tensor, traces: Tensor | None) -> Tensor:
    """Return ``total + sum_f factors[f] traces[f]``; factors are ``(field, batch, post or 1)``."""
    if traces is None:
        return total
    for factor, trace in zip(factors, traces, strict=True):
        if bool((factor != 0).any()):
            # in place where it can be: `total` is a product made for this
            in_place = total.shape[1] >= trace.shape[1]
            add = total.addcmul_ if in_place and total.shape[1] >= factor.shape[1] else total.addcmul
            total = add(factor.unsqueeze(-1), trace)
    return total


def _at(traces: Tensor | None, group: int) -> Tensor | None:
    return None if traces is None else traces[group]


def _contract(gradient: Tensor, traces: Tensor) -> Tensor:
    """Return ``sum gradient[., j] traces[., j, i]`` over all but the neurons; traces may be shared by all `j`."""
    traces = traces.flatten(0, -3)
    if traces.shape[1] == 1:
        return gradient.t() @ traces[:, 0]
    if len(traces) == 1:
        return gradient[0, :, None] * traces[0]
    return torch.bmm(gradient.t().unsqueeze(1), traces.transpose(0, 1))[:, 0]
