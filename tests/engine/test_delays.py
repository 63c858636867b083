"""Links with several lags: both engines, in one piece and in many, against the reference loop and against numpy."""

import numpy as np
import pytest
import torch

from neurotorch.core.trees import leaves
from neurotorch.engine import Link, Population, adjoint, reference
from neurotorch.network.steps import NeuronStep
from neurotorch.neurons import LIF, FiringRate, LeakyIntegrator, WilsonCowan, learned

DOUBLE = torch.float64
BATCH, COUNT, OTHER, ROWS = 3, 4, 3, 6
LAGS = [(0, 0, 1), (0, 0, 3), (0, 1, None), (0, 1, 4), (1, 0, 2), (1, 1, 5), (0, 0, 6), (1, 0, None)]
MODELS = {
    "rates": lambda: WilsonCowan(learned(0.1), learned(0.1), r=learned(0.2)),
    "spikes": lambda: LIF(learned(0.2), learned(0.5)),
}


def circuit(generator, factory, steps, *, detached=False, want_current=True):
    """Return populations, links and every tensor of them that wants a gradient."""

    def draw(*shape, scale=1.0):
        return (scale * torch.randn(*shape, generator=generator, dtype=DOUBLE)).requires_grad_()

    first, second = factory().double(), FiringRate(learned(0.05)).double()
    currents = [draw(steps, BATCH, COUNT), draw(steps, BATCH, OTHER, scale=0.3)]
    histories = [draw(ROWS, BATCH, COUNT), draw(ROWS, BATCH, OTHER)]
    if not want_current:
        currents = [current.detach() for current in currents]
    populations = [
        Population(
            NeuronStep(type(model)),
            model.coefficients(0.02),
            model.initial_state(BATCH, current[0]),
            history,
            current,
        )
        for model, history, current in zip((first, second), histories, currents, strict=True)
    ]
    sizes = (COUNT, OTHER)
    links = [
        Link(pre, post, draw(sizes[post], sizes[pre], scale=0.4), detached and pre >= post, lag)
        for pre, post, lag in LAGS
    ]
    wanted = [link.weight for link in links] + [*first.parameters(), *second.parameters()] + histories
    return populations, links, [*wanted, *(currents if want_current else [])]


def gradients(engine, populations, links, wanted, **options):
    runs = engine.scan(populations, links, **options)
    outputs = [tensor for run in runs for tensor in (run.emitted, run.seen, *leaves(run.state))]
    if options.get("record"):
        outputs += [tensor for run in runs for tensor in (*leaves(run.states), run.currents)]
    seeds = torch.Generator().manual_seed(1)
    total = sum((x * torch.randn(x.shape, generator=seeds, dtype=DOUBLE)).sum() for x in outputs)
    found = torch.autograd.grad(total, wanted, allow_unused=True, retain_graph=True)
    return [*outputs, *(torch.zeros_like(w) if g is None else g for w, g in zip(wanted, found, strict=True))]


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 5, 40, 300])
@pytest.mark.parametrize("factory", MODELS.values(), ids=MODELS.keys())
def test_both_engines_equal_the_reference_with_many_lags_at_once(factory, steps, detached, generator, monkeypatch):
    for record, want_current in ((False, False), (True, True)):
        given = circuit(generator, factory, steps, detached=detached, want_current=want_current)
        expected = gradients(reference, *given, record=record)
        if not detached and steps > 1:
            assert all(float(history.norm()) > 0 for history in expected[-4 if want_current else -2 :][:2])
        choose = adjoint.choose
        for way in ("compiled", "in torch"):
            monkeypatch.setattr(adjoint, "choose", choose if way == "compiled" else lambda *_: None)
            for elements in (1 << 18, 7 * BATCH * COUNT):
                monkeypatch.setattr(adjoint, "BLOCK_ELEMENTS", elements)
                for recompute in (False, True):
                    found = gradients(adjoint, *given, record=record, recompute=recompute)
                    for one, other in zip(found, expected, strict=True):
                        # the same terms in another order
                        assert float((one - other).detach().norm()) <= 1e-9 * float(other.detach().norm()), way
        monkeypatch.setattr(adjoint, "choose", choose)


def test_a_long_lag_is_recomputed_bit_for_bit_across_blocks(generator):
    populations, links, wanted = circuit(generator, MODELS["rates"], 200)
    links = [*links, Link(0, 0, (0.1 * links[0].weight).detach(), delay=37)]
    populations = [
        p._replace(history=torch.cat([p.history.new_ones(31, *p.history.shape[1:]), p.history])) for p in populations
    ]
    kept, again = (gradients(adjoint, populations, links, wanted, recompute=r) for r in (False, True))
    for one, other in zip(kept, again, strict=True):
        assert torch.equal(one, other)
    expected = gradients(reference, populations, links, wanted)
    for one, other in zip(kept, expected, strict=True):
        assert float((one - other).detach().norm()) <= 1e-9 * float(other.detach().norm())


@pytest.mark.parametrize("engine", [reference, adjoint], ids=["reference", "adjoint"])
def test_activity_arrives_so_many_steps_later_as_in_a_numpy_loop(engine):
    random = np.random.default_rng(0)
    steps, alpha = 30, np.exp(-0.001 / 0.01)
    weights = {lag: 0.2 * random.normal(size=(COUNT, COUNT)) for lag in (1, 2, 7)}
    current, history = random.normal(size=(steps, BATCH, COUNT)), random.normal(size=(7, BATCH, COUNT))
    v, emitted = np.zeros((BATCH, COUNT)), list(history)
    for t in range(steps):
        arrived = sum(emitted[7 + t - lag] @ weight.T for lag, weight in weights.items())
        v = alpha * v + current[t] + arrived
        emitted.append(v)
    model = LeakyIntegrator(torch.tensor(0.01, dtype=DOUBLE))
    rest = torch.zeros(BATCH, COUNT, dtype=DOUBLE)
    population = Population(
        NeuronStep(LeakyIntegrator),
        model.coefficients(0.001),
        model.initial_state(BATCH, rest),
        torch.as_tensor(history),
        torch.as_tensor(current),
    )
    (run,) = engine.scan([population], [Link(0, 0, torch.as_tensor(w), delay=lag) for lag, w in weights.items()])
    np.testing.assert_allclose(run.emitted.numpy(), np.stack(emitted[7:]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("engine", [reference, adjoint], ids=["reference", "adjoint"])
def test_lags_that_cannot_be_are_refused(engine, generator):
    populations, links, _ = circuit(generator, MODELS["rates"], 3)
    with pytest.raises(ValueError, match=r"history of population 0 is \(6, 3, 4\).*\(7, 3, 4\)"):
        engine.scan(populations, [links[0]._replace(delay=7)])
    with pytest.raises(ValueError, match="delay of 0 steps, but activity can arrive no earlier than 1 steps"):
        engine.scan(populations, [links[0]._replace(delay=0)])
