"""The examples of `docs/neurons.md` are run as they stand there."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "neurons.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)


def test_there_are_examples():
    assert len(BLOCKS) == 5


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_an_example_runs(block):
    if "norse" in block:
        pytest.importorskip("norse.torch")
    exec(compile(block, "docs/neurons.md", "exec"), {"__name__": __name__})
