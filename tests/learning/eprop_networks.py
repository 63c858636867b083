"""Networks and a loss that the tests of local rules share."""

from dataclasses import dataclass

import torch
from torch import Tensor

from neurotorch.connections import Connection, Dale
from neurotorch.data import Batch
from neurotorch.network import Layer, Network
from neurotorch.neurons import LIF, CurrentLIF, LeakyIntegrator, learned

DOUBLE = torch.float64
DT = 0.001


@dataclass(frozen=True)
class HalfSquares:
    """``1/2 sum (y - y*)^2``, as in the papers: a sum over time."""

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        return 0.5 * (output - target).square().sum()

    def part(self, output: Tensor, target: Tensor, *, start: int, frames: int) -> Tensor:
        return self(output, target)


def exactly(weight):
    weight = torch.as_tensor(weight, dtype=DOUBLE)
    found = Connection(weight.shape[1], weight.shape[0]).double()
    found.set_weight(weight)
    return found


def drawn(generator, post, pre, scale):
    return exactly(scale * torch.randn(post, pre, generator=generator, dtype=DOUBLE))


def deep_network(generator, *, dale=False):
    """Return two spiking layers, the second with its own time constants, a leaky readout, and loops back."""
    signs = Dale.fraction(6, 0.5) if dale else None
    recurrent = Connection(6, 6, dale=signs, generator=generator) if dale else drawn(generator, 6, 6, 0.2)
    first = Layer(
        CurrentLIF(learned(0.003), learned(0.01), threshold=0.5),
        6,
        inputs=drawn(generator, 6, 3, 0.4),
        recurrent=recurrent,
        bias=learned(torch.full((6,), 0.05)),
    )
    second = Layer(
        LIF(learned(torch.linspace(0.005, 0.02, 5)), learned(0.6)),
        5,
        inputs=Connection(6, 5, dale=signs, generator=generator) if dale else drawn(generator, 5, 6, 0.5),
        recurrent=drawn(generator, 5, 5, 0.2),
    )
    readout = Layer(LeakyIntegrator(learned(0.01)), 2, inputs=drawn(generator, 2, 5, 0.3))
    layers = {"first": first, "second": second, "readout": readout}
    feedback = {"second -> first": drawn(generator, 6, 5, 0.1), "readout -> second": drawn(generator, 5, 2, 0.1)}
    return Network(layers, dt=DT, feedback=feedback).double()


def deep_batch(generator, *, frames=25, samples=2):
    inputs = 2 * torch.rand(frames, samples, 3, generator=generator, dtype=DOUBLE)
    return Batch(torch.randn(frames, samples, 2, generator=generator, dtype=DOUBLE), inputs)
