"""What is known of the types of neurons, in words, as signs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from neurotorch.core.checks import check_count, check_kind, nearest

TYPES: Mapping[str, int] = MappingProxyType(
    {"excitatory": 1, "exc": 1, "e": 1, "inhibitory": -1, "inh": -1, "i": -1, "free": 0, "unknown": 0, "": 0}
)
"""Sign by the word for a type, in lower case."""

Label = str | int | None


def signs_of_types(types: Mapping[str, Label] | Sequence[Label], neurons: Sequence[str] | int | None) -> list[float]:
    """Return the sign of each neuron, 0 where the type is not known.

    A sequence of `types` has one per neuron; a mapping names the known ones, by the names in `neurons` or, where that
    is a number, by "0", "1", ...

    Raises
    ------
    TypeError
        If `types` is a text, or a mapping comes without `neurons`.
    ValueError
        If a type is no known word or sign, a name is not among `neurons`, or there are too many or too few types.
    """
    if isinstance(types, str):
        raise TypeError(f"`types` is the text {types!r}, but it must hold one type per neuron: {[types]!r}.")
    check_kind("types", types, Iterable, example="['excitatory', 'inhibitory']")
    if not isinstance(types, Mapping):
        signs = [_sign(label, str(j)) for j, label in enumerate(types)]
        expected = len(signs) if neurons is None else len(_names(neurons))
        if len(signs) != expected:
            raise ValueError(
                f"`types` holds {len(signs)} types, but there are {expected} neurons: give one per neuron, or a "
                "mapping of those that are known."
            )
        return signs
    if neurons is None:
        raise TypeError("`types` is a mapping, silent on the other neurons: give `neurons`, names or count.")
    names = _names(neurons)
    check_matching("types", list(types), "neurons", names)
    return [_sign(types.get(name), name) for name in names]


def check_matching(wanted_as: str, wanted: Sequence[str], known_as: str, known: Sequence[str]) -> None:
    """Raise if some of the names `wanted` are not among those `known`: both sides are shown, with the nearest match."""
    there = set(known)
    missing = [name for name in wanted if name not in there]
    if not missing:
        return
    # An offset of capitals or blanks is the usual reason, so the match is blind to them.
    folded = {str(name).strip().casefold(): name for name in known}
    pairs = []
    for name in missing[:8]:
        match = difflib.get_close_matches(str(name).strip().casefold(), list(folded), n=1)
        pairs.append(f"{name!r} (nearest: {folded[match[0]]!r})" if match else f"{name!r} (nothing near)")
    more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
    raise ValueError(
        f"{len(missing)} of the {len(wanted)} names in `{wanted_as}` are not among the {len(known)} in `{known_as}`: "
        f"{', '.join(pairs)}{more}. `{wanted_as}` begins {_begin(wanted)}; `{known_as}` begins {_begin(known)}. Rename "
        "one side, or leave these neurons out."
    )


def check_distinct(name: str, names: Sequence[str]) -> None:
    """Raise if a name occurs twice."""
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        raise ValueError(f"`{name}` holds the names {twice[:8]} more than once, but each must name one neuron.")


def _names(neurons: Sequence[str] | int) -> list[str]:
    if isinstance(neurons, str):
        raise TypeError(f"`neurons` is the text {neurons!r}, but it must hold their names, or how many they are.")
    if not isinstance(neurons, Iterable):
        return [str(j) for j in range(check_count("neurons", neurons))]
    names = [str(name) for name in neurons]
    check_distinct("neurons", names)
    return names


def _sign(label: Label, neuron: str) -> float:
    if label is None:
        return 0.0
    if isinstance(label, str):
        word = label.strip().lower()
        if word in TYPES:
            return float(TYPES[word])
        words = ", ".join(repr(known) for known in TYPES if known)
        raise ValueError(
            f"`types` calls neuron {neuron} {label!r}, but a type is one of {words}, a sign or None."
            f"{nearest(word, TYPES)} Transmitters are for `Dale.from_transmitters`."
        )
    if isinstance(label, bool) or label not in (-1, 0, 1):
        raise ValueError(f"`types` gives neuron {neuron} the sign {label!r}, but a sign is -1, 0 (free) or 1.")
    return float(label)


def _begin(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:5]) + (", ..." if len(names) > 5 else "")
