"""Surrogates, resets and transfer functions against their formulas."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from neurotorch.core.vocabulary import spike, transfer
from neurotorch.engine import choice
from neurotorch.network import Layer
from neurotorch.neurons import (
    LIF,
    Arctangent,
    Boxcar,
    FastSigmoid,
    Gaussian,
    Hill,
    Linear,
    PowerLaw,
    Relu,
    ResetBySubtraction,
    ResetToValue,
    ResetToZero,
    Sigmoid,
    SigmoidSurrogate,
    Softplus,
    SuperSpike,
    Tanh,
    Triangular,
)

DOUBLE = torch.float64
GRID = np.linspace(-3, 3, 61)


@pytest.mark.parametrize(
    ("surrogate", "formula"),
    [
        (FastSigmoid(), lambda x: 1 / (1 + 10 * np.abs(x)) ** 2),
        (FastSigmoid(25.0), lambda x: 1 / (1 + 25 * np.abs(x)) ** 2),
        (FastSigmoid(2.0, 0.4), lambda x: 0.4 / (1 + 2 * np.abs(x)) ** 2),
        (Triangular(), lambda x: 0.3 * np.maximum(0, 1 - np.abs(x))),
        (Triangular(slope=0.5, dampening=0.15), lambda x: 0.15 * np.maximum(0, 1 - np.abs(x) / 2)),
        (SuperSpike(100.0), lambda x: (1 + np.abs(100 * x)) ** -2.0),
        (Arctangent(), lambda x: 1 / (1 + np.pi**2 * x**2)),
        (Arctangent(2.0, 0.3), lambda x: 0.3 / (1 + 4 * x**2)),
        (SigmoidSurrogate(), lambda x: 4 * np.exp(4 * x) / (1 + np.exp(4 * x)) ** 2),
        (SigmoidSurrogate(1.5), lambda x: 1.5 * np.exp(1.5 * x) / (1 + np.exp(1.5 * x)) ** 2),
        (SigmoidSurrogate(3.0, 0.5), lambda x: 1.5 * np.exp(3 * x) / (1 + np.exp(3 * x)) ** 2),
        (Gaussian(), lambda x: 0.5 * np.exp(-2 * x**2)),
        (Gaussian(0.25, 0.8), lambda x: 0.8 * np.exp(-8 * x**2)),
        (Boxcar(), lambda x: 1.0 * (np.abs(x) < 0.5)),
        (Boxcar(1.75, 0.2), lambda x: 0.2 * (np.abs(x) < 1.75)),
    ],
    ids=lambda value: str(value) if isinstance(value, tuple) else "formula",
)
def test_a_spike_is_a_step_with_the_derivative_of_its_surrogate(surrogate, formula):
    x = torch.tensor(GRID, dtype=DOUBLE, requires_grad=True)
    z = spike(x, surrogate)
    np.testing.assert_array_equal(z.detach().numpy(), GRID > 0)
    (gradient,) = torch.autograd.grad((2 * z).sum(), x)
    # a few ulp of the value; 1 - s of a sigmoid is rounded to an ulp of one, times a slope of 4 and the seed of 2
    np.testing.assert_allclose(gradient.numpy(), 2 * formula(GRID), rtol=1e-14, atol=4e-15)


@pytest.mark.parametrize(
    ("phi", "formula"),
    [
        (Sigmoid(2.0), lambda x: 1 / (1 + np.exp(-2 * x))),
        (Tanh(0.5), lambda x: np.tanh(0.5 * x)),
        (Relu(3.0), lambda x: np.maximum(0, 3 * x)),
        (Softplus(1.5), lambda x: np.log1p(np.exp(1.5 * x))),
        (Linear(-2.0), lambda x: -2 * x),
        (PowerLaw(0.04, 2.0), lambda x: 0.04 * np.maximum(0, x) ** 2),
        (PowerLaw(1.5, 1.3), lambda x: 1.5 * np.maximum(0, x) ** 1.3),
        (Hill(), lambda x: np.maximum(0, x) ** 2 / (1 + np.maximum(0, x) ** 2)),
        (Hill(2.0, 3.0, 0.5), lambda x: 2 * np.maximum(0, x) ** 3 / (0.125 + np.maximum(0, x) ** 3)),
    ],
    ids=lambda value: str(value) if isinstance(value, tuple) else "formula",
)
def test_a_transfer_function_is_its_formula(phi, formula):
    found = transfer(torch.tensor(GRID, dtype=DOUBLE), phi)
    np.testing.assert_allclose(found.numpy(), formula(GRID), rtol=1e-14)


@pytest.mark.parametrize(
    ("reset", "carried"),
    [
        (ResetBySubtraction(), 0.9 * 2.0 - 1.5),
        (ResetBySubtraction(0.5), 0.9 * 2.0 - 0.75),
        (ResetToZero(), 0.0),
        (ResetToZero(0.25), 0.9 * 2.0 * 0.75),
        (ResetToValue(-0.7), -0.7),
    ],
    ids=str,
)
def test_a_reset_acts_on_neurons_that_fired_and_on_no_others(reset, carried):
    v, spiked = torch.tensor([2.0, 2.0], dtype=DOUBLE), torch.tensor([1.0, 0.0], dtype=DOUBLE)
    found = reset.carry(0.9, v, spiked, 1.5)
    torch.testing.assert_close(found, torch.tensor([carried, 1.8], dtype=DOUBLE), rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("reset", [ResetBySubtraction(), ResetToZero(), ResetToValue()], ids=str)
def test_a_reset_carries_no_gradient(reset):
    # The potential fired (1.5 > 1), so the reset acts; without its gradient dv'/dv is alpha, or alpha (1 - 1).
    model = LIF(torch.tensor(0.02, dtype=DOUBLE), torch.tensor(1.0, dtype=DOUBLE), reset=reset)
    v, threshold = (
        torch.tensor([[1.5]], dtype=DOUBLE, requires_grad=True),
        torch.tensor(1.0, dtype=DOUBLE, requires_grad=True),
    )
    c = model.coefficients(0.001)._replace(threshold=threshold)
    _, state = model.step(c, model.State(v=v), torch.tensor([[0.1]], dtype=DOUBLE))
    of_v, of_threshold = torch.autograd.grad(state.v.sum(), (v, threshold), allow_unused=True)
    assert of_v.item() == (c.alpha.item() if isinstance(reset, ResetBySubtraction) else 0)
    assert of_threshold is None or of_threshold.item() == 0


@pytest.mark.parametrize(
    ("surrogate", "area"),
    [(Arctangent(), 1.0), (SigmoidSurrogate(), 1.0), (Gaussian(0.5, (2 * np.pi * 0.25) ** -0.5), 1.0), (Boxcar(), 1.0)],
    ids=lambda value: str(value) if isinstance(value, tuple) else "area",
)
def test_a_surrogate_that_is_the_derivative_of_a_step_from_0_to_1_has_unit_area(surrogate, area):
    x = torch.linspace(-500, 500, 2_000_001, dtype=DOUBLE)
    found = torch.trapezoid(surrogate.derivative(x), x).item()
    # arctan(500 pi) is pi / 2 to 6e-4; the edges of the box are off by half a spacing of 5e-4 each
    assert found == pytest.approx(area, abs=1e-3)


class Erf(NamedTuple):
    """A surrogate of the user's, in a word that the vocabulary does not have."""

    slope: float = 2.0

    def derivative(self, x):
        return 1 - torch.special.erf(self.slope * x).abs()


def test_a_surrogate_outside_the_vocabulary_works_in_torch_and_says_so_once(caplog, generator):
    layer = Layer(LIF(torch.tensor(0.02, dtype=DOUBLE), surrogate=Erf()), 3)
    currents = torch.rand(20, 2, 3, generator=generator, dtype=DOUBLE).mul_(0.3).requires_grad_()
    choice._report.cache_clear()
    with caplog.at_level("WARNING", logger=choice.__name__):
        for _ in range(3):
            emitted, _ = layer(currents, dt=0.001)
    assert len(caplog.records) == 1
    assert "runs in torch" in caplog.text
    (found,) = torch.autograd.grad(emitted[0].sum(), currents)
    expected = 1 - torch.special.erf(2 * (currents[0] - 1)).abs()
    torch.testing.assert_close(found[0], expected.detach(), rtol=1e-6, atol=0)  # the threshold is 1 in float32
