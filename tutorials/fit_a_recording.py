# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---

# %% [markdown]
# # Fit a recording
#
# From a recording to a network that obeys Dale's law, a report on time the network was not trained on, and an ablation
# curve. The recording here is simulated from a network of known weights, so that we can also ask how much of it came
# back.

# %%
import os
import tempfile
from pathlib import Path

import neurotorch as nt

fast = "NEUROTORCH_TUTORIAL_FAST" in os.environ
demo = nt.runs.demo_recording(neurons=12, frames=400) if fast else nt.runs.demo_recording()
recording = demo.recording
print(recording)

# %% [markdown]
# A recording of your own is read with `nt.read("activity.npy", axes="neuron,time", dt=0.5)`. Neurons that never change
# are reported by `recording.dead()` and dropped by `recording.drop_dead()`, never in silence.
#
# The blueprint says what to build. Here we state the true types of the neurons; without them they are assigned at
# random.

# %%
blueprint = nt.runs.demo_blueprint(demo)
plan = nt.TrainingPlan(warm_start=False, epochs=2, batches=2, patience=2) if fast else nt.runs.demo_plan()
fit = nt.fit(recording, blueprint, plan=plan, seed=0)
print(nt.runs.table(fit.report()))
print(fit.report()["verdict"])

# %% [markdown]
# The table is about the last fifth of the time, which nothing was fitted to or chosen on. `unconnected` is the same
# model refitted without connections: what the connections add is the difference.
#
# How much of the true network came back?

# %%
print(nt.runs.recovery(demo, fit.network)["sentence"])

# %% [markdown]
# A run folder holds everything needed to check or repeat the fit, and no pickle.

# %%
folder = nt.save(fit, Path(tempfile.mkdtemp()) / "run")
run = nt.load(folder)
print(sorted(path.name for path in folder.iterdir()))

# %% [markdown]
# Which connections can it lose? A lesion acts on effective weights: the network itself is not changed.

# %%
table = nt.ablate(run, [nt.analysis.weakest, nt.analysis.random], points=3 if fast else 21, repeats=2 if fast else 8)
axes = nt.plotting.plot_ablation(table, metric="r2_4", label="held-out R², 4 frames ahead")
nt.plotting.save_figure(axes.figure, folder / "ablation.png")
