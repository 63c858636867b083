# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---

# %% [markdown]
# # Balance
#
# Under Dale's law four neurons in five excite, and the fifth inhibits. Draw all magnitudes from one distribution, and
# every neuron gets four times as much excitation as inhibition: the weight matrix has one large eigenvalue far from all
# others, and the activity runs into it. Here is what that looks like in a spiking network, what the doctor says to it,
# and what becomes of training from such a start and from a balanced one.

# %%
import logging
import math
import os
import tempfile
from pathlib import Path

import torch

import neurotorch as nt
from neurotorch.analysis import Doctor, examine, measure_balance, paradoxical_response
from neurotorch.connections import Connection, Dale, Given, Normal, no_self, rebalanced, spectrum_report
from neurotorch.learning import BPTT, MeanSquaredError
from neurotorch.network import Layer, Network, simulate
from neurotorch.neurons import LIF, LeakyIntegrator
from neurotorch.plotting.style import BLACK, EXCITATORY, GREEN, INHIBITORY, new_figure
from neurotorch.training import Trainer

logging.getLogger("neurotorch").setLevel(logging.ERROR)  # the doctor's rows are printed below
fast = "NEUROTORCH_TUTORIAL_FAST" in os.environ
neurons, channels, steps, dt = 200, 20, 250 if fast else 500, 0.001
epochs, starts, every = (10, 1, 5) if fast else (100, 3, 25)


def generator(seed):
    return torch.Generator().manual_seed(seed)


# %% [markdown]
# ## Two starts
#
# 200 leaky integrate-and-fire neurons, 160 excitatory and 40 inhibitory, connected all to all. The unbalanced start has
# folded Gaussian magnitudes for all of them. The balanced one has the same weights, but inhibition scaled in each row
# such that the row sums to zero: that is what `Balanced` draws, made here of the very same numbers, so that nothing
# else differs.

# %%
dale = Dale.fraction(neurons, excitatory=0.8)
mask = no_self(neurons)


def draw(seed):
    unbalanced = Normal(0.06)(neurons, neurons, dale=dale, mask=mask, generator=generator(seed))
    return {"unbalanced": unbalanced, "balanced": rebalanced(unbalanced)}


def build(weight):
    draws = generator(100)
    inputs = Connection(channels, neurons, init=Normal(0.3), generator=draws)
    recurrent = Connection(neurons, neurons, dale=dale, mask=mask, init=Given(weight))
    readout = Connection(neurons, 2, init=Normal(0.02), generator=draws)
    layers = {
        "cortex": Layer(LIF(0.02), neurons, inputs=inputs, recurrent=recurrent),
        "readout": Layer(LeakyIntegrator(0.03), 2, inputs=readout),
    }
    return Network(layers, dt=dt)


weights = draw(0)
spectra = {name: spectrum_report(weight) for name, weight in weights.items()}
for name, found in spectra.items():
    print(
        f"{name}: largest eigenvalue {found.spectral_radius:.2f}, radius of the bulk {found.bulk_radius:.2f}, "
        f"mean input {found.mean_input:.2f}, outlier: {found.outlier is not None}"
    )

# %% [markdown]
# The mean of the magnitudes is ``0.06 sqrt(2 / pi)``, and 160 - 40 more excite than inhibit: Rajan & Abbott (2006) put
# the outlier there.

# %%
print(f"expected at {0.06 * math.sqrt(2 / math.pi) * (160 - 40):.2f}")

# %% [markdown]
# ## What the neurons receive
#
# The inputs are 20 Poisson channels; each has its turn at a high rate. Excitatory and inhibitory currents of each
# neuron are measured from effective weights and spikes.

# %%
turn = torch.arange(steps)[:, None] // (steps // channels) == torch.arange(channels)
chance = 0.02 + 0.2 * turn.float()
inputs = (torch.rand(steps, 4, channels, generator=generator(1)) < chance[:, None]).float()
runs, balances = {}, {}
for name, weight in weights.items():
    network = build(weight)
    runs[name] = simulate(network, inputs, record=("emitted",)).emitted
    balances[name] = measure_balance(network, runs[name], layer="cortex", inputs=inputs)
    settled = measure_balance(network, runs[name], layer="cortex", inputs=inputs, discard=50)
    print(
        f"{name}: {float(runs[name]['cortex'].mean()) / dt:.0f} Hz, inhibition over excitation "
        f"{float(settled.ratio.nanmedian()):.2f}, correlation of the two {float(settled.correlation.nanmedian()):.2f}"
    )

# %% [markdown]
# Unbalanced, every neuron fires in every millisecond, whatever the inputs are. Balanced, two large currents cancel,
# each follows the other, and spikes come from what is left: the inputs.
#
# ## What the doctor says

# %%
for name, weight in weights.items():
    print(f"--- {name}\n{examine(build(weight), inputs)}\n")

# %% [markdown]
# Every finding names the neurons, what was measured, and a change that was tried on a copy. It can be made as well as
# read:

# %%
patient = build(weights["unbalanced"])
finding = examine(patient, inputs).findings[0]
finding.change.apply_(patient)
print(f"After '{finding.change}':\n{examine(patient, inputs)}")

# %% [markdown]
# ## Is it stabilised by inhibition?
#
# Excite the inhibitory neurons: where inhibition holds back an excitation that could not stand by itself, they end up
# firing *less* (Tsodyks et al. 1997). The control is the same network with all recurrent weights at a tenth.

