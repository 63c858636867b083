"""Running a network under constant inputs, on from a state, with currents into one of its layers."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from neurotorch.network.network import Network, NetworkState


class SteadyRun:
    """A float64 copy of a network on the CPU, without its observation, under constant inputs.

    Parameters
    ----------
    network
        What is copied.
    layer
        Name of the layer that is looked at and gets currents.
    inputs
        ``(channel,)``, or None.
    trials
        Samples of the batch.
    noise, generator
        Standard deviation of the Gaussian currents of `noise`, and where they are drawn from.
    """

    def __init__(
        self,
        network: Network,
        layer: str,
        inputs: Tensor | None,
        *,
        trials: int,
        noise: float,
        generator: torch.Generator | None,
    ) -> None:
        if noise and generator is None:
            raise ValueError(
                "Noise needs a `generator`, so that the test can be repeated: torch.Generator().manual_seed(0)."
            )
        self.network = copy.deepcopy(network).cpu().double()
        # Without it a run has steps in place of frames, and states hold the neurons alone.
        self.network.observation = None
        self.layer, self.trials = layer, trials
        self.inputs = None if inputs is None else torch.as_tensor(inputs).detach().double()
        if self.inputs is not None and self.inputs.dim() != 1:
            raise ValueError(f"`inputs` is {tuple(self.inputs.shape)}, but the drive is constant: (channel,).")
        self.deviation, self.generator = noise, generator
        self.index = list(network.layers).index(layer)
        self.neurons = network.named_layers()[layer].neurons

    def steps(self, seconds: float) -> int:
        """Return the number of steps, at least two."""
        return max(2, round(seconds / self.network.dt))

    def noise(self, steps: int) -> Tensor:
        """Draw the currents of a run, ``(step, trial, neuron)``; zeros where there is no noise."""
        shape = (steps, self.trials, self.neurons)
        if not self.deviation:
            return torch.zeros(shape, dtype=torch.float64)
        device = None if self.generator is None else self.generator.device
        drawn = torch.randn(shape, generator=self.generator, dtype=torch.float64, device=device)
        return self.deviation * drawn.cpu()

    @torch.no_grad()
    def run(
        self, state: NetworkState, steps: int, current: Tensor | None, *, weights: Mapping[str, Tensor] | None = None
    ) -> tuple[Tensor, NetworkState]:
        """Return what the layer emitted, ``(step, sample, neuron)``, and where the network ended."""
        samples = state[0].history.shape[-2]
        inputs = None if self.inputs is None else self.inputs.expand(steps, samples, -1)
        noise = {} if current is None else {self.layer: current}
        run = self.network.run(inputs, state, frames=steps, noise=noise, weights=weights)
        return run.runs[self.index].emitted, run.state
