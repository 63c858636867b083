"""The demo: a recording simulated from a network that is known, so that a fit can be held against the truth."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neurotorch.connections import Balanced, Connection, Dale, NoInputWarning, sparse
from neurotorch.core.checks import check_count
from neurotorch.core.seeds import numpy_generator, torch_generator
from neurotorch.data import Recording
from neurotorch.network import Layer, Network, Observation, simulate
from neurotorch.neurons import Calcium, FiringRate
from neurotorch.runs.blueprint import LAYER, Blueprint
from neurotorch.runs.training_plan import TrainingPlan

Array = NDArray[np.float64]

DT = 0.2
TAU, TAU_CALCIUM = 0.6, 0.4
EXCITATORY, DENSITY, SPECTRAL_RADIUS = 0.8, 0.2, 1.35
NOISE, MEASUREMENT_NOISE = 1.5, 0.5
SETTLING = 100
"""Frames that are simulated first and thrown away: the network starts at rest."""
SHUFFLES = 200


@dataclass(frozen=True, eq=False)
class Demo:
    """A simulated recording and what made it.

    Attributes
    ----------
    recording
        What the instrument saw, noise included.
    network
        The true network.
    weight
        ``(post, pre)``: its effective weights.
    signs
        ``(pre,)``: +1 for excitatory, -1 for inhibitory neurons.
    """

    recording: Recording
    network: Network
    weight: Array
    signs: Array


def demo_recording(*, neurons: int = 50, frames: int = 2000, seed: int = 0) -> Demo:
    r"""Simulate a balanced excitatory-inhibitory network, seen through a calcium indicator with noise.

    One step per frame of ``dt`` = 0.2 s, with private Gaussian noise ``xi`` of standard deviation 1.5 in every neuron::

        x' = x + (dt / 0.6 s) (-x + sigmoid(W (x - 1/2) + xi))    a fifth of the pairs connected, 80 % excitatory
        c' = exp(-dt / 0.4 s) c + x'                              a fast indicator
        F  = (1 - exp(-dt / 0.4 s)) c' + eta                      eta: half of the neuron's own standard deviation

    Notes
    -----
    The regime is chosen so that the weights can be found at all, and real recordings are rarely that kind: every neuron
    is seen, the frame is no longer than the network's step, and each neuron has a noise of its own, which moves it
    independently of the others and so tells causes apart. The spectral radius is 1.35 at the steepest point of the
    sigmoid and about 0.8 with its mean slope under noise (seeds 0 to 2): fluctuations decay, the slowest in 2 to 2.5 s.
    Thresholds lie where every rate fluctuates around one half, also that of a neuron without inhibitory inputs: a
    saturated neuron would hide its inputs. The instrument's noise cannot be predicted: it alone keeps every forecast
    below an R² of 0.8.

    Parameters
    ----------
    neurons, frames
        Size of the recording.
    seed
        Of everything that is drawn: types, connections, noise.
    """
    check_count("neurons", neurons, least=2)
    network, dale = _network(neurons, seed)
    total, generator = SETTLING + check_count("frames", frames, least=2), torch_generator(seed, "demo noise")
    run = simulate(network, frames=total, noise=NOISE, generator=generator)
    assert run.observed is not None
    clean = run.observed[SETTLING:, 0].double().numpy()
    noise = numpy_generator(seed, "demo instrument").standard_normal(clean.shape)
    weight = network.effective_weights()[f"{LAYER}.recurrent"].detach().double().numpy()
    recording = Recording(
        clean + MEASUREMENT_NOISE * clean.std(axis=0) * noise, dt=DT, kind="dff", provenance=_provenance(neurons, seed)
    )
    return Demo(recording, network, weight, dale.signs.double().numpy())


def demo_blueprint(demo: Demo) -> Blueprint:
    """Return what the demo fits: multi-timescale units of the true types, any of them connected to any other.

    The types are *given*, which is more than a recording of activity tells: `recovery` says so and is judged against
    shuffles that know them too. Which connections exist, and how strong they are, is not given.
    """
    return Blueprint(dale=Dale(torch.from_numpy(demo.signs).float()))


def demo_plan() -> TrainingPlan:
    """Return how the demo trains: shorter windows and larger steps than by default, for a fit within about a minute.

    Decay and patience were chosen on the validation part of seed 0.
    """
    return TrainingPlan(
        warm_start=False,
        warm_up=24,
        free=8,
        batch_size=64,
        epochs=40,
        patience=12,
        learning_rate=5e-3,
        weight_decay=0.1,
    )


def recovery(demo: Demo, network: Network) -> dict[str, Any]:
    """Say how much of the true weights a fitted network has found again.

    Fluorescence is standardized and true rates are not, so only measures that know no unit are taken, over all pairs
    of different neurons, connected or not. Each stands beside its `null`: the found weights shuffled among the pairs
    with a presynaptic neuron of the same true type. Knowing the types, as the demo's fit does, gives a correlation by
    itself.

    Parameters
    ----------
    demo
        The truth.
    network
        Fitted to ``demo.recording``, with all of its neurons.

    Returns
    -------
    dict
        For ``report.json``: `pearson` and `rank` correlation of the weights; `auc`, the chance that a connection that
        exists has a larger found magnitude than one that does not (None where all or none exist); `null` with mean and
        standard deviation of each; counts; `sentence`. A correlation with weights that are all equal is None.

    Raises
    ------
    ValueError
        If the network has no recurrent connection in its last layer, or not as many neurons as the truth.
    """
    found = _recurrent_weight(network)
    if found.shape != demo.weight.shape:
        raise ValueError(
            f"The network has {len(found)} neurons but the demo {len(demo.weight)}: fit all of them, or weights cannot "
            "be paired."
        )
    pairs = ~np.eye(len(found), dtype=bool)
    measured = _measures(demo.weight[pairs], found[pairs])
    generator = numpy_generator(0, "demo null")
    shuffled = [_measures(demo.weight[pairs], _shuffled(found, demo.signs, generator)[pairs]) for _ in range(SHUFFLES)]
    report: dict[str, Any] = {
        **measured,
        "null": {name: _spread([s[name] for s in shuffled]) for name in measured},
        "shuffles": SHUFFLES,
        "pairs": int(pairs.sum()),
        "connections": int((demo.weight[pairs] != 0).sum()),
        "excitatory": int((demo.signs > 0).sum()),
        "inhibitory": int((demo.signs < 0).sum()),
        "types_given": _types_given(demo, network),
    }
    return {**report, "sentence": _sentence(report)}


def _network(neurons: int, seed: int) -> tuple[Network, Dale]:
    dale = Dale.fraction(neurons, EXCITATORY, generator=torch_generator(seed, "demo types"))
    with warnings.catch_warnings():
        # In a small world some neurons may hear of no other: the noise drives all of them.
        warnings.simplefilter("ignore", NoInputWarning)
        recurrent = Connection(
            neurons,
            neurons,
            dale=dale,
            mask=sparse(neurons, neurons, density=DENSITY, generator=torch_generator(seed, "demo mask")),
            init=Balanced(SPECTRAL_RADIUS * 4),  # the slope of the sigmoid is 1/4
            generator=torch_generator(seed, "demo weights"),
        )
    threshold = 0.5 * recurrent.weight().detach().sum(dim=1)
    layer = Layer(FiringRate(TAU), neurons, recurrent=recurrent, bias=-threshold)
    observation = Observation(Calcium(TAU_CALCIUM), gain=1 - math.exp(-DT / TAU_CALCIUM))
    return Network({LAYER: layer}, dt=DT, observation=observation), dale


def _provenance(neurons: int, seed: int) -> dict[str, Any]:
    return {
        "simulated": True,
        "source": "neurotorch.runs.demo_recording: a balanced excitatory-inhibitory network of rate neurons, seen "
        "through a calcium indicator with noise; no animal",
        "seed": seed,
        "neurons": neurons,
        "tau": TAU,
        "tau_calcium": TAU_CALCIUM,
        "excitatory": EXCITATORY,
        "density": DENSITY,
        "spectral_radius": SPECTRAL_RADIUS,
        "noise": NOISE,
        "measurement_noise": MEASUREMENT_NOISE,
    }


def _recurrent_weight(network: Network) -> Array:
    name, layer = list(network.named_layers().items())[-1]
    if layer.recurrent is None:
        raise ValueError(f"Layer {name!r} has no recurrent connection: there are no weights to hold against the truth.")
    weight: Array = layer.recurrent.weight().detach().cpu().double().numpy()
    return weight


def _types_given(demo: Demo, network: Network) -> bool:
    recurrent = list(network.named_layers().values())[-1].recurrent
    if recurrent is None or recurrent.dale is None:
        return False
    return bool((recurrent.dale.signs.cpu().double().numpy() == demo.signs).all())


def _measures(true: Array, found: Array) -> dict[str, float | None]:
    from scipy.stats import rankdata

    exists, magnitudes = true != 0, rankdata(np.abs(found))
    count, absent = int(exists.sum()), int((~exists).sum())
    auc = None
    if count and absent:
        auc = float((magnitudes[exists].sum() - count * (count + 1) / 2) / (count * absent))
    return {
        "pearson": _correlation(true, found),
        "rank": _correlation(rankdata(true), rankdata(found)),
        "auc": auc,
    }


def _correlation(x: Array, y: Array) -> float | None:
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def _shuffled(weight: Array, signs: Array, generator: np.random.Generator) -> Array:
    """Return the weights ``(post, pre)`` shuffled among the pairs whose presynaptic neurons are of one type."""
    pairs, result = ~np.eye(len(weight), dtype=bool), weight.copy()
    for sign in np.unique(signs):
        places = pairs & (signs == sign)
        result[places] = generator.permutation(weight[places])
    return result


def _spread(values: list[float | None]) -> dict[str, float] | None:
    known = [value for value in values if value is not None]
    return {"mean": float(np.mean(known)), "sd": float(np.std(known))} if known else None


def _sentence(report: dict[str, Any]) -> str:
    def beside(name: str) -> str:
        null = report["null"][name]
        return f"{report[name]:.2f} (shuffled: {null['mean']:.2f} ± {null['sd']:.2f})"

    parts = []
    if report["pearson"] is not None:
        parts.append(f"correlate with the true ones by {beside('pearson')}")
    if report["auc"] is not None:
        parts.append(f"tell connected from unconnected pairs with an AUC of {beside('auc')}")
    if not parts:
        return "The true weights are all equal: nothing can be said about their recovery."
    given = (
        "were given to the fit, as they are to the shuffles" if report["types_given"] else "were not given to the fit"
    )
    return (
        f"Over {report['pairs']} pairs of neurons the weights found {' and '.join(parts)}. "
        f"The true types of the neurons {given}."
    )
