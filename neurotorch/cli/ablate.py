"""Remove more and more connections of a fitted network and measure what is left of its forecasts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from neurotorch.cli.folder import fitted
from neurotorch.cli.parser import add_threads, names, use_threads

if TYPE_CHECKING:
    import pandas as pd

    from neurotorch.cli.parser import Parser

HELP = "remove connections of a fitted network and measure it"


def configure(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument(
        "--strategies",
        type=names,
        default=["weakest", "random"],
        metavar="A,B",
        help="what to remove first (%(default)s)",
    )
    parser.add_argument("--points", type=int, default=21, metavar="N", help="fractions from 0 to 1 (%(default)s)")
    parser.add_argument("--repeats", type=int, default=8, metavar="N", help="of a random strategy (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything that is drawn (%(default)s)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    add_threads(parser)


def run(args: argparse.Namespace) -> None:
    """Run the study, save its table and figure beside the run, and print a few rows."""
    use_threads(args.threads)

    from tqdm import tqdm

    from neurotorch.analysis import ablation_named
    from neurotorch.runs import RunFolder, ablate

    ablations = [ablation_named(name) for name in args.strategies]
    loaded = fitted(args.run)
    table = ablate(
        loaded,
        ablations,
        points=args.points,
        repeats=args.repeats,
        seed=args.seed,
        progress=lambda rows: tqdm(rows, unit="lesion", disable=True if args.quiet else None),
    )
    RunFolder(args.run).save_ablation(table)
    print(summary(table))
    print(f"\nTable and figure: {args.run / 'ablation.csv'}, {args.run / 'figures' / 'ablation.png'}")


def summary(table: pd.DataFrame, *, rows: int = 6) -> str:
    """Return the mean of the measures over repeats, at a few fractions, as text: one row per fraction."""
    from neurotorch.analysis.study import COLUMNS

    measures = [name for name in table.columns if name not in COLUMNS]
    means = table.pivot_table(index="fraction", columns="strategy", values=measures, aggfunc="mean", sort=False)
    every = max(1, -(-(len(means) - 1) // (rows - 1)))
    text: str = means.iloc[::every].to_string(float_format="{:.3f}".format)
    return text
