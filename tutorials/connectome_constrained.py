# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---

# %% [markdown]
# # Fit under a connectome
#
# Does it help a forecast to know who is connected to whom? A network is fitted to the worm under its own connectome,
# with the signs of its transmitters, and to regions of the zebrafish brain under theirs. What the connectome is worth
# shows only beside masks that are *not* the true one and have as many connections.
#
# The recordings are found through `NEUROTORCH_DATA`. Without them everything runs on a simulated recording whose
# connections are known, where the answer must be yes.

# %%
import dataclasses
import os
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import neurotorch as nt
from neurotorch.connections import (
    TRANSMITTERS,
    Connection,
    Connectome,
    Given,
    NoInputWarning,
    no_self,
    shuffle_degrees,
    shuffle_degrees_symmetric,
    spectral_radius,
)
from neurotorch.core.seeds import torch_generator
from neurotorch.evaluation import Persistence

fast = "NEUROTORCH_TUTORIAL_FAST" in os.environ
data = Path(os.environ["NEUROTORCH_DATA"]) if "NEUROTORCH_DATA" in os.environ else None
shuffles = 1 if fast else 5

# %% [markdown]
# ## The worm: chemical synapses, transmitters as signs
#
# A row of the table is a presynaptic neuron, as in most published ones; here rows are postsynaptic, so it is turned,
# and it says so. `matched` puts the connectome in the order of the recording. A name that does not match is an error
# that shows both sides and the nearest match.

# %%
if data is not None:
    path = data / "celegans" / "atanas2023_worm_2022-08-02-01.npz"
    with np.load(path) as file:
        neurons = [str(name) for name in file["neuron"]]
        chemical, electrical = file["chem_synapses_pre_x_post"], file["gap_junctions"]
        transmitters = [str(name) for name in file["neurotransmitter"]]
    recording = nt.read(path, axes="neuron,time", dt=0.6, key="trace_z", names_key="neuron")
else:
    demo = nt.runs.demo_recording(neurons=30, frames=600) if fast else nt.runs.demo_recording()
    recording, neurons = demo.recording, list(demo.recording.neurons)
    chemical, electrical = np.abs(demo.weight).T, np.zeros_like(demo.weight)
    transmitters = ["acetylcholine" if sign > 0 else "GABA" for sign in demo.signs]
if fast:
    recording = recording.window(0, 400).select(neurons[:30])

connectome = Connectome.from_adjacency(chemical, neurons, rows="pre", transmitters=transmitters)
connectome = connectome.matched(recording.neurons)
print(connectome)

# %% [markdown]
# Acetylcholine excites and GABA inhibits. Glutamate does either in the worm, by the receptor, and modulators have no
# sign: both are left free. One sign per presynaptic neuron is a simplification here, where the receptor decides.

# %%
dale = connectome.dale(table={**TRANSMITTERS, "glutamate": 0}, unknown=0)
print(dale)

# %% [markdown]
# The same connectome is a mask, a start and a prior, in one line each. A start of a stated spectral radius goes to a
# `Connection`, a prior to the penalties of a rule, as in `BPTT(network, loss, optimizer=..., penalties=[prior])`.
# A mask that leaves neurons without input warns and names them; here that is what is known of them.

# %%
warnings.simplefilter("ignore", NoInputWarning)
others = no_self(len(recording.neurons))
mask = connectome.mask & others
start = Given(connectome.weight(dale, radius=0.5))
prior = nt.learning.WeightDistance({"population.recurrent": connectome.weight(dale, radius=0.5)}, strength=0.01)
connection = Connection(len(mask), len(mask), dale=dale, mask=connectome.mask, init=start)
print(f"{connection}, spectral radius {spectral_radius(connection.weight()):.2f}")

# %% [markdown]
# ## True, shuffled, all, none
#
# `shuffle_degrees` keeps how many connections each neuron sends and receives, and moves them. Time scales and penalties
# are chosen anew for every mask, by rolling origin in the training part; the last fifth of the time is held out.

# %%
frames = 4


def held_out(recording, blueprint):
    """Return the held-out R² four frames ahead, with and without the connections."""
    score = nt.fit(recording, blueprint, baselines=[Persistence()]).held_out.horizons[frames]
    return score.r2, score.without_connections


