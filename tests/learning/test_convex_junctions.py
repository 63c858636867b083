"""Gap junctions in the one-step fit: convex, so that the optimality conditions say whether it is right."""

import math

import numpy as np
import pytest
import torch

from neurotorch.connections import Connection, Dale, ElectricalConnection, Softplus, no_self
from neurotorch.learning.convex import OneStepMoments, Shrinkage
from neurotorch.learning.convex.forced import SETTLING, Segment
from neurotorch.learning.convex.shared_descent import SharedProblem, minimise_shared
from neurotorch.network import Layer, Network, forecast, simulate
from neurotorch.neurons import MultiTimescaleRate, learned
from neurotorch.neurons.transfer import Sigmoid
from tests.learning.test_convex import DT, FILTERS, GAIN, NEURONS, SIGNS, TRACE, activity, objective_parts

JUNCTIONS = np.random.default_rng(3).random((NEURONS, NEURONS)) < 0.4
JUNCTIONS = JUNCTIONS | JUNCTIONS.T
MASK = np.random.default_rng(5).random((NEURONS, NEURONS)) < 0.6


def network(*, signs=SIGNS, neurons=NEURONS, junctions=JUNCTIONS, mask=None, **options):
    units = MultiTimescaleRate.with_timescales(DT, neurons, filters=FILTERS, trace=TRACE, transfer=Sigmoid(GAIN))
    recurrent = Connection(neurons, neurons, dale=Dale(list(signs)), mask=no_self(neurons) if mask is None else mask)
    electrical = None
    if junctions is not None:
        electrical = ElectricalConnection(neurons, mask=torch.from_numpy(junctions), **options)
    bias = learned(torch.zeros(neurons))
    layer = Layer(units, neurons, recurrent=recurrent, electrical=electrical, bias=bias)
    return Network({"cortex": layer}, dt=DT).double()


def moments(values, **options):
    return OneStepMoments.of(network(**options), [Segment(torch.from_numpy(values))])


