"""The command ``neurotorch``, and the one place where errors become one line and an exit status."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import metadata

from neurotorch.cli import ablate, classify, fit, info, report, simulate
from neurotorch.cli.console import is_message, messages, one_line, say
from neurotorch.cli.parser import Parser, UsageError, unknown_arguments

COMMANDS = {
    "fit": fit,
    "ablate": ablate,
    "report": report,
    "info": info,
    "simulate": simulate,
    "classify": classify,
}
FAILED, INTERRUPTED, PIPE_CLOSED = 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 2 after an error in what was asked for, 130 after Ctrl-C."""
    argv = sys.argv[1:] if argv is None else list(argv)
    args = argparse.Namespace()
    try:
        _parse(argv, args)
        with messages(quiet=getattr(args, "quiet", False)):
            COMMANDS[args.command].run(args)
            sys.stdout.flush()
        return 0
    except KeyboardInterrupt:
        say(getattr(args, "when_interrupted", "interrupted"))
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone, as in `neurotorch report RUN | head`; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return PIPE_CLOSED
    except Exception as error:
        if not is_message(error):
            raise
        if "--debug" in argv:
            traceback.print_exc()
        say(f"error: {one_line(error)}")
        return FAILED


def _parse(argv: Sequence[str], args: argparse.Namespace) -> None:
    """Fill `args`; raise a `UsageError` if they make no sense."""
    parser = Parser(prog="neurotorch", description="Fit networks of neurons to recordings of neural activity.")
    parser.add_argument("--version", action="version", version=_version(), help="show the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    parsers = {}
    for name, module in COMMANDS.items():
        parsers[name] = commands.add_parser(name, help=module.HELP)
        parsers[name].description = module.__doc__
        module.configure(parsers[name])
    _, unknown = parser.parse_known_args(argv, args)
    if args.command is None:
        raise UsageError(f"say what to do: {', '.join(COMMANDS)} (see `neurotorch --help`)")
    if unknown:
        raise unknown_arguments(unknown, parsers[args.command])


def _version() -> str:
    try:
        return f"neurotorch {metadata.version('neurotorch')}"
    except metadata.PackageNotFoundError:
        return "neurotorch, not installed"
