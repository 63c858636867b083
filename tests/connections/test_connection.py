"""Connections: signs and zeros survive everything, and weights come back as they were set."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from neurotorch.connections import (
    Absolute,
    Balanced,
    Connection,
    Dale,
    Exponential,
    Given,
    Normal,
    Projected,
    Softplus,
    Square,
    no_self,
    sparse,
)
from neurotorch.core.config import build, describe

MAPS = [Square(), Absolute(), Softplus(), Exponential(), Projected()]
OPTIMIZERS = {
    "sgd": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda p, lr: torch.optim.Adam(p, lr=lr, weight_decay=0.1),
    "adamw": lambda p, lr: torch.optim.AdamW(p, lr=lr, weight_decay=0.5, amsgrad=True),
    "rmsprop": lambda p, lr: torch.optim.RMSprop(p, lr=lr, momentum=0.9, weight_decay=0.1, centered=True),
}


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def typed(magnitude, *, pre=7, post=5, seed=0, init=None) -> Connection:
    """A connection of excitatory, inhibitory and free neurons under a sparse mask."""
    signs = [1, -1, 0, 1, -1, 1, 0][:pre]
    mask = sparse(post, pre, density=0.6, generator=generator(seed))
    mask[range(post), range(post)] = True  # every neuron has an input
    return Connection(pre, post, dale=Dale(signs, magnitude=magnitude), mask=mask, init=init, generator=generator(seed))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("magnitude", MAPS)
@given(seed=st.integers(0, 10_000), rate=st.sampled_from([1e-3, 0.1, 3.0]))
def test_signs_and_zeros_survive_any_optimizer(magnitude, optimizer, seed, rate):
    # the exponential overflows at large rates, as its docstring says
    assume(rate < 1 or magnitude != Exponential())
    connection = typed(magnitude, seed=seed)
    steps = OPTIMIZERS[optimizer](connection.parameters(), rate)
    target = 3 * torch.randn(5, 7, generator=generator(seed + 1))
    before = connection.weight().detach()
    for _ in range(8):
        steps.zero_grad()
        # a bounded gradient: large rates overshoot through zero again and again instead of overflowing
        (connection.weight() - target).abs().sum().backward()
        assert (connection.raw.grad[~connection.mask] == 0).all()
        steps.step()
        connection.project_()
    after = connection.weight().detach()
    assert connection.dale.violations(after) == 0
    assert after.isfinite().all()
    assert (after[~connection.mask] == 0).all()
    assert not torch.equal(before, after), "the optimizer did not move at all"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("magnitude", MAPS)
@given(seed=st.integers(0, 10_000), size=st.floats(-6, 5))
def test_a_weight_that_is_set_comes_back_to_4_ulp(magnitude, dtype, seed, size):
    connection = typed(magnitude, seed=seed).to(dtype)
    # sizes from exp(-7) on: below exp(-8) softplus is limited by the spacing of its raw value
    magnitudes = torch.exp(size + 2 * torch.rand(5, 7, generator=generator(seed), dtype=torch.float64) - 1).to(dtype)
    signs = torch.where(connection.dale.signs == 0, -1.0, connection.dale.signs)
    weight = torch.where(connection.mask, signs * magnitudes, 0.0)
    connection.set_weight(weight)
    error = (connection.weight().detach() - weight).abs().numpy()
    # beyond exp(-4) .. exp(4) the exponential is limited by the spacing of its raw value
    limit = 4 if magnitude != Exponential() else np.maximum(4, connection.raw.detach().abs().numpy())
    assert (error <= limit * np.spacing(weight.abs().numpy())).all()
    assert (connection.weight()[~connection.mask] == 0).all()


def test_the_parameter_stays_the_same_object_when_a_weight_is_set():
    connection = Connection(3, 2)
    raw = connection.raw
    connection.set_weight(torch.ones(2, 3))
    assert connection.raw is raw


def test_a_refused_weight_changes_nothing():
    connection = typed(Square())
    before = connection.raw.detach().clone()
    with pytest.raises(ValueError, match="Dale's law"):
        connection.set_weight(-connection.weight())
    assert torch.equal(connection.raw, before)


def test_a_zero_without_a_mask_is_kept_where_the_map_has_one():
    weight = torch.tensor([[1.0, 0.0], [0.0, -1.0]])
    for magnitude in (Square(), Absolute(), Projected()):
        connection = Connection(2, 2, dale=Dale([1, -1], magnitude=magnitude), init=Given(weight))
        assert torch.equal(connection.weight(), weight)


@pytest.mark.parametrize("magnitude", [Softplus(), Exponential()])
def test_maps_without_a_zero_take_zeros_that_a_mask_holds(magnitude):
    weight = torch.tensor([[1.0, 0.0], [0.0, -1.0]])
    connection = Connection(2, 2, dale=Dale([1, -1], magnitude=magnitude), mask=weight != 0, init=Given(weight))
    torch.testing.assert_close(connection.weight(), weight, rtol=5e-7, atol=0)
    assert (connection.raw[weight == 0] == 0).all()


@pytest.mark.parametrize("magnitude", [*MAPS, None])
def test_the_weight_is_differentiable_in_raw(magnitude):
    connection = Connection(7, 5) if magnitude is None else typed(magnitude)
    connection.double()

    def weight(raw):
        return torch.func.functional_call(_Weigher(connection), {"connection.raw": raw}, ())

    raw = torch.randn(5, 7, dtype=torch.float64, generator=generator(1)).requires_grad_()
    assert torch.autograd.gradcheck(weight, (raw,))


class _Weigher(nn.Module):
    def __init__(self, connection):
        super().__init__()
        self.connection = connection

    def forward(self):
        return self.connection.weight()


def test_the_weight_is_never_the_parameter_itself():
    connection = Connection(3, 3)
    before = connection.raw.detach().clone()
    with torch.no_grad():
        connection.weight().zero_()
    assert torch.equal(connection.raw, before)


def test_projection_brings_raw_back_and_leaves_free_neurons_alone():
    connection = Connection(2, 1, dale=Dale([1, 0], magnitude=Projected()), init=Given(torch.ones(1, 2)))
    with torch.no_grad():
        connection.raw.fill_(-1)
    assert connection.weight().tolist() == [[0, -1]]
    connection.project_()
    assert connection.raw.tolist() == [[0, -1]]


class _Circuit(nn.Module):
    def __init__(self, magnitude):
        super().__init__()
        dale = Dale.fraction(6, 0.5, magnitude=magnitude)
        self.recurrent = Connection(6, 6, dale=dale, mask=no_self(6), generator=generator(0))
        self.onward = Connection(6, 3, dale=dale, generator=generator(1))


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])  # noqa: S301
def test_one_dale_object_stays_one_through_copies(clone):
    circuit = _Circuit(Softplus())
    other = clone(circuit)
    assert other.recurrent.dale is other.onward.dale
    assert other.recurrent.dale is not circuit.recurrent.dale
    for name in ("recurrent", "onward"):
        assert torch.equal(getattr(other, name).weight(), getattr(circuit, name).weight())
    assert other.double().recurrent.dale is other.onward.dale


@pytest.mark.parametrize("magnitude", MAPS)
def test_a_state_dict_brings_weights_types_and_mask_back(magnitude):
    first, second = typed(magnitude, seed=1), typed(magnitude, seed=2)
    assert not torch.equal(first.weight(), second.weight())
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.weight(), second.weight())
    assert torch.equal(first.mask, second.mask)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("magnitude", MAPS)
def test_casting_keeps_signs_and_zeros(magnitude, dtype):
    connection = typed(magnitude).to(dtype)
    weight = connection.weight()
    assert weight.dtype == dtype
    assert connection.mask.dtype == torch.bool
    assert connection.dale.violations(weight) == 0
    assert (weight[~connection.mask] == 0).all()


def test_a_description_builds_the_same_circuit():
    circuit = nn.ModuleList([*_Circuit(Softplus()).children(), Connection(2, 2, init=Given(torch.ones(2, 2)))])
    description = json.loads(json.dumps(describe(list(circuit))))
    restored = nn.ModuleList(build(description))
    restored.load_state_dict(circuit.state_dict())
    assert restored[0].dale is restored[1].dale
    assert restored[0].dale.magnitude == Softplus()
    for other, connection in zip(restored, circuit, strict=True):
        assert torch.equal(other.weight(), connection.weight())


def test_the_same_generator_gives_the_same_weights():
    first, second, third = (Connection(5, 5, generator=generator(seed)).weight() for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_it_describes_itself():
    assert "pre=3, post=3, connections=6 of 9" in repr(Connection(3, 3, mask=no_self(3)))


SQUARE = Dale([1, -1, 1])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Connection(0, 3), ValueError, r"`pre` is 0"),
        (lambda: Connection(3, 2.5), TypeError, r"`post` is 2.5"),
        (lambda: Connection(4, 3, dale=SQUARE), ValueError, r"3 presynaptic neurons.*`pre=4`.*with 4 signs"),
        (lambda: Connection(3, 3, dale=[1, -1, 1]), TypeError, r"must be a Dale object.*Dale\.fraction\(3, 0\.8\)"),
        (
            lambda: Connection(3, 2, mask=torch.ones(3, 2, dtype=torch.bool)),
            ValueError,
            r"`mask` has shape \(3, 2\).*\(2, 3\): it is the transpose, pass `mask\.T`",
        ),
        (lambda: Connection(3, 2, mask=torch.ones(4, 2) > 0), ValueError, r"`mask` has shape \(4, 2\).*\(2, 3\): rows"),
        (lambda: Connection(3, 2, mask=torch.ones(2, 3)), TypeError, r"dtype torch\.float32.*`mask != 0`"),
        (lambda: Connection(3, 3, init="balanced"), TypeError, r"'balanced'.*`Balanced\(\)`"),
        (lambda: Connection(3, 3, init=Balanced), TypeError, r"an Initialization object such as `Balanced\(\)`"),
        (lambda: Connection(3, 2).set_weight(torch.ones(3, 2)), ValueError, r"the transpose, pass `weight\.T`"),
        (lambda: Connection(3, 2).set_weight(torch.full((2, 3), torch.nan)), ValueError, r"`weight` holds 6 NaN"),
        (
            lambda: Connection(2, 2, mask=no_self(2)).set_weight(torch.tensor([[0.0, 1], [1, 3]])),
            ValueError,
            r"not zero at 1 entries where the mask is False, the first from neuron 1 to neuron 1 \(3\)",
        ),
        (
            lambda: Connection(3, 1, dale=SQUARE, init=Given(torch.ones(1, 3))),
            ValueError,
            r"breaks Dale's law at 1 entries.*1 \(inhibitory, 1 wrong\)",
        ),
        (
            lambda: Connection(1, 1, dale=Dale([1], magnitude=Softplus()), init=Given(torch.zeros(1, 1))),
            ValueError,
            r"Softplus\(\) has no zero: give the connection a `mask`",
        ),
        (lambda: Connection(3, 2, init=Given(torch.ones(3, 2))), ValueError, r"the transpose, pass `weight\.T`"),
        (lambda: Connection(3, 2, init=Normal(0.0)), ValueError, r"`scale` is 0"),
    ],
)
def test_bad_input_says_what_came_and_what_to_do(make, error, message):
    with pytest.raises(error, match=message):
        make()
