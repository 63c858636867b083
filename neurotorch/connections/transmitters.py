"""The signs of transmitters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from neurotorch.core.checks import check_kind, nearest

TRANSMITTERS: Mapping[str, int] = MappingProxyType(
    {"acetylcholine": 1, "ach": 1, "glutamate": 1, "glu": 1, "gaba": -1, "glycine": -1, "gly": -1}
)
"""Sign by transmitter in the brain of vertebrates, in lower case: the table unless another is given. Modulators
(dopamine, serotonin, ...) have no sign and are not listed."""

FLY_TRANSMITTERS: Mapping[str, int] = MappingProxyType({**TRANSMITTERS, "glutamate": -1, "glu": -1, "histamine": -1})
"""Sign by transmitter in the brain of the fly, where glutamate and histamine open chloride channels (Liu & Wilson 2013,
doi:10.1073/pnas.1220560110; Hardie 1989, doi:10.1038/339704a0). In the worm glutamate does both, by the receptor:
``{**TRANSMITTERS, "glutamate": 0}`` leaves those neurons free."""


def signs_of_transmitters(names: Iterable[str], table: Mapping[str, int], unknown: int | None) -> list[float]:
    """Return the sign of each transmitter, `unknown` for those that are not in the table.

    Raises
    ------
    TypeError
        If `names` is a text or a mapping.
    ValueError
        If transmitters are not in the table and `unknown` is None (all of them are listed), or a sign is none.
    """
    if isinstance(names, str):
        raise TypeError(f"`names` is the text {names!r}, but it must hold one transmitter per neuron: [{names!r}].")
    if isinstance(names, Mapping):
        raise TypeError(
            "`names` is a mapping, but it must hold one transmitter per neuron in their order: "
            "[transmitters[neuron] for neuron in recording.neurons]."
        )
    check_kind("table", table, Mapping, example="TRANSMITTERS")
    check_kind("names", names, Iterable, example="['GABA', 'glutamate']")
    for name, sign in table.items():
        if sign not in (-1, 0, 1):
            raise ValueError(f"`table` gives {name!r} the sign {sign!r}, but a sign is -1, 0 (free) or +1.")
    if unknown not in (None, -1, 0, 1):
        raise ValueError(f"`unknown` is {unknown!r}, but a sign is -1, 0 (free) or +1.")
    signs_by_name = {str(name).strip().lower(): sign for name, sign in table.items()}
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
    return [float(signs_by_name.get(word, default)) for word in words]
