"""Dale's law: each presynaptic neuron excites all its targets, or inhibits all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Self

import torch
from torch import Tensor, nn

from neurotorch.connections.labels import Label, signs_of_types
from neurotorch.connections.magnitude import Magnitude, Square
from neurotorch.core.checks import check_count, check_finite, check_fraction, nearest

TRANSMITTERS: Mapping[str, int] = MappingProxyType(
    {"acetylcholine": 1, "ach": 1, "glutamate": 1, "glu": 1, "gaba": -1, "glycine": -1, "gly": -1}
)
"""Sign by transmitter in the brain of vertebrates, in lower case: the table unless another is given. Modulators
(dopamine, serotonin, ...) have no sign and are not listed."""

FLY_TRANSMITTERS: Mapping[str, int] = MappingProxyType({**TRANSMITTERS, "glutamate": -1, "glu": -1, "histamine": -1})
"""Sign by transmitter in the brain of the fly, where glutamate and histamine open chloride channels (Liu & Wilson 2013,
doi:10.1073/pnas.1220560110; Hardie 1989, doi:10.1038/339704a0). In the worm glutamate does both, by the receptor:
``{**TRANSMITTERS, "glutamate": 0}`` leaves those neurons free."""

_SQUARE = Square()


class Dale(nn.Module):
    r"""Fixed types of presynaptic neurons, and the map from a raw parameter to weights of the right sign.

    For a neuron `j` of sign ``s_j`` and the magnitude map ``m``::

        weight[i, j] = s_j * m(raw[i, j])    if s_j is -1 or +1
        weight[i, j] = raw[i, j]             if s_j is 0 (free)

    The signs are a buffer: saved, cast and moved with the module, and never trained. One neuron has one type wherever
    it projects, so several connections may hold the same `Dale` object; a deep copy of their parent keeps it shared.

    Parameters
    ----------
    signs : (pre,)
        -1 (inhibitory), +1 (excitatory) or 0 (free) for each presynaptic neuron.
    magnitude : Magnitude
        The map from raw to magnitude: `Square()` unless said otherwise.

    Raises
    ------
    ValueError
        If `signs` is not a vector, is empty, or holds other values than -1, 0 and +1.
    TypeError
        If `magnitude` is not a `Magnitude` object.

    References
    ----------
    Eccles, Fatt & Koketsu (1954), J. Physiol. 126, 524-562, doi:10.1113/jphysiol.1954.sp005226.
    """

    signs: Tensor

    def __init__(self, signs: Tensor | Sequence[float], *, magnitude: Magnitude = _SQUARE) -> None:
        super().__init__()
        if not isinstance(magnitude, Magnitude):
            raise TypeError(f"`magnitude` is {magnitude!r}, but it must be a magnitude object such as `Square()`.")
        self.magnitude = magnitude
        self.register_buffer("signs", _checked_signs(signs))

    @classmethod
    def fraction(
        cls,
        neurons: int,
        excitatory: float = 0.8,
        *,
        magnitude: Magnitude = _SQUARE,
        generator: torch.Generator | None = None,
    ) -> Self:
        """Return the types of a population with a fraction of excitatory neurons, the others inhibitory.

        Parameters
        ----------
        neurons : int
            Number of presynaptic neurons.
        excitatory : float
            Fraction in 0..1; exactly ``round(neurons * excitatory)`` neurons are excitatory (a half rounds to even).
        magnitude : Magnitude
            The map from raw to magnitude.
        generator : torch.Generator, optional
            Shuffles the types; without it the excitatory neurons come first.
        """
        count = round(check_count("neurons", neurons) * check_fraction("excitatory", excitatory))
        signs = torch.ones(neurons)
        signs[count:] = -1
        if generator is not None:
            order = torch.randperm(neurons, generator=generator, device=generator.device).cpu()
            signs = signs[order]
        return cls(signs, magnitude=magnitude)

    @classmethod
    def from_transmitters(
        cls,
        names: Iterable[str],
        *,
        table: Mapping[str, int] = TRANSMITTERS,
        unknown: int | None = None,
        magnitude: Magnitude = _SQUARE,
    ) -> Self:
        """Return the types of neurons whose transmitters are known.

        Parameters
        ----------
        names : iterable of str
            Transmitter of each presynaptic neuron; capitals and surrounding blanks do not matter.
        table : mapping
            Sign (-1, 0, +1) by transmitter: `TRANSMITTERS` unless said otherwise.
        unknown : int, optional
            Sign of a transmitter that is not in the table; without it such a transmitter is an error.
        magnitude : Magnitude
            The map from raw to magnitude.

        Raises
        ------
        ValueError
            If transmitters are not in the table and `unknown` is not given: all of them are listed.
        """
        if isinstance(names, str):
            raise TypeError(f"`names` is the text {names!r}, but it must hold one transmitter per neuron: [{names!r}].")
        signs_by_name = {name.strip().lower(): sign for name, sign in table.items()}
        words = [str(name).strip().lower() for name in names]
        missing = sorted({word for word in words if word not in signs_by_name})
        if missing and unknown is None:
            listed = ", ".join(f"{word!r}" for word in missing)
            guesses = "".join(nearest(word, signs_by_name) for word in missing)
            raise ValueError(
                f"`names` holds transmitters of unknown sign: {listed}.{guesses} Known are {', '.join(signs_by_name)}: "
                "extend `table`, or pass `unknown=0` to leave these neurons free."
            )
        default = 0 if unknown is None else unknown
        return cls([float(signs_by_name.get(word, default)) for word in words], magnitude=magnitude)

    @classmethod
    def given(
        cls,
        types: Mapping[str, Label] | Sequence[Label],
        *,
        neurons: Sequence[str] | int | None = None,
        magnitude: Magnitude = _SQUARE,
    ) -> Self:
        """Return the types of neurons of which some are known, and the rest free.

        Parameters
        ----------
        types : sequence or mapping
            For each presynaptic neuron, or by the name of those that are known: ``"excitatory"`` (``"exc"``, ``"e"``),
            ``"inhibitory"`` (``"inh"``, ``"i"``), ``"free"``, a sign -1, 0, 1, or None for one that is not known.
            Capitals and surrounding blanks do not matter.
        neurons : sequence of str or int, optional
            Names of all presynaptic neurons, such as ``recording.neurons``, or how many they are if the mapping calls
            them "0", "1", ...; needed with a mapping.
        magnitude : Magnitude
            The map from raw to magnitude.

        Raises
        ------
        ValueError
            If a type is not one of these, there are too many or too few, or a name is not among `neurons` (both sides
            are shown, and the nearest match).
        """
        return cls(signs_of_types(types, neurons), magnitude=magnitude)

    @property
    def pre(self) -> int:
        """Number of presynaptic neurons."""
        return self.signs.shape[0]

    def effective(self, raw: Tensor) -> Tensor:
        """Return the weights ``(post, pre)`` that belong to the raw parameters ``(post, pre)``; differentiable."""
        signs = self._signs_like(raw, "raw")
        return torch.where(signs == 0, raw, signs * self.magnitude.forward(raw))

    def raw(self, weight: Tensor) -> Tensor:
        """Return raw parameters ``(post, pre)`` whose `effective` is `weight`, as exactly as the magnitude map can.

        Raises
        ------
        ValueError
            If `weight` has the wrong number of presynaptic neurons, is not finite, has an entry of the wrong sign (the
            neurons are named), or a zero where the magnitude map has none.
        """
        signs = self._signs_like(weight, "weight")
        check_finite("weight", weight)
        self._check_signs(weight)
        # Free neurons do not pass through the map: a 1 there keeps a legitimate zero from being refused.
        magnitude = torch.where(signs == 0, torch.ones_like(weight), weight.abs())
        return torch.where(signs == 0, weight, self.magnitude.inverse(magnitude))

    def project(self, raw: Tensor) -> Tensor:
        """Return `raw` with the constrained neurons moved to the nearest value that the magnitude map allows."""
        return torch.where(self._signs_like(raw, "raw") == 0, raw, self.magnitude.project(raw))

    def violations(self, weight: Tensor) -> int:
        """Return how many entries of `weight` ``(post, pre)`` have the wrong sign; zeros and free neurons have none."""
        return int(self._violated(weight).sum())

    def extra_repr(self) -> str:
        """Say how many neurons there are of each type."""
        counts = [int((self.signs == sign).sum()) for sign in (1, -1, 0)]
        return f"excitatory={counts[0]}, inhibitory={counts[1]}, free={counts[2]}, magnitude={self.magnitude!r}"

    def _signs_like(self, matrix: Tensor, name: str) -> Tensor:
        if matrix.ndim < 1 or matrix.shape[-1] != self.pre:
            raise ValueError(
                f"`{name}` has shape {tuple(matrix.shape)}, but Dale types {self.pre} presynaptic neurons: its last "
                f"axis must be {self.pre}, as weights are (post, pre)."
            )
        return self.signs.to(dtype=matrix.dtype, device=matrix.device)

    def _violated(self, weight: Tensor) -> Tensor:
        return self._signs_like(weight, "weight") * weight.sign() < 0

    def _check_signs(self, weight: Tensor) -> None:
        wrong = self._violated(weight).reshape(-1, self.pre).sum(dim=0)
        if not wrong.any():
            return
        neurons = [int(j) for j in wrong.nonzero().flatten()]
        named = ", ".join(
            f"{j} ({'excitatory' if self.signs[j] > 0 else 'inhibitory'}, {int(wrong[j])} wrong)" for j in neurons[:8]
        )
        more = f" and {len(neurons) - 8} more" if len(neurons) > 8 else ""
        raise ValueError(
            f"`weight` breaks Dale's law at {int(wrong.sum())} entries, of the presynaptic neurons (columns) "
            f"{named}{more}: change the signs of these columns, or build Dale with other `signs` (0 leaves a neuron "
            "free)."
        )


def _checked_signs(signs: Tensor | Sequence[float]) -> Tensor:
    vector = torch.as_tensor(signs).detach().clone()
    if not vector.is_floating_point():
        vector = vector.to(torch.get_default_dtype())
    if vector.ndim != 1 or vector.numel() == 0:
        raise ValueError(
            f"`signs` has shape {tuple(vector.shape)}, but it must be (pre,): one sign per presynaptic neuron."
        )
    wrong = (vector != 0) & (vector.abs() != 1)
    if wrong.any():
        place = int(wrong.nonzero()[0])
        value = float(vector[place])
        raise ValueError(
            f"`signs` holds {int(wrong.sum())} values other than -1, 0 and +1, the first at neuron {place} "
            f"({value:g}): "
            f"{'give neurons of unknown type the sign 0.' if math.isnan(value) else 'pass `torch.sign(signs)`.'}"
        )
    return vector
