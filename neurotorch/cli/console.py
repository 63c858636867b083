"""What is said on standard error: messages of the library, warnings and errors, each in one line."""

from __future__ import annotations

import contextlib
import linecache
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TextIO

PACKAGE = Path(__file__).parents[1]


def say(text: str) -> None:
    """Print a line on standard error: standard output holds results only."""
    print(f"neurotorch: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def messages(*, quiet: bool = False) -> Iterator[None]:
    """Show the library's warnings in one line each, and, unless `quiet`, what a run is doing."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("neurotorch: %(message)s"))
    library, runs = logging.getLogger("neurotorch"), logging.getLogger("neurotorch.runs")
    levels = library.level, runs.level
    library.addHandler(handler)
    library.setLevel(logging.WARNING)
    runs.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            yield
    finally:
        library.removeHandler(handler)
        library.setLevel(levels[0])
        runs.setLevel(levels[1])


def is_message(error: BaseException) -> bool:
    """Tell whether an error is a message to the user; anything else is a mistake in the program and shows where."""
    if isinstance(error, TypeError):
        return _raised_by_us(error.__traceback__)
    if isinstance(error, ValueError | OSError | FloatingPointError) or _out_of_memory(error):
        return True
    if not isinstance(error, ArithmeticError):
        return False
    from neurotorch.training import NonFiniteError

    return isinstance(error, NonFiniteError)


def one_line(error: BaseException) -> str:
    """Return what an error says, in one line."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    if _out_of_memory(error):
        reason = text.partition("Allocator: ")[2] or text
        text = f"there is not enough memory ({reason}): use fewer neurons or steps, or smaller batches."
    return " ".join(text.split()) or type(error).__name__


def _out_of_memory(error: BaseException) -> bool:
    """Tell whether memory could not be had; on the CPU torch says so by a RuntimeError like any other."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "allocate memory" in str(error))


def _raised_by_us(traceback: TracebackType | None) -> bool:
    """Tell whether an error comes from a `raise` in this package, not from an operation that failed."""
    if traceback is None:
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    file = traceback.tb_frame.f_code.co_filename
    line = linecache.getline(file, traceback.tb_lineno)
    return PACKAGE in Path(file).parents and line.strip().startswith("raise ")


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    del category, filename, lineno, file, line
    say(f"warning: {' '.join(str(message).split())}")