def compare(recording, blueprint, shuffle):
    """Return the score under the true connections, under shuffled ones, with all synapses, and with none."""
    true, none = held_out(recording, blueprint)
    moved = [shuffle(torch_generator(seed, "shuffle")) for seed in range(shuffles)]
    shuffled = [held_out(recording, dataclasses.replace(blueprint, **found))[0] for found in moved]
    every = held_out(recording, dataclasses.replace(blueprint, mask=None))[0]
    return {"true": true, "shuffled": shuffled, "all": every, "none": none}


def say(name, found):
    """Print the scores."""
    low, high = min(found["shuffled"]), max(found["shuffled"])
    print(
        f"{name}: true {found['true']:.3f}, shuffled {np.mean(found['shuffled']):.3f} ({low:.3f} to {high:.3f}), "
        f"all {found['all']:.3f}, none {found['none']:.3f}"
    )


synapses = nt.Blueprint(mask=mask, dale=dale)
results = {"chemical": compare(recording, synapses, lambda g: {"mask": shuffle_degrees(mask, generator=g)})}
say("chemical synapses", results["chemical"])

# %% [markdown]
# ## Gap junctions
#
# A gap junction carries current both ways, driven by the difference of the two activities, and its conductance has no
# sign: it is no pair of synapses. `Blueprint(electrical=...)` gives the network an `ElectricalConnection`, whose
# conductances the fit finds together with the weights. Synapses and junctions are shuffled apart.

# %%
if electrical.any():
    gaps = Connectome.from_adjacency(electrical, neurons, rows="pre").matched(recording.neurons).mask & others
    wired = dataclasses.replace(synapses, electrical=gaps)
    layer = wired.build(recording, seed=0).layers["population"]
    print(layer.electrical)

    def shuffle_both(generator):
        """Shuffle chemical and electrical synapses apart."""
        moved = shuffle_degrees(mask, generator=generator)
        return {"mask": moved, "electrical": shuffle_degrees_symmetric(gaps, generator=generator)}

    results["with junctions"] = compare(recording, wired, shuffle_both)
    say("chemical synapses and gap junctions", results["with junctions"])

# %% [markdown]
# ## Regions of the zebrafish brain
#
# Rows of `SC.npy` are targets: layers of the tectum without cell bodies have full rows and empty columns, sensory
# ganglia the reverse. A region holds neurons of both types, so types are free.

# %%
if data is not None:
    folder = data / "zebrafish_regions"
    names = [str(name) for name in np.load(folder / "region_names.npy")]
    for fish in (6,) if fast else (6, 7, 8):
        regions = nt.read(folder / f"timeseries_regions_fish{fish}.npy", axes="neuron,time", dt=1.01)
        regions = dataclasses.replace(regions, neurons=tuple(names))
        regions = regions.window(0, 400).drop_dead() if fast else regions.drop_dead()
        regions = regions.drop_dead(of=regions.split(0.2)[0])
        wiring = Connectome.from_adjacency(np.load(folder / "SC.npy"), names, rows="post").matched(regions.neurons)
        known = wiring.mask & no_self(len(regions.neurons))
        free = nt.Blueprint(mask=known, excitatory=None)
        results[f"fish {fish}"] = compare(
            regions, free, lambda g, known=known: {"mask": shuffle_degrees(known, generator=g)}
        )
        say(f"fish {fish}", results[f"fish {fish}"])

# %% [markdown]
# Every subject has its true connections, its shuffled ones, and the fits with all synapses and with none.

# %%
with nt.plotting.style():
    figure, axes = plt.subplots(1, len(results), figsize=(2.2 * len(results) + 0.8, 3), sharex=True, squeeze=False)
    for ax, (name, found) in zip(axes[0], results.items(), strict=True):
        ax.plot([0] * shuffles, found["shuffled"], "o", color="#7F7F7F", alpha=0.7)
        places = {"true": (1, "#D55E00"), "all": (2, "#0072B2"), "none": (3, "#56B4E9")}
        for kind, (place, color) in places.items():
            ax.plot(place, found[kind], "o", color=color)
        ax.set_xticks(range(4), ["shuffled", *places], rotation=45)
        ax.set_xlim(-0.6, 3.6)
        ax.set_title(name)
    axes[0, 0].set_ylabel(f"held-out R², {frames} frames ahead")
    nt.plotting.save_figure(figure, Path(tempfile.mkdtemp()) / "connectome.png")

# %% [markdown]
# One animal and five shuffles say little. `benchmarks/connectome.py` does all of it for sixteen fish, twenty shuffles
# of the worm and all horizons, `benchmarks/gap_junctions.py` the same for its junctions; what came out is in
# `docs/results.md`.
