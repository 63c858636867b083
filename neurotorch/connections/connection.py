"""The linear connection between two populations: a raw parameter in, effective weights out."""

from __future__ import annotations

import warnings
from typing import ClassVar

import torch
from torch import Tensor, nn

from neurotorch.connections.dale import Dale
from neurotorch.connections.delay import Delay, checked_delay, delay_steps, distinct
from neurotorch.connections.initialization import Balanced, Given, Initialization
from neurotorch.connections.topology import NoInputWarning, without_input
from neurotorch.core.checks import as_tensor, check_count, check_finite, check_generator, check_kind, listed


class Connection(nn.Module):
    """Weights from `pre` to `post` neurons, under Dale's law and a mask where they are given.

    The optimizer moves the parameter `raw`; every equation and every analysis sees the effective weight::

        weight[i, j] = mask[i, j] * s_j * m(raw[i, j])

    with the sign ``s_j`` and the magnitude map ``m`` of `dale` (``raw`` itself for a free neuron, or without `dale`).
    Signs and masked zeros therefore survive any optimizer; a masked entry has a gradient of exactly zero. A zero that
    no mask holds is a weight like any other and may grow.

    Parameters
    ----------
    pre, post : int
        Number of presynaptic and postsynaptic neurons.
    dale : Dale, optional
        Types of the presynaptic neurons. Several connections of the same neurons share one object.
    mask : (post, pre) bool, optional
        True where a connection exists; all exist unless given.
    init : Initialization, optional
        Weights to start from: `Balanced()` unless given.
    delay : float or (post, pre) tensor, optional
        Seconds from presynaptic activity to postsynaptic current, one for all synapses or one for each, at least one
        time step of the network; the nearest whole number of steps is taken. Without one, or where it is 0, activity
        arrives as soon as it can: onwards within the step, by recurrent and feedback connections one step later.
    generator : torch.Generator, optional
        Where the randomness of `init` comes from; torch's own unless given. It is used once and not kept.

    Attributes
    ----------
    raw : nn.Parameter
        ``(post, pre)``.
    init : Initialization or None
        As handed in, save for `Given`, whose weights are in `raw` and are not kept twice.

    Raises
    ------
    ValueError
        If `dale` or `mask` do not fit `pre` and `post`, or `init` draws weights that they forbid.

    Warns
    -----
    NoInputWarning
        If `mask` leaves postsynaptic neurons without input: they are named. Where another connection reaches them, that
        is meant and the warning may be ignored. A mask without any connection at all is taken as meant.
    """

    __config_exclude__: ClassVar[frozenset[str]] = frozenset({"generator"})

    mask: Tensor | None

    def __init__(
        self,
        pre: int,
        post: int,
        *,
        dale: Dale | None = None,
        mask: Tensor | None = None,
        init: Initialization | None = None,
        delay: Delay = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.pre = check_count("pre", pre)
        self.post = check_count("post", post)
        self.delay: Delay
        checked = checked_delay(delay, self.post, self.pre)
        if isinstance(checked, Tensor):
            self.register_buffer("delay", checked)
        else:
            self.delay = checked
        self.dale = _checked_dale(dale, self.pre)
        self.register_buffer("mask", _checked_mask(mask, self.post, self.pre))
        self.init = None if isinstance(init, Given) else init
        self.raw = nn.Parameter(torch.zeros(self.post, self.pre))
        draw = Balanced() if init is None else init
        check_kind("init", draw, Initialization, example="Balanced()")
        check_generator(generator)
        self.set_weight(draw(self.post, self.pre, dale=self.dale, mask=self.mask, generator=generator))

    def weight(self) -> Tensor:
        """Return the effective weights ``(post, pre)``, differentiable in `raw` and never the parameter itself."""
        weight = self.raw.clone() if self.dale is None else self.dale.effective(self.raw)
        return weight if self.mask is None else torch.where(self.mask, weight, 0.0)

    def parts(self, dt: float, weight: Tensor, *, soonest: int) -> list[tuple[int, Tensor]]:
        """Return the weights by how many steps later activity arrives: `weight`, split where delays differ.

        Parameters
        ----------
        dt : float
            Step in seconds.
        weight : (post, pre)
            The effective weights, or what stands in for them.
        soonest : int
            Steps after which activity can arrive at all: 0 for an onward connection, 1 where it leads back.

        Returns
        -------
        list of (steps, weight)
            The weights ``(post, pre)`` add up to `weight`; those of other delays are zero.
        """
        steps = self._steps(dt, soonest)
        if isinstance(steps, int):
            return [(steps, weight)]
        return [(lag, torch.where(steps == lag, weight, 0.0)) for lag in distinct(steps, self.mask)]

    def exists(self, dt: float, *, soonest: int) -> list[Tensor | None]:
        """Return for each of `parts` where it has synapses, ``(post, pre)`` bool; None is everywhere."""
        steps = self._steps(dt, soonest)
        if isinstance(steps, int):
            return [self.mask]
        there = [steps == lag for lag in distinct(steps, self.mask)]
        return [each if self.mask is None else each & self.mask for each in there]

    def lags(self, dt: float, *, soonest: int) -> list[int]:
        """Return how many steps later activity arrives, each number that occurs, the smallest first."""
        steps = self._steps(dt, soonest)
        return [steps] if isinstance(steps, int) else distinct(steps, self.mask)

    def _steps(self, dt: float, soonest: int) -> int | Tensor:
        """Return how many steps later activity arrives; one number where there is one."""
        steps = delay_steps(self.delay, dt, self.mask)
        if isinstance(steps, int):
            return max(steps, soonest)
        steps = steps.clamp(min=soonest)
        found = distinct(steps, self.mask) or [soonest]
        return found[0] if len(found) == 1 else steps

    @torch.no_grad()
    def set_weight(self, weight: Tensor) -> None:
        """Set `raw` in place such that `weight()` is `weight`, to 4 ulp (see the magnitude map for its limits).

        Parameters
        ----------
        weight : (post, pre)
            Effective weights, cast to the dtype and device of `raw`.

        Raises
        ------
        ValueError
            If the shape is wrong, a value is not finite, an entry is not zero where the mask is False, has the sign
            that its neuron does not have (the neurons are named), or is a zero that the magnitude map does not have.
        """
        wanted = as_tensor("weight", weight)
        _check_shape("weight", wanted, self.post, self.pre)
        wanted = wanted.to(dtype=self.raw.dtype, device=self.raw.device)
        check_finite("weight", wanted)
        if self.mask is not None:
            _check_masked(wanted, self.mask)
        raw = wanted
        if self.dale is not None:
            # Where the mask is False the map is not asked: some have no zero.
            filled = wanted if self.mask is None else torch.where(self.mask, wanted, self.dale.signs.to(wanted))
            raw = self.dale.raw(filled)
        self.raw.copy_(raw if self.mask is None else torch.where(self.mask, raw, 0.0))

    @torch.no_grad()
    def project_(self) -> None:
        """Move `raw` in place to the nearest value that the magnitude map allows: after the optimizer's step."""
        if self.dale is not None:
            self.raw.copy_(self.dale.project(self.raw))

    def extra_repr(self) -> str:
        """Say the sizes, and how many connections the mask leaves."""
        existing = "" if self.mask is None else f", connections={int(self.mask.sum())} of {self.mask.numel()}"
        return f"pre={self.pre}, post={self.post}{existing}"


def _checked_dale(dale: Dale | None, pre: int) -> Dale | None:
    if dale is None:
        return None
    check_kind("dale", dale, Dale, example=f"Dale.fraction({pre}, 0.8)")
    if dale.pre != pre:
        raise ValueError(
            f"`dale` types {dale.pre} presynaptic neurons but the connection has `pre={pre}`: signs belong to the "
            f"presynaptic neurons, so build Dale with {pre} signs."
        )
    return dale


def _checked_mask(mask: Tensor | None, post: int, pre: int) -> Tensor | None:
    if mask is None:
        return None
    checked = as_tensor("mask", mask)
    if checked.dtype != torch.bool:
        raise TypeError(
            f"`mask` has dtype {checked.dtype}, but it must be bool, True where a connection exists: `mask != 0`."
        )
    _check_shape("mask", checked, post, pre)
    _warn_without_input(checked)
    return checked.detach().clone()


def _warn_without_input(mask: Tensor) -> None:
    lonely = without_input(mask)
    if not lonely or len(lonely) == len(mask):
        return
    warnings.warn(
        f"`mask` leaves {len(lonely)} of {len(mask)} postsynaptic neurons without input from this connection: neuron "
        f"{listed(lonely)}. Unless another connection reaches them, nothing drives them: give them connections, or "
        "leave them out.",
        NoInputWarning,
        stacklevel=4,
    )


def _check_shape(name: str, matrix: Tensor, post: int, pre: int) -> None:
    shape = tuple(matrix.shape)
    if shape == (post, pre):
        return
    turned = shape == (pre, post)
    fix = f"it is the transpose, pass `{name}.T`." if turned else "rows are postsynaptic, columns presynaptic neurons."
    raise ValueError(f"`{name}` has shape {shape} but the connection is (post, pre) = {(post, pre)}: {fix}")


def _check_masked(weight: Tensor, mask: Tensor) -> None:
    outside = (weight != 0) & ~mask
    if outside.any():
        post, pre = (int(i) for i in outside.nonzero()[0])
        raise ValueError(
            f"`weight` is not zero at {int(outside.sum())} entries where the mask is False, the first from neuron "
            f"{pre} to neuron {post} ({float(weight[post, pre]):g}): set them to zero (`weight * mask`) or widen the "
            "mask."
        )
