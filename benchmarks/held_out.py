"""What do connections under Dale's law add to the forecast of a recording, and is it more than its own past tells?

    python benchmarks/held_out.py --out build/held_out.json
    python benchmarks/held_out.py --rehearse --recordings fish1,fish2 --out build/rehearsal.json

Fits multi-timescale units by least squares with the defaults of `neurotorch fit` to each recording and scores the last
fifth of it: skill over the best baseline that uses a neuron's own past (best on the held-out part, with hindsight), and
over the refit without connections. Defaults were chosen in the training parts of fish 1-8. `--rehearse` does the same
*within* the training part, the last fifth of which stands for the held-out one: that is what to run while choosing.

Types are random (80 % excitatory); fits without Dale's law stand beside. For the fish all of it is done again on their
spontaneous frames. One thread.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import neurotorch as nt
from neurotorch.core.storage import save_json
from neurotorch.data import Recording
from neurotorch.evaluation import HORIZONS, Autoregression, DirectAutoregression, Persistence
from neurotorch.training.environment import environment

DATA = Path(os.environ.get("NEUROTORCH_DATA", "data"))
FISH: dict[str, tuple[str, dict[str, Any]]] = {
    f"fish{i}": (f"zebrafish_regions/timeseries_regions_fish{i}.npy", {"axes": "neuron,time", "dt": 1.01})
    for i in range(1, 17)
}
RECORDINGS: dict[str, tuple[str, dict[str, Any]]] = {
    **FISH,
    "tectum": ("zebrafish_tectum/zf_20151104-f1.mat", {"axes": "neuron,time", "dt": 1 / 2.2, "key": "activity_matrix"}),
    "worm": ("celegans/atanas2023_worm_2022-08-02-01.npz", {"axes": "neuron,time", "dt": 0.6, "key": "trace_z"}),
}
CHOSEN_ON = tuple(f"fish{i}" for i in range(1, 9))
NEW_FISH = tuple(f"fish{i}" for i in range(9, 17))
SPONTANEOUS = 600
OWN_PAST = (Persistence(), Autoregression(), DirectAutoregression())
COMPARISONS = {"skill": "best own-past baseline", "connections": "refit without connections"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", default=",".join(RECORDINGS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rehearse", action="store_true", help="stay within the training part")
    parser.add_argument("--out", type=Path, required=True, help="JSON; the figure lies beside it, as .png")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for name in args.recordings.split(","):
        for part, recording in parts(name, rehearse=args.rehearse):
            for signs, excitatory in (("dale", 0.8), ("free", None)):
                rows.append(measure(name, part, recording, signs, excitatory, args.seed))
                print(line(rows[-1]), flush=True)
        tests = sign_tests(rows)
        save_json(args.out, {"environment": environment(), "rehearsal": args.rehearse, "tests": tests, "fits": rows})
    for test in tests:
        print(test_line(test))
    draw(rows, args.out.with_suffix(".png"))


def parts(name: str, *, rehearse: bool) -> Iterator[tuple[str, Recording]]:
    """Yield the recording, and for a fish its spontaneous frames."""
    file, arguments = RECORDINGS[name]
    whole = nt.read(DATA / file, **arguments)
    cut = {"whole": whole, **({"spontaneous": whole.window(0, SPONTANEOUS)} if name in FISH else {})}
    for part, recording in cut.items():
        kept = recording.split(0.2)[0] if rehearse else recording
        kept = kept.drop_dead()
        yield part, kept.drop_dead(of=kept.split(0.2)[0])


def measure(
    name: str, part: str, recording: Recording, signs: str, excitatory: float | None, seed: int
) -> dict[str, Any]:
    started = time.perf_counter()
    fit = nt.fit(recording, nt.Blueprint(excitatory=excitatory), seed=seed, baselines=OWN_PAST)
    report = fit.report()
    return {
        "name": name,
        "part": part,
        "signs": signs,
        "neurons": len(recording.neurons),
        "frames": recording.frames,
        "seconds": time.perf_counter() - started,
        "seconds_fit": report["training"]["seconds"],
        "chosen": report["training"]["warm_start"]["chosen"],
        "violations": report["dale"]["violations"],
        "horizons": report["held_out"]["horizons"],
    }


def sign_tests(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return for each group of animals and each horizon how many skills are positive, with a one-sided sign test."""
    from scipy.stats import binomtest

    groups = {"fish 1-8": CHOSEN_ON, "fish 9-16": NEW_FISH, "fish 9-16, tectum, worm": (*NEW_FISH, "tectum", "worm")}
    tests = []
    for part, signs, (group, names), comparison, horizon in (
        (part, signs, item, comparison, horizon)
        for part in ("whole", "spontaneous")
        for signs in ("dale", "free")
        for item in groups.items()
        for comparison in COMPARISONS
        for horizon in HORIZONS
    ):
        values = [
            row["horizons"][str(horizon)][comparison]["value"]
            for row in rows
            if row["name"] in names and row["part"] == part and row["signs"] == signs
        ]
        if len(values) == len(names) or (values and group != "fish 9-16, tectum, worm"):
            positive = sum(value > 0 for value in values)
            p = binomtest(positive, len(values), 0.5, alternative="greater").pvalue
            tests.append(
                {
                    "part": part,
                    "signs": signs,
                    "group": group,
                    "over": comparison,
                    "horizon": horizon,
                    "animals": len(values),
                    "positive": positive,
                    "p": float(p),
                    "mean": float(np.mean(values)),
                    "median": float(np.median(values)),
                }
            )
    return tests


