"""Products of activity and weights: rows and tiles agree with torch, at every shape and share of zeros."""

import numpy as np
import pytest
import torch

from neurotorch.engine import kernel
from neurotorch.engine.plan import Plan

DOUBLE = torch.float64
STEPS = 11
SHAPES = [(1, 1, 1), (1, 3, 40), (2, 17, 16), (3, 33, 5), (7, 8, 33), (9, 40, 70), (16, 64, 64), (40, 5, 130)]


def compiled(dtype):
    found = kernel.kernel(str(dtype).removeprefix("torch."))
    assert found is not None
    return found


def activity_of(share, generator, *shape, dtype=DOUBLE):
    draw = torch.randn(*shape, generator=generator, dtype=DOUBLE)
    return (draw * (torch.rand(*shape, generator=generator) < share)).to(dtype)


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize(("batch", "pre", "post"), SHAPES)
def test_a_product_is_that_of_torch(batch, pre, post, dtype, share, sparse, generator):
    activity = activity_of(share, generator, STEPS, batch, pre, dtype=dtype)
    weight = torch.randn(pre, post, generator=generator, dtype=DOUBLE).to(dtype)
    out = torch.full((STEPS, batch, post), 2.0, dtype=dtype)
    plan = Plan(STEPS, out[0])
    plan.add_product(plan.sequence(activity), plan.sequence(out), weight, batch, sparse=sparse)
    plan.end_unit(batch * post)
    plan.run(compiled(dtype), 0, STEPS)
    # at most 64 terms of order one
    torch.testing.assert_close(out, 2 + activity @ weight, rtol=0, atol=2e-5 if dtype == torch.float32 else 1e-13)


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize(("batch", "pre", "post"), [*SHAPES, (2, 3, 600)])
def test_gradients_of_weights_are_the_same_by_events_and_whole(batch, pre, post, dtype, share, generator):
    steps = 300 if batch == 1 else STEPS  # more than one period
    activity = activity_of(share, generator, steps, batch, pre, dtype=dtype)
    gradient = torch.randn(steps, batch, post, generator=generator, dtype=DOUBLE).to(dtype)
    total = torch.zeros(pre, post, dtype=dtype)
    plan = Plan(steps, gradient[0])
    plan.add_outer(plan.sequence(activity), plan.sequence(gradient), total, batch)
    plan.end_unit(batch * post)
    plan.run(compiled(dtype), 7, steps, backwards=True)
    plan.run(compiled(dtype), 0, 7, backwards=True)
    expected = torch.einsum("tbi,tbj->ij", activity.to(DOUBLE), gradient.to(DOUBLE))
    # at most 440 terms of order one
    torch.testing.assert_close(total.to(DOUBLE), expected, rtol=0, atol=3e-4 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("what", ["activity", "gradient"])
@pytest.mark.parametrize("batch", [1, 4])
def test_no_zero_hides_what_is_not_finite_from_the_gradient_of_a_weight(batch, what, value, generator):
    activity, gradient = activity_of(0.1, generator, STEPS, batch, 8), torch.ones(STEPS, batch, 5, dtype=DOUBLE)
    {"activity": activity, "gradient": gradient}[what][4, 0, 2] = value
    total = torch.zeros(8, 5, dtype=DOUBLE)
    plan = Plan(STEPS, gradient[0])
    plan.add_outer(plan.sequence(activity), plan.sequence(gradient), total, batch)
    plan.end_unit(5 * batch)
    plan.run(compiled(DOUBLE), 0, STEPS, backwards=True)
    expected = activity.flatten(0, 1).t() @ gradient.flatten(0, 1)
    assert not bool(expected.isfinite().all())
    np.testing.assert_array_equal(total.isfinite().numpy(), expected.isfinite().numpy())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("sparse", [True, False])
def test_no_zero_hides_a_weight_that_is_not_finite(batch, sparse, value, generator):
    activity, out = torch.zeros(1, batch, 8, dtype=DOUBLE), torch.zeros(1, batch, 5, dtype=DOUBLE)
    weight = torch.randn(8, 5, generator=generator, dtype=DOUBLE)
    weight[3, 2] = value
    plan = Plan(1, out[0])
    plan.add_product(plan.sequence(activity), plan.sequence(out), weight, batch, sparse=sparse)
    plan.end_unit(5 * batch)
    plan.run(compiled(DOUBLE), 0, 1)
    assert bool(out[0, :, 2].isnan().all())
    assert bool(out[0, :, [0, 1, 3, 4]].isfinite().all())
