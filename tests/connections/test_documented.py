"""The examples of "Dale's law" in `docs/connections.md` are run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs/connections.md"
SECTION = PAGE.read_text().split("## Dale's law\n", 1)[1].split("\n## ", 1)[0]
BLOCKS = re.findall(r"^```python\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_the_example_runs(index):
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(BLOCKS[index], "docs/connections.md", "exec"), names)


def test_there_are_examples():
    assert len(BLOCKS) >= 3
