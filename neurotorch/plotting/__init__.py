"""Figures: arrays, mappings and tables in, matplotlib `Axes` out; nothing here knows a network or a trainer."""

from neurotorch.plotting.ablation import plot_ablation
from neurotorch.plotting.accuracy_cost import plot_accuracy_cost
from neurotorch.plotting.balance import plot_balance
from neurotorch.plotting.confusion import plot_confusion
from neurotorch.plotting.eigenvalues import plot_eigenvalues
from neurotorch.plotting.horizons import plot_held_out, plot_horizons
from neurotorch.plotting.input_output import plot_input_output
from neurotorch.plotting.learning import plot_learning
from neurotorch.plotting.membranes import plot_membranes
from neurotorch.plotting.overview import plot_overview
from neurotorch.plotting.raster import plot_raster
from neurotorch.plotting.recovery import plot_recovery
from neurotorch.plotting.regions import plot_regions
from neurotorch.plotting.seeds import plot_seeds
from neurotorch.plotting.skill import plot_skill
from neurotorch.plotting.style import save_figure, style
from neurotorch.plotting.traces import plot_trace, plot_traces, ranked_neurons
from neurotorch.plotting.weights import plot_connectivity, plot_weights

__all__ = [
    "plot_ablation",
    "plot_accuracy_cost",
    "plot_balance",
    "plot_confusion",
    "plot_connectivity",
    "plot_eigenvalues",
    "plot_held_out",
    "plot_horizons",
    "plot_input_output",
    "plot_learning",
    "plot_membranes",
    "plot_overview",
    "plot_raster",
    "plot_recovery",
    "plot_regions",
    "plot_seeds",
    "plot_skill",
    "plot_trace",
    "plot_traces",
    "plot_weights",
    "ranked_neurons",
    "save_figure",
    "style",
]
