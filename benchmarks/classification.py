"""How well, and how fast, do spiking classifiers learn images and spoken digits?

Every row of the table of `docs/classification.md`, each training in a process of its own with one thread:

    python benchmarks/classification.py --row mnist-minute --seeds 3 --peers --out mnist.json

Settings were chosen on validation parts; the test part of each training is scored once. `--parts`, `--seeds` and
`--epochs` make a run shorter, and the file says so. Rows that compare two ways pair them over parts and seeds.
"""

from __future__ import annotations

from _machine import one_thread

one_thread()

import argparse
import json
import math
import statistics
import sys
from pathlib import Path
from typing import Any

from _machine import machine, made, versions
from classifiers.rows import ROWS
from peers.processes import run

PEERS = ("norse", "snntorch")


def main() -> None:
    """Run the rows that are asked for."""
    args = arguments()
    results: list[dict[str, Any]] = []
    done: dict[str, dict[str, Any]] = {}  # several rows train the same network on the same parts
    for name in args.row or ROWS:
        row = ROWS[name]
        ways = [*row.ways, *(["svm"] if row.divided != "parts" else []), *(PEERS if args.peers and row.peers else [])]
        parts = range(min(row.parts(), args.parts or row.parts()))
        runs = [
            {"way": way, "seed": seed, "part": part, **trained(name, way, seed, part, args.epochs, done)}
            for seed in range(args.seeds)
            for part in parts
            for way in ways
        ]
        results.append(summary(name, runs))
        write(args, results)
    if args.figure is not None:
        from classifiers.figure import draw_figure

        draw_figure(results, args.figure)


def arguments() -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", action="append", choices=ROWS, help="a row, and again for another; all by default")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="seeds 0 to N - 1 (%(default)s)")
    parser.add_argument("--parts", type=int, metavar="N", help="only the first N folds or speakers")
    parser.add_argument("--epochs", type=int, metavar="N", help="in place of those of the row")
    parser.add_argument("--peers", action="store_true", help="norse and snntorch too, where the row has them")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the JSON to write")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="the figure to write")
    return parser.parse_args()


def trained(
    row: str, way: str, seed: int, part: int, epochs: int | None, done: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return what one training found, from `done` if it was done already; one that fails is kept as an error."""
    key = repr((ROWS[row].trains(way, epochs=epochs), way if way in (*PEERS, "svm") else "ours", seed, part))
    if key in done:
        return done[key]
    asked = {"row": row, "way": way, "seed": seed, "part": part, "epochs": epochs, "peer": way in PEERS}
    try:
        found: dict[str, Any] = run("classifiers.worker", json.dumps(asked))
    except RuntimeError as error:
        found = {"error": str(error)[-2000:]}
    print(f"{row} {way} seed {seed} part {part}: {found.get('accuracy', 'failed')}", file=sys.stderr, flush=True)
    done[key] = found
    return found


def summary(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a row with the mean and spread of each way, and the paired difference of two."""
    row = ROWS[name]
    ways = {}
    for way in dict.fromkeys(each["way"] for each in runs):
        done = [each for each in runs if each["way"] == way and "accuracy" in each]
        if done:
            scores = [each["accuracy"] for each in done]
            ways[way] = {
                "mean": statistics.mean(scores),
                "spread": statistics.stdev(scores) if len(scores) > 1 else None,
                "lowest": min(scores),
                "seconds": statistics.median(each["seconds"] for each in done),
                "processor_seconds": statistics.median(each["processor_seconds"] for each in done),
                "trainings": len(scores),
            }
    compared = list(row.ways)
    difference = paired(runs, compared[0], compared[1]) if len(compared) == 2 else None
    return {"row": name, "question": row.question, "aim": row.aim, "ways": ways, "difference": difference, "runs": runs}


def paired(runs: list[dict[str, Any]], first: str, second: str) -> dict[str, Any] | None:
    """Return ``second - first`` in points, with the 95 % interval of Student's t over pairs of equal part and seed.

    Folds share most of their training data, so that the interval is somewhat too narrow.
    """
    from scipy.stats import t

    scores = {(each["way"], each["seed"], each["part"]): each["accuracy"] for each in runs if "accuracy" in each}
    pairs = [
        100 * (scores[second, seed, part] - score)
        for (way, seed, part), score in scores.items()
        if way == first and (second, seed, part) in scores
    ]
    if len(pairs) < 2:
        return None
    half = float(t.ppf(0.975, len(pairs) - 1)) * statistics.stdev(pairs) / math.sqrt(len(pairs))
    mean = statistics.mean(pairs)
    return {"of": f"{second} - {first}, points", "mean": mean, "interval": [mean - half, mean + half], "pairs": pairs}


def write(args: argparse.Namespace, results: list[dict[str, Any]]) -> None:
    """Write the file, after every row."""
    content = {
        "question": __doc__.splitlines()[0],
        "made": made(),
        "machine": {**machine(), "threads": 1},
        "versions": versions("neurotorch", "torch", "numpy", "numba", "norse", "snntorch", "scikit-learn"),
        "seeds": list(range(args.seeds)),
        "shortened": {"parts": args.parts, "epochs": args.epochs},
        "results": results,
    }
    args.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
