"""The Hebbian three-factor rule: eligibility traces, and a signal that says what they were good for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from neurotorch.core.checks import check_fraction
from neurotorch.data.windows import Batch
from neurotorch.learning.base import BatchReport
from neurotorch.learning.forcing_plan import ForcingPlan
from neurotorch.learning.gradient_rule import GradientRule
from neurotorch.learning.local_block import check_layers_pointwise, held_steps
from neurotorch.learning.local_window import LocalWindow
from neurotorch.learning.losses import Loss
from neurotorch.network.network import Network

Modulator = Callable[[Tensor, Batch], Tensor | Mapping[str, Tensor]]
"""``modulator(output, batch)``: large where the activity was good. `output` is ``(frame, batch, neuron)``.

It returns a signal ``(batch,)`` for whole windows, ``(frame, batch)`` for all neurons, ``(frame, batch, neuron)`` for
each neuron, or any of these by the name of a layer; layers that are not named do not learn."""


class ThreeFactor(GradientRule):
    r"""Change weights by presynaptic activity, postsynaptic sensitivity, and a modulator ``M``.

    With the eligibility traces ``e_ji(t)`` of `EProp`, and ``M0`` the baseline::

        dW_ji = eta sum_b sum_t (M_j(t) - M0) e_ji(t)

    for every model; likewise biases and constants, which the optimizer holds. ``eta`` is the learning rate of plain
    `SGD`: the rule writes minus the sum to ``parameter.grad``, so that any optimizer may be used.

    It is not the gradient of a loss, unless the modulator is made to be one (``M_j = -dE/dz_j``). In particular a
    global reward moves all neurons one way; it tells them apart only by their traces.

    RFLO (Murray 2019) is the special case of a `FiringRate` layer and a per-neuron modulator that is the error through
    random weights, ``M_j = -sum_k B_jk (y_k - y*_k)``, as `error_through` makes it: its trace
    ``p_ji(t) = (dt / tau) phi'(I_j) z_i(t-1) + (1 - dt / tau) p_ji(t-1)`` is that of the model. The same rule, its
    readout included, is `EProp` with `Random` feedback and a readout without memory.

    Parameters
    ----------
    network
        What is trained.
    modulator
        Makes the signal; see `Modulator`.
    optimizer
        Any torch optimizer over parameters of `network`.
    loss
        What is reported; without one, minus the mean of the modulator is.
    baseline
        Share of the old value in the running mean of the modulator over batches, which is subtracted from it; it
        starts with the mean of the first batch. None subtracts nothing. One number for each layer that is named.
    forcing
        How the network is forced on the target; by default it is not.
    clip
        Largest norm of the whole change; larger ones are scaled down. None leaves them.
    accumulate
        Batches per step of the optimizer, see `GradientRule`.

    Attributes
    ----------
    progress
        How far training has come, 0..1, for plans that change; the `Curriculum` callback keeps it.

    Notes
    -----
    A reward may come at the end of a window, so the states of the window are held, and gone through backwards once.

    References
    ----------
    Fremaux & Gerstner 2016, doi:10.3389/fncir.2015.00085; Murray 2019, doi:10.7554/eLife.43299; Bellec et al. 2020,
    doi:10.1038/s41467-020-17236-y.
    """

    def __init__(
        self,
        network: Network,
        modulator: Modulator,
        *,
        optimizer: Optimizer,
        loss: Loss | None = None,
        baseline: float | None = None,
        forcing: ForcingPlan | None = None,
        clip: float | None = None,
        accumulate: int = 1,
    ) -> None:
        super().__init__(network, optimizer=optimizer, clip=clip, accumulate=accumulate)
        if not callable(modulator):
            raise TypeError(f"`modulator` is {modulator!r}, but it must be a function of output and batch.")
        self.modulator, self.loss, self.forcing = modulator, loss, forcing
        self.baseline = None if baseline is None else check_fraction("baseline", baseline)
        self.means: dict[str, float] = {}
        check_layers_pointwise(network)

    def compute(self, batch: Batch) -> BatchReport:
        """Write minus the change that the batch asks for to ``parameter.grad``."""
        self.check_batch(batch)
        self.zero_grad()
        frames, samples = batch.target.shape[:2]
        forcing = self.forcing_of(self.forcing, batch)
        window = LocalWindow(self.network, samples)
        run = window.run(batch.inputs, frames=frames, forcing=forcing)
        with torch.no_grad():
            found = self.modulator(run.output, batch)
        signals = found if isinstance(found, Mapping) else dict.fromkeys(self.network.layers, found)
        if not signals:
            raise ValueError(f"The modulator names no layer; there are {list(self.network.layers)}.")
        layers, held = self.network.named_layers(), held_steps(self.network)
        by_layer, means = {}, []
        for name, signal in signals.items():
            if name not in layers:
                raise ValueError(f"The modulator names a layer {name!r}; there are {list(layers)}.")
            if not isinstance(signal, Tensor):
                raise TypeError(f"The modulator of layer {name!r} is {signal!r}, but it must be a tensor.")
            full = _expanded(name, signal.detach().to(run.output), (frames, samples, layers[name].neurons))
            means.append(float(full.mean()))
            centred = (full - self._baseline(name, means[-1])).repeat_interleave(held, dim=0)
            by_layer[list(layers).index(name)] = -centred
        window.learn_from_signals(by_layer)
        window.write()
        modulation = sum(means) / len(means)
        loss = -modulation if self.loss is None else float(self.loss(run.output, batch.target))
        return BatchReport(loss, samples, {"modulator": modulation})

    def gradient(self, batch: Batch) -> BatchReport:
        """Write the same to ``parameter.grad``, and leave the baselines as they are."""
        kept = dict(self.means)
        report = self.compute(batch)
        self.means = kept
        return report

    def state_dict(self) -> dict[str, Any]:
        """Return what gradient rules save, and the baselines."""
        return {**super().state_dict(), "means": dict(self.means)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state."""
        super().load_state_dict(state)
        self.means = {name: float(mean) for name, mean in state["means"].items()}

    def _baseline(self, name: str, mean: float) -> float:
        """Return what is subtracted from the modulator of a layer now, and learn of the batch's `mean`."""
        if self.baseline is None:
            return 0.0
        before = self.means.get(name, mean)
        self.means[name] = self.baseline * before + (1 - self.baseline) * mean
        return before


