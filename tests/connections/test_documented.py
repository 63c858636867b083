"""The examples of `docs/connections.md` are run as they stand there, with data of the names that they speak of."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neurotorch.connections import Connection, Dale, NoInputWarning, no_self
from neurotorch.data import Batch, Recording
from neurotorch.learning import BPTT, MeanSquaredError
from neurotorch.network import Layer, Network
from neurotorch.neurons import FiringRate

PAGE = Path(__file__).parents[2] / "docs/connections.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
EPOCHS = re.compile(r"epochs=\d+")
NAMES = ["AVAL", "AVBL", "RMDL", "PVCL"]


def known() -> dict[str, Any]:
    """Return what the page takes as given: a recording, tables of wiring, a network in training."""
    generator = torch.Generator().manual_seed(0)
    recurrent = Connection(4, 4, dale=Dale.fraction(4), mask=no_self(4), generator=generator)
    network = Network({"brain": Layer(FiringRate(0.2), 4, recurrent=recurrent)}, dt=0.1)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    junctions = torch.rand(100, 100, generator=generator) < 0.05
    return {
        "__name__": "example",
        "torch": torch,
        "recording": Recording(np.random.default_rng(0).random((60, 4)), 0.5, neurons=tuple(reversed(NAMES))),
        "table": np.array([[0, 4, 2, 1], [3, 0, 1, 0], [1, 5, 0, 2], [2, 0, 1, 0]]),
        "gap_table": np.array([[0, 1, 0, 0], [1, 0, 2, 0], [0, 2, 0, 0], [0, 0, 0, 0]]),
        "names": NAMES,
        "transmitters": ["acetylcholine", "glutamate", "GABA", "dopamine"],
        "network": network,
        "batch": Batch(torch.rand(20, 2, 4, generator=generator), None),
        "rule": BPTT(network, MeanSquaredError(), optimizer=optimizer),
        "allowed": no_self(50),
        "batches": [Batch(torch.rand(10, 2, 50, generator=generator), None)],
        "labels": ["tectum", "tectum", "hindbrain", "hindbrain"],
        "coordinates": 1e-3 * torch.rand(200, 3, generator=generator),
        "recurrent": Connection(100, 100, generator=generator),
        "mask": junctions | junctions.T,
        "gap_junctions": junctions.int(),
    }


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_the_example_runs(index, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoInputWarning)  # sparse masks drawn at random
        exec(compile(EPOCHS.sub("epochs=2", BLOCKS[index]), "docs/connections.md", "exec"), known())


def test_there_are_examples():
    assert len(BLOCKS) >= 10
