"""What the fits under true and other masks say together: a table of paired differences, and a figure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

GROUPS = {
    "fish 1-8": tuple(f"fish{i}" for i in range(1, 9)),
    "fish 9-16": tuple(f"fish{i}" for i in range(9, 17)),
    "worm": ("worm",),
    "demo": ("demo",),
}
OTHERS = ("shuffled", "random", "nearest", "transposed", "full", "none")
HORIZONS = (1, 4, 8, 16)
MEASURES = ("r2", "r2_neuron_median", "skill", "connections")
"""Pooled R², its median over neurons, the skill over the best own-past baseline, and over the refit without any."""
Row = dict[str, Any]


def scores(rows: list[Row], name: str, types: str, structure: str, condition: str, horizon: int, of: str) -> np.ndarray:
    """Return the scores of one animal under one condition, one per repetition."""
    if condition == "none":
        found = [row for row in rows if row["condition"] == "true"]
        key = "without_connections"
    else:
        found, key = [row for row in rows if row["condition"] == condition], of
    where = structure if condition != "full" else "all"
    return np.asarray(
        [
            found_in["value"] if isinstance(found_in := row["horizons"][str(horizon)][key], dict) else found_in
            for row in found
            if (row["name"], row["types"], row["structure"]) == (name, types, where)
        ]
    )


def cases(rows: list[Row]) -> Iterator[tuple[str, tuple[str, ...], str, str]]:
    """Yield group, its animals that were fitted, types and structure."""
    for group, names in GROUPS.items():
        there = [row for row in rows if row["name"] in names and row["condition"] == "true"]
        for types, structure in dict.fromkeys((row["types"], row["structure"]) for row in there):
            yield group, tuple(name for name in names if any(row["name"] == name for row in there)), types, structure


def summary(rows: list[Row]) -> list[Row]:
    """Return, for every case, horizon and comparison, the difference of the true mask."""
    found = []
    for group, names, types, structure in cases(rows):
        for of in MEASURES:
            for horizon in HORIZONS:
                for other in OTHERS if of == "r2" else ("shuffled", "random", "full"):
                    pairs = [
                        tuple(scores(rows, name, types, structure, c, horizon, of) for c in ("true", other))
                        for name in names
                    ]
                    if all(len(there) and len(others) for there, others in pairs):
                        about = {"group": group, "types": types, "structure": structure, "of": of, "horizon": horizon}
                        found.append({**about, "other": other, **difference(pairs)})
    return found


def difference(pairs: list[tuple[np.ndarray, ...]]) -> Row:
    """Return the mean difference over animals with its interval, or its place among the repetitions of one animal."""
    true = np.asarray([there.mean() for there, _ in pairs])
    other = np.asarray([others.mean() for _, others in pairs])
    change = true - other
    found: Row = {"animals": len(pairs), "true": float(true.mean()), "score": float(other.mean())}
    found |= {"difference": float(change.mean()), "positive": int((change > 0).sum())}
    if len(pairs) > 1:
        half = stats.t.ppf(0.975, len(pairs) - 1) * change.std(ddof=1) / np.sqrt(len(pairs))
        found["interval"] = [float(change.mean() - half), float(change.mean() + half)]
        found["p"] = float(stats.binomtest(found["positive"], len(pairs), 0.5).pvalue)
        return found
    others = pairs[0][1]
    if len(others) > 1:
        found["range"] = [float(others.min()), float(others.max())]
        found["p"] = float((1 + (others >= true[0]).sum()) / (1 + len(others)))
    return found


def line(test: Row) -> str:
    """Return a row of the summary as text."""
    cells = f"{test['group']:9} {test['types']:12} {test['structure']:10} {test['of']:16} {test['horizon']:2} frames: "
    cells += f"true {test['true']:+.3f}, {test['other']} {test['score']:+.3f}, difference {test['difference']:+.4f}"
    if "interval" in test:
        cells += " [{:+.4f}, {:+.4f}]".format(*test["interval"])
        cells += f", {test['positive']} of {test['animals']} above, p {test['p']:.3f}"
    elif "range" in test:
        cells += " among [{:+.3f}, {:+.3f}]".format(*test["range"]) + f", p {test['p']:.3f}"
    return cells


def draw(rows: list[Row], path: Path) -> None:
    """Draw what connections add under every mask: fish by horizon above, worm and demo by structure below."""
    import matplotlib.pyplot as plt

    from neurotorch.plotting import save_figure, style

    fish = [name for group in ("fish 1-8", "fish 9-16") for name in GROUPS[group] if _there(rows, name)]
    single = [(names[0], types, structure) for _, names, types, structure in cases(rows) if len(names) == 1]
    # Gap junctions have no sign; all else under the types that are known.
    single = [case for case in single if case[1] != "free" or case[2] == "electrical"]
    single = [case for case in single if case[0] in ("worm", "demo")]
    with style():
        figure, axes = plt.subplots(2, 4, figsize=(10, 6), squeeze=False)
        for ax, horizon in zip(axes[0], HORIZONS, strict=True):
            for name in fish:
                _animal(ax, rows, name, horizon)
            ax.set_title(f"fish, {horizon} frame{'s' if horizon > 1 else ''} ahead")
        for ax, (name, types, structure) in zip(axes[1], single, strict=False):
            _subject(ax, rows, name, types, structure)
            ax.set_title({"worm": f"worm, {structure}, 4 frames", "demo": "simulated, 4 frames"}[name])
        for ax in axes[1][len(single) :]:
            ax.set_visible(False)
        for row in axes:
            row[0].set_ylabel("R² minus that without connections")
        for group, color in (("fish 1-8", "#7F7F7F"), ("fish 9-16", "#0072B2")):
            axes[0, 0].plot([], [], "o-", color=color, label=group)
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        save_figure(figure, path)


def _there(rows: list[Row], name: str) -> bool:
    return any(row["name"] == name for row in rows)


def _animal(ax: Any, rows: list[Row], name: str, horizon: int) -> None:
    """Draw one fish: a line from condition to condition, and the range of its shuffles."""
    color = "#0072B2" if name in GROUPS["fish 9-16"] else "#7F7F7F"
    kinds = ("random", "shuffled", "true", "nearest", "full")
    (none, *_) = scores(rows, name, "free", "SC", "none", horizon, "r2")
    gains = [scores(rows, name, "free", "SC", kind, horizon, "r2") - none for kind in kinds]
    ax.axhline(0, color="#7F7F7F", linewidth=0.6, zorder=0)
    ax.plot(range(len(kinds)), [gain.mean() for gain in gains], "o-", color=color, markersize=3, linewidth=0.7)
    ax.vlines(1, gains[1].min(), gains[1].max(), color=color, linewidth=2, alpha=0.35)
    ax.set_xticks(range(len(kinds)), kinds, rotation=40)


def _subject(ax: Any, rows: list[Row], name: str, types: str, structure: str) -> None:
    """Draw one animal that stands by itself, every repetition a dot."""
    kinds = {"random": "#CC79A7", "shuffled": "#7F7F7F", "true": "#D55E00", "transposed": "#009E73", "full": "#0072B2"}
    (none, *_) = scores(rows, name, types, structure, "none", 4, "r2")
    ax.axhline(0, color="#7F7F7F", linewidth=0.6, zorder=0)
    shown = [kind for kind in kinds if len(scores(rows, name, types, structure, kind, 4, "r2"))]
    for place, kind in enumerate(shown):
        gain = scores(rows, name, types, structure, kind, 4, "r2") - none
        spread = np.linspace(-0.18, 0.18, len(gain)) if len(gain) > 1 else np.zeros(1)
        ax.plot(place + spread, gain, "o", color=kinds[kind], markersize=3.5, alpha=0.8)
    ax.set_xticks(range(len(shown)), shown, rotation=40)
    ax.set_xlim(-0.5, len(shown) - 0.5)
