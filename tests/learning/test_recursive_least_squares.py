"""Recursive least squares: the ridge solution, under masks and forgetting, in any portions."""

import numpy as np
import pytest
import torch

from neurotorch.connections import no_self
from neurotorch.learning import RecursiveLeastSquares
from tests.reference.recursive_least_squares import force_step, ridge

DOUBLE = torch.float64
STEPS, SAMPLES, PRE, POST = 24, 3, 9, 9


def regions(own):
    """Return a mask in which the first region gets nothing from the last, with or without self-connections."""
    mask = torch.ones(POST, PRE, dtype=torch.bool)
    mask[:4, 6:] = False
    return mask if own else mask & no_self(POST)


def without_neuron(mask):
    mask = mask.clone()
    mask[:, 2] = False
    return mask


def scattered():
    mask = torch.rand(POST, PRE, generator=torch.Generator().manual_seed(3)) < 0.4
    mask[5] = False
    mask[6, 1] = True
    return mask


MASKS = {
    "all": None,
    "no self-connections": no_self(POST),
    "regions": regions(True),
    "regions without self-connections": regions(False),
    "a fraction of the presynaptic neurons": without_neuron(torch.ones(POST, PRE, dtype=torch.bool)),
    "a fraction, without self-connections": without_neuron(no_self(POST)),
    "scattered, one row empty": scattered(),
}


def problem(random):
    """Return activity ``(time, sample, pre)``, some of it nearly collinear, a noisy target, and start weights."""
    activity = random.normal(size=(STEPS, SAMPLES, PRE))
    activity[..., 0] = activity[..., 1] + 0.01 * activity[..., 0]
    target = activity @ random.normal(size=(PRE, POST)) + random.normal(size=(STEPS, SAMPLES, POST))
    return activity, target, random.normal(size=(POST, PRE))


def solved(rls, weight, activity, target, portion):
    """Return the weights after all samples, `portion` steps at a time."""
    weight, activity, target = (torch.from_numpy(x) for x in (weight, activity, target))
    for start in range(0, len(activity), portion):
        part = slice(start, start + portion)
        weight = weight + rls.update(activity[part], activity[part] @ weight.t() - target[part])
    return weight.numpy()


@pytest.mark.parametrize("portion", [1, 5, STEPS])
@pytest.mark.parametrize("forgetting", [1.0, 0.9])
@pytest.mark.parametrize("name", MASKS)
def test_it_is_the_ridge_solution_in_any_portions(name, forgetting, portion, random):
    activity, target, start = problem(random)
    mask = MASKS[name]
    rls = RecursiveLeastSquares(PRE, POST, alpha=0.3, forgetting=forgetting, mask=mask)
    found = solved(rls, start, activity, target, portion)
    ages = np.repeat(np.arange(STEPS)[::-1], SAMPLES)
    expected = ridge(
        activity.reshape(-1, PRE), target.reshape(-1, POST), alpha=0.3, start=start, ages=ages,
        forgetting=forgetting, allowed=None if mask is None else mask.numpy(),
    )  # fmt: skip
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)
    if mask is not None:
        assert (found[~mask.numpy()] == start[~mask.numpy()]).all()


@pytest.mark.parametrize("forgetting", [1.0, 0.95])
def test_one_sample_at_a_time_it_is_the_step_of_the_paper(forgetting, random):
    activity, target, weight = problem(random)
    rls = RecursiveLeastSquares(PRE, POST, alpha=2.0, forgetting=forgetting)
    found = solved(rls, weight, activity[:, :1], target[:, :1], 1)
    inverse = np.eye(PRE) / 2.0
    for r, d in zip(activity[:, 0], target[:, 0], strict=True):
        weight, inverse = force_step(weight, inverse, r, weight @ r - d, forgetting=forgetting)
    np.testing.assert_allclose(found, weight, rtol=1e-11)
    np.testing.assert_allclose(rls.inverses[0].numpy(), inverse, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("samples", [1, 4])
def test_the_inverse_stays_symmetric_to_the_last_bit(samples, dtype, generator):
    rls = RecursiveLeastSquares(40, 2, forgetting=0.99, dtype=dtype)
    for _ in range(100):
        rls.update(torch.randn(1, samples, 40, generator=generator, dtype=DOUBLE), torch.zeros(1, samples, 2))
    assert torch.equal(rls.inverses[0], rls.inverses[0].t())
    assert rls.inverses[0].dtype == dtype


@pytest.mark.parametrize(
    ("mask", "inverses"),
    [(None, [9]), (no_self(9), [9]), (regions(False), [6, 9]), (MASKS["a fraction, without self-connections"], [8])],
)
def test_rows_share_an_inverse_where_their_masks_allow(mask, inverses):
    assert sorted(len(each) for each in RecursiveLeastSquares(9, 9, mask=mask).inverses) == inverses


def test_a_saved_state_goes_on_bit_for_bit_and_is_a_copy(random):
    activity, target, start = problem(random)
    whole, first, second = (RecursiveLeastSquares(PRE, POST, mask=regions(False), forgetting=0.9) for _ in range(3))
    expected = solved(whole, start, activity, target, 1)
    half = solved(first, start, activity[:12], target[:12], 1)
    state = first.state_dict()
    second.load_state_dict(state)
    solved(first, half, activity[12:], target[12:], 1)
    assert (solved(second, half, activity[12:], target[12:], 1) == expected).all()
    assert not torch.equal(state["inverses"][0], second.inverses[0])


def test_a_state_of_another_size_is_refused():
    state = RecursiveLeastSquares(3, 3).state_dict()
    with pytest.raises(ValueError, match="same mask, neurons and fraction"):
        RecursiveLeastSquares(4, 4).load_state_dict(state)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"alpha": 0.0}, ValueError, "`alpha` is 0"),
        ({"forgetting": 0.0}, ValueError, "`forgetting` is 0"),
        ({"forgetting": 1.1}, ValueError, "at most 1"),
        ({"dtype": torch.float16}, TypeError, "torch.float32 or torch.float64"),
        ({"mask": torch.ones(3, 4, dtype=torch.bool)}, ValueError, r"\(post, pre\) = \(4, 3\)"),
        ({"mask": torch.ones(4, 3)}, ValueError, "must be bool"),
        ({"mask": torch.zeros(4, 3, dtype=torch.bool)}, ValueError, "False everywhere"),
    ],
)
def test_what_cannot_be_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        RecursiveLeastSquares(3, 4, **arguments)


@pytest.mark.parametrize(
    ("activity", "error", "message"),
    [
        ((2, 3), (2, 4), r"must be \(time, sample, 3\)"),
        ((0, 1, 3), (0, 1, 4), "not empty"),
        ((2, 1, 3), (2, 1, 3), r"must be \(2, 1, 4\)"),
    ],
)
def test_samples_of_another_shape_are_refused(activity, error, message):
    with pytest.raises(ValueError, match=message):
        RecursiveLeastSquares(3, 4).update(torch.zeros(activity), torch.zeros(error))


@pytest.mark.parametrize("samples", [1, 2])
def test_activity_that_is_not_finite_stops(samples):
    activity = torch.full((1, samples, 3), float("nan"))
    with pytest.raises(FloatingPointError, match="no longer positive definite"):
        RecursiveLeastSquares(3, 4).update(activity, torch.zeros(1, samples, 4))
