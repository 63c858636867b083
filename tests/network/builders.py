"""Small float64 layers and networks of known weights."""

import torch

from neurotorch.connections import Connection
from neurotorch.network import Layer, Network

DOUBLE = torch.float64


def draw(generator, *shape, scale=1.0):
    return scale * torch.randn(*shape, generator=generator, dtype=DOUBLE)


def connection(weight):
    """Return a connection with exactly these float64 weights."""
    found = Connection(weight.shape[1], weight.shape[0]).double()
    found.set_weight(weight)
    return found


def layer(neuron, count, generator, *, inputs=None, recurrent=True, scale=0.5, **options):
    """Return a float64 layer, recurrent unless told, with `inputs` channels, or none of its own."""
    return Layer(
        neuron,
        count,
        inputs=None if inputs is None else connection(draw(generator, count, inputs, scale=scale)),
        recurrent=connection(draw(generator, count, count, scale=scale)) if recurrent else None,
        **options,
    ).double()


def network(layers, **options):
    return Network(layers, **options).double()