def error_through(matrices: Mapping[str, Tensor]) -> Modulator:
    """Return the modulator of RFLO: minus the error of the output, ``M_j = -sum_k B_jk (y_k - y*_k)``.

    `matrices` maps names of layers to ``(neuron, output neuron)``.
    """

    def modulator(output: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        error = output - batch.target
        for name, matrix in matrices.items():
            if matrix.dim() != 2 or matrix.shape[1] != error.shape[-1]:
                raise ValueError(
                    f"The matrix of layer {name!r} is {tuple(matrix.shape)}, but (neuron, output neuron) must end on "
                    f"{error.shape[-1]}."
                )
        return {name: -error @ matrix.to(error).t() for name, matrix in matrices.items()}

    return modulator


def _expanded(name: str, signal: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Return a modulator as ``(frame, batch, neuron)``."""
    frames, samples, _ = shape
    if tuple(signal.shape) == (samples,):
        return signal[None, :, None].expand(shape)
    if tuple(signal.shape) == (frames, samples):
        return signal[..., None].expand(shape)
    if tuple(signal.shape) == shape:
        return signal
    raise ValueError(
        f"The modulator of layer {name!r} is {tuple(signal.shape)}, but it must be (batch,) = {(samples,)}, "
        f"(frame, batch) = {(frames, samples)} or (frame, batch, neuron) = {shape}."
    )
