"""Weights of which few entries exist: compiled scans over those alone agree with the dense reference loop."""

import pytest
import torch

from neurotorch.core.trees import leaves
from neurotorch.engine import Link, Population, adjoint, choice, kernel, machine, pattern, reference
from neurotorch.engine.pattern import Pattern, Stored
from neurotorch.engine.plan import Plan
from neurotorch.network.steps import NeuronStep
from neurotorch.neurons import LIF, FiringRate, WilsonCowan, learned

DOUBLE = torch.float64
STEPS = 11
SIZES = (21, 34)
MODELS = {"rates": lambda: WilsonCowan(learned(0.1), r=learned(0.2)), "spikes": lambda: LIF(learned(0.02))}
LAGS = [(0, 0, 1), (0, 0, 3), (0, 1, None), (1, 0, 2), (1, 1, 5), (1, 0, None)]


@pytest.fixture(autouse=True)
def always(monkeypatch):
    """Whatever the sizes: the rule is about speed."""
    monkeypatch.setattr(Pattern, "pays", lambda pattern, batch: True)


def mask_of(post, pre, generator, density=0.2):
    """Some, with a row and a column without any."""
    mask = torch.rand(post, pre, generator=generator) < density
    mask[post // 2], mask[:, pre // 3] = False, False
    return mask


def compiled(dtype):
    found = kernel.kernel(str(dtype).removeprefix("torch."))
    assert found is not None
    return found


def activity_of(share, generator, *shape, dtype):
    draw = torch.randn(*shape, generator=generator, dtype=DOUBLE)
    return (draw * (torch.rand(*shape, generator=generator) < share)).to(dtype)


@pytest.mark.parametrize("by_source", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("batch", "pre", "post"), [(1, 3, 40), (1, 70, 17), (2, 33, 5), (16, 40, 33), (35, 64, 48)])
def test_a_product_is_that_of_torch(batch, pre, post, density, dtype, share, by_source, generator):
    activity = activity_of(share, generator, STEPS, batch, pre, dtype=dtype)
    mask = mask_of(post, pre, generator, density)
    weight = torch.where(mask, torch.randn(post, pre, generator=generator, dtype=DOUBLE), 0.0).to(dtype)
    out = torch.full((STEPS, batch, post), 2.0, dtype=dtype)
    plan, found = Plan(STEPS, out[0]), Pattern(mask)
    stored = found.by_pre(weight) if by_source else None
    source, target = plan.sequence(activity), plan.sequence(out)
    plan.add_masked_product(source, target, found.by_post(weight), batch, by_source=stored)
    plan.end_unit(batch * post)
    plan.run(compiled(dtype), 0, STEPS)
    # at most 70 terms of order one
    torch.testing.assert_close(out, 2 + activity @ weight.t(), rtol=0, atol=2e-5 if dtype == torch.float32 else 1e-13)


@pytest.mark.parametrize("share", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize(("batch", "pre", "post"), [(1, 7, 40), (1, 40, 33), (3, 33, 5), (40, 21, 34)])
def test_gradients_of_what_exists_are_those_of_torch(batch, pre, post, dtype, share, generator):
    steps = 300 if batch == 1 else STEPS  # more than one period
    activity = activity_of(share, generator, steps, batch, pre, dtype=dtype)
    gradient = torch.randn(steps, batch, post, generator=generator, dtype=DOUBLE).to(dtype)
    mask = mask_of(post, pre, generator)
    found = Pattern(mask)
    total = found.zeros(gradient)
    plan = Plan(steps, gradient[0])
    plan.add_masked_outer(plan.sequence(activity), plan.sequence(gradient), total, batch)
    plan.end_unit(batch * post)
    plan.run(compiled(dtype), 7, steps, backwards=True)
    plan.run(compiled(dtype), 0, 7, backwards=True)
    expected = torch.einsum("tbj,tbi->ij", activity.to(DOUBLE), gradient.to(DOUBLE)) * mask
    # at most 440 terms of order one
    tolerance = 3e-4 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(found.dense(total).to(DOUBLE), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("batch", [1, 4])
def test_no_zero_hides_what_is_not_finite_where_a_connection_exists(batch, value, generator):
    mask = torch.ones(5, 8, dtype=torch.bool)
    mask[0, 3] = False
    weight = torch.where(mask, torch.randn(5, 8, generator=generator, dtype=DOUBLE), 0.0)
    weight[2, 3] = value
    activity, out = torch.zeros(1, batch, 8, dtype=DOUBLE), torch.zeros(1, batch, 5, dtype=DOUBLE)
    found, plan = Pattern(mask), Plan(1, out[0])
    forwards, backwards = found.by_post(weight), found.by_pre(weight)
    plan.add_masked_product(plan.sequence(activity), plan.sequence(out), forwards, batch, by_source=backwards)
    plan.end_unit(5 * batch)
    plan.run(compiled(DOUBLE), 0, 1)
    assert bool(out[0, :, 2].isnan().all())
    assert bool(out[0, :, [0, 1, 3, 4]].isfinite().all())
    gradient, total = torch.ones(1, batch, 5, dtype=DOUBLE), found.zeros(weight)
    gradient[0, 0, 0] = value
    plan = Plan(1, gradient[0])
    plan.add_masked_outer(plan.sequence(activity), plan.sequence(gradient), total, batch)
    plan.end_unit(5 * batch)
    plan.run(compiled(DOUBLE), 0, 1)
    assert bool(found.dense(total)[0, [0, 1, 2, 4, 5, 6, 7]].isnan().all())
    assert bool(found.dense(total)[1:].isfinite().all())


def circuit(generator, factory, steps, batch, dtype, *, detached=False):
    """Return two populations, links between them, and every tensor that wants a gradient."""

    def draw(*shape, scale=1.0):
        return (scale * torch.randn(*shape, generator=generator, dtype=DOUBLE)).to(dtype)

    models = factory().to(dtype), FiringRate(learned(0.05)).to(dtype)
    populations = []
    for model, size in zip(models, SIZES, strict=True):
        current, history = draw(steps, batch, size).requires_grad_(), draw(5, batch, size).requires_grad_()
        state = model.initial_state(batch, current[0])
        populations.append(Population(NeuronStep(type(model)), model.coefficients(0.01), state, history, current))
    links = []
    for pre, post, lag in LAGS:
        mask = mask_of(SIZES[post], SIZES[pre], generator)
        weight = (draw(SIZES[post], SIZES[pre], scale=0.4) * mask).requires_grad_()
        links.append(Link(pre, post, weight, detached and pre >= post, lag, pattern=Pattern(mask)))
    wanted = [link.weight for link in links] + [p for model in models for p in model.parameters()]
    return populations, links, wanted + [x for p in populations for x in (p.current, p.history)]


def results(engine, populations, links, wanted, **options):
    """Return outputs and gradients; those of weights where the pattern is, as nobody wants the others."""
    runs = engine.scan(populations, links, **options)
    outputs = [tensor for run in runs for tensor in (run.emitted, run.seen, *leaves(run.state))]
    seeds = torch.Generator().manual_seed(1)
    total = sum((x * torch.randn(x.shape, generator=seeds, dtype=DOUBLE).to(x)).sum() for x in outputs)
    found = list(torch.autograd.grad(total, wanted, allow_unused=True, retain_graph=True))
    for k, link in enumerate(links):
        if engine is adjoint:
            assert link.pattern.holds(found[k])
        found[k] = link.pattern.inside(found[k])
    return [*outputs, *(torch.zeros_like(w) if g is None else g for w, g in zip(wanted, found, strict=True))]


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize(("steps", "batch"), [(1, 1), (5, 2), (40, 1), (20, 33), (150, 3)])
@pytest.mark.parametrize("factory", MODELS.values(), ids=MODELS.keys())
def test_scans_over_what_exists_are_those_of_the_dense_loop(factory, steps, batch, dtype, detached, generator):
    if dtype == torch.float32 and factory is MODELS["spikes"]:
        steps = min(steps, 5)  # beyond, rounding moves a spike
    given = circuit(generator, factory, steps, batch, dtype, detached=detached)
    assert choice.choose(*given[:2]) is not None
    expected = results(reference, *given)
    for recompute in (False, True):
        found = results(adjoint, *given, recompute=recompute)
        for one, other in zip(found, expected, strict=True):
            # the same terms in another order, over up to 150 steps
            tolerance = 1e-4 if dtype == torch.float32 else 1e-9
            assert float((one - other).detach().norm()) <= tolerance * float(other.detach().norm())


def test_what_is_run_again_gives_the_same_bits(generator):
    given = circuit(generator, MODELS["rates"], 200, 2, DOUBLE)
    for one, other in zip(*(results(adjoint, *given, recompute=r) for r in (False, True)), strict=True):
        assert torch.equal(one, other)


def test_a_scan_without_gradients_uses_the_pattern_too(generator, monkeypatch):
    populations, links, _ = circuit(generator, MODELS["spikes"], 30, 2, DOUBLE)
    products = []
    add = Plan.add_masked_product
    monkeypatch.setattr(Plan, "add_masked_product", lambda *a, **k: (products.append(a), add(*a, **k)))
    with torch.no_grad():
        for one, other in zip(*(engine.scan(populations, links) for engine in (adjoint, reference)), strict=True):
            torch.testing.assert_close(one.emitted, other.emitted)
    assert len(products) == len(links)


def test_the_text_means_the_same_in_plain_python(generator, monkeypatch):
    for factory in MODELS.values():
        given = circuit(generator, factory, 4, 2, DOUBLE)
        expected = results(adjoint, *given)
        with monkeypatch.context() as patch:
            patch.setattr(choice, "kernel", lambda dtype: machine.run)
            found = results(adjoint, *given)
        for one, other in zip(found, expected, strict=True):
            assert float((one - other).detach().norm()) <= 1e-10 * float(other.detach().norm())


def test_a_pattern_knows_its_mask_and_the_weights_that_keep_to_it(generator):
    mask = mask_of(6, 9, generator)
    found, weight = Pattern(mask), torch.randn(6, 9, generator=generator) * mask
    stored = found.by_pre(weight)
    assert isinstance(stored, Stored)
    assert torch.equal(found.dense(stored), weight)
    assert found.describes(mask.clone())
    assert found.holds(weight)
    there, elsewhere = (tuple(int(i) for i in each.nonzero()[0]) for each in (mask, ~mask))
    moved, outside = mask.clone(), weight.clone()
    moved[there], moved[elsewhere], outside[elsewhere] = False, True, float("nan")
    assert not found.describes(moved)
    assert not found.describes(mask.t())
    assert not found.holds(outside)


def test_a_pattern_of_another_size_is_refused(generator):
    populations, links, _ = circuit(generator, MODELS["rates"], 3, 1, DOUBLE)
    with pytest.raises(ValueError, match=r"pattern is of a weight \(4, 4\), but \(post, pre\) is \(21, 21\)"):
        adjoint.scan(populations, [links[0]._replace(pattern=Pattern(torch.ones(4, 4, dtype=torch.bool)))])


def test_only_large_and_sparse_masks_are_worth_a_pattern():
    side = round(pattern.LEAST**0.5)
    mask = torch.zeros(side, side, dtype=torch.bool)
    assert pattern.worthwhile(mask)
    assert not pattern.worthwhile(mask[:-1])
    assert not pattern.worthwhile(~mask)
