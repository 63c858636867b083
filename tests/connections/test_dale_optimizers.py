"""Signs and masked zeros of Dale's law survive every optimizer of torch, and saving, casting and moving."""

from __future__ import annotations

import copy
import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import Optimizer

from neurotorch.connections import (
    Absolute,
    Connection,
    Dale,
    Exponential,
    Given,
    Projected,
    Softplus,
    Square,
    sparse,
)
from neurotorch.core.storage import load_tensors, save_tensors
from neurotorch.network import Layer, Network
from neurotorch.neurons import FiringRate

MAPS = [Square(), Absolute(), Softplus(), Exponential(), Projected()]
PRE, POST = 6, 5
LEFT_OUT = {"SparseAdam": "it takes sparse gradients alone, and those of weights are dense"}
OF_MATRICES = {"Muon"}
"""Optimizers that take matrices alone: a bias goes to another one."""
WITH_CLOSURE = {"LBFGS"}
# What an optimizer is asked for where it has it: all that could carry a weight across zero.
OPTIONS = {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True, "max_iter": 4, "line_search_fn": "strong_wolfe"}
OPTIMIZERS = {
    name: cls
    for name, cls in vars(torch.optim).items()
    if inspect.isclass(cls) and issubclass(cls, Optimizer) and cls is not Optimizer and name not in LEFT_OUT
}


def optimizer_of(name, parameters, rate):
    known = inspect.signature(OPTIMIZERS[name]).parameters
    options = {key: value for key, value in OPTIONS.items() if key in known}
    return OPTIMIZERS[name](parameters, lr=rate, **options)


def typed(magnitude, seed=0):
    """Return a connection of excitatory, inhibitory and free neurons, every neuron with an input, under a mask."""
    generator = torch.Generator().manual_seed(seed)
    mask = sparse(POST, PRE, density=0.6, generator=generator)
    mask[range(POST), range(POST)] = True
    dale = Dale.given(["e", "i", None, "e", "i", "e"], magnitude=magnitude)
    return Connection(PRE, POST, dale=dale, mask=mask, generator=generator)


def step(optimizer, connection, loss):
    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    # All optimizers take a closure; with it the gradient is that of the present parameters.
    optimizer.step(closure)
    connection.project_()


def obeys(connection):
    weight = connection.weight().detach()
    return (
        connection.dale.violations(weight) == 0
        and bool(weight.isfinite().all())
        and bool((weight[~connection.mask] == 0).all())
    )


def test_every_optimizer_of_torch_is_here():
    assert set(OPTIMIZERS) >= {
        *("SGD", "Adam", "AdamW", "RMSprop", "Rprop", "Adagrad", "Adadelta", "ASGD", "NAdam", "RAdam", "Adamax"),
        *("Adafactor", "Muon", "LBFGS"),
    }
    closures = {n for n, c in OPTIMIZERS.items() if inspect.signature(c.step).parameters["closure"].default is not None}
    assert closures == WITH_CLOSURE


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("magnitude", MAPS)
@settings(max_examples=4)
@given(seed=st.integers(0, 10_000), rate=st.sampled_from([1e-3, 0.1, 1.0]))
def test_signs_and_zeros_survive_it(magnitude, name, seed, rate):
    if magnitude == Exponential():
        # the exponential of a raw value above 88 is infinite in float32, as its docstring says
        rate = min(rate, 0.1)
    connection = typed(magnitude, seed)
    optimizer = optimizer_of(name, connection.parameters(), rate)
    target = 2 * torch.randn(POST, PRE, generator=torch.Generator().manual_seed(seed + 1))
    before = connection.weight().detach()
    for _ in range(3):
        # a bounded gradient, with targets of the wrong sign that pull weights through zero
        step(optimizer, connection, lambda: (connection.weight() - target).abs().sum())
    assert obeys(connection)
    assert not torch.equal(before, connection.weight()), "the optimizer moved nothing"


