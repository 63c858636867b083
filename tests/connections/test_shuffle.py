"""Shuffles that keep degrees: exact where they say so, and uniform over all that is left."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from neurotorch.connections import Dale, shuffle_degrees, shuffle_degrees_symmetric, sparse


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_symmetric(neurons, density, seed):
    lower = sparse(neurons, neurons, density=density / 2, generator=seeded(seed)).tril(-1)
    return lower | lower.T


@given(st.integers(2, 12), st.floats(0, 1), st.booleans(), st.integers(0, 10**6))
def test_degrees_and_the_diagonal_are_kept(neurons, density, self_connections, seed):
    mask = sparse(neurons, neurons, density=density, generator=seeded(seed), self_connections=self_connections)
    shuffled = shuffle_degrees(mask, generator=seeded(seed + 1))
    assert shuffled.dtype == torch.bool
    assert torch.equal(shuffled.sum(0), mask.sum(0))
    assert torch.equal(shuffled.sum(1), mask.sum(1))
    assert torch.equal(shuffled.diagonal(), mask.diagonal())


@given(st.integers(2, 12), st.floats(0, 1), st.integers(0, 10**6))
def test_a_symmetric_mask_stays_symmetric_with_its_degrees(neurons, density, seed):
    mask = random_symmetric(neurons, density, seed)
    mask[0, 0] = True
    shuffled = shuffle_degrees_symmetric(mask, generator=seeded(seed))
    assert torch.equal(shuffled, shuffled.T)
    assert torch.equal(shuffled.sum(0), mask.sum(0))
    assert torch.equal(shuffled.diagonal(), mask.diagonal())


def test_weights_move_with_their_presynaptic_neuron():
    dale = Dale.fraction(30, 0.7, generator=seeded(1))
    mask = sparse(30, 30, density=0.2, generator=seeded(2))
    weight = torch.where(mask, dale.signs * torch.rand(30, 30, generator=seeded(3)), 0.0)
    before = weight.clone()
    shuffled = shuffle_degrees(weight, generator=seeded(4))
    assert torch.equal(weight, before), "the argument stays as it is"
    assert torch.equal(shuffled.sort(dim=0).values, weight.sort(dim=0).values), "columns keep their values"
    assert dale.violations(shuffled) == 0
    assert torch.equal((shuffled != 0).sum(1), mask.sum(1))
    alike = torch.where(mask, shuffle_degrees(mask, generator=seeded(4)), False)
    assert int(alike.sum()) < 0.4 * int(mask.sum())


def test_within_types_each_neuron_keeps_its_inputs_of_each_type():
    dale = Dale.fraction(40, 0.6, generator=seeded(1))
    mask = sparse(40, 40, density=0.15, generator=seeded(2))
    shuffled = shuffle_degrees(mask, types=dale.signs, generator=seeded(3))
    for sign in (-1, 1):
        columns = dale.signs == sign
        assert torch.equal(shuffled[:, columns].sum(1), mask[:, columns].sum(1))
    assert torch.equal(shuffled.sum(0), mask.sum(0))
    assert not torch.equal(shuffled, mask)
    free = shuffle_degrees(mask, generator=seeded(3))
    assert not torch.equal(free[:, dale.signs > 0].sum(1), mask[:, dale.signs > 0].sum(1)), "types are not kept unasked"


def all_directed(mask):
    """Every matrix without self-connections that has the degrees of `mask`, by trying all."""
    neurons = len(mask)
    places = [(i, j) for i in range(neurons) for j in range(neurons) if i != j]
    found = set()
    for chosen in itertools.combinations(places, int(mask.sum())):
        trial = torch.zeros_like(mask)
        trial[tuple(torch.tensor(chosen).T)] = True
        if torch.equal(trial.sum(0), mask.sum(0)) and torch.equal(trial.sum(1), mask.sum(1)):
            found.add(tuple(trial.flatten().tolist()))
    return found


@pytest.mark.parametrize(
    ("edges", "neurons"),
    [
        ([(0, 1), (1, 2), (2, 0)], 3),  # a directed triangle, which double swaps alone cannot turn round
        ([(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)], 4),
    ],
)
def test_all_matrices_of_the_same_degrees_are_equally_likely(edges, neurons):
    mask = torch.zeros(neurons, neurons, dtype=torch.bool)
    for pre, post in edges:
        mask[post, pre] = True
    possible = all_directed(mask)
    assert len(possible) > 1
    draws, generator = 400 * len(possible), seeded(7)
    counts = dict.fromkeys(possible, 0)
    for _ in range(draws):
        counts[tuple(shuffle_degrees(mask, swaps=20, generator=generator).flatten().tolist())] += 1
    # a fixed seed, and a level at which one seed in a thousand would fail
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_all_pairings_of_a_symmetric_mask_are_equally_likely():
    mask = torch.zeros(6, 6, dtype=torch.bool)
    for i, j in ((0, 1), (2, 3), (4, 5)):
        mask[i, j] = mask[j, i] = True
    generator, counts = seeded(7), {}
    for _ in range(6000):
        key = tuple(shuffle_degrees_symmetric(mask, generator=generator).flatten().tolist())
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 15, "six neurons can be paired in 5 x 3 ways"
    assert chisquare(list(counts.values())).pvalue > 1e-3


@pytest.mark.parametrize("density", [0.1, 0.5, 0.85])
def test_ten_swaps_per_connection_forget_the_matrix(density):
    mask = sparse(60, 60, density=density, generator=seeded(1))
    off = mask.sum().item()
    overlaps = [int((shuffle_degrees(mask, generator=seeded(s)) & mask).sum()) / off for s in range(5)]
    more = [int((shuffle_degrees(mask, swaps=100, generator=seeded(s)) & mask).sum()) / off for s in range(5)]
    # as much is left as after ten times as many swaps; the spread of an overlap is that of `off` draws, nearly
    spread = (density * (1 - density) / off) ** 0.5
    assert abs(sum(overlaps) / 5 - sum(more) / 5) < 4 * spread * (2 / 5) ** 0.5


def test_a_full_mask_comes_back_and_a_generator_reproduces():
    full = ~torch.eye(8, dtype=torch.bool)
    assert torch.equal(shuffle_degrees(full, generator=seeded()), full)
    assert torch.equal(shuffle_degrees_symmetric(full, generator=seeded()), full)
    mask = sparse(20, 30, density=0.2, generator=seeded(1))
    first, second, third = (shuffle_degrees(mask, generator=seeded(s)) for s in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    feed_forward = sparse(9, 9, density=0.4, generator=seeded(1), self_connections=True)
    free = [shuffle_degrees(feed_forward, recurrent=False, generator=seeded(s)) for s in range(9)]
    assert any(not torch.equal(each.diagonal(), feed_forward.diagonal()) for each in free)


def test_symmetric_weights_keep_their_values():
    mask = random_symmetric(20, 0.3, 1)
    weight = torch.where(mask, torch.rand(20, 20, generator=seeded(2)), 0.0)
    weight = weight + weight.T
    shuffled = shuffle_degrees_symmetric(weight, generator=seeded(3))
    assert torch.equal(shuffled, shuffled.T)
    assert torch.equal(shuffled.flatten().sort().values, weight.flatten().sort().values)
    assert not torch.equal(shuffled, weight)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: shuffle_degrees(torch.ones(3)), r"\(3,\), but it must be \(post, pre\)"),
        (lambda: shuffle_degrees(torch.full((3, 3), torch.nan)), "NaN or infinite"),
        (lambda: shuffle_degrees(torch.ones(3, 3), types=[1, 1]), r"\(2,\), but there are 3"),
        (lambda: shuffle_degrees(torch.ones(3, 4), recurrent=True), "recurrent=False"),
        (lambda: shuffle_degrees(torch.ones(3, 3), swaps=0), "`swaps` is 0"),
        (lambda: shuffle_degrees_symmetric(torch.ones(3, 3).tril()), "not symmetric.*shuffle_degrees"),
        (lambda: shuffle_degrees_symmetric(torch.ones(3, 4)), "not symmetric"),
    ],
)
def test_bad_input_says_what_to_do(make, message):
    with pytest.raises(ValueError, match=message):
        make()
