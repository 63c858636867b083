"""The paradoxical response: what the rate of inhibitory neurons does when they are excited."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neurotorch.analysis.frozen_inhibition import frozen_growth, frozen_rate, loop_gain
from neurotorch.analysis.steady_state import SteadyRun
from neurotorch.core.checks import check_count, check_kind, check_positive, nearest
from neurotorch.network.layer import Layer
from neurotorch.network.network import Network

SHARES = {"spikes": 0.1, "rates": 1e-3}  # by which excitation is raised: a change of spikes is no smaller than one


@dataclass(frozen=True)
class ParadoxicalResponse:
    """What a current into the inhibitory neurons of a layer did, and what its excitation does by itself.

    Rates are in hertz of neurons that emit spikes, else in the unit of what is emitted; means over the last `window`.

    Attributes
    ----------
    before, during : (neuron,)
        Rate of each neuron without the current, and with it.
    inhibitory : (neuron,) bool
        Which neurons got it.
    inhibitory_change, excitatory_change : float
        Change of the mean rate of the inhibitory neurons, and of the others.
    error : float
        Standard error of `inhibitory_change` over trials; 0 with one.
    drift : float
        By how much the mean inhibitory rate without the current moved within the window, from its first half to its
        second. The two runs that are compared share it; a large one says that `settle` is too short.
    growth : float or None
        Largest growth rate of a small perturbation of the excitatory neurons around the steady state, with the current
        from the inhibitory neurons frozen, in 1/s; None for neurons that spike, whose step has no linearisation.
    frozen : float
        Mean excitatory rate that the layer comes to with that current frozen and the probe on the excitatory neurons;
        infinite where it runs away beyond all numbers.
    loop_gain : float
        By which share the mean excitatory rate rises, per share that the recurrent excitation of a replayed run is
        raised by: above 1, excitation feeds itself.
    """

    before: Tensor
    during: Tensor
    inhibitory: Tensor
    inhibitory_change: float
    excitatory_change: float
    error: float
    drift: float
    growth: float | None
    frozen: float
    loop_gain: float

    @property
    def paradoxical(self) -> bool:
        """Whether exciting the inhibitory neurons lowered their mean rate, beyond two standard errors."""
        rounding = 1e-6 * float(self.before[self.inhibitory].abs().mean())
        return self.inhibitory_change < -max(2 * self.error, rounding)

    @property
    def unstable_excitation(self) -> bool:
        """Whether excitation needs the response of inhibition: it grows without it.

        By `growth`, which looks in all directions; of neurons that spike by `loop_gain`, along their mean rate.
        """
        return self.loop_gain > 1 if self.growth is None else self.growth > 0

    @property
    def inhibition_stabilized(self) -> bool:
        """Whether the layer is inhibition-stabilised: excitation alone is unstable, and the network is not."""
        return self.unstable_excitation and bool(torch.isfinite(self.during).all())


@torch.no_grad()
def paradoxical_response(
    network: Network,
    inputs: Tensor | None = None,
    *,
    current: float,
    layer: str | None = None,
    inhibitory: Tensor | None = None,
    settle: float = 1.0,
    window: float = 0.5,
    trials: int = 1,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
) -> ParadoxicalResponse:
    r"""Excite the inhibitory neurons of a layer, and see whether they fire less.

    The network runs to a steady state under constant inputs, and goes on twice with the same noise: as it was, and with
    `current` added to every inhibitory neuron. Of two populations ``tau x' = -x + phi(W x + h)`` with slopes that are
    positive, the mean inhibitory rate falls where, and only where, ``phi'_E w_EE > 1``: where excitation is unstable
    without the response of inhibition. With many neurons of each kind the paradoxical response implies that, but not
    the other way round, so both are measured: see `ParadoxicalResponse`. Nothing is changed: a float64 copy runs.

    Parameters
    ----------
    network
        Layers other than `layer` run as they are.
    inputs
        ``(channel,)`` drive, held throughout; none by default.
    current
        Added to each inhibitory neuron, in the unit of the neurons' current. For the linear response take a small one.
    layer
        Which; it may be left out where there is one layer.
    inhibitory : (neuron,) bool
        Which neurons are excited; those whose sign is -1 in the Dale of the recurrent connection unless given.
    settle, window
        Seconds to come to the steady state (each time), and then to take the mean over.
    trials, noise, generator
        Independent trials with a Gaussian current of this standard deviation in every step and neuron. Neurons that
        spike need at least two and noise: counts of spikes change by chance.

    Raises
    ------
    ValueError
        If there is no such layer, it has no recurrent connection, inhibitory neurons are missing, no others
        are there, or neurons that spike have no trials.
    FloatingPointError
        If the network explodes with inhibition at work.

    References
    ----------
    Tsodyks, Skaggs, Sejnowski & McNaughton (1997), J. Neurosci. 17, 4382-4388,
    doi:10.1523/JNEUROSCI.17-11-04382.1997. Sanzeni, Akitake, Goldbach, Leedy, Brunel & Histed (2020), eLife 9, e54875,
    doi:10.7554/eLife.54875.
    """
    name = _chosen(network, layer)
    found = network.named_layers()[name]
    types = _inhibitory(found, name, inhibitory)
    spiking = found.neuron.emits == "spikes"
    if spiking and (trials < 2 or not noise):
        raise ValueError(
            f"The neurons of layer {name!r} spike, and counts of spikes change by chance: ask in at least two `trials` "
            "with `noise` and a `generator`."
        )
    steady = SteadyRun(network, name, inputs, trials=check_count("trials", trials), noise=noise, generator=generator)
    transient = steady.steps(check_positive("settle", settle, "s"))
    kept = steady.steps(check_positive("window", window, "s"))
    _, state = steady.run(steady.network.initial_state(trials), transient, steady.noise(transient))
    currents = steady.noise(transient + kept)
    control, _ = steady.run(state, transient + kept, currents)
    pushed, _ = steady.run(state, transient + kept, currents + current * types.double())
    before, during = control[-kept:].mean(0), pushed[-kept:].mean(0)  # (trial, neuron)
    change = (during - before)[:, types].mean(1)
    halves = control[-kept:][..., types].mean((1, 2)).chunk(2)
    per_second = 1 / network.dt if spiking else 1.0
    gain = loop_gain(steady, state, types, control, currents=currents, kept=kept, share=SHARES[found.neuron.emits])
    probe = currents + abs(current) * (~types).double()
    return ParadoxicalResponse(
        before=per_second * before.mean(0),
        during=per_second * during.mean(0),
        inhibitory=types,
        inhibitory_change=per_second * float(change.mean()),
        excitatory_change=per_second * float((during - before)[:, ~types].mean()),
        error=per_second * float(change.std() / trials**0.5) if trials > 1 else 0.0,
        drift=per_second * float(halves[-1].mean() - halves[0].mean()),
        growth=None if spiking else frozen_growth(steady, state, types),
        frozen=per_second * frozen_rate(steady, state, types, before.mean(0), currents=probe, kept=kept),
        loop_gain=gain,
    )


def _chosen(network: Network, layer: str | None) -> str:
    check_kind("network", network, Network, example="Network({'cortex': layer}, dt=0.001)")
    names = list(network.layers)
    if layer is None:
        if len(names) > 1:
            raise ValueError(f"The network has the layers {names}: say which with `layer`.")
        return names[0]
    if layer not in names:
        raise ValueError(f"There is no layer {layer!r}; there are {names}.{nearest(layer, names)}")
    return layer


def _inhibitory(layer: Layer, name: str, given: Tensor | None) -> Tensor:
    if layer.recurrent is None:
        raise ValueError(f"Layer {name!r} has no recurrent connection, so that inhibition stabilises nothing there.")
    if given is None:
        if layer.recurrent.dale is None:
            raise ValueError(
                f"The neurons of layer {name!r} have no types, since its recurrent connection has no `dale`: say with "
                "`inhibitory` which are inhibitory."
            )
        given = layer.recurrent.dale.signs < 0
    types = torch.as_tensor(given).bool().cpu()
    if tuple(types.shape) != (layer.neurons,):
        raise ValueError(f"`inhibitory` is {tuple(types.shape)}, but layer {name!r} has {layer.neurons} neurons.")
    if not types.any() or types.all():
        raise ValueError(
            f"{int(types.sum())} of {len(types)} neurons of layer {name!r} are inhibitory, but the test needs some of "
            "both kinds."
        )
    return types
