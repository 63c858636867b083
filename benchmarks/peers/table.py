"""The results of `training_step.py` as text."""

from __future__ import annotations

from typing import Any

ORDER = ("ours", "recomputed", "scan", "autograd", "norse", "snntorch", "published", "products")


def size_of(setting: dict[str, Any]) -> str:
    return f"{setting['neurons']}, {setting['batch']}, {setting['steps']}"


def model_of(setting: dict[str, Any]) -> str:
    return setting["model"] + (" under Dale's law" if setting["dale"] else "")


def models(results: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the results by model, in their order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        found.setdefault(model_of(result["setting"]), []).append(result)
    return found


def tables(results: list[dict[str, Any]]) -> str:
    """Return a Markdown table per model: milliseconds, the ratios that are aimed at, and memory."""
    return "\n\n".join(_table(model, each) for model, each in models(results).items())


def _table(model: str, results: list[dict[str, Any]]) -> str:
    names = [name for name in ORDER if any(name in result["median"] for result in results)]
    head = ["neurons, batch, steps", *names, "fastest peer / ours", "ours / products", "memory, MiB: " + ", ".join(
        name for name in names if name != "products"
    ), "% active"]  # fmt: skip
    rows = [[f"**{model}**", *[""] * (len(head) - 1)]]
    for result in results:
        times = [_number(result["median"].get(name)) for name in names]
        memory = ", ".join(
            _number(result["mebibytes"][name]["step"] if name in result["mebibytes"] else None)
            for name in names
            if name != "products"
        )
        fastest, floor = result["ratios"].get("fastest"), result["ratios"].get("ours to products")
        against = f"{_number(fastest['median'])} ({fastest['peer']})" if fastest else "-"
        activity = result["activity"].get("ours")
        rows.append([
            size_of(result["setting"]), *times, against, _number(floor["median"]) if floor else "-", memory,
            _number(None if activity is None else 100 * activity),
        ])  # fmt: skip
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
