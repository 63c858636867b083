"""Starts: the spectral radius is what was asked, excitation and inhibition cancel, an unbalanced start shows."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurotorch.connections import (
    Balanced,
    Connection,
    Dale,
    Gamma,
    Given,
    LogNormal,
    Normal,
    Softplus,
    no_self,
    sparse,
    spectral_radius,
    spectrum_report,
)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def radius(weight: torch.Tensor) -> float:
    """Numpy's, as an independent answer."""
    return float(np.abs(np.linalg.eigvals(weight.numpy().astype(float))).max())


@pytest.mark.parametrize("distribution", [Gamma(), Gamma(1), LogNormal(1.0)])
@given(
    seed=st.integers(0, 10_000),
    neurons=st.integers(4, 40),
    excitatory=st.floats(0.2, 0.8),
    wanted=st.floats(0.1, 3),
    masked=st.booleans(),
)
def test_rows_sum_to_zero_and_the_radius_is_set(distribution, seed, neurons, excitatory, wanted, masked):
    dale = Dale.fraction(neurons, excitatory, generator=generator(seed))
    mask = sparse(neurons, neurons, density=0.7, generator=generator(seed)) if masked else None
    weight = Balanced(wanted, distribution)(neurons, neurons, dale=dale, mask=mask, generator=generator(seed))
    assert dale.violations(weight) == 0
    both = ((weight > 0).any(dim=1)) & ((weight < 0).any(dim=1))
    # float64 sums of up to 40 numbers
    assert (weight.sum(dim=1).abs()[both] <= 1e-13 * weight.abs().sum(dim=1)[both]).all()
    assert radius(weight) == pytest.approx(wanted, rel=1e-9)
    if mask is not None:
        assert torch.equal(weight != 0, mask)


def test_inhibition_is_scaled_by_the_ratio_of_the_fractions():
    dale = Dale.fraction(400, 0.8)
    weight = Balanced()(400, 400, dale=dale, generator=generator(0))
    ratio = weight[:, 320:].abs().mean() / weight[:, :320].mean()
    # f / (1 - f) = 4; the ratio of means over 400 rows scatters by well under 1 %
    assert float(ratio) == pytest.approx(4, rel=0.01)


def test_without_dale_the_weights_are_gaussian_of_the_radius():
    weight = Balanced(1.3)(300, 300, generator=generator(0))
    assert radius(weight) == pytest.approx(1.3, rel=1e-12)
    standard = weight / weight.std()
    # kurtosis of 90,000 Gaussian numbers: 3, standard error 0.016
    assert float((standard**4).mean()) == pytest.approx(3, abs=0.08)


def test_free_neurons_are_gaussian_of_the_same_mean_square():
    dale = Dale(torch.cat([torch.ones(200), torch.zeros(200)]))
    weight = Balanced(distribution=LogNormal(0.5))(400, 400, dale=dale, generator=generator(0))
    assert float(weight[:, 200:].mean() / weight[:, 200:].std()) == pytest.approx(0, abs=0.02)
    ratio = weight[:, 200:].square().mean() / weight[:, :200].square().mean()
    assert float(ratio) == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize("excitatory", [0, 1])
def test_one_sign_alone_cannot_be_balanced_but_has_its_radius(excitatory):
    dale = Dale.fraction(50, excitatory)
    weight = Balanced(0.7)(50, 50, dale=dale, generator=generator(0))
    assert dale.violations(weight) == 0
    report = spectrum_report(weight)
    assert report.spectral_radius == pytest.approx(0.7, rel=1e-12)
    assert report.outlier is not None


@pytest.mark.parametrize("dale", [None, Dale.fraction(30, 0.8)], ids=["free", "dale"])
def test_a_matrix_that_is_not_square_passes_unit_variance_on(dale):
    weight = Balanced(0.9)(20, 30, dale=dale, generator=generator(0))
    torch.testing.assert_close(weight.norm(dim=1), torch.full((20,), 0.9, dtype=torch.float64))
    if dale is not None:
        assert float(weight.sum(dim=1).abs().max()) < 1e-13


def test_a_mask_without_loops_is_sized_by_rows_and_an_empty_row_stays_empty():
    mask = torch.ones(6, 6).tril(-1).bool()
    order = torch.randperm(6, generator=generator(0))
    weight = Balanced(0.9)(6, 6, mask=mask[order][:, order], generator=generator(0))
    norms = weight.norm(dim=1)[order.argsort()]
    torch.testing.assert_close(norms, torch.tensor([0.0] + [0.9] * 5, dtype=torch.float64))


