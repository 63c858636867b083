"""The balanced start against theory, for any fraction, mask and distribution of magnitudes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurotorch.connections import (
    Balanced,
    Connection,
    Connectome,
    Dale,
    Gamma,
    HalfNormal,
    LogNormal,
    Normal,
    Regions,
    rebalanced,
    sparse,
    spectrum_report,
)
from neurotorch.core.config import build, describe

DISTRIBUTIONS = [Gamma(), Gamma(1), LogNormal(), LogNormal(0.4), HalfNormal()]


def generator(seed):
    return torch.Generator().manual_seed(seed)


def scattered(seed, neurons=60):
    """A connectome in which numbers of inputs differ tenfold: rows have other numbers of excitation and inhibition."""
    random = np.random.default_rng(seed)
    strength = random.pareto(1.5, size=neurons) + 0.5
    chance = np.clip(0.12 * strength[:, None] * random.pareto(1.5, size=neurons)[None], 0, 0.9)
    adjacency = np.where(random.random((neurons, neurons)) < chance, 1.0, 0.0)
    np.fill_diagonal(adjacency, 0)
    names = [f"n{i}" for i in range(neurons)]
    return Connectome.from_adjacency(adjacency, names, rows="post").mask


def blocks(seed, neurons=60):
    regions = Regions.of_labels(["tectum"] * 25 + ["hindbrain"] * 35)
    densities = {"tectum -> tectum": 0.5, "tectum -> hindbrain": 0.2, "hindbrain -> hindbrain": 0.8}
    return regions.sparse(densities, generator=generator(seed))


def random_sparse(seed, neurons=60):
    return sparse(neurons, neurons, density=0.2, generator=generator(seed))


def everything(seed, neurons=60):
    del seed
    return torch.ones(neurons, neurons, dtype=torch.bool)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=repr)
@pytest.mark.parametrize("drawn", [everything, random_sparse, blocks, scattered], ids=lambda f: f.__name__)
@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), excitatory=st.floats(0.1, 0.9), wanted=st.floats(0.2, 2), matched=st.booleans())
def test_balance_and_size_hold_together(distribution, drawn, seed, excitatory, wanted, matched):
    mask = drawn(seed)
    dale = Dale.fraction(60, excitatory, generator=generator(seed + 1))
    init = Balanced(wanted, distribution, matched_variance=matched)
    weight = init(60, 60, dale=dale, mask=mask, generator=generator(seed + 2)).numpy()
    assert np.array_equal(weight != 0, mask.numpy())
    assert dale.violations(torch.from_numpy(weight)) == 0
    both = (weight > 0).any(1) & (weight < 0).any(1)
    # sums of at most 60 float64 numbers
    assert (abs(weight.sum(1))[both] <= 1e-13 * abs(weight).sum(1)[both]).all()
    # eigenvalues of non-normal matrices, with rows of one sign alone in it, to a millionth
    assert abs(np.linalg.eigvals(weight)).max() == pytest.approx(wanted, rel=1e-6)
    if matched:
        norms = np.linalg.norm(weight, axis=1)[mask.numpy().any(1)]
        np.testing.assert_allclose(norms, norms[0], rtol=1e-12)


def test_a_row_of_one_sign_keeps_its_mean_and_the_others_their_balance():
    mask = torch.ones(20, 20, dtype=torch.bool)
    mask[3, 16:] = False  # only excitation arrives at neuron 3, only inhibition at neuron 4, and nothing at 5
    mask[4, :16] = False
    mask[5] = False
    weight = Balanced(0.9)(20, 20, dale=Dale.fraction(20, 0.8), mask=mask, generator=generator(0))
    sums = weight.sum(dim=1)
    assert float(sums[3]) == pytest.approx(float(weight[3].abs().sum()))
    assert float(sums[4]) == pytest.approx(-float(weight[4].abs().sum()))
    others = [i for i in range(20) if i not in (3, 4, 5)]
    assert float(sums[others].abs().max()) < 1e-14
    # one gain for the whole matrix: the magnitudes of such a row keep the mean of those of excitation elsewhere
    excitation = weight[others, :16].mean()
    assert 0.6 < float(weight[3, :16].mean() / excitation) < 1.5


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=repr)
@pytest.mark.parametrize("excitatory", [0.5, 0.8])
def test_the_size_of_weights_is_that_of_the_theory(distribution, excitatory):
    """Rajan & Abbott: R^2 = N (f var_E + (1 - f) var_I), here with var_I = (f / (1 - f))^2 var_E."""
    neurons, wanted = 400, 0.9
    dale = Dale.fraction(neurons, excitatory)
    weight = Balanced(wanted, distribution)(neurons, neurons, dale=dale, generator=generator(0))
    spread = math.sqrt(distribution.mean_square - 1)
    radius = float(weight[:, dale.signs > 0].mean()) * spread * math.sqrt(neurons * excitatory / (1 - excitatory))
    # the largest of 400 eigenvalues strays from the edge by some percent, more for the long tail of the log-normal
    assert radius == pytest.approx(wanted, rel=0.1)
    # the gain of a row is small where its largest inhibitory magnitudes are: 4 % with the long tail of the log-normal
    assert spectrum_report(weight).bulk_radius == pytest.approx(radius, rel=0.06)


@pytest.mark.parametrize("distribution", [Gamma(), HalfNormal()], ids=repr)
def test_balance_of_every_row_holds_eigenvalues_inside_where_balance_on_average_does_not(distribution):
    """Rajan & Abbott, figures 2 and 3: without the constraint eigenvalues lie outside of the disc, with it none."""
    neurons, excitatory = 300, 0.8
    signs = Dale.fraction(neurons, excitatory).signs.double()
    outside = {"average": [], "row": []}
    for seed in range(5):
        magnitude = distribution.sample(neurons, neurons, generator=generator(seed))
        average = torch.where(signs < 0, -excitatory / (1 - excitatory) * magnitude, magnitude)
        row = Balanced(1.0, distribution)(neurons, neurons, dale=Dale(signs), generator=generator(seed))
        for name, weight in (("average", average), ("row", row)):
            report = spectrum_report(weight)
            outside[name].append(report.spectral_radius / report.bulk_radius)
    # the edge of the spectrum of 300 neurons is soft by some percent
    assert max(outside["row"]) < 1.12 < min(outside["average"])
    assert np.mean(outside["average"]) > 1.3


def test_matched_variance_gives_every_neuron_the_same_current():
    mask, dale = scattered(3), Dale.fraction(60, 0.8, generator=generator(1))
    activity = torch.randn(4000, 60, generator=generator(2), dtype=torch.float64)
    driven = mask.any(1)

    def spread(**options):
        weight = Balanced(0.9, **options)(60, 60, dale=dale, mask=mask, generator=generator(4))
        return (activity @ weight.T).std(dim=0)[driven]

    matched, plain = spread(matched_variance=True), spread()
    # the standard deviation of 4,000 samples scatters by 1.1 %
    assert float(matched.max() / matched.min()) < 1.12
    assert float(plain.max() / plain.min()) > 3


def test_it_is_a_start_of_a_connection_and_is_saved_with_it():
    init = Balanced(0.7, HalfNormal(), matched_variance=True)
    assert build(describe(init)) == init
    connection = Connection(30, 30, dale=Dale.fraction(30, 0.7), init=init, generator=generator(0))
    # float32: sums of 30 numbers of order 0.1, each right to 4 ulp
    assert float(connection.weight().detach().sum(1).abs().max()) < 1e-5


def test_the_folded_gaussian_is_one():
    sample = HalfNormal().sample(500, 500, generator=generator(0))
    scale = math.sqrt(math.pi / 2)
    # |xi| < 1 for 68.27 % of 250,000: standard error 0.1 %
    assert float((sample < scale).double().mean()) == pytest.approx(0.6827, abs=0.004)
    assert float(sample.mean()) == pytest.approx(1, abs=0.008)
    assert float(sample.square().mean()) == pytest.approx(HalfNormal().mean_square, rel=0.02)


def test_weights_that_exist_are_balanced_without_another_draw():
    mask, dale = scattered(5), Dale.fraction(60, 0.7, generator=generator(1))
    start = Normal(0.3)(60, 60, dale=dale, mask=mask, generator=generator(2))
    found = rebalanced(start)
    assert torch.equal(found.sign(), start.sign())
    assert torch.equal(found.clamp(min=0), start.clamp(min=0))
    both = (start > 0).any(1) & (start < 0).any(1)
    assert float(found.sum(1)[both].abs().max()) < 1e-14
    assert torch.equal(found[~both], start[~both])
    sized = rebalanced(start, spectral_radius=0.8)
    assert spectrum_report(sized).spectral_radius == pytest.approx(0.8, rel=1e-9)
    torch.testing.assert_close(sized / sized.norm(), found / found.norm(), rtol=1e-10, atol=0)
    again = rebalanced(Balanced(0.8)(60, 60, dale=dale, generator=generator(3)).float(), spectral_radius=0.8)
    torch.testing.assert_close(again, Balanced(0.8)(60, 60, dale=dale, generator=generator(3)).float())
