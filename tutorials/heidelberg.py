# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---

# %% [markdown]
# # Spoken digits, as a cochlea hears them
#
# The Spiking Heidelberg Digits are spike trains on 700 channels of a model of the inner ear. A recurrent network of
# current-based neurons that learn their time constants reads them; here under Dale's law, so that every neuron excites
# or inhibits, and none does both.

# %%
import dataclasses
import os
import tempfile
from pathlib import Path

import numpy as np
import torch

import neurotorch as nt
from neurotorch.data import SpikeTrains, read_spike_trains
from neurotorch.runs import ClassificationTask, preset

fast = "NEUROTORCH_TUTORIAL_FAST" in os.environ
scratch = Path(tempfile.mkdtemp())
chosen = preset("heidelberg")

# %% [markdown]
# The data are looked for in the folder that `NEUROTORCH_DATA` names and else downloaded (130 MB). So that this page
# also runs without a network, and fast, sweeps of tones stand in for digits, in a file of the same layout: sweep `k` of
# ten begins and ends at channels of its own.


# %%
def sweeps(samples: int, seed: int, name: str) -> SpikeTrains:
    """Write an HDF5 file of sweeps in the layout of the Heidelberg digits, and open it."""
    import h5py

    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, samples)
    first, last = np.linspace(50, 650, 10), np.roll(np.linspace(50, 650, 10), 3)
    with h5py.File(scratch / f"{name}.h5", "w") as file:
        rows = {}
        for field, dtype in (("times", "float16"), ("units", "uint16")):
            rows[field] = file.create_dataset(f"spikes/{field}", (samples,), dtype=h5py.vlen_dtype(np.dtype(dtype)))
        for index, label in enumerate(labels):
            times = np.sort(random.uniform(0, random.uniform(0.3, 0.6), 400))
            middle = first[label] + (last[label] - first[label]) * times / times.max()
            rows["times"][index] = times
            rows["units"][index] = np.clip(random.normal(middle, 40), 0, 699)
        file["labels"] = labels.astype("uint16")
    return read_spike_trains(scratch / f"{name}.h5")


if fast:
    task = ClassificationTask("sweeps", sweeps(400, 0, "train"), lambda: sweeps(100, 1, "test"), chosen.presentation)
else:
    task = nt.open_task("heidelberg")
print(len(task.train), "spike trains,", task.train.classes)

# %% [markdown]
# Spikes are counted in bins of 10 ms and of ten neighbouring channels. The preset of the data set says how to build and
# train; what differs is named.

# %%
blueprint = dataclasses.replace(chosen.blueprint, excitatory=0.8, units=(48,) if fast else chosen.blueprint.units)
plan = dataclasses.replace(chosen.plan, batch_size=16, epochs=10) if fast else chosen.plan
result = nt.classify(task, blueprint, plan=plan, seed=0)
print(nt.runs.classification.report.classification_table(result.report()))
print(result.report()["verdict"])
print("signs against Dale's law:", result.report()["dale"]["violations"])

# %% [markdown]
# What did the time constants become? They started at one value for all.

# %%
hidden = result.network.layers["hidden"]
for name, constant in (("membrane", hidden.neuron.tau_mem), ("synapse", hidden.neuron.tau_syn)):
    low, middle, high = np.quantile(1e3 * constant.value.numpy(), [0.1, 0.5, 0.9])
    print(f"{name}: {low:.0f}, {middle:.0f}, {high:.0f} ms (10, 50, 90 % of the neurons)")

# %% [markdown]
# One test sample: what the ear sent, what the neurons made of it (excitatory and inhibitory), and the readout of each
# class.

# %%
batch = result.example.batch(torch.tensor([0]), generator=torch.Generator())
with torch.no_grad():
    run = result.network.run(batch.inputs)
length = int(result.example.lengths[0])
axes = nt.plotting.plot_input_output(
    batch.inputs[:length, 0].numpy(),
    run.runs[0].emitted[:length, 0].numpy(),
    dt=result.network.dt,
    readout=run.output[:length, 0].numpy(),
    classes=task.train.classes,
    label=int(result.example.labels[0]),
    signs=hidden.recurrent.dale.signs.numpy(),
)
folder = nt.save(result, scratch / "run")
nt.plotting.save_figure(axes[0].figure, folder / "figures" / "sample.png")
