"""The one-step fit: convex, so that independent solvers and the optimality conditions can say whether it is right."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from neurotorch.connections import Connection, Dale, Softplus, no_self
from neurotorch.learning.convex import OneStepMoments, Shrinkage
from neurotorch.learning.convex.coordinate_descent import minimise
from neurotorch.learning.convex.forced import SETTLING, Segment
from neurotorch.learning.convex.moments import POOLED_RIDGE
from neurotorch.network import Layer, Network, Observation, simulate
from neurotorch.neurons import FiringRate, MultiTimescaleRate, learned
from neurotorch.neurons.transfer import Sigmoid

DT, FILTERS, TRACE, GAIN = 0.5, (1.0, 2.0, 4.0), 1.5, 0.5
NEURONS = 7
SIGNS = np.array([1.0, 1, 1, 1, -1, -1, 1])


def network(neurons=NEURONS, *, signs=SIGNS, recurrent=True, channels=0, **options):
    units = MultiTimescaleRate.with_timescales(DT, neurons, filters=FILTERS, trace=TRACE, transfer=Sigmoid(GAIN))
    dale = None if signs is None else Dale(list(signs))
    connection = Connection(neurons, neurons, dale=dale, mask=no_self(neurons)) if recurrent else None
    inputs = Connection(channels, neurons) if channels else None
    layer = Layer(units, neurons, inputs=inputs, recurrent=connection, bias=learned(torch.zeros(neurons)))
    return Network({"cortex": layer}, dt=DT, **options).double()


def activity(frames=300, neurons=NEURONS, seed=0):
    rng = np.random.default_rng(seed)
    values = np.zeros((frames, neurons))
    mixing = 0.6 * np.eye(neurons) + 0.25 * rng.normal(size=(neurons, neurons)) / math.sqrt(neurons)
    assert np.abs(np.linalg.eigvals(mixing)).max() < 0.95  # it comes back
    for t in range(1, frames):
        values[t] = mixing @ values[t - 1] + rng.normal(size=neurons)
    return (values - values.mean(axis=0)) / values.std(axis=0)


def design(values):
    """Own features (neuron, row, own), emitted (row, pre) and next frames (row, neuron), by loops from the equation."""
    bank, trace = np.zeros((len(FILTERS), values.shape[1])), np.zeros(values.shape[1])
    own, emitted = [], []
    for x in values:
        bank = bank + (x - bank) / np.array(FILTERS)[:, None]
        trace = trace + (x - trace) / TRACE
        own.append(np.vstack([bank, np.ones(values.shape[1])]).T)
        emitted.append(1 / (1 + np.exp(-GAIN * trace)))
    first = min(SETTLING, len(values) // 4)
    return np.array(own)[first:-1].swapaxes(0, 1), np.array(emitted)[first:-1], values[first + 1 :]


def pooled(own, target):
    """The filter weights of all neurons together."""
    stacked = np.vstack(own)
    penalty = POOLED_RIDGE * len(target) * own.shape[0] * np.diag([1.0] * len(FILTERS) + [0])
    return np.append(np.linalg.solve(stacked.T @ stacked + penalty, stacked.T @ target.T.ravel())[:-1], 0)


def objective_parts(values, shrinkage):
    """Everything of the objective of each neuron, from the docstring."""
    own, emitted, target = design(values)
    frames = len(target)
    prior = pooled(own, target)
    diagonal = np.diag([1.0] * len(FILTERS) + [0])
    alone = [
        np.linalg.solve(
            p.T @ p + frames * shrinkage.own * diagonal, p.T @ x + frames * shrinkage.own * diagonal @ prior
        )
        for p, x in zip(own, target.T, strict=True)
    ]
    variance = emitted.var(axis=0).mean()
    return own, emitted, target, prior, np.array(alone), variance, diagonal


def test_without_connections_it_is_the_ridge_solution_around_all_neurons_together():
    values, shrinkage = activity(), Shrinkage(own=0.05)
    moments = OneStepMoments.of(network(), [Segment(torch.from_numpy(values))])
    *_, alone, _, _ = objective_parts(values, shrinkage)
    solution = moments.alone(0.05)
    np.testing.assert_allclose(solution.own, alone[:, :-1].T, rtol=1e-8)
    np.testing.assert_allclose(solution.bias, alone[:, -1], rtol=1e-6, atol=1e-10)
    assert not solution.weight.any()


@pytest.mark.parametrize("weight", [0.01, 0.7])
def test_weights_under_dales_law_are_those_of_non_negative_least_squares(weight):
    # one stacked problem per neuron, own filters and all, by active sets in place of descent
    values, shrinkage = activity(), Shrinkage(own=0.02, deviation=0.05, weight=weight, sparsity=0.0)
    solution = OneStepMoments.of(network(), [Segment(torch.from_numpy(values))]).connected(shrinkage, signs=SIGNS)
    own, emitted, target, prior, alone, variance, diagonal = objective_parts(values, shrinkage)
    frames, root = len(target), np.sqrt(diagonal)
    for post in range(NEURONS):
        pre = np.delete(np.arange(NEURONS), post)
        positive = emitted[:, pre] * SIGNS[pre]
        ridge = math.sqrt(frames * weight * variance) * np.eye(len(pre))
        free = np.vstack(
            [own[post], math.sqrt(frames * 0.02) * root, math.sqrt(frames * 0.05) * root, np.zeros((len(pre), 4))]
        )
        matrix = np.hstack([free, -free, np.vstack([positive, np.zeros((8, len(pre))), ridge])])
        wanted = np.concatenate(
            [
                target[:, post],
                math.sqrt(frames * 0.02) * root @ prior,
                math.sqrt(frames * 0.05) * root @ alone[post],
                np.zeros(len(pre)),
            ]
        )
        found, _ = nnls(matrix, wanted, maxiter=1000)
        # normal equations lose half of the digits against the stacked problem
        np.testing.assert_allclose(solution.weight[post, pre] * SIGNS[pre], found[8:], atol=1e-6)
        np.testing.assert_allclose(solution.own[:, post], (found[:4] - found[4:8])[:3], atol=1e-6)
        np.testing.assert_allclose(solution.bias[post], (found[:4] - found[4:8])[3], atol=1e-6)


@pytest.mark.parametrize("signs", [SIGNS, np.zeros(NEURONS)], ids=["Dale", "free"])
def test_no_neuron_could_do_better(signs):
    # the conditions of Karush, Kuhn and Tucker, on the objective as written, own filters included
    shrinkage = Shrinkage(own=0.01, deviation=0.02, weight=0.1, sparsity=0.03)
    values = activity(seed=2)
    mask = np.random.default_rng(5).random((NEURONS, NEURONS)) < 0.7
    moments = OneStepMoments.of(network(signs=None), [Segment(torch.from_numpy(values))])
    solution = moments.connected(shrinkage, signs=signs, mask=mask)
    own, emitted, target, prior, alone, variance, diagonal = objective_parts(values, shrinkage)
    frames, allowed = len(target), mask & ~np.eye(NEURONS, dtype=bool)
    assert 0 < (solution.weight != 0).sum() < allowed.sum()
    for post in range(NEURONS):
        theta, weight = np.append(solution.own[:, post], solution.bias[post]), solution.weight[post]
        error = target[:, post] - own[post] @ theta - emitted @ weight
        slope_own = -own[post].T @ error / frames + diagonal @ (0.01 * (theta - prior) + 0.02 * (theta - alone[post]))
        np.testing.assert_allclose(slope_own, 0, atol=1e-8)
        slope = -emitted.T @ error / frames + 0.1 * variance * weight
        lasso = 0.03 * math.sqrt(variance)
        for j in range(NEURONS):
            if not allowed[post, j]:
                assert weight[j] == 0
            elif weight[j]:
                assert abs(slope[j] + lasso * np.sign(weight[j])) < 1e-8
                assert signs[j] * weight[j] >= 0
            else:
                steepest = -slope[j] * signs[j] if signs[j] else abs(slope[j])
                assert steepest <= lasso + 1e-8


def test_an_infinite_penalty_gives_the_refit_without_connections_and_a_large_one_comes_near():
    moments = OneStepMoments.of(network(), [Segment(torch.from_numpy(activity()))])
    alone = moments.alone(3e-3)
    infinite = moments.connected(Shrinkage(weight=math.inf), signs=SIGNS)
    for name in ("own", "bias", "weight"):
        np.testing.assert_array_equal(getattr(infinite, name), getattr(alone, name))
    large = moments.connected(Shrinkage(weight=1e9, sparsity=0), signs=SIGNS)
    np.testing.assert_allclose(large.own, alone.own, atol=1e-7)
    np.testing.assert_allclose(large.bias, alone.bias, atol=1e-7)


def test_signs_mask_and_the_missing_self_connections_hold():
    rng = np.random.default_rng(1)
    mask = rng.random((NEURONS, NEURONS)) < 0.6
    moments = OneStepMoments.of(network(), [Segment(torch.from_numpy(activity()))])
    weight = moments.connected(Shrinkage(weight=1e-3, sparsity=0), signs=SIGNS, mask=mask).weight
    assert not weight[~mask].any()
    assert not np.diag(weight).any()
    assert np.all(weight * SIGNS >= 0)
    assert weight.any()
    full = moments.connected(Shrinkage(weight=1e-3, sparsity=0), signs=SIGNS, mask=np.ones_like(mask)).weight
    assert not np.diag(full).any()


def test_a_path_gives_what_each_shrinkage_gives_alone():
    moments = OneStepMoments.of(network(), [Segment(torch.from_numpy(activity()))])
    shrinkages = [Shrinkage(weight=w) for w in (5.0, 0.5, 0.05)]
    for shrinkage, solution in zip(shrinkages, moments.path(shrinkages, signs=SIGNS), strict=True):
        alone = moments.connected(shrinkage, signs=SIGNS)
        np.testing.assert_allclose(solution.weight, alone.weight, atol=1e-7)


def test_a_sparse_network_under_dales_law_is_found_again():
    generator = torch.Generator().manual_seed(3)
    neurons = 20
    signs = np.where(np.arange(neurons) < 16, 1.0, -1.0)
    truth = network(neurons, signs=signs)
    layer = truth.layers["cortex"]
    layer.neuron.own.assign(torch.tensor([[0.5], [0.2], [0.1]], dtype=torch.double).expand(3, neurons))
    exists = (torch.rand(neurons, neurons, generator=generator) < 0.2) & no_self(neurons)
    weight = 2.5 * torch.rand(neurons, neurons, generator=generator, dtype=torch.double) * torch.from_numpy(signs)
    layer.recurrent.set_weight(weight * exists)
    layer.bias.assign(-(weight * exists).sum(1) / 2)
    target = simulate(truth, frames=3000, noise=1.0, generator=generator).observed[200:, 0]
    target = (target - target.mean(0)) / target.std(0)
    student = network(neurons, signs=signs)
    moments = OneStepMoments.of(student, [Segment(target)])
    moments.connected(Shrinkage(weight=0.02, sparsity=0.005), signs=signs).write(student)
    found = student.effective_weights()["cortex.recurrent"].detach().numpy()
    pairs = no_self(neurons).numpy()
    planted = np.abs((weight * exists).numpy())

    def agreement(magnitudes):
        return np.corrcoef(magnitudes[pairs], planted[pairs])[0, 1]

    # chance: each presynaptic neuron keeps its weights and gives them to other targets, so that types tell nothing
    rng, chance = np.random.default_rng(0), []
    for _ in range(500):
        shuffled = np.zeros_like(found)
        for j in range(neurons):
            shuffled[pairs[:, j], j] = rng.permutation(found[pairs[:, j], j])
        chance.append(agreement(np.abs(shuffled)))
    assert agreement(np.abs(found)) > max(chance) + 0.2
    assert student.dale_violations() == 0


def test_what_is_written_is_what_was_found_and_inputs_arrive_with_the_frame_that_they_shape():
    rng = np.random.default_rng(7)
    truth = network(channels=2)
    layer = truth.layers["cortex"]
    layer.neuron.own.assign(torch.tensor([[0.4], [0.2], [0.1]], dtype=torch.double).expand(3, NEURONS))
    weight = torch.from_numpy(0.5 * rng.random((NEURONS, NEURONS)) * SIGNS) * no_self(NEURONS)
    layer.recurrent.set_weight(weight)
    layer.inputs.set_weight(torch.from_numpy(rng.normal(size=(NEURONS, 2))))
    layer.bias.assign(-weight.sum(1) / 2)
    shown = torch.from_numpy(rng.normal(size=(800, 2)))
    noise = {"cortex": 0.3 * torch.from_numpy(rng.normal(size=(800, 1, NEURONS)))}
    with torch.no_grad():
        target = truth.run(shown[:, None], noise=noise).output[:, 0]
    student = network(channels=2)
    moments = OneStepMoments.of(student, [Segment(target, shown)])
    tiny = Shrinkage(own=1e-9, deviation=0, weight=1e-9, sparsity=0)
    solution = moments.connected(tiny, signs=SIGNS)
    solution.write(student)
    # noise of 0.3 over 780 frames: standard errors are about 0.3 / sqrt(780) = 0.011 for inputs of unit variance
    np.testing.assert_allclose(solution.inputs, layer.inputs.weight().detach().numpy(), atol=0.06)
    written = student.layers["cortex"]
    np.testing.assert_array_equal(written.neuron.own.value.numpy(), solution.own)
    np.testing.assert_array_equal(written.bias.value.numpy(), solution.bias)
    np.testing.assert_allclose(written.recurrent.weight().detach().numpy(), solution.weight, rtol=1e-14)
    np.testing.assert_array_equal(written.inputs.weight().detach().numpy(), solution.inputs)


def test_zeros_are_raised_where_training_goes_on_and_nowhere_else():
    student = network()
    moments = OneStepMoments.of(student, [Segment(torch.from_numpy(activity()))])
    solution = moments.connected(Shrinkage(weight=0.05, sparsity=0.002), signs=SIGNS)
    exists = no_self(NEURONS).numpy()
    assert 0 < (solution.weight != 0).sum() < exists.sum()
    solution.write(student, least=1e-3)
    weight = student.effective_weights()["cortex.recurrent"].detach().numpy()
    assert np.all(weight[exists] * np.broadcast_to(SIGNS, weight.shape)[exists] > 0)
    assert not weight[~exists].any()


def test_a_magnitude_map_without_a_zero_is_served_too():
    student = network()
    dale = Dale(list(SIGNS), magnitude=Softplus())
    student.layers["cortex"].recurrent = Connection(NEURONS, NEURONS, dale=dale, mask=no_self(NEURONS)).double()
    moments = OneStepMoments.of(student, [Segment(torch.from_numpy(activity()))])
    solution = moments.connected(Shrinkage(weight=0.05, sparsity=0.002), signs=SIGNS)
    solution.write(student)
    weight = student.effective_weights()["cortex.recurrent"].detach().numpy()
    typical = np.abs(solution.weight[solution.weight != 0]).mean()
    np.testing.assert_allclose(weight, solution.weight, rtol=1e-6, atol=1.001e-3 * typical)


def test_segments_are_neither_joined_nor_forgotten():
    values = activity(frames=200)
    parts = [Segment(torch.from_numpy(values[:90])), Segment(torch.from_numpy(values[90:]))]
    both = OneStepMoments.of(network(), parts)
    each = [OneStepMoments.of(network(), [part]) for part in parts]
    assert both.frames == sum(moments.frames for moments in each)
    np.testing.assert_allclose(both.own_gram, sum(moments.own_gram for moments in each), rtol=1e-12)


def test_descent_solves_a_problem_whose_solution_is_known():
    # a diagonal problem: soft thresholds, then bounds
    gram, moment = np.diag([1.0, 2.0, 4.0, 1.0]), np.array([3.0, -3.0, 0.5, 2.0])
    lower, upper = np.array([0.0, 0.0, -np.inf, 0.0]), np.array([np.inf, np.inf, np.inf, 0.0])
    found = minimise(gram, moment, lower=lower, upper=upper, lasso=1.0, start=np.zeros(4))
    np.testing.assert_allclose(found, [2.0, 0.0, 0.0, 0.0], atol=1e-12)


def test_two_copies_of_one_neuron_without_a_penalty_are_refused_or_share_the_weight():
    gram, moment = np.ones((2, 2)), np.ones(2)
    found = minimise(gram, moment, lower=np.zeros(2), upper=np.full(2, np.inf), lasso=0.0, start=np.zeros(2))
    assert found.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match=r"not converged.*Shrinkage"):
        minimise(gram * np.nan, moment, lower=np.zeros(2), upper=np.full(2, np.inf), lasso=0.0, start=np.zeros(2))


DATA = torch.from_numpy(activity(frames=60))
BAD = {
    "another model": (
        lambda: OneStepMoments.of(
            Network({"a": Layer(FiringRate(1.0), 7, recurrent=Connection(7, 7), bias=0.0)}, dt=DT), [Segment(DATA)]
        ),
        TypeError,
        "FiringRate.*warm_start",
    ),
    "several steps in a frame": (
        lambda: OneStepMoments.of(network(observation=Observation(steps_per_frame=2)), [Segment(DATA)]),
        ValueError,
        "one step per frame",
    ),
    "too short": (
        lambda: OneStepMoments.of(network(), [Segment(DATA[:2])]),
        ValueError,
        "longest segment has 2 frames",
    ),
    "NaN": (lambda: OneStepMoments.of(network(), [Segment(DATA * torch.nan)]), ValueError, "target"),
    "signs of others": (
        lambda: OneStepMoments.of(network(), [Segment(DATA)]).connected(Shrinkage(), signs=np.ones(3)),
        ValueError,
        r"`signs` is \(3,\)",
    ),
    "no signs": (
        lambda: OneStepMoments.of(network(), [Segment(DATA)]).connected(Shrinkage(), signs=np.full(7, np.nan)),
        ValueError,
        r"`signs` holds \[nan",
    ),
    "a mask of numbers": (
        lambda: OneStepMoments.of(network(), [Segment(DATA)]).connected(Shrinkage(), mask=np.ones((7, 7))),
        TypeError,
        "`mask` is of float64",
    ),
    "a mask of others": (
        lambda: OneStepMoments.of(network(), [Segment(DATA)]).connected(Shrinkage(), mask=np.ones((3, 7), dtype=bool)),
        ValueError,
        r"`mask` \(3, 7\), but 7 neurons",
    ),
    "written to another model": (
        lambda: (
            OneStepMoments.of(network(), [Segment(DATA)])
            .alone(0.1)
            .write(Network({"a": Layer(FiringRate(1.0), 7, bias=0.0)}, dt=DT))
        ),
        TypeError,
        "the network has FiringRate",
    ),
    "a negative penalty": (lambda: Shrinkage(sparsity=-1), ValueError, "`sparsity` is -1"),
    "no ridge": (lambda: Shrinkage(weight=0), ValueError, "`weight` is 0"),
    "a penalty that is no number": (lambda: Shrinkage(own=math.nan), ValueError, "`own` is nan"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_says_what_is_wrong(case):
    call, kind, message = BAD[case]
    with pytest.raises(kind, match=message):
        call()
