"""The results of `training_step.py` as text."""

from __future__ import annotations

from typing import Any

FLOORS = ("products", "numpy-products")
ORDER = ("ours", "recomputed", "scan", "autograd", "norse", "snntorch", "published", *FLOORS)


def size_of(setting: dict[str, Any]) -> str:
    return f"{setting['neurons']}, {setting['batch']}, {setting['steps']}"


def model_of(setting: dict[str, Any]) -> str:
    return setting["model"] + (", Dale" if setting["dale"] else "")


def by_model(results: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the results by model, in their order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        found.setdefault(model_of(result["setting"]), []).append(result)
    return found


def line(result: dict[str, Any]) -> str:
    """Return the medians of one setting."""
    times = ", ".join(f"{name} {_number(result['median'][name])}" for name in ORDER if name in result["median"])
    return f"{model_of(result['setting'])} at {size_of(result['setting'])}, ms: {times}"


def tables(results: list[dict[str, Any]]) -> str:
    """Return two tables in Markdown: milliseconds with the ratios that are aimed at, and the memory of a step."""
    return f"{_times(results)}\n\n{_memory(results)}"


def _times(results: list[dict[str, Any]]) -> str:
    names = [name for name in ORDER if any(name in result["median"] for result in results)]
    rows = []
    for result in results:
        fastest = result["ratios"].get("fastest")
        floors = [result["ratios"].get(f"ours to {floor}", {}).get("median") for floor in FLOORS]
        activity = result["activity"].get("ours")
        rows.append(
            [
                *(_number(result["median"].get(name)) for name in names),
                f"{_number(fastest['median'])} ({fastest['peer']})" if fastest else "-",
                *(_number(floor) for floor in floors),
                _number(None if activity is None else 100 * activity),
            ]
        )
    return _table(
        "milliseconds",
        results,
        [*names, "fastest peer / ours", *(f"ours / {floor}" for floor in FLOORS), "% active"],
        rows,
    )


def _memory(results: list[dict[str, Any]]) -> str:
    names = [name for name in ORDER if name not in FLOORS and any(name in result["mebibytes"] for result in results)]
    rows = []
    for result in results:
        found = [result["mebibytes"].get(name, {}).get("step") for name in names]
        memory = dict(zip(names, found, strict=True))
        shares = [
            memory[name] / memory["autograd"] if memory.get(name) and memory.get("autograd") else None
            for name in ("ours", "recomputed")
        ]
        rows.append([_number(each) for each in (*found, *shares)])
    return _table("MiB", results, [*names, "ours / autograd", "recomputed / autograd"], rows)


def _table(unit: str, results: list[dict[str, Any]], head: list[str], rows: list[list[str]]) -> str:
    lines = [[f"{unit}: neurons, batch, steps", *head], ["---"] * (len(head) + 1)]
    lines += [
        [f"{model_of(result['setting'])}: {size_of(result['setting'])}", *row]
        for result, row in zip(results, rows, strict=True)
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
