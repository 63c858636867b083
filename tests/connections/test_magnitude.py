"""Magnitude maps: inverses to rounding, gradients, and what happens at zero."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurotorch.connections import Absolute, Exponential, Projected, Softplus, Square

MAPS = [Square(), Absolute(), Softplus(), Exponential(), Projected()]
DTYPES = [torch.float32, torch.float64]


def ulps(value: torch.Tensor, reference: torch.Tensor) -> float:
    return float(((value - reference).abs().numpy() / np.spacing(reference.abs().numpy())).max())


def magnitudes(dtype: torch.dtype, low: float, high: float) -> torch.Tensor:
    """A dense logarithmic grid between two natural logarithms."""
    return torch.linspace(low, high, 100_001, dtype=torch.float64).exp().to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("magnitude", [Square(), Absolute(), Projected()])
def test_the_inverse_holds_to_4_ulp_over_all_sizes(magnitude, dtype):
    wanted = magnitudes(dtype, -80, 80)
    assert ulps(magnitude.forward(magnitude.inverse(wanted)), wanted) <= 4


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_inverse_of_softplus_holds_to_4_ulp_above_its_limit(dtype):
    wanted = magnitudes(dtype, -7.999, 80)
    assert ulps(Softplus().forward(Softplus().inverse(wanted)), wanted) <= 4


@pytest.mark.parametrize("dtype", DTYPES)
def test_below_its_limit_softplus_holds_to_the_spacing_of_raw(dtype):
    wanted = magnitudes(dtype, -80, -8)
    raw = Softplus().inverse(wanted)
    error = (Softplus().forward(raw) - wanted).abs().numpy() / np.spacing(wanted.numpy())
    assert (error <= raw.abs().numpy()).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_inverse_of_the_exponential_holds_to_4_ulp_around_one_and_to_the_spacing_of_raw_beyond(dtype):
    near = magnitudes(dtype, -3.999, 3.999)
    assert ulps(Exponential().forward(Exponential().inverse(near)), near) <= 4
    far = torch.cat([magnitudes(dtype, -80, -4), magnitudes(dtype, 4, 80)])
    raw = Exponential().inverse(far)
    error = (Exponential().forward(raw) - far).abs().numpy() / np.spacing(far.numpy())
    assert (error <= raw.abs().numpy()).all()


@pytest.mark.parametrize("magnitude", MAPS)
@given(raw=st.floats(-1e3, 700))
def test_a_magnitude_is_never_negative_and_survives_the_round_trip(magnitude, raw):
    first = magnitude.forward(torch.tensor([raw], dtype=torch.float64))
    assert first >= 0
    if first > 1e-300:
        second = magnitude.forward(magnitude.inverse(first))
        # |raw| up to 700 times half the spacing of float64
        torch.testing.assert_close(second, first, rtol=2e-13, atol=0)


@pytest.mark.parametrize("magnitude", MAPS)
def test_the_gradient_is_the_derivative_away_from_zero(magnitude):
    raw = torch.tensor([-30.0, -2.0, -0.3, 0.2, 1.0, 25.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(magnitude.forward, (raw,))


def test_softplus_has_no_shortcut_for_large_values():
    raw = torch.tensor([25.0], dtype=torch.float64)
    # exp(-25) = 1.4e-11: torch's own softplus leaves it out
    assert float(Softplus().forward(raw) - raw) == pytest.approx(np.exp(-25.0), rel=1e-3)


@pytest.mark.parametrize(("magnitude", "slope"), [(Square(), 0.0), (Absolute(), 0.0), (Projected(), 1.0)])
def test_the_gradient_at_zero_is_as_documented(magnitude, slope):
    raw = magnitude.inverse(torch.zeros(1, dtype=torch.float64)).requires_grad_()
    magnitude.forward(raw).backward()
    assert float(magnitude.forward(raw).detach()) == 0
    assert float(raw.grad) == slope


@pytest.mark.parametrize("magnitude", [Softplus(), Exponential()])
def test_maps_without_a_zero_ask_for_a_mask(magnitude):
    with pytest.raises(ValueError, match=r"zero at 1 places, the first at index \(1,\), but (Sof|Exp).*mask"):
        magnitude.inverse(torch.tensor([1.0, 0.0]))


def test_the_exponential_moves_by_a_share_of_the_weight_and_never_reaches_zero():
    raw = Exponential().inverse(torch.tensor([1e-3, 1.0, 20.0], dtype=torch.float64)).requires_grad_()
    magnitude = Exponential().forward(raw)
    magnitude.sum().backward()
    assert torch.equal(raw.grad, magnitude.detach())
    # driven towards zero by a constant force, raw' = -rate exp(raw): the weight falls as 1 / (rate steps)
    raw = torch.zeros(1, dtype=torch.float64)
    for _ in range(1000):
        raw -= 0.01 * raw.exp()
    assert float(raw.exp()) == pytest.approx(1 / 11, rel=0.02)


def test_the_exponential_ends_where_float32_does():
    assert Exponential().forward(torch.tensor([88.7, 88.8, -104.0])).isinf().tolist() == [False, True, False]
    assert float(Exponential().forward(torch.tensor([-104.0]))) == 0


@pytest.mark.parametrize("magnitude", MAPS)
def test_a_negative_magnitude_is_refused(magnitude):
    with pytest.raises(ValueError, match=r"negative at 2 places, the first at index \(0, 1\) \(-2\).*weight\.abs"):
        magnitude.inverse(torch.tensor([[1.0, -2.0], [-3.0, 1.0]]))


def test_only_projection_moves_the_raw_value():
    raw = torch.tensor([-1.0, 0.0, 2.0])
    assert Projected().project(raw).tolist() == [0.0, 0.0, 2.0]
    for magnitude in (Square(), Absolute(), Softplus(), Exponential()):
        assert magnitude.project(raw) is raw


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("magnitude", MAPS)
def test_the_inverse_holds_in_half_precision_to_the_spacing_of_raw(magnitude, dtype):
    wanted = torch.linspace(-3, 3, 1001).exp().to(dtype)
    raw = magnitude.inverse(wanted)
    assert raw.dtype == dtype
    error = (magnitude.forward(raw) - wanted).abs() / wanted
    # 4 roundings, or as many as |raw| where an exponential enlarges that of raw itself
    assert (error <= torch.finfo(dtype).eps * raw.abs().clamp(min=4)).all()


def descended(magnitude, start, *, slope, rate=0.25, steps=4):
    """Return the raw values of plain descent against a constant force on the magnitude, projected as rules do."""
    raw = torch.tensor([start], dtype=torch.float64, requires_grad=True)
    met = [start]
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(slope * magnitude.forward(raw).sum(), raw)
        raw = magnitude.project(raw.detach() - rate * gradient).requires_grad_()
        met.append(float(raw.detach()))
    return met


def test_the_square_stays_at_zero_and_comes_near_it_ever_more_slowly():
    assert descended(Square(), 0.0, slope=-1.0) == [0.0] * 5
    # raw' = raw (1 - 2 rate): halved by each step, never zero
    assert descended(Square(), 1.0, slope=1.0) == [1.0, 0.5, 0.25, 0.125, 0.0625]


def test_the_absolute_value_stays_at_zero_and_is_reflected_beside_it():
    assert descended(Absolute(), 0.0, slope=-1.0) == [0.0] * 5
    assert descended(Absolute(), 0.375, slope=1.0) == [0.375, 0.125, -0.125, 0.125, -0.125]


def test_the_projection_stops_at_zero_and_leaves_it_again():
    assert descended(Projected(), 0.375, slope=1.0) == [0.375, 0.125, 0.0, 0.0, 0.0]
    assert descended(Projected(), 0.0, slope=-1.0) == [0.0, 0.25, 0.5, 0.75, 1.0]
    # without the projection a negative raw value has no gradient any more
    raw = torch.tensor([-0.1], requires_grad=True)
    Projected().forward(raw).backward()
    assert float(raw.grad) == 0


def test_softplus_falls_towards_zero_as_the_exponential_does():
    raw = torch.tensor([-12.0], dtype=torch.float64, requires_grad=True)
    magnitude = Softplus().forward(raw)
    magnitude.backward()
    # 1 - exp(-m), which is m where m is small
    assert float(raw.grad) == pytest.approx(float(magnitude.detach()), rel=1e-5)
    assert float(magnitude.detach()) > 0
