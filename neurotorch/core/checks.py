"""Checks of what users hand in, with errors that say what came, what was expected and what to do."""

from __future__ import annotations

import contextlib
import difflib
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return the text ``" Did you mean 'x'?"`` for the choice nearest to `word`, or an empty text."""
    matches = difflib.get_close_matches(word, list(choices), n=1)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def check_positive(name: str, value: float, unit: str = "") -> float:
    """Return `value` as a float, or raise if it is not a finite number above zero."""
    number = _number(name, value)
    if not math.isfinite(number) or number <= 0:
        raise ValueError(
            f"`{name}` is {number:g}{_spaced(unit)}, but it must be a finite number above 0{_spaced(unit)}."
        )
    return number


def check_not_negative(name: str, value: float, unit: str = "") -> float:
    """Return `value` as a float, or raise if it is not a finite number of at least zero."""
    number = _number(name, value)
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"`{name}` is {number:g}{_spaced(unit)}, but it must be a finite number of at least 0.")
    return number


def check_fraction(name: str, value: float) -> float:
    """Return `value` as a float, or raise if it does not lie in 0..1."""
    number = _number(name, value)
    if not 0 <= number <= 1:
        raise ValueError(f"`{name}` is {number:g}, but a fraction lies in 0..1.")
    return number


def check_count(name: str, value: int, *, least: int = 1) -> int:
    """Return `value` as an int, or raise if it is not a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"`{name}` is {value!r}, but it must be a whole number.")
    if value < least:
        raise ValueError(f"`{name}` is {value}, but it must be at least {least}.")
    return int(value)


def all_finite(tensor: torch.Tensor) -> bool:
    """Return whether all numbers are finite; as long as their sum is, without taking the memory of another tensor."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    tensor = tensor.detach()
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())


def check_finite(name: str, array: np.ndarray | torch.Tensor) -> None:
    """Raise if `array` holds NaN or infinite values, naming the first place."""
    if isinstance(array, torch.Tensor) and all_finite(array):
        return
    # Torch says it itself, since numpy has no bfloat16.
    finite = array.detach().isfinite().cpu().numpy() if isinstance(array, torch.Tensor) else np.isfinite(array)
    if not finite.all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(f"`{name}` holds {int((~finite).sum())} NaN or infinite values, the first at index {place}.")


def check_kind(name: str, value: Any, kind: type[Any], *, example: str) -> None:
    """Raise unless `value` is an object of a class, such as `example`."""
    if isinstance(value, kind):
        return
    what = f"the class {value.__name__}, not an object of it" if isinstance(value, type) else shown(value)
    article = "an" if kind.__name__[0] in "AEIO" else "a"
    raise TypeError(f"`{name}` is {what}, but it must be {article} {kind.__name__} object such as `{example}`.")


def check_generator(generator: torch.Generator | None) -> torch.device:
    """Return the device on which a generator draws, the CPU where there is none; raise if it is something else."""
    if generator is None:
        return torch.device("cpu")
    check_kind("generator", generator, torch.Generator, example="torch.Generator().manual_seed(0)")
    return generator.device


def as_tensor(name: str, value: Any) -> torch.Tensor:
    """Return an array of numbers as a tensor without a gradient, or raise if it is none."""
    try:
        # Copied by numpy: torch takes no tables of pandas, and warns of arrays that are read-only.
        plain = isinstance(value, (torch.Tensor, list, tuple, int, float))
        tensor = torch.as_tensor(value if plain else np.array(value)).detach()
    except (TypeError, ValueError, RuntimeError):
        expected = "a tensor, an array or a list of numbers"
        raise TypeError(f"`{name}` is {shown(value)}, but it must be {expected}.") from None
    if tensor.layout != torch.strided:
        raise ValueError(f"`{name}` is stored as {tensor.layout}, but it must be dense: pass `{name}.to_dense()`.")
    if tensor.is_complex():
        raise TypeError(f"`{name}` holds complex numbers, but it must hold real ones.")
    return tensor


def listed(items: Iterable[object], *, at_most: int = 8) -> str:
    """Return items as an error lists them, ``"a, b and 3 more"``."""
    texts = [str(item) for item in items]
    more = f" and {len(texts) - at_most} more" if len(texts) > at_most else ""
    return ", ".join(texts[:at_most]) + more


def shown(value: Any) -> str:
    """Return a value as an error shows it: on one line, cut where it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def _number(name: str, value: Any) -> float:
    if not isinstance(value, (bool, np.bool_, str, bytes)):
        with contextlib.suppress(TypeError, ValueError, RuntimeError):
            return float(value)
    raise TypeError(f"`{name}` is {shown(value)}, but it must be a number.")


def _spaced(unit: str) -> str:
    return f" {unit}" if unit else ""