@pytest.mark.parametrize("signs", [SIGNS, np.zeros(NEURONS)], ids=["Dale", "free"])
def test_no_weight_and_no_conductance_could_do_better(signs):
    # the conditions of Karush, Kuhn and Tucker on the sum of all neurons' objectives as written, by loops over pairs
    shrinkage = Shrinkage(own=0.01, deviation=0.02, weight=0.1, sparsity=0.03)
    values = activity(seed=2)
    solution = moments(values).connected(shrinkage, signs=signs, mask=MASK, junctions=JUNCTIONS)
    own, emitted, target, prior, alone, variance, diagonal = objective_parts(values, shrinkage)
    frames, first = len(target), min(SETTLING, len(values) // 4)
    potential = values[first:-1]
    spread = potential.var(axis=0).mean()
    g = solution.conductance
    assert np.array_equal(g, g.T)
    assert g.min() == 0
    errors = []
    for post in range(NEURONS):
        theta, weight = np.append(solution.own[:, post], solution.bias[post]), solution.weight[post]
        current = sum(g[post, j] * (potential[:, j] - potential[:, post]) for j in range(NEURONS))
        error = target[:, post] - own[post] @ theta - emitted @ weight - current
        slope_own = -own[post].T @ error / frames + diagonal @ (0.01 * (theta - prior) + 0.02 * (theta - alone[post]))
        np.testing.assert_allclose(slope_own, 0, atol=1e-8)
        slope = -emitted.T @ error / frames + 0.1 * variance * weight
        lasso = 0.03 * math.sqrt(variance)
        for j in range(NEURONS):
            if not MASK[post, j] or post == j:
                assert weight[j] == 0
            elif weight[j]:
                assert abs(slope[j] + lasso * np.sign(weight[j])) < 1e-8
                assert signs[j] * weight[j] >= 0
            else:
                assert (-slope[j] * signs[j] if signs[j] else abs(slope[j])) <= lasso + 1e-8
        errors.append(error)
    pairs = [(i, j) for i in range(NEURONS) for j in range(i) if JUNCTIONS[i, j]]
    assert 0 < sum(g[pair] > 0 for pair in pairs) < len(pairs)
    for i in range(NEURONS):
        for j in range(i):
            if (i, j) not in pairs:
                assert g[i, j] == 0
                continue
            difference = potential[:, j] - potential[:, i]
            slope = -(errors[i] - errors[j]) @ difference / frames + 2 * 0.1 * spread * g[i, j]
            steepest = slope + 2 * 0.03 * math.sqrt(spread)
            assert abs(steepest) < 1e-8 if g[i, j] else steepest >= -1e-8


def test_without_junctions_it_is_the_fit_of_synapses_alone():
    values, shrinkage = activity(), Shrinkage(weight=0.2)
    plain = moments(values, junctions=None).connected(shrinkage, signs=SIGNS, mask=MASK)
    nowhere = np.zeros_like(JUNCTIONS)
    for found in (
        moments(values).connected(shrinkage, signs=SIGNS, mask=MASK),
        moments(values).connected(shrinkage, signs=SIGNS, mask=MASK, junctions=nowhere),
    ):
        # two descents to one minimum, each to 1e-9 of the largest weight
        np.testing.assert_allclose(found.weight, plain.weight, atol=1e-7)
        np.testing.assert_allclose(found.bias, plain.bias, atol=1e-7)


def test_an_infinite_penalty_leaves_neither_weights_nor_conductances():
    measured = moments(activity())
    found = measured.connected(Shrinkage(weight=math.inf), signs=SIGNS, junctions=JUNCTIONS)
    assert found.conductance is None
    assert not found.weight.any()
    np.testing.assert_array_equal(found.own, measured.alone(Shrinkage().own).own)


def test_a_path_gives_what_each_shrinkage_gives_alone():
    measured = moments(activity())
    shrinkages = [Shrinkage(weight=w) for w in (math.inf, 5.0, 0.5, 0.05)]
    path = measured.path(shrinkages, signs=SIGNS, junctions=JUNCTIONS)
    for shrinkage, solution in zip(shrinkages, path, strict=True):
        alone = measured.connected(shrinkage, signs=SIGNS, junctions=JUNCTIONS)
        np.testing.assert_allclose(solution.weight, alone.weight, atol=1e-7)
        if alone.conductance is not None:
            np.testing.assert_allclose(solution.conductance, alone.conductance, atol=1e-7)


def test_junctions_of_a_simulated_network_are_found_where_they_are():
    generator = torch.Generator().manual_seed(3)
    truth = network()
    layer = truth.layers["cortex"]
    layer.neuron.own.assign(torch.tensor([[0.5], [0.2], [0.1]], dtype=torch.double).expand(3, NEURONS))
    g = torch.from_numpy(np.where(JUNCTIONS, 0.08, 0.0) * (1 - np.eye(NEURONS)))
    layer.electrical.set_weight(g)
    layer.recurrent.set_weight(torch.zeros(NEURONS, NEURONS))  # a synapse from j carries nearly what a junction does
    target = simulate(truth, frames=4000, noise=1.0, generator=generator).observed[200:, 0]
    target = target - target.mean(0)
    student, nowhere = network(junctions=np.ones_like(JUNCTIONS)), np.zeros_like(JUNCTIONS)
    measured = OneStepMoments.of(student, [Segment(target)])
    tiny = Shrinkage(own=1e-9, deviation=0, weight=1e-6, sparsity=0)
    measured.connected(tiny, signs=SIGNS, mask=nowhere, junctions=~nowhere).write(student)
    found = student.effective_weights()["cortex.electrical"].detach().numpy()
    # noise of 1 over 3780 frames and two neurons: standard errors are about 1 / sqrt(2 * 3780) = 0.012
    np.testing.assert_allclose(found, g.numpy(), atol=0.05)


def test_what_is_written_is_what_was_found_and_predicts_as_the_fit_did():
    values = activity()
    solution = moments(values).connected(Shrinkage(weight=0.05), signs=SIGNS, junctions=JUNCTIONS)
    student = network()
    solution.write(student)
    np.testing.assert_allclose(
        student.effective_weights()["cortex.electrical"].detach().numpy(), solution.conductance, rtol=1e-14
    )
    # one step of the network from the state that forcing leaves, against the equation
    own, emitted, *_ = objective_parts(values, Shrinkage())
    prefix = torch.from_numpy(values[:-1])[:, None]
    following = forecast(student, prefix, 1)[0, 0].detach().numpy()
    last = values[-2]
    for post in range(NEURONS):
        expected = own[post, -1] @ np.append(solution.own[:, post], solution.bias[post])
        expected += emitted[-1] @ solution.weight[post] + solution.conductance[post] @ (last - last[post])
        assert following[post] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("options", [{}, {"magnitude": Softplus()}], ids=["square", "softplus"])
def test_zeros_are_raised_where_training_goes_on_or_the_map_has_none(options):
    solution = moments(activity()).connected(Shrinkage(weight=0.05, sparsity=0.03), signs=SIGNS, junctions=JUNCTIONS)
    exists = JUNCTIONS & ~np.eye(NEURONS, dtype=bool)
    assert (solution.conductance[exists] == 0).any()
    student = network(**options)
    solution.write(student, least=0.0 if options else 1e-3)
    g = student.effective_weights()["cortex.electrical"].detach().numpy()
    assert np.all(g[exists] > 0)
    assert not g[~exists].any()
    typical = solution.conductance[solution.conductance != 0].mean()
    np.testing.assert_allclose(g, solution.conductance, rtol=1e-6, atol=1.001e-3 * typical)


def test_shared_descent_solves_a_problem_whose_solution_is_known():
    # (u - 1)^2 / 2 + (u + v - 4)^2 / 2 with u of both, the second with a lasso of 1: u = 1, v = 2
    problem = SharedProblem.empty([1, 2])
    problem.fill(0, np.ones((1, 1)), np.array([1.0]))
    problem.fill(1, np.ones((2, 2)), np.array([4.0, 4.0]))
    problem.add([(0, 0), (1, 0)], 0.0, np.inf, 0.0, 5.0)
    problem.add([(1, 1)], -np.inf, np.inf, 1.0, 0.0)
    found = minimise_shared(problem)
    u, v = found[0, 0], found[1, 1]
    assert found[1, 0] == u
    assert u - 1 + u + v - 4 == pytest.approx(0, abs=1e-8)
    assert u + v - 4 + 1 == pytest.approx(0, abs=1e-8)


def test_what_is_not_finite_does_not_pass_for_converged():
    problem = SharedProblem.empty([1])
    problem.fill(0, np.ones((1, 1)), np.array([np.nan]))
    problem.add([(0, 0)], 0.0, np.inf, 0.0, 0.0)
    with pytest.raises(ValueError, match=r"not converged.*Shrinkage"):
        minimise_shared(problem)


@pytest.mark.parametrize(
    ("options", "junctions", "says"),
    [
        ({"junctions": None}, JUNCTIONS, "the network that was measured has none"),
        ({}, np.triu(np.ones((NEURONS, NEURONS), dtype=bool)), "symmetric"),
        ({}, np.ones((3, 3), dtype=bool), r"`junctions` is \(3, 3\)"),
        ({}, np.ones((NEURONS, NEURONS)), "of float64"),
    ],
)
def test_junctions_that_do_not_fit_are_refused(options, junctions, says):
    with pytest.raises(ValueError, match=says):
        moments(activity(frames=60), **options).connected(Shrinkage(), signs=SIGNS, junctions=junctions)
