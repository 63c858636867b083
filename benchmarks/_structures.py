"""Recordings with a connectome, and what that connectome is held against."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import neurotorch as nt
from neurotorch.connections import (
    TRANSMITTERS,
    Connectome,
    Dale,
    no_self,
    shuffle_degrees,
    shuffle_degrees_symmetric,
    sparse,
)
from neurotorch.core.seeds import torch_generator
from neurotorch.data import Recording

DATA = Path(os.environ.get("NEUROTORCH_DATA", "data"))
RANDOM = 5
"""Random masks of the same density."""
WORM_SIGNS = {**TRANSMITTERS, "glutamate": 0}
"""In the worm glutamate excites or inhibits by the receptor; modulators have no sign either, and are left free."""


@dataclass(frozen=True)
class Structure:
    """A connectome without self-connections: what is known, from directed and from symmetric connections.

    `distance` is that between the neurons, where it is known.
    """

    directed: Tensor | None
    symmetric: Tensor | None
    distance: Tensor | None = None

    @property
    def mask(self) -> Tensor:
        """Every pair that either connects."""
        known = [each for each in (self.directed, self.symmetric) if each is not None]
        return torch.stack(known).any(dim=0)

    def shuffled(self, generator: torch.Generator) -> Tensor:
        """Return a mask in which each kind of connection is shuffled by itself, its degrees kept."""
        parts = []
        if self.directed is not None:
            parts.append(shuffle_degrees(self.directed, generator=generator))
        if self.symmetric is not None:
            parts.append(shuffle_degrees_symmetric(self.symmetric, generator=generator))
        return torch.stack(parts).any(dim=0)

    def random(self, generator: torch.Generator) -> Tensor:
        """Return a mask of as many connections anywhere; as many symmetric ones if all of the known ones are."""
        neurons = len(self.mask)
        if self.directed is not None:
            return sparse(
                neurons, neurons, density=float(self.mask.sum()) / (neurons**2 - neurons), generator=generator
            )
        pairs = torch.ones(neurons, neurons).tril(-1).nonzero()
        chosen = pairs[torch.randperm(len(pairs), generator=generator)[: int(self.mask.sum()) // 2]]
        mask = torch.zeros(neurons, neurons, dtype=torch.bool)
        mask[chosen[:, 0], chosen[:, 1]] = True
        return mask | mask.T

    def nearest(self, distance: Tensor) -> Tensor:
        """Return a mask of as many connections, between the neurons that are nearest to each other."""
        far = torch.where(no_self(len(distance)), distance, torch.inf).flatten()
        mask = torch.zeros(len(far), dtype=torch.bool)
        mask[far.argsort(stable=True)[: int(self.mask.sum())]] = True
        return mask.reshape(distance.shape)


@dataclass(frozen=True)
class Subject:
    """A recording, the structures that are known of it, and the types to fit it under."""

    name: str
    recording: Recording
    structures: dict[str, Structure]
    types: dict[str, Dale | float | None]
    shuffles: int

    def masks(self, structure: Structure, seed: int) -> Iterator[tuple[str, int, Tensor]]:
        """Yield condition, repetition and mask."""
        yield "true", 0, structure.mask
        if not torch.equal(structure.mask, structure.mask.T):
            yield "transposed", 0, structure.mask.T.clone()
        if structure.distance is not None:
            yield "nearest", 0, structure.nearest(structure.distance)
        for repeat in range(self.shuffles):
            yield "shuffled", repeat, structure.shuffled(torch_generator(seed, f"shuffled {repeat}"))
        for repeat in range(RANDOM):
            yield "random", repeat, structure.random(torch_generator(seed, f"random {repeat}"))


def fish(number: int, *, rehearse: bool, shuffles: int) -> Subject:
    """Return the regions of a fish under the structural connectome of all fish."""
    folder = DATA / "zebrafish_regions"
    names = [str(name) for name in np.load(folder / "region_names.npy")]
    whole = nt.read(folder / f"timeseries_regions_fish{number}.npy", axes="neuron,time", dt=1.01)
    recording = _alive(_named(whole, names), rehearse=rehearse)
    # Rows are targets: layers of the tectum that hold no cell bodies have full rows and empty columns, ganglia of the
    # lateral line and the trigeminal nerve the reverse.
    known = Connectome.from_adjacency(np.load(folder / "SC.npy"), names, rows="post").matched(recording.neurons)
    # One centre for each side: first those of the left, and between these distances are taken.
    centres = torch.from_numpy(np.load(folder / "region_centroids.npy")[: len(names)])
    kept = [names.index(name) for name in recording.neurons]
    distance = torch.cdist(centres[kept], centres[kept])
    structure = Structure(known.mask & no_self(len(known.neurons)), None, distance)
    return Subject(f"fish{number}", recording, {"SC": structure}, {"free": None, "random": 0.8}, shuffles)


def worm(*, rehearse: bool, shuffles: int) -> Subject:
    """Return the worm under its chemical and electrical connectome."""
    path = DATA / "celegans" / "atanas2023_worm_2022-08-02-01.npz"
    with np.load(path) as file:
        names = [str(name) for name in file["neuron"]]
        chemical, electrical = file["chem_synapses_pre_x_post"], file["gap_junctions"]
        transmitters = [str(name) for name in file["neurotransmitter"]]
    whole = nt.read(path, axes="neuron,time", dt=0.6, key="trace_z")
    recording = _alive(_named(whole, names), rehearse=rehearse)
    table = Connectome.from_adjacency(chemical, names, rows="pre", transmitters=transmitters)
    known = table.matched(recording.neurons)
    gaps = Connectome.from_adjacency(electrical, names, rows="pre").matched(recording.neurons)
    others = no_self(len(known.neurons))
    directed, symmetric = known.mask & others, gaps.mask & others
    structures = {
        "chemical": Structure(directed, None),
        "electrical": Structure(None, symmetric),
        "both": Structure(directed, symmetric),
    }
    types = {"transmitters": known.dale(table=WORM_SIGNS, unknown=0), "free": None}
    return Subject("worm", recording, structures, types, shuffles)


def simulated(*, rehearse: bool, shuffles: int) -> Subject:
    """Return the demo's recording under its true connections, where the answer must be yes."""
    made = nt.runs.demo_recording()
    recording = _alive(made.recording, rehearse=rehearse)
    known = Connectome(torch.from_numpy(np.abs(made.weight)), made.recording.neurons).matched(recording.neurons)
    kept = [made.recording.neurons.index(name) for name in recording.neurons]
    structure = Structure(known.mask & no_self(len(kept)), None)
    types = {"given": Dale([float(made.signs[j]) for j in kept]), "free": None}
    return Subject("demo", recording, {"true": structure}, types, shuffles)


def _named(recording: Recording, names: list[str]) -> Recording:
    return dataclasses.replace(recording, neurons=tuple(names))


def _alive(recording: Recording, *, rehearse: bool) -> Recording:
    kept = (recording.split(0.2)[0] if rehearse else recording).drop_dead()
    return kept.drop_dead(of=kept.split(0.2)[0])
