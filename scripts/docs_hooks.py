"""Fills the API page with every room that exists, so that a new room needs no line in the documentation.

Modules that a room exports, such as `neurotorch.data.encodings`, have a section below that of the room.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
MARK = "<!-- rooms -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the mark on the API page by one section for each room, in the order of the contracts."""
    if MARK not in markdown:
        return markdown
    contracts = (REPOSITORY / "docs" / "contracts.md").read_text("utf-8")
    order = re.search(r"Imports go downwards only: `([^`]+)`", contracts)
    if order is None:
        raise ValueError(
            "docs/contracts.md no longer states the order of the rooms as 'Imports go downwards only: `...`'."
        )
    rooms = re.split(r",\s*", order[1])
    present = [room for room in rooms if (REPOSITORY / "neurotorch" / room / "__init__.py").is_file()]
    sections = [f"## {name}\n\n::: neurotorch.{name}" for room in present for name in (room, *_modules(room))]
    return markdown.replace(MARK, "\n\n".join(sections))


def _modules(room: str) -> list[str]:
    exports = (REPOSITORY / "neurotorch" / room / "__init__.py").read_text("utf-8")
    found = re.search(rf"^from neurotorch\.{room} import (.+)$", exports, re.M)
    return [f"{room}.{name}" for name in re.split(r",\s*", found[1])] if found else []
