"""States that are run again for the reverse scan change no gradient, and what is not needed is not kept."""

import pytest
import torch

from neurotorch.core.trees import leaves
from neurotorch.engine import Link, Population, adjoint, reference
from neurotorch.network import Layer, Network
from neurotorch.network.steps import NeuronStep
from neurotorch.neurons import LIF, CurrentLIF, FiringRate, MultiTimescaleRate, WilsonCowan, learned

MODELS = {
    "LIF": lambda: LIF(learned(0.02)),
    "CurrentLIF": lambda: CurrentLIF(learned(0.005), learned(0.02), threshold=learned(1.0)),
    "CurrentLIF per neuron": lambda: CurrentLIF(learned(torch.full((6,), 0.005)), learned(torch.full((6,), 0.02))),
    "WilsonCowan": lambda: WilsonCowan(learned(0.1), learned(0.0), r=learned(0.2)),
    "FiringRate": lambda: FiringRate(learned(0.1)),
    "MultiTimescaleRate": lambda: MultiTimescaleRate(learned(torch.full((2,), 0.3)), (0.05, 0.2), tau_trace=0.04),
}


def step_of(factory, steps, batch, *, recompute, engine=adjoint, dtype=torch.float32, want_current=False):
    generator = torch.Generator().manual_seed(3)
    model = factory().to(dtype)
    rest = torch.zeros(batch, 6, dtype=dtype)
    current = (0.4 * torch.randn(steps, batch, 6, generator=generator, dtype=torch.float64)).to(dtype)
    current.requires_grad_(want_current)
    weight = (0.3 * torch.randn(6, 6, generator=generator, dtype=torch.float64)).to(dtype).requires_grad_()
    dt = 0.001 if model.emits == "spikes" else 0.02
    first, second = (
        Population(NeuronStep(type(model)), model.coefficients(dt), model.initial_state(batch, rest), rest[None], given)
        for given in (current, torch.zeros_like(current))
    )
    links = [Link(0, 0, weight), Link(0, 1, weight.t()), Link(1, 0, 0.1 * weight)]
    options = {"recompute": recompute} if engine is adjoint else {}
    runs = engine.scan([first, second], links, **options)
    total = sum(run.emitted.square().sum() + sum(leaf.sum() for leaf in leaves(run.state)) for run in runs)
    wanted = [weight, *model.parameters(), *([current] if want_current else [])]
    return [*(run.emitted for run in runs), *torch.autograd.grad(total, wanted)]


@pytest.mark.parametrize("want_current", [False, True])
@pytest.mark.parametrize(("steps", "batch"), [(1, 1), (2, 1), (3, 2), (50, 1), (300, 1), (64, 9)])
@pytest.mark.parametrize("factory", MODELS.values(), ids=MODELS.keys())
def test_recomputed_states_give_the_same_gradients_bit_for_bit(factory, steps, batch, want_current):
    kept, again = (
        step_of(factory, steps, batch, recompute=recompute, want_current=want_current) for recompute in (False, True)
    )
    for one, other in zip(kept, again, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("batch", [1, 9])
@pytest.mark.parametrize("factory", MODELS.values(), ids=MODELS.keys())
def test_without_a_gradient_of_the_current_the_rest_is_that_of_the_loop(factory, batch):
    found = step_of(factory, 90, batch, recompute=False, dtype=torch.float64)
    expected = step_of(factory, 90, batch, recompute=False, dtype=torch.float64, engine=reference)
    for one, other in zip(found, expected, strict=True):
        # the same terms in another order, over 90 steps
        assert float((one - other).detach().norm()) <= 1e-9 * float(other.detach().norm())


def test_only_what_the_reverse_scan_reads_is_kept(monkeypatch):
    kept, scan_forward = [], adjoint.compiled_scan.forward

    def watched(*arguments, **keywords):
        result = scan_forward(*arguments, **keywords)
        kept.append(result[0])
        return result

    monkeypatch.setattr(adjoint.compiled_scan, "forward", watched)
    fixed = lambda: CurrentLIF(0.005, threshold=learned(1.0))  # noqa: E731
    for factory, fields, current in (
        (fixed, (0, 41), 0),  # no decay is learned: the potential alone, for the surrogate
        (MODELS["CurrentLIF"], (41, 41), 0),
        (MODELS["WilsonCowan"], (41,), 40),
    ):
        step_of(factory, 40, 1, recompute=False)
        assert tuple(len(field) for field in kept[-1].rows[0].fields) == fields
        assert len(kept[-1].rows[0].current) == current
        assert kept[-1].borders == ()
    step_of(MODELS["CurrentLIF"], 40, 1, recompute=True)
    assert [len(field) for field in kept[-1].rows[0].fields] == [0, 0]
    assert {len(blocks) for blocks in kept[-1].borders} == {6}, "blocks of 7 steps"


def test_a_network_hands_the_wish_on():
    network = Network({"cortex": Layer(CurrentLIF(learned(0.005)), 5)}, dt=0.001)
    inputs = 2 * torch.rand(30, 2, 5, generator=torch.Generator().manual_seed(0))
    found = []
    for recompute in (False, True):
        output, _ = network(inputs, recompute=recompute)
        found.append(torch.autograd.grad(output.sum(), list(network.parameters())))
        assert torch.equal(output, network.run(inputs, recompute=recompute).output)
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
