"""Dale's law: each presynaptic neuron excites all its targets, or inhibits all of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from neurotorch.connections.inferred_types import Inference, InferredTypes, UndecidedTypesWarning
from neurotorch.connections.labels import Label, signs_of_types
from neurotorch.connections.magnitude import Magnitude, Square
from neurotorch.connections.sign_checks import check_signs, checked_signs
from neurotorch.connections.transmitters import TRANSMITTERS, signs_of_transmitters
from neurotorch.core.checks import check_count, check_finite, check_fraction, check_generator, check_kind

_SQUARE = Square()


class Dale(nn.Module):
    r"""Fixed types of presynaptic neurons, and the map from a raw parameter to weights of the right sign.

    For a neuron `j` of sign ``s_j`` and the magnitude map ``m``::

        weight[i, j] = s_j * m(raw[i, j])    if s_j is -1 or +1
        weight[i, j] = raw[i, j]             if s_j is 0 (free)

    The signs are a buffer: saved, cast and moved with the module, and never trained. One neuron has one type wherever
    it projects, so several connections may hold the same `Dale` object; a deep copy of their parent keeps it shared.

    Types that are not known may be inferred, by an explicit choice: `Dale.inferred`.

    Parameters
    ----------
    signs : (pre,)
        -1 (inhibitory), +1 (excitatory) or 0 (free) for each presynaptic neuron.
    magnitude : Magnitude
        The map from raw to magnitude: `Square()` unless said otherwise.
    inference : Inference, optional
        Which types are to be found; `Dale.inferred` makes it.

    Raises
    ------
    ValueError
        If `signs` is not a vector, is empty, or holds other values than -1, 0 and +1, or `inference` is of another
        number of neurons.
    TypeError
        If `magnitude` is not a `Magnitude` object.

    References
    ----------
    Eccles, Fatt & Koketsu (1954), J. Physiol. 126, 524-562, doi:10.1113/jphysiol.1954.sp005226.
    """

    signs: Tensor

    def __init__(
        self,
        signs: Tensor | Sequence[float],
        *,
        magnitude: Magnitude = _SQUARE,
        inference: Inference | None = None,
    ) -> None:
        super().__init__()
        check_kind("magnitude", magnitude, Magnitude, example="Square()")
        self.magnitude = magnitude
        self.register_buffer("signs", checked_signs(signs))
        if inference is not None:
            check_kind("inference", inference, Inference, example="Dale.inferred(neurons).inference")
            if inference.inferred.shape != self.signs.shape:
                raise ValueError(
                    f"`inference` is of {len(inference.inferred)} neurons, but there are {self.pre} signs: use "
                    "`Dale.inferred`."
                )
        self.inference = inference

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
        device = check_generator(generator)
        if generator is not None:
            order = torch.randperm(neurons, generator=generator, device=device).cpu()
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
        return cls(signs_of_transmitters(names, table, unknown), magnitude=magnitude)

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

    @classmethod
    def inferred(
        cls,
        neurons: Sequence[str] | int,
        *,
        known: Dale | Mapping[str, Label] | Sequence[Label] | None = None,
        magnitude: Magnitude | None = None,
    ) -> Self:
        """Return types that training shall find, beside those that are known.

        The relaxation is that neurons of unknown type are free, so that the data alone choose their weights. It ends
        hard: `harden_types` (or `TypeHardening` while a trainer runs) decides all of them by the side to which the
        weights that leave each neuron lean, over all connections that share this object. From then on they are neurons
        like any other: their signs are fixed, their weights of the other sign are gone, and training goes on under the
        law. `types` keeps how plainly each of them showed its type.

        Parameters
        ----------
        neurons : sequence of str or int
            Names of all presynaptic neurons, or how many they are.
        known : Dale, mapping or sequence, optional
            The types that are known, as for `Dale.given` (None, 0 or not named: to be inferred), or a `Dale` object
            such as ``Dale.from_transmitters(names, unknown=0)``, whose free neurons are inferred. They stay known.
        magnitude : Magnitude, optional
            The map from raw to magnitude: that of `known` where it is a `Dale` object, or `Square()`.

        Raises
        ------
        ValueError
            If `known` does not fit `neurons`, or is itself being inferred.
        """
        count = len(neurons) if isinstance(neurons, Sequence) else check_count("neurons", neurons)
        types = known if isinstance(known, Dale) else Dale(signs_of_types({} if known is None else known, neurons))
        if types.pre != count or types.inference is not None:
            what = f"types {types.pre} neurons" if types.pre != count else "is being inferred itself"
            raise ValueError(f"`known` {what}, but it must hold the known types of {count} neurons, 0 for the others.")
        return cls(types.signs, magnitude=magnitude or types.magnitude, inference=Inference(types.signs == 0))

    @property
    def pre(self) -> int:
        """Number of presynaptic neurons."""
        return self.signs.shape[0]

    @property
    def undecided(self) -> int:
        """Number of neurons whose types are still being inferred; until then their `signs` are 0."""
        return int(self.types().undecided.sum())

    def types(self) -> InferredTypes:
        """Return the types, which of them were inferred, and how sure that was."""
        signs = self.signs.clone()
        if self.inference is None:
            nan = torch.full_like(signs, torch.nan)
            return InferredTypes(signs, torch.zeros_like(signs, dtype=torch.bool), nan, nan.clone())
        found = self.inference
        return InferredTypes(signs, found.inferred.clone(), found.lean.clone(), found.agreement.clone())

    @torch.no_grad()
    def decide(self, neurons: Tensor, signs: Tensor, *, lean: Tensor, agreement: Tensor) -> None:
        """Fix types that are being inferred; `harden_types`, which calls it, also changes the weights accordingly.

        Parameters
        ----------
        neurons : (pre,) bool
            Which are decided.
        signs, lean, agreement : (pre,)
            Their types, and what `InferredTypes` says of each; other entries do not count.

        Raises
        ------
        ValueError
            If one of them is not being inferred (its type is known, decided or left free), or a sign is not -1 or +1.
        """
        for name, given in (("neurons", neurons), ("signs", signs), ("lean", lean), ("agreement", agreement)):
            check_kind(name, given, Tensor, example="torch.ones(neurons)")
            if given.shape != self.signs.shape or (name == "neurons" and given.dtype != torch.bool):
                raise ValueError(
                    f"`{name}` is {given.dtype} of shape {tuple(given.shape)}, but it must have the shape "
                    f"{(self.pre,)}, and `neurons` be torch.bool."
                )
        wrong = neurons & ~self.types().undecided
        if self.inference is None or wrong.any():
            raise ValueError(
                f"`neurons` has {int(wrong.sum())} whose types are not being inferred: they are given, free or decided."
            )
        if (signs[neurons].abs() != 1).any():
            raise ValueError("`signs` holds types other than -1 and +1 for neurons that shall be decided.")
        for kept, new in ((self.signs, signs), (self.inference.lean, lean), (self.inference.agreement, agreement)):
            kept.copy_(torch.where(neurons, new.to(kept), kept))

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
        check_signs(weight, signs)
        # Free neurons do not pass through the map: a 1 there keeps a legitimate zero from being refused.
        magnitude = torch.where(signs == 0, torch.ones_like(weight), weight.abs())
        return torch.where(signs == 0, weight, self.magnitude.inverse(magnitude))

    def project(self, raw: Tensor) -> Tensor:
        """Return `raw` with the constrained neurons moved to the nearest value that the magnitude map allows."""
        return torch.where(self._signs_like(raw, "raw") == 0, raw, self.magnitude.project(raw))

    def violations(self, weight: Tensor) -> int:
        """Return how many entries of `weight` ``(post, pre)`` have the wrong sign; zeros and free neurons have none.

        Of a neuron whose type is not decided, the entries of its rarer sign count: any type would forbid so many.

        Warns
        -----
        UndecidedTypesWarning
            If types are not decided yet.
        """
        wrong = int((self._signs_like(weight, "weight") * weight.sign() < 0).sum())
        if not self.undecided:
            return wrong
        warnings.warn(
            f"The types of {self.undecided} of {self.pre} neurons are not decided yet, so that Dale's law does not "
            "bind them: `harden_types` decides them.",
            UndecidedTypesWarning,
            stacklevel=2,
        )
        columns = weight.reshape(-1, self.pre)[:, self.types().undecided.to(weight.device)]
        return wrong + int(torch.minimum((columns > 0).sum(dim=0), (columns < 0).sum(dim=0)).sum())

    def extra_repr(self) -> str:
        """Say how many neurons there are of each type."""
        counts = [int((self.signs == sign).sum()) for sign in (1, -1, 0)]
        counts[2] -= self.undecided
        undecided = f"undecided={self.undecided}, " if self.undecided else ""
        return (
            f"excitatory={counts[0]}, inhibitory={counts[1]}, free={counts[2]}, {undecided}magnitude={self.magnitude!r}"
        )

    def _signs_like(self, matrix: Tensor, name: str) -> Tensor:
        """Return the signs in the dtype and on the device of `matrix`."""
        check_kind(name, matrix, Tensor, example=f"torch.zeros(post, {self.pre})")
        if not matrix.is_floating_point():
            raise TypeError(f"`{name}` has dtype {matrix.dtype}, but weights are floating: pass `{name}.float()`.")
        if matrix.ndim < 1 or matrix.shape[-1] != self.pre:
            raise ValueError(
                f"`{name}` has shape {tuple(matrix.shape)}, but Dale types {self.pre} presynaptic neurons: its last "
                f"axis must be {self.pre}, as weights are (post, pre)."
            )
        return self.signs.to(dtype=matrix.dtype, device=matrix.device)
