"""The parser of the command line: what is wrong with the arguments is one error like any other."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn


class UsageError(ValueError):
    """The arguments of a command do not make sense."""


class Parser(argparse.ArgumentParser):
    """A parser that raises a `UsageError` where argparse prints its usage and exits; it knows no abbreviations."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "allow_abbrev": False})
        self.add_argument("--debug", action="store_true", help="show where an error comes from")

    def error(self, message: str) -> NoReturn:
        """Raise instead of exiting."""
        raise UsageError(f"{message} (see `{self.prog} --help`)")

    def options(self) -> list[str]:
        """Return the long options."""
        return [option for action in self._actions for option in action.option_strings if option.startswith("--")]


def add_recording(parser: Parser) -> None:
    """Add the options that say what a file does not say itself."""
    group = parser.add_argument_group("what the file does not say itself")
    group.add_argument("--axes", metavar="A,B", help="what the two axes are: time,neuron or neuron,time")
    group.add_argument("--dt", type=float, metavar="S", help="duration of a frame, in seconds")
    group.add_argument("--key", metavar="K", help="name of the activity, where a file holds several matrices")
    group.add_argument("--inputs-key", metavar="K", help="name of the inputs, if the network shall have them")


def add_threads(parser: Parser) -> None:
    """Add the number of threads."""
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads that torch may use (1; another number, other bits)"
    )


def use_threads(threads: int) -> None:
    """Let torch use so many threads."""
    import torch

    from neurotorch.core.checks import check_count

    torch.set_num_threads(check_count("--threads", threads))


def names(text: str) -> list[str]:
    """Return the parts of a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def new_file(path: Path, *, suffix: str, overwrite: bool) -> Path:
    """Return `path`, or raise if it may not be written."""
    if path.suffix != suffix:
        raise UsageError(f"--out is {path}, but the file's name must end in {suffix}: --out {path.with_suffix(suffix)}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists: give another name, or --overwrite to replace it.")
    return path


def unknown_arguments(unknown: Sequence[str], parser: Parser) -> UsageError:
    """Return the error for arguments that no parser took, with a guess at what was meant."""
    from neurotorch.core.checks import nearest

    first = unknown[0].split("=")[0]
    guess = nearest(first, parser.options()) if first.startswith("-") else ""
    return UsageError(f"unrecognized arguments: {' '.join(unknown)}.{guess} (see `{parser.prog} --help`)")
