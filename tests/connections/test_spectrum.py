"""The spread of singular values, in closed form."""

import math

import pytest
import torch

from neurotorch.connections import singular_value_entropy, spectrum_report


def test_rank_one_has_none_and_an_orthogonal_matrix_all():
    column, row = torch.rand(5, 1, dtype=torch.float64), torch.rand(1, 8, dtype=torch.float64)
    assert singular_value_entropy(column @ row) == pytest.approx(0, abs=1e-12)
    orthogonal = torch.linalg.qr(torch.randn(7, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    assert singular_value_entropy(3 * orthogonal) == pytest.approx(1, rel=1e-12)
    assert singular_value_entropy(orthogonal[:3]) == pytest.approx(1, rel=1e-12)
    assert singular_value_entropy(column) == 0


def test_two_unequal_values_have_the_entropy_of_their_shares():
    # squares 9 and 1
    expected = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1)) / math.log(2)
    assert singular_value_entropy(torch.tensor([[0.0, 3.0], [-1.0, 0.0]])) == pytest.approx(expected, rel=1e-12)


def test_independent_entries_lie_below_one_as_the_quarter_circle_says():
    # the mean of x log(x) under the law of Marchenko and Pastur for a square matrix is a half
    weight = torch.randn(400, 400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert (1 - singular_value_entropy(weight)) * math.log(400) == pytest.approx(0.5, abs=0.02)


def test_the_report_holds_it_and_has_none_for_weights_that_are_all_zero():
    weight = torch.randn(9, 9, generator=torch.Generator().manual_seed(0))
    assert spectrum_report(weight).singular_value_entropy == singular_value_entropy(weight)
    nothing = spectrum_report(torch.zeros(4, 4))
    assert math.isnan(nothing.singular_value_entropy)
    assert (nothing.spectral_radius, nothing.outlier) == (0, None)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.zeros(3, 3), "zero everywhere"),
        (torch.ones(3), r"shape \(3,\)"),
        (torch.full((2, 2), torch.nan), "NaN"),
    ],
)
def test_bad_input_is_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        singular_value_entropy(weight)
