"""Print the report of a finished run again: scores, companions or baselines, and the verdict."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurotorch.cli.folder import opened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from neurotorch.cli.parser import Parser

HELP = "print the report of a run again"


def configure(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder")


def run(args: argparse.Namespace) -> None:
    """Print the report."""
    print_report(opened(args.run).report)


def print_report(report: Mapping[str, Any]) -> None:
    """Print what a report says in short."""
    import textwrap

    from neurotorch.runs import table
    from neurotorch.runs.classification.report import classification_table
    from neurotorch.runs.folder import CLASSIFICATION

    print(classification_table(report) if report["protocol"] == CLASSIFICATION else table(report))
    print()
    print(textwrap.fill(report["verdict"], 110))
    if "recovery" in report:
        print()
        print(textwrap.fill(report["recovery"]["sentence"], 110))
