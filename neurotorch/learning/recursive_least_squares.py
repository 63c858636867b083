"""Recursive least squares: the ridge solution kept up to date, sample by sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from neurotorch.core.checks import check_count, check_positive


class _Group(NamedTuple):
    """Rows that share one inverse, over the same `columns`.

    `own_rows` (counted within the group) lack the column at `own_places` (counted within `columns`): themselves.
    """

    rows: Tensor
    columns: Tensor
    own_rows: Tensor
    own_places: Tensor


class RecursiveLeastSquares:
    r"""Linear weights from presynaptic activity ``r`` to a target, by recursive least squares.

    ``P`` is the inverse of the regularised correlation of the activity, ``alpha I`` before the first sample. A step in
    time, with activity ``r`` and the error ``e = W r - d`` of the weights before it, is::

        P  <-  P / lambda
        k   =  P r / (1 + r^T P r)
        P  <-  P - k (P r)^T
        W  <-  W - e k^T

    so that after `T` steps from ``W_0`` the weights are the minimum of::

        sum_t lambda^(T - t) |W r(t) - d(t)|^2  +  lambda^T alpha |W - W_0|^2

    exactly. Several samples of a step, and several steps at once, are one update of higher rank (Woodbury), equal to
    one after the other as long as all errors are those of the same weights. `P` stays symmetric to the last bit.

    Masked entries stay zero, and the others are the minimum *under that constraint*. Rows with the same mask share one
    ``P`` over the entries they have. Neurons that lack nothing but themselves share one, too: with ``i`` the own entry,
    the constrained minimum is ``w - P[:, i] w_i / P[i, i]``. So one mask for all, or no self-connections, cost
    ``O(pre^2)`` per sample; blocks cost that per block; a random mask needs a ``P`` for every row,
    ``O(post (density pre)^2)`` in time and memory, and a loop over rows.

    Parameters
    ----------
    pre, post
        Presynaptic and postsynaptic neurons.
    alpha
        Regularisation, in units of squared activity.
    forgetting
        ``lambda`` in 0..1 (0 excluded), per step in time: what happened `n` steps ago counts ``lambda^n``. Below 1,
        ``P`` grows without bound in directions that activity no longer visits.
    mask
        ``(post, pre)`` bool, True where a weight may change; all of them by default.
    dtype, device
        Of ``P`` and of all arithmetic. In float32 ``P`` may lose its positive eigenvalues, which raises.

    References
    ----------
    Haykin 2002, *Adaptive Filter Theory*, chapter 9; Sussillo & Abbott 2009, doi:10.1016/j.neuron.2009.07.018,
    equations 4 and 5.
    """

    def __init__(
        self,
        pre: int,
        post: int,
        *,
        alpha: float = 1.0,
        forgetting: float = 1.0,
        mask: Tensor | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> None:
        self.pre, self.post = check_count("pre", pre), check_count("post", post)
        self.alpha = check_positive("alpha", alpha)
        self.forgetting = check_positive("forgetting", forgetting)
        if self.forgetting > 1:
            raise ValueError(f"`forgetting` is {forgetting:g}, but it is at most 1, which forgets nothing.")
        if dtype not in (torch.float32, torch.float64):
            raise TypeError(f"`dtype` is {dtype}, but it must be torch.float32 or torch.float64.")
        if mask is not None and (mask.dtype != torch.bool or tuple(mask.shape) != (self.post, self.pre)):
            raise ValueError(
                f"`mask` is {mask.dtype} of shape {tuple(mask.shape)}, but it must be bool (post, pre) = "
                f"{(self.post, self.pre)}."
            )
        self.dtype = dtype
        self._groups = _grouped(torch.ones(post, pre, dtype=torch.bool) if mask is None else mask.cpu(), device)
        self.inverses: list[Tensor] = [
            torch.eye(len(group.columns), dtype=dtype, device=device) / self.alpha for group in self._groups
        ]

    @torch.no_grad()
    def update(self, activity: Tensor, error: Tensor) -> Tensor:
        """Take up samples, and return what is to be added to the weights, ``(post, pre)``.

        Parameters
        ----------
        activity
            ``(time, sample, pre)``; samples of one step in time are equally old.
        error
            ``(time, sample, post)``: ``W r - d``, all by the present weights.

        Raises
        ------
        FloatingPointError
            If ``P`` is no longer positive definite, or something is not finite.
        """
        self._check(activity, error)
        errors = error.to(self.dtype).reshape(-1, self.post)
        result = errors.new_zeros(self.post, self.pre)
        for index, group in enumerate(self._groups):
            samples = activity[..., group.columns].to(self.dtype)
            gain = self._gain(index, samples)
            change = -errors[:, group.rows].t() @ gain
            if len(group.own_rows):
                inverse, rows, places = self.inverses[index], group.own_rows, group.own_places
                excess = change[rows, places] / inverse[places, places]
                change.index_add_(0, rows, -excess[:, None] * inverse[places])
                change[rows, places] = 0
            if change.shape == result.shape:
                return change
            # row by row: scattered by pairs of indices, this took longer than all the rest
            whole = change.new_zeros(len(group.rows), self.pre).index_copy_(1, group.columns, change)
            result.index_copy_(0, group.rows, whole)
        return result

    def state_dict(self) -> dict[str, Any]:
        """Return the inverses."""
        return {"inverses": [inverse.clone() for inverse in self.inverses]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state.

        Raises
        ------
        ValueError
            If it is of other sizes or another mask.
        """
        found, own = ([tuple(each.shape) for each in many] for many in (state["inverses"], self.inverses))
        if found != own:
            raise ValueError(
                f"The saved state has inverses of shapes {found}, but there are {own} here: build with the same mask, "
                "neurons and fraction."
            )
        self.inverses = [
            saved.to(inverse, copy=True) for saved, inverse in zip(state["inverses"], self.inverses, strict=True)
        ]

    def _gain(self, index: int, samples: Tensor) -> Tensor:
        """Update one inverse by `samples` ``(time, sample, pre)``; return the gains, ``(time * sample, pre)``."""
        steps, batch, _ = samples.shape
        inverse, r = self.inverses[index], samples.flatten(0, 1)
        if self.forgetting < 1:
            inverse /= self.forgetting**steps
        if len(r) == 1:
            gain = inverse @ r[0]
            total = 1 + r[0] @ gain
            _check_definite(bool(total > 0) and bool(torch.isfinite(total)))
            root = gain / total.sqrt()
            inverse -= torch.outer(root, root)  # symmetric to the last bit, which addr_ with its fused sums is not
            return (gain / total)[None]
        ages = torch.arange(steps - 1, -1, -1, dtype=self.dtype, device=r.device).repeat_interleave(batch)
        gains = r @ inverse
        factor, failed = torch.linalg.cholesky_ex(gains @ r.t() + torch.diag(self.forgetting**-ages))
        _check_definite(not bool(failed) and bool(torch.isfinite(factor).all()))
        root = torch.linalg.solve_triangular(factor, gains, upper=False)
        inverse -= root.t() @ root
        self.inverses[index] = (inverse + inverse.t()) / 2
        return torch.linalg.solve_triangular(factor.t(), root, upper=True)

    def _check(self, activity: Tensor, error: Tensor) -> None:
        if activity.dim() != 3 or activity.shape[2] != self.pre or not activity.shape[0] * activity.shape[1]:
            raise ValueError(
                f"The activity is {tuple(activity.shape)}, but it must be (time, sample, {self.pre}), not empty."
            )
        if tuple(error.shape) != (*activity.shape[:2], self.post):
            raise ValueError(
                f"The error is {tuple(error.shape)}, but beside activity of {tuple(activity.shape)} it must be "
                f"{(*activity.shape[:2], self.post)}."
            )
        if self.inverses[0].device != activity.device:
            raise ValueError(
                f"The activity is on {activity.device}, but the inverse is on {self.inverses[0].device}: move the "
                "network first, then build the rule."
            )


