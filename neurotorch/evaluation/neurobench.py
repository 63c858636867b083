r"""What a network costs, counted as the NeuroBench suite counts.

Every connection counts as dense and is used at every step: an input that is held counts at each of them, although the
engine here takes its product once. Activations are those of the layers that emit spikes. A product with an activity of
only -1, 0 and 1 in a step of a batch is an accumulation (AC), any other a multiply-accumulation (MAC); effective are
those whose activity and weight are both not zero. Biases are no synaptic operations.

References
----------
Yik et al. 2025, doi:10.1038/s41467-025-56739-4.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from neurotorch.network.network import Network, NetworkRun


class NeuroBench(NamedTuple):
    """Costs of a network; operations, spikes and updates are means over samples.

    Parameters
    ----------
    footprint
        Bytes of parameters and buffers.
    connection_sparsity
        Share of weights that are zero.
    activation_sparsity
        Share of zeros among what spiking layers emitted, over layers, steps, samples and neurons; None without any.
    effective_macs, effective_acs, dense
        Multiply-accumulations and accumulations that are not with a zero, and all that there are, per sample.
    """

    footprint: int
    connection_sparsity: float
    activation_sparsity: float | None
    effective_macs: float
    effective_acs: float
    dense: float

    def to_json(self) -> dict[str, float | int | None]:
        """Return plain values."""
        return self._asdict()


def footprint(network: Network) -> int:
    """Return the bytes of all parameters and buffers; one that is shared counts once."""
    tensors = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def connection_sparsity(network: Network) -> float:
    """Return the share of effective weights that are zero, masked ones included."""
    with torch.no_grad():
        weights = list(network.effective_weights().values())
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    return zeros / max(1, sum(weight.numel() for weight in weights))


class WorkloadCounter:
    """Adds up what a network does, batch by batch."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.samples = self.macs = self.acs = self.dense = self.silent = self.activations = 0

    @torch.no_grad()
    def add(self, inputs: Tensor, run: NetworkRun) -> None:
        """Count a run of `inputs` ``(step, batch, channel)`` from rest."""
        emitted = dict(zip(self.network.layers, (r.emitted for r in run.runs), strict=True))
        self.samples += inputs.shape[1]
        for name, layer in self.network.named_layers().items():
            if layer.neuron.emits == "spikes":
                self.activations += emitted[name].numel()
                self.silent += emitted[name].numel() - int(emitted[name].count_nonzero())
        below: Tensor = inputs
        weights = self.network.effective_weights()
        for name in emitted:
            if f"{name}.inputs" in weights:
                self._multiply(below, weights[f"{name}.inputs"])
            if f"{name}.recurrent" in weights:
                self._multiply(_delayed(emitted[name]), weights[f"{name}.recurrent"])
            below = emitted[name]
        for address in self.network.feedback:
            self._multiply(_delayed(emitted[address.split(" -> ")[0]]), weights[address])

    def result(self) -> NeuroBench:
        """Return the means."""
        if not self.samples:
            raise ValueError("No sample was counted: hand over at least one batch.")
        return NeuroBench(
            footprint(self.network),
            connection_sparsity(self.network),
            self.silent / self.activations if self.activations else None,
            self.macs / self.samples,
            self.acs / self.samples,
            self.dense / self.samples,
        )

    def _multiply(self, activity: Tensor, weight: Tensor) -> None:
        """Count the products of ``(step, batch, pre)`` with ``(post, pre)``."""
        held = len(activity) if len(activity) > 1 and activity.stride(0) == 0 else 1
        activity = activity[:1] if held > 1 else activity
        active = activity != 0
        effective = active.sum(1, dtype=torch.float64) @ (weight != 0).sum(0, dtype=torch.float64)
        spiking = ((activity.abs() == 1) | ~active).flatten(1).all(1)
        self.acs += held * int(effective[spiking].sum())
        self.macs += held * int(effective[~spiking].sum())
        self.dense += held * len(activity) * activity.shape[1] * weight.numel()


def neurobench(network: Network, batches: Iterable[Tensor]) -> NeuroBench:
    """Return the costs of a network on batches of inputs ``(step, batch, channel)``.

    Raises
    ------
    ValueError
        If there is no batch.
    """
    counter = WorkloadCounter(network)
    for inputs in batches:
        with torch.no_grad():
            counter.add(inputs, network.run(inputs))
    return counter.result()


def _delayed(emitted: Tensor) -> Tensor:
    """Return what arrives a step later, from rest."""
    return torch.cat([torch.zeros_like(emitted[:1]), emitted[:-1]])