def line(row: dict[str, Any]) -> str:
    scale = row["chosen"]
    cells = [f"{row['name']:6} {row['part']:11} {row['signs']:4} {row['seconds_fit']:4.1f} s"]
    cells.append(f"{scale['transfer']}, trace {scale['trace']}, weight {scale['shrinkage']['weight']}")
    for horizon, score in row["horizons"].items():
        own, without = score["skill"], score["connections"]
        cells.append(
            f"{horizon}: {own['value']:+.3f} {own['over']} {_interval(own)}, {without['value']:+.3f} "
            f"{_interval(without)}"
        )
    return " | ".join(cells)


def test_line(test: dict[str, Any]) -> str:
    return (
        f"{test['part']:11} {test['signs']:4} {test['group']:23} over {COMPARISONS[test['over']]:25} "
        f"{test['horizon']:>2} frames: {test['positive']}/{test['animals']} positive, p {test['p']:.3f}, "
        f"mean {test['mean']:+.3f}, median {test['median']:+.3f}"
    )


def _interval(skill: dict[str, Any]) -> str:
    return "" if skill["interval"] is None else "[{:+.3f}, {:+.3f}]".format(*skill["interval"])


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw every animal's skill under Dale's law by horizon, with its interval, in a panel per part and comparison."""
    import matplotlib.pyplot as plt

    from neurotorch.plotting import save_figure, style

    looks = {"fish 1-8 (settings chosen)": ("#7F7F7F", "o"), "fish 9-16": ("#0072B2", "o"), "tectum": ("#009E73", "s")}
    looks["worm"] = ("#D55E00", "D")
    drawn = [part for part in ("whole", "spontaneous") if any(row["part"] == part for row in rows)]
    with style():
        figure, axes = plt.subplots(len(drawn), 2, figsize=(9, 3.2 * len(drawn)), sharey="row", squeeze=False)
        for row_of_axes, part in zip(axes, drawn, strict=True):
            for ax, (comparison, label) in zip(row_of_axes, COMPARISONS.items(), strict=True):
                shown = [row for row in rows if row["part"] == part and row["signs"] == "dale"]
                _panel(ax, shown, comparison, looks)
                ax.set_title(f"{'all held-out frames' if part == 'whole' else 'spontaneous frames'}, over the {label}")
            row_of_axes[0].set_ylabel("skill and 95 % interval")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        save_figure(figure, path)


def _panel(ax: Any, rows: Sequence[dict[str, Any]], comparison: str, looks: dict[str, tuple[str, str]]) -> None:
    ax.axhline(0, color="#7F7F7F", linewidth=0.8)
    seen = set()
    for index, row in enumerate(rows):
        kind = "fish 1-8 (settings chosen)" if row["name"] in CHOSEN_ON else row["name"]
        kind = "fish 9-16" if row["name"] in NEW_FISH else kind
        color, marker = looks[kind]
        scores = [row["horizons"][str(horizon)][comparison] for horizon in HORIZONS]
        place = np.arange(len(HORIZONS)) + (index - (len(rows) - 1) / 2) * 0.8 / max(1, len(rows))
        values = np.asarray([score["value"] for score in scores])
        ends = np.asarray([score["interval"] or (np.nan, np.nan) for score in scores]).T
        ax.vlines(place, *ends, color=color, linewidth=0.8, alpha=0.6)
        ax.plot(place, values, marker, color=color, markersize=3.5, label=None if kind in seen else kind)
        seen.add(kind)
    ax.set_xticks(range(len(HORIZONS)), [f"{horizon}" for horizon in HORIZONS])
    ax.set_xlabel("frames ahead")


if __name__ == "__main__":
    main()
