"""Where a sparse weight exists, stored for the products of a compiled scan."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

LEAST = 256**2
"""Entries of a mask, existing or not, below which a pattern is not made."""

MOST = 0.12
"""Share of entries that exist above which a pattern is not made: 10 %, as masks are drawn."""

MANY = 16
"""Samples from which on they fill the registers."""

PER_NEURON, PER_NEURON_FEW = 1.1e-4, 5.5e-5
"""Share of entries up to which it is worthwhile, for each neuron: for one sample, and for fewer than `MANY`."""


class Stored(NamedTuple):
    """A weight stored by its targets: entry `k` leads to target `i` from source ``others[k]``.

    There ``starts[i] <= k < starts[i + 1]``. Stored by source, the two change places.

    Attributes
    ----------
    starts, others
        ``(target + 1,)`` and ``(entry,)``, int32.
    values
        ``(entry,)``.
    sources
        How many there are.
    """

    starts: Tensor
    others: Tensor
    values: Tensor
    sources: int


class Order(NamedTuple):
    """The entries of a pattern by one end, as in `Stored`."""

    starts: Tensor
    others: Tensor
    sources: int


class Pattern:
    """Where a weight ``(post, pre)`` exists, and the order of its entries by post and by pre.

    Values are read from the weight in the order in which they lie there, and moved from that into the other: a column
    of a large matrix takes a line of memory for every number.
    """

    def __init__(self, mask: Tensor) -> None:
        self.shape = mask.shape
        post, pre = mask.nonzero().t()
        self._places = _short(post * mask.shape[1] + pre)
        moved = torch.sort(pre, stable=True).indices  # where the entries by pre stand among those by post
        self._moved, self._back = _short(moved), _short(torch.argsort(moved))
        self._by_post = Order(_starts(post, mask.shape[0]), _short(pre), mask.shape[1])
        self._by_pre = Order(_starts(pre, mask.shape[1]), _short(post[moved]), mask.shape[0])

    @property
    def entries(self) -> int:
        """How many there are."""
        return len(self._places)

    def inside(self, matrix: Tensor) -> Tensor:
        """Return the entries of a ``(post, pre)`` in the order in which they lie there."""
        return matrix.reshape(-1).index_select(0, self._places)

    def by_post(self, weight: Tensor) -> Stored:
        """Return the values of a weight ``(post, pre)`` by the neurons that they lead to."""
        return Stored(self._by_post.starts, self._by_post.others, self.inside(weight), self._by_post.sources)

    def by_pre(self, weight: Tensor) -> Stored:
        """Return the values of a weight ``(post, pre)`` by the neurons that they come from."""
        values = self.inside(weight).index_select(0, self._moved)
        return Stored(self._by_pre.starts, self._by_pre.others, values, self._by_pre.sources)

    def zeros(self, like: Tensor) -> Stored:
        """Return zeros by pre."""
        values = like.new_zeros(self.entries)
        return Stored(self._by_pre.starts, self._by_pre.others, values, self._by_pre.sources)

    def dense(self, total: Stored) -> Tensor:
        """Return ``(post, pre)`` with values that are stored by pre, and zeros elsewhere."""
        found = total.values.new_zeros(self.shape)
        found.view(-1).index_add_(0, self._places, total.values.index_select(0, self._back))
        return found

    def describes(self, mask: Tensor) -> bool:
        """Return whether this is the pattern of `mask`."""
        if mask.shape != self.shape or int(mask.count_nonzero()) != self.entries:
            return False
        return bool(self.inside(mask).all())

    def holds(self, weight: Tensor) -> bool:
        """Return whether a weight is zero everywhere else."""
        return int(weight.count_nonzero()) == int(self.inside(weight).count_nonzero())

    def pays(self, batch: int) -> bool:
        """Return whether products of `batch` samples are faster with what exists only.

        Whole training steps over those with the dense weight (`benchmarks/sparse_training.py`; LIF / firing rate; 5 %
        and 10 % of the entries)::

            one sample     512: 0.96 / 0.82, 1.00 / 1.08   1024: 0.68 / 0.58, 0.88 / 0.82
            four samples   512: 1.09 / 1.02, 1.11 / 1.11   1024: 0.86 / 0.87, 1.12 / 1.05
            32 samples     512: 0.79 / 0.64, 0.93 / 0.77   1024: 0.62 / 0.48, 0.73 / 0.60

        Of 2048 neurons all gain up to 10 %; at 20 % little: 0.77 to 0.89.
        """
        size = self.shape.numel()
        per_neuron = PER_NEURON if batch == 1 else PER_NEURON_FEW
        most = MOST if batch >= MANY else min(MOST, per_neuron * size**0.5)
        return self.entries <= most * size


def worthwhile(mask: Tensor) -> bool:
    """Return whether a mask is so sparse and large that `Pattern.pays` for some number of samples."""
    if type(mask) is not Tensor or mask.device.type != "cpu" or not LEAST <= mask.numel() < 2**31:
        return False
    return int(mask.count_nonzero()) <= MOST * mask.numel()


def existing(pattern: Pattern | None, batch: int) -> Pattern | None:
    """Return a pattern if there is one and products of `batch` samples are faster with it."""
    return pattern if pattern is not None and pattern.pays(batch) else None


def _starts(numbers: Tensor, count: int) -> Tensor:
    counts = torch.bincount(numbers, minlength=count)
    return torch.nn.functional.pad(counts.cumsum(0), (1, 0)).to(torch.int32)


def _short(numbers: Tensor) -> Tensor:
    return numbers.to(torch.int32).contiguous()
