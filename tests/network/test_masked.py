"""Sparse connections run over what exists only, and nothing above the engine sees it."""

import copy

import pytest
import torch

from neurotorch.connections import Connection, Dale, NoInputWarning, Projected, rewire_
from neurotorch.engine import adjoint, pattern, reference
from neurotorch.network import Layer, Network, layer, links, network
from neurotorch.neurons import LIF, FiringRate

DOUBLE = torch.float64
NEURONS, OTHER = 12, 9


@pytest.fixture(autouse=True)
def sparse_at_any_size(monkeypatch):
    monkeypatch.setattr(links, "worthwhile", lambda mask: True)
    monkeypatch.setattr(pattern.Pattern, "pays", lambda pattern, batch: True)


def network_of(generator, *, neuron=LIF, delay=None, masked=True):
    """Two layers and feedback; one row of a mask is empty."""

    def connection(pre, post, *, delay=None):
        mask = torch.rand(post, pre, generator=generator) < 0.4
        mask[1] = False
        dale = Dale.fraction(pre, 0.6, magnitude=Projected(), generator=generator)
        return Connection(pre, post, dale=dale, mask=mask if masked else None, delay=delay, generator=generator)

    with pytest.warns(NoInputWarning):
        made = Network(
            {
                "first": Layer(neuron(0.02), NEURONS, recurrent=connection(NEURONS, NEURONS, delay=delay)),
                "second": Layer(FiringRate(0.02), OTHER, inputs=connection(NEURONS, OTHER)),
            },
            feedback={"second -> first": connection(OTHER, NEURONS)},
            dt=0.001,
        )
    return made.double()


def gradients(made, inputs, engine, monkeypatch, **options):
    with monkeypatch.context() as patch:
        patch.setattr(network, "adjoint", engine)
        output = made(inputs, **options)[0]
    return [output, *torch.autograd.grad(output.square().sum(), list(made.parameters()))]


def assert_close(found, expected):
    for one, other in zip(found, expected, strict=True):
        # the same terms in another order, over tens of steps in float64
        assert float((one - other).detach().norm()) <= 1e-10 * float(other.detach().norm())


def spy(monkeypatch):
    """Return the list of patterns of the links that scans are given from now on."""
    found, scan = [], adjoint.scan

    def watched(populations, given, **options):
        found.append([link.pattern for link in given])
        return scan(populations, given, **options)

    monkeypatch.setattr(adjoint, "scan", watched)
    return found


@pytest.mark.parametrize("delayed", [False, True])
@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("neuron", [LIF, FiringRate])
def test_a_network_trains_as_under_the_dense_reference(neuron, detach, delayed, generator, monkeypatch):
    delay = 0.001 * torch.randint(1, 5, (NEURONS, NEURONS), generator=generator) if delayed else None
    made = network_of(generator, neuron=neuron, delay=delay)
    inputs = 0.3 * torch.rand(40, 3, NEURONS, generator=generator, dtype=DOUBLE)
    seen = spy(monkeypatch)
    found = gradients(made, inputs, adjoint, monkeypatch, detach_recurrent=detach)
    assert [None not in each for each in seen] == [True]
    assert len(seen[0]) == (6 if delayed else 3)
    assert_close(found, gradients(made, inputs, reference, monkeypatch, detach_recurrent=detach))


def test_delays_make_a_dense_connection_sparse(generator, monkeypatch):
    delay = 0.001 * torch.randint(1, 5, (NEURONS, NEURONS), generator=generator)
    recurrent = Connection(NEURONS, NEURONS, delay=delay, generator=generator)
    made = Network({"first": Layer(LIF(0.02), NEURONS, recurrent=recurrent)}, dt=0.001).double()
    inputs = 0.3 * torch.rand(40, 2, NEURONS, generator=generator, dtype=DOUBLE)
    seen = spy(monkeypatch)
    found = gradients(made, inputs, adjoint, monkeypatch)
    assert [each.entries for each in seen[0]] == torch.bincount((1000 * delay).round().long().flatten())[1:].tolist()
    assert_close(found, gradients(made, inputs, reference, monkeypatch))


def test_a_mask_that_is_rewired_in_place_is_noticed(generator, monkeypatch):
    made = network_of(generator)
    inputs = 0.3 * torch.rand(20, 1, NEURONS, generator=generator, dtype=DOUBLE)
    seen = spy(monkeypatch)
    made(inputs)
    made(inputs)
    assert all(one is other for one, other in zip(*seen, strict=True)), "the mask is the same"
    recurrent = made.connections()["first.recurrent"]
    with torch.no_grad():
        recurrent.raw[recurrent.mask.nonzero()[::2].unbind(1)] = 0.0
    assert bool(rewire_(recurrent, within=torch.ones(NEURONS, NEURONS, dtype=torch.bool), generator=generator).any())
    assert_close(gradients(made, inputs, adjoint, monkeypatch), gradients(made, inputs, reference, monkeypatch))
    copied = copy.deepcopy(made)
    copied.connections()["first.recurrent"].mask.fill_(True)
    assert_close(gradients(copied, inputs, adjoint, monkeypatch), gradients(copied, inputs, reference, monkeypatch))


def test_weights_in_place_of_its_own_may_leave_the_mask(generator, monkeypatch):
    made = network_of(generator)
    inputs = 0.3 * torch.rand(20, 2, NEURONS, generator=generator, dtype=DOUBLE)
    own = made.effective_weights()["first.recurrent"].detach()
    lesioned = own.clone()
    lesioned[:, 3] = 0
    seen = spy(monkeypatch)
    for weight, kept in ((lesioned, True), (own + 0.1, False), (own.clone().requires_grad_(), False)):
        weights = {"first.recurrent": weight}
        output = made(inputs, weights=weights)[0]
        assert [each is not None for each in seen[-1]] == [kept, True, True]
        with monkeypatch.context() as patch:
            patch.setattr(network, "adjoint", reference)
            expected = made(inputs, weights=weights)[0]
        assert_close([output], [expected])
        if weight.requires_grad:
            found, wanted = (torch.autograd.grad(x.sum(), weight)[0] for x in (output, expected))
            assert bool(wanted[own == 0].any()), "the gradient is wanted everywhere"
            assert_close([found], [wanted])


def test_a_layer_by_itself_does_the_same(generator, monkeypatch):
    mask = torch.rand(NEURONS, NEURONS, generator=generator) < 0.4
    recurrent = Connection(NEURONS, NEURONS, mask=mask, generator=generator)
    alone = Layer(LIF(0.02), NEURONS, recurrent=recurrent).double()
    inputs = 0.3 * torch.rand(20, 2, NEURONS, generator=generator, dtype=DOUBLE)
    seen = spy(monkeypatch)
    output = alone(inputs, dt=0.001)[0]
    assert seen[0][0].entries == int(mask.sum())
    monkeypatch.setattr(layer, "adjoint", reference)
    assert_close([output], [alone(inputs, dt=0.001)[0]])