# %%
for name, factor in (("balanced", 1.0), ("a tenth of its weights", 0.1)):
    test = paradoxical_response(
        build(factor * weights["balanced"]),
        torch.full((channels,), 0.03),
        layer="cortex",
        current=0.02,
        settle=0.1 if fast else 0.4,
        window=0.1 if fast else 0.4,
        trials=4 if fast else 16,
        noise=0.1,
        generator=generator(2),
    )
    print(
        f"{name}: inhibitory rate {test.inhibitory_change:+.2f} Hz (standard error {test.error:.2f}), paradoxical: "
        f"{test.paradoxical}; gain of the excitatory loop {test.loop_gain:.2f}"
    )

# %% [markdown]
# ## Training from either start
#
# The readout is to draw two waves. Both starts are trained alike by backpropagation; the doctor looks in now and then.

# %%
time = torch.arange(steps) * dt * (0.5 / (steps * dt))
waves = [torch.sin(2 * torch.pi * 2 * time) + 0.5 * torch.sin(2 * torch.pi * 6 * time)]
waves.append(torch.cos(2 * torch.pi * 4 * time))
batch = nt.data.Batch(torch.stack(waves, dim=-1)[:, None].expand(steps, 4, 2).contiguous(), inputs)
losses = {name: [] for name in weights}
doctors = {}
rates = (0.01,) if fast else (0.003, 0.01)
for seed in range(starts):
    for name, weight in draw(seed).items():
        for rate in rates:
            network = build(weight)
            rule = BPTT(network, MeanSquaredError(), optimizer=torch.optim.Adam(network.parameters(), lr=rate))
            doctors[name] = Doctor(inputs, every=every, prescribe=False)
            history = Trainer(rule, callbacks=[doctors[name]]).fit([batch], epochs=epochs)
            losses[name].append((rate, seed, history.column("loss")))
for name, fits in losses.items():
    last = sorted(values[-1] for _, _, values in fits)
    print(f"{name}: loss after {epochs} epochs {last[0]:.3f} to {last[-1]:.3f} ({len(fits)} fits)")

# %% [markdown]
# What the doctor saw in the last fit of each, as it went on:

# %%
for name, doctor in doctors.items():
    for row in doctor.rows:
        print(f"{name}, epoch {row['epoch']}: {row['neurons'] or 'all'} {row['fault']} ({row['value']:.2f})")

# %% [markdown]
# A balanced start is a start, not a law: nothing keeps training from moving the weights elsewhere, and with no cost on
# spikes it silences neurons that the waves do not need. The penalties `WeightBalance` and `FiringRatePenalty` hold
# both; the `Doctor` says when they are lost.
#
# ## All of it in one figure


# %%
def plot_spikes(spikes, ax):
    """Plot the spikes ``(time, neuron)`` in the colours of the types, inhibitory neurons on top."""
    from matplotlib.colors import ListedColormap

    kinds = spikes * torch.where(dale.signs > 0, 1.0, 2.0)
    extent = (0, steps * dt, 0.5, neurons + 0.5)
    colors = ListedColormap(["white", EXCITATORY, INHIBITORY])
    ax.imshow(kinds.T, cmap=colors, vmin=0, vmax=2, aspect="auto", origin="lower", extent=extent, interpolation="none")
    ax.set_yticks([1, 160, 200])
    ax.set_ylabel("neuron")
    ax.tick_params(labelbottom=False)


def plot_losses(ax):
    """Plot the loss of every fit, dashed at the lower rate."""
    for name, color in (("unbalanced", BLACK), ("balanced", GREEN)):
        for rate, seed, values in losses[name]:
            label = f"{name} start" if seed == 0 and rate == rates[-1] else None
            line = "-" if rate == rates[-1] else (0, (3, 2))
            ax.plot(range(1, epochs + 1), values, color=color, linestyle=line, linewidth=1.0, label=label)
    ax.set_yscale("log")
    ax.set_xlim(1, epochs)
    ax.set_xlabel("epoch (dashed: a third of the learning rate)")
    ax.set_ylabel("mean squared error")
    ax.legend(loc="upper right", ncols=2)


def plot_column(axes, name):
    """Plot spectrum, spikes and the currents of the first neuron."""
    spectrum, raster, currents = axes
    nt.plotting.plot_eigenvalues(weights[name], bulk_radius=spectra[name].bulk_radius, ax=spectrum)
    spectrum.set_xlim(-1.6, 6.2)
    spectrum.set_ylim(-1.25, 1.25)
    spectrum.legend(loc="upper right", bbox_to_anchor=(1, 1.08), ncols=2, columnspacing=0.8, handlelength=1.0)
    spectrum.set_title(f"{name} start", loc="left", fontweight="bold", fontsize=11, pad=10)
    plot_spikes(runs[name]["cortex"][:, 0], raster)
    raster.set_title(f"one trial, {float(runs[name]['cortex'].mean()) / dt:.0f} Hz on average", loc="left")
    balance = balances[name]
    nt.plotting.plot_balance(
        balance.excitation[:, 0, 0], balance.inhibition[:, 0, 0], dt=dt, label="current (thresholds)", ax=currents
    )
    currents.set_title("neuron 1", loc="left")
    currents.set_xlim(0, steps * dt)
    currents.set_ylim(-9.5, 9.5)


with nt.plotting.style():
    figure = new_figure((9.0, 8.6))
    grid = figure.add_gridspec(4, 2, height_ratios=(1.05, 1.2, 1.0, 1.1))
    for column, name in enumerate(weights):
        plot_column([figure.add_subplot(grid[row, column]) for row in range(3)], name)
    plot_losses(figure.add_subplot(grid[3, :]))
    for letter, ax in zip("abcd", [*figure.axes[:3], figure.axes[-1]], strict=True):
        ax.annotate(letter, (0, 1), (-40, 6), "axes fraction", "offset points", fontweight="bold", fontsize=12)
    path = Path(tempfile.mkdtemp()) / "balance.png"
    nt.plotting.save_figure(figure, path)
print(path)
