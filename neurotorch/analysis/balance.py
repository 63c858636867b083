"""Excitation and inhibition that each neuron of a running network receives, and how closely they go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from neurotorch.core.checks import check_count, check_finite, check_kind, nearest
from neurotorch.network.addresses import with_overrides
from neurotorch.network.delays import arriving
from neurotorch.network.network import Network, NetworkState


@dataclass(frozen=True)
class Balance:
    """Synaptic currents of one layer over time, split by the sign of the weights that carry them.

    Attributes
    ----------
    excitation, inhibition
        ``(step, batch, neuron)``, in the unit of the neurons' current: ``sum_j max(w_ij, 0) z_j`` and
        ``sum_j min(w_ij, 0) z_j``. Where activity is never negative, the first is at least 0 and the second at most 0.

    References
    ----------
    van Vreeswijk & Sompolinsky (1996), Science 274, 1724-1726, doi:10.1126/science.274.5293.1724: means that cancel.
    Deneve & Machens (2016), Nat. Neurosci. 19, 375-382, doi:10.1038/nn.4243: loose and tight balance.
    """

    excitation: Tensor
    inhibition: Tensor

    @property
    def net(self) -> Tensor:
        """What is left of them at each moment, ``(step, batch, neuron)``."""
        return self.excitation + self.inhibition

    @property
    def ratio(self) -> Tensor:
        """Inhibition over excitation, ``-mean(I) / mean(E)``, ``(neuron,)``: 1 in balance.

        Infinite without excitation, NaN without either.
        """
        return -self.inhibition.mean((0, 1)) / self.excitation.mean((0, 1))

    @property
    def correlation(self) -> Tensor:
        """Pearson's correlation of ``E(t)`` and ``-I(t)`` of each neuron, ``(neuron,)``.

        Near 1 with a `ratio` near 1 the balance is tight, moment by moment; near 0 it is loose, of the means alone.
        Each trial of the batch is taken around its own mean. NaN where one of the two does not change.
        """
        e, i = (each.double() - each.double().mean(0) for each in (self.excitation, -self.inhibition))
        norm = (e.square().sum((0, 1)) * i.square().sum((0, 1))).sqrt()
        # What a constant leaves after its mean is taken off is rounding.
        least = 1e-12 * (self.excitation.double().square().sum((0, 1)) * self.inhibition.double().square().sum((0, 1)))
        return torch.where(norm > least.sqrt(), (e * i).sum((0, 1)) / norm, torch.nan)


@torch.no_grad()
def measure_balance(
    network: Network,
    emitted: Mapping[str, Tensor],
    *,
    layer: str,
    inputs: Tensor | None = None,
    start: NetworkState | None = None,
    addresses: Sequence[str] | None = None,
    weights: Mapping[str, Tensor] | None = None,
    discard: int = 0,
) -> Balance:
    """Return the excitatory and inhibitory currents into a layer, from effective weights and emitted activity.

    With ``z`` the activity that a connection carries, of this step for the input connection, of the step before for
    recurrent ones and feedback, or as late as their delays say, ::

        E_i(t) = sum over connections, j of max(w_ij, 0) z_j,    I_i(t) = sum over connections, j of min(w_ij, 0) z_j

    so that ``E + I`` and the bias make the current that `simulate` records, but for that of gap junctions.

    Parameters
    ----------
    network
        Which ran.
    emitted
        Name of each layer to its activity ``(step, batch, neuron)``: ``simulate(..., record=("emitted",)).emitted``.
    layer
        Which layer receives.
    inputs
        ``(frame, batch, channel)`` as in the run; needed where the input connection of the first layer counts.
    start
        Where the run started; at rest by default.
    addresses
        Of the connections that count; by default all that end on the layer, save the input connection of the first
        layer where there are no `inputs`.
    weights
        Effective weights by address, in place of the network's own, as in the run.
    discard
        Steps at the beginning to leave out, in which the network settles.

    Raises
    ------
    ValueError
        If there is no such layer, an address does not end on it, nothing ends on it, or inputs are needed and missing.
    """
    check_kind("network", network, Network, example="Network({'cortex': layer}, dt=0.001)")
    if layer not in network.layers:
        raise ValueError(
            f"There is no layer {layer!r}; there are {list(network.layers)}.{nearest(layer, network.layers)}"
        )
    _check_emitted(network, emitted, layer)
    weight = with_overrides(network.effective_weights(), weights)
    ending = _ending_on(network, layer)
    chosen = _chosen(ending, addresses, layer, without=() if inputs is not None else _from_outside(network))
    steps = len(emitted[layer])
    if check_count("discard", discard, least=0) >= steps:
        raise ValueError(f"`discard` is {discard}, but the run has {steps} steps: leave some.")
    excitation = torch.zeros_like(emitted[layer])
    inhibition = torch.zeros_like(emitted[layer])
    for address in chosen:
        for activity, part in _carried(network, address, ending[address], emitted, inputs, start, weight[address]):
            excitation = excitation + functional.linear(activity, part.clamp(min=0))
            inhibition = inhibition + functional.linear(activity, part.clamp(max=0))
    return Balance(excitation[discard:], inhibition[discard:])


def _check_emitted(network: Network, emitted: Mapping[str, Tensor], layer: str) -> None:
    """Raise unless there is activity of the layer, and all of it is ``(step, batch, neuron)`` of its layer."""
    check_kind("emitted", emitted, Mapping, example='simulate(..., record=("emitted",)).emitted')
    if layer not in emitted:
        raise ValueError(f'`emitted` lacks the layer {layer!r}: simulate with record=("emitted",).')
    for name, activity in emitted.items():
        size = network.named_layers()[name].neurons if name in network.layers else None
        if size is None or activity.dim() != 3 or activity.shape[-1] != size:
            raise ValueError(
                f"`emitted[{name!r}]` is {tuple(activity.shape)}, but it must be the activity (step, batch, neuron) of "
                f"one of the layers { ({each: found.neurons for each, found in network.named_layers().items()}) }."
            )
        check_finite(f"emitted[{name!r}]", activity)


def _ending_on(network: Network, layer: str) -> dict[str, str | None]:
    """Return the connections that end on a layer, by address, and the layer that each comes from; None: outside."""
    names = list(network.layers)
    place = names.index(layer)
    sources: dict[str, str | None] = {
        f"{layer}.inputs": names[place - 1] if place else None,
        f"{layer}.recurrent": layer,
        **{address: address.split(" -> ")[0] for address in network.feedback if address.split(" -> ")[1] == layer},
    }
    return {address: source for address, source in sources.items() if address in network.connections()}


def _from_outside(network: Network) -> tuple[str, ...]:
    return (f"{next(iter(network.layers))}.inputs",)


def _chosen(
    ending: Mapping[str, str | None], addresses: Sequence[str] | None, layer: str, *, without: Sequence[str]
) -> list[str]:
    if isinstance(addresses, str):
        raise TypeError(f"`addresses` is the text {addresses!r}, but it must be a list: [{addresses!r}].")
    chosen = [address for address in ending if address not in without] if addresses is None else list(addresses)
    for address in chosen:
        if address not in ending:
            raise ValueError(
                f"{address!r} is no connection that ends on {layer!r}; there are {list(ending)}."
                f"{nearest(address, ending)}"
            )
        if address in without:
            raise ValueError(f"{address!r} carries `inputs`, which are missing: pass those of the run.")
    if not chosen:
        raise ValueError(f"No connection that counts ends on {layer!r}: there are {list(ending)}.")
    return chosen


def _carried(
    network: Network,
    address: str,
    source: str | None,
    emitted: Mapping[str, Tensor],
    inputs: Tensor | None,
    start: NetworkState | None,
    weight: Tensor,
) -> list[tuple[Tensor, Tensor]]:
    """Return the activity ``(step, batch, neuron)`` that a connection carries, and the weights it meets, by delay."""
    connection, first = network.connections()[address], next(iter(emitted.values()))
    begun = network.initial_state(first.shape[1]) if start is None else start
    if source is None:
        assert inputs is not None
        activity = inputs.repeat_interleave(round(network.frame_dt / network.dt), dim=0)
        before = activity[:0] if begun[0].underway is None else begun[0].underway
        parts = connection.parts(network.dt, weight, soonest=0)
        return [(arriving(before, activity, lag), part) for lag, part in parts]
    if source not in emitted:
        raise ValueError(
            f'`emitted` lacks the layer {source!r}, which {address!r} carries: simulate with record=("emitted",).'
        )
    before = begun[list(network.layers).index(source)].history
    parts = connection.parts(network.dt, weight, soonest=int(not address.endswith(".inputs")))
    return [(arriving(before, emitted[source], lag), part) for lag, part in parts]
