# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---

# %% [markdown]
# # Handwritten digits with spikes
#
# A hundred leaky integrate-and-fire neurons learn MNIST in about a minute on one core: each pixel is a constant
# current, the image is shown for ten steps, and the readout that is largest on average names the digit.

# %%
import dataclasses
import os
import tempfile
from pathlib import Path

import pandas as pd
import torch

import neurotorch as nt
from neurotorch.data import Images, split
from neurotorch.runs import ClassificationTask, preset

fast = "NEUROTORCH_TUTORIAL_FAST" in os.environ
chosen = preset("mnist")
plan = dataclasses.replace(chosen.plan, epochs=3 if fast else chosen.plan.epochs)
print(chosen.blueprint)
print(plan)

# %% [markdown]
# The data are looked for in the folder that `NEUROTORCH_DATA` names and else downloaded. So that this page also runs
# without a network, and fast, drawings of bars then stand in for digits: bar `k` of ten, shifted and noisy.


# %%
def bars(samples: int, seed: int, part: str) -> Images:
    """Return images of bars at ten angles."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (samples,), generator=generator)
    angle = (labels * torch.pi / 10).view(-1, 1, 1)
    rows, columns = torch.meshgrid(torch.arange(28.0) - 13.5, torch.arange(28.0) - 13.5, indexing="ij")
    shift = 4 * torch.rand(2, samples, 1, 1, generator=generator) - 2
    distance = (columns - shift[0]) * angle.sin() - (rows - shift[1]) * angle.cos()
    ink = 255 * torch.exp(-((distance / 2) ** 2)) * (rows**2 + columns**2 < 120)
    noisy = ink + 120 * torch.randn(ink.shape, generator=generator)
    return Images(noisy.clamp(0, 255).to(torch.uint8), labels, tuple("0123456789"), name="bars", part=part)


if fast:
    task = ClassificationTask("bars", bars(2000, 0, "train"), lambda: bars(500, 1, "test"), chosen.presentation)
else:
    task = nt.open_task("mnist")

# %% [markdown]
# `classify` splits a validation part off, trains, and opens the test part once, at the end. The report puts the score
# beside what needs no network: the largest class and a linear classifier on the same pixels.

# %%
result = nt.classify(task, chosen.blueprint, plan=plan, seed=0)
report = result.report()
print(nt.runs.classification.report.classification_table(report))
print(report["verdict"])
print(report["test"]["neurobench"])

# %% [markdown]
# A run folder keeps all of it. What comes back evaluates another file of the same layout:
# `nt.load(folder).evaluate("t10k-images-idx3-ubyte.gz")`.

# %%
folder = nt.save(result, Path(tempfile.mkdtemp()) / "run")
print(sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*")))

# %% [markdown]
# When is the answer there? The accuracy on the validation part if the readout were averaged over the first steps only,
# and the spikes that the hidden layer has fired until then.

# %%
_, held = split(task.train, validation=plan.validation, seed=0)  # the same part as above
samples = task.presentation.samples(task.train).select(held[:1000])
batch = next(samples.batches(generator=torch.Generator(), size=1000))
with torch.no_grad():
    run = result.network.run(batch.inputs)
steps = torch.arange(1, len(run.output) + 1)  # shown so long
named = (run.output.cumsum(0) / steps.view(-1, 1, 1)).argmax(-1)
accuracy = (named == samples.labels).double().mean(1)
spikes = run.runs[0].emitted.sum(-1).cumsum(0).mean(1)

table = pd.DataFrame({"setting": "100 LIF", "steps": steps, "spikes": spikes, "accuracy": accuracy})
axes = nt.plotting.plot_accuracy_cost(table)
nt.plotting.save_figure(axes[0].figure, folder / "figures" / "steps.png")