def _check_definite(definite: bool) -> None:
    if not definite:
        raise FloatingPointError(
            "The inverse correlation is no longer positive definite, or the activity is not finite: use "
            "dtype=torch.float64, a larger `alpha`, or a `forgetting` nearer to 1."
        )


def _grouped(mask: Tensor, device: torch.device | str | None) -> list[_Group]:
    """Return the rows by what they may change; a column that is themselves does not tell rows apart."""
    filled = mask.clone()
    size = min(mask.shape)
    own = torch.arange(size)
    filled[own, own] = mask.any(dim=0)[:size]  # a column that nobody may change stays out
    patterns, place = torch.unique(filled, dim=0, return_inverse=True)
    groups = []
    for index, pattern in enumerate(patterns):
        rows = (place == index).nonzero().flatten()
        rows, columns = rows[mask[rows].any(dim=1)], pattern.nonzero().flatten()
        if not len(rows):
            continue
        lacking = [k for k, row in enumerate(rows.tolist()) if row < size and filled[row, row] and not mask[row, row]]
        own_rows = torch.tensor(lacking, dtype=torch.int64)
        own_places = torch.searchsorted(columns, rows[own_rows])
        groups.append(_Group(*(part.to(device) for part in (rows, columns, own_rows, own_places))))
    if not groups:
        raise ValueError("`mask` is False everywhere: there is no weight to change.")
    return groups