def driven(magnitude):
    """Return two layers that share their types, the second frozen, and a bias."""
    generator, dale = torch.Generator().manual_seed(0), Dale.given(["e", "i", "e", None], magnitude=magnitude)
    mask = ~torch.eye(4, dtype=torch.bool)
    cortex = Layer(FiringRate(0.2), 4, recurrent=Connection(4, 4, dale=dale, mask=mask, generator=generator), bias=0.5)
    readout = Layer(FiringRate(0.2), 3, inputs=Connection(4, 3, dale=dale, generator=generator))
    network = Network({"cortex": cortex, "readout": readout}, dt=0.1)
    network.freeze("readout.inputs")
    return network


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_frozen_connection_of_the_same_types_stays_as_it_is(name):
    network = driven(Projected())
    frozen = network.connections()["readout.inputs"].raw
    with torch.no_grad():
        frozen[0, 0] = -1.0  # outside what the law allows: `project_` of a network leaves what is frozen alone
    kept = frozen.detach().clone()
    moved = network.connections()["cortex.recurrent"]
    optimizer = optimizer_of(name, [p for p in network.parameters() if name not in OF_MATRICES or p.ndim == 2], 0.1)
    before = moved.weight().detach()
    for _ in range(4):
        step(optimizer, _Projected(network), lambda: (network(None, frames=4)[0] - 3).square().sum())
    assert torch.equal(frozen, kept)
    assert network.dale_violations() == 0
    assert obeys(moved)
    assert not torch.equal(before, moved.weight())


class _Projected(nn.Module):
    """A network where `step` wants a connection: both have `project_`."""

    def __init__(self, network):
        super().__init__()
        self.project_ = network.project_


@pytest.mark.parametrize("magnitude", MAPS)
def test_signs_and_zeros_survive_saving_and_going_on(magnitude, tmp_path):
    first, second = typed(magnitude, 1), typed(magnitude, 2)
    target = torch.full((POST, PRE), -2.0)
    optimizers = [optimizer_of("Adam", each.parameters(), 0.1) for each in (first, second)]
    for _ in range(3):
        step(optimizers[0], first, lambda: (first.weight() - target).square().sum())
    save_tensors(tmp_path / "one.safetensors", first.state_dict())
    second.load_state_dict(load_tensors(tmp_path / "one.safetensors"))
    optimizers[1].load_state_dict(copy.deepcopy(optimizers[0].state_dict()))
    for optimizer, connection in zip(optimizers, (first, second), strict=True):
        for _ in range(3):
            step(optimizer, connection, lambda: (connection.weight() - target).square().sum())  # noqa: B023
    assert torch.equal(first.weight(), second.weight())
    assert torch.equal(first.mask, second.mask)
    assert obeys(second)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("magnitude", MAPS)
def test_signs_and_zeros_survive_casting_there_and_back(magnitude, dtype):
    connection = typed(magnitude)
    before = connection.weight().detach()
    connection.to(dtype)
    assert connection.weight().dtype == connection.raw.dtype == dtype
    assert obeys(connection)
    optimizer = optimizer_of("SGD", connection.parameters(), 0.01)
    for _ in range(3):
        step(optimizer, connection, lambda: (connection.weight() + 1).abs().sum())
    assert obeys(connection)
    # weights that are set come back to the spacing of the dtype, where the raw value is not large
    wanted = torch.where(connection.mask, torch.where(connection.dale.signs == 0, 1, connection.dale.signs), 0.0)
    connection.set_weight(wanted)
    torch.testing.assert_close(connection.weight().detach(), wanted.to(dtype), rtol=4 * torch.finfo(dtype).eps, atol=0)
    connection.to(torch.float32)
    assert obeys(connection)
    assert not torch.equal(before, connection.weight())


@pytest.mark.parametrize("magnitude", MAPS)
def test_a_circuit_is_built_without_memory_and_filled_later(magnitude):
    source = typed(magnitude)
    hollow = typed(magnitude, 3).to("meta")
    assert hollow.weight().is_meta
    assert hollow.dale.signs.is_meta
    hollow.to_empty(device="cpu").load_state_dict(source.state_dict())
    assert torch.equal(hollow.weight(), source.weight())
    assert obeys(hollow)


@pytest.mark.gpu
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("magnitude", MAPS)
def test_signs_and_zeros_survive_on_a_gpu(magnitude, name):
    connection = typed(magnitude).cuda()
    assert {each.device.type for each in connection.state_dict().values()} == {"cuda"}
    optimizer = optimizer_of(name, connection.parameters(), 0.1)
    for _ in range(4):
        step(optimizer, connection, lambda: (connection.weight() + 1).abs().sum())
    assert obeys(connection)
    assert obeys(connection.cpu())


@pytest.mark.parametrize("magnitude", [Square(), Absolute(), Projected()])
def test_a_zero_that_no_mask_holds_may_grow(magnitude):
    connection = Connection(1, 1, dale=Dale([1], magnitude=magnitude), init=Given(torch.zeros(1, 1)))
    optimizer = torch.optim.SGD(connection.parameters(), lr=0.1)
    for _ in range(5):
        step(optimizer, connection, lambda: (connection.weight() - 1).square().sum())
    # the square and the absolute value have no gradient at zero; the projection's is 1
    assert (float(connection.weight().detach()) > 0) == (magnitude == Projected())