@given(wanted=st.floats(0.1, 2), seed=st.integers(0, 1000))
def test_a_connection_has_the_radius_to_float32(wanted, seed):
    dale = Dale.fraction(20, 0.8, magnitude=Softplus())
    connection = Connection(20, 20, dale=dale, mask=no_self(20), init=Balanced(wanted), generator=generator(seed))
    # entries are right to a few ulp (6e-8), eigenvalues of such non-normal matrices to some hundred times that
    assert radius(connection.weight().detach()) == pytest.approx(wanted, rel=2e-5)


def test_normal_has_its_scale_and_obeys_dale():
    free = Normal(0.3)(200, 200, generator=generator(0))
    # 40,000 samples: standard error of the standard deviation 0.35 %
    assert float(free.std()) == pytest.approx(0.3, rel=0.02)
    dale, mask = Dale([1, -1, 0] * 20), sparse(60, 60, density=0.5, generator=generator(1))
    weight = Normal(0.3)(60, 60, dale=dale, mask=mask, generator=generator(0))
    assert dale.violations(weight) == 0
    assert torch.equal(weight != 0, mask)


def test_given_is_the_weight_and_a_copy_of_it():
    weight = torch.randn(3, 4, generator=generator(0))
    connection = Connection(4, 3, init=Given(weight))
    assert torch.equal(connection.weight(), weight)
    assert connection.init is None, "the weights are not kept twice"
    drawn = Given(weight)(3, 4)
    drawn.zero_()
    assert torch.count_nonzero(weight) == 12


def test_an_unbalanced_start_shows_its_outlier_and_a_balanced_one_has_none():
    dale = Dale.fraction(100, 0.8)
    unbalanced = spectrum_report(Normal(0.1)(100, 100, dale=dale, generator=generator(0)))
    # |xi| has mean sqrt(2 / pi): the outlier is at 0.1 * sqrt(2 / pi) * (80 - 20) = 4.8
    assert unbalanced.outlier is not None
    assert unbalanced.outlier.real == pytest.approx(4.8, rel=0.05)
    assert unbalanced.outlier.imag == 0
    assert unbalanced.mean_input == pytest.approx(4.8, rel=0.05)
    # within the disc of radius sqrt(100 * 0.1^2 * (1 - 2 / pi)) = 0.6
    assert unbalanced.bulk_radius == pytest.approx(0.603, rel=0.05)
    balanced = spectrum_report(Balanced(0.9)(100, 100, dale=dale, generator=generator(0)))
    assert balanced.outlier is None
    assert balanced.spectral_radius == pytest.approx(0.9, rel=1e-12)
    assert balanced.mean_input == pytest.approx(0, abs=1e-12)


def test_the_leading_eigenvalue_of_a_rotation_is_the_upper_one():
    report = spectrum_report(torch.tensor([[0.0, -2.0], [2.0, 0.0]]))
    assert report.leading == pytest.approx(2j)
    assert spectral_radius(torch.tensor([[0.0, -2.0], [2.0, 0.0]])) == pytest.approx(2)


@pytest.mark.parametrize("distribution", [Gamma(), Gamma(4), LogNormal(), LogNormal(0.3)])
def test_a_distribution_is_positive_with_mean_one_and_its_mean_square(distribution):
    sample = distribution.sample(500, 500, generator=generator(0))
    assert (sample > 0).all()
    # 250,000 samples of standard deviation at most 1.2: standard error 0.0024, of the mean square 1.1 %
    assert float(sample.mean()) == pytest.approx(1, abs=0.01)
    assert float(sample.square().mean()) == pytest.approx(distribution.mean_square, rel=0.04)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Balanced(0.0), ValueError, r"`spectral_radius` is 0"),
        (lambda: Balanced(distribution="gamma"), TypeError, r"'gamma'.*`Gamma\(\)`"),
        (lambda: Gamma(0), ValueError, r"`shape` is 0"),
        (lambda: Gamma(1.5), TypeError, r"`shape` is 1.5"),
        (lambda: LogNormal(-1), ValueError, r"`sigma` is -1"),
        (lambda: Normal(float("nan")), ValueError, r"`scale` is nan"),
        (lambda: spectrum_report(torch.ones(2, 3)), ValueError, r"shape \(2, 3\).*recurrent connection"),
        (lambda: spectral_radius(torch.full((2, 2), torch.inf)), ValueError, r"4 NaN or infinite"),
    ],
)
def test_bad_input_says_what_came_and_what_to_do(make, error, message):
    with pytest.raises(error, match=message):
        make()
