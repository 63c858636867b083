"""Constants: what may be given, what is refused and in which words, and how a learned one is stored."""

import math

import pytest
import torch

from neurotorch.connections import Connection
from neurotorch.network import Layer, Network
from neurotorch.neurons import LIF, Constant, FiringRate, MultiTimescaleRate, WilsonCowan, learned, log_normal

BAD = [
    (lambda: LIF(-0.02), ValueError, r"`tau_mem` holds -0\.02, but it must be above 0"),
    (lambda: LIF(0.0), ValueError, r"`tau_mem` holds 0, but it must be above 0"),
    (lambda: LIF(learned(-1.0)), ValueError, r"`tau_mem` holds -1, but it must be above 0"),
    (lambda: LIF(torch.tensor([0.02, -0.01])), ValueError, r"`tau_mem` holds -0\.01"),
    (lambda: LIF(math.nan), ValueError, r"`tau_mem` holds 1 NaN or infinite values"),
    (lambda: LIF(torch.tensor([0.02, math.inf])), ValueError, r"`tau_mem` .* the first at index \(1,\)"),
    (lambda: LIF("0.02 s"), TypeError, r"`tau_mem` is '0\.02 s', but it must be a number, a tensor, or learned"),
    (lambda: WilsonCowan(mu=math.nan), ValueError, r"`mu` holds 1 NaN"),
    (lambda: Layer(LIF(torch.full((3,), 0.02)), 4), ValueError, r"`tau_mem` has 3 values, but the layer has 4 neurons"),
    (lambda: Layer(WilsonCowan(r=torch.ones(5)), 4), ValueError, r"`r` has 5 values, but the layer has 4 neurons"),
    (lambda: Layer(LIF(), 4, bias=torch.ones(3)), ValueError, r"`bias` has 3 values, but the layer has 4 neurons"),
    (lambda: MultiTimescaleRate((0.5, 0.5), (1.0,)), ValueError, r"`own` has shape \(2,\) and `tau` \(1,\)"),
    (lambda: MultiTimescaleRate(0.5, 1.0), ValueError, r"one entry per filter"),
    (lambda: Layer(MultiTimescaleRate(torch.zeros(5, 3)), 4), ValueError, r"`own` has 3 columns, but .* 4 neurons"),
    (
        lambda: Layer(MultiTimescaleRate(tau_trace=torch.ones(3)), 4),
        ValueError,
        r"`tau_trace` has 3 values, but the layer has 4 neurons",
    ),
]


@pytest.mark.parametrize(("build", "error", "message"), BAD, ids=[message for _, _, message in BAD])
def test_a_bad_constant_is_refused_by_name(build, error, message):
    with pytest.raises(error, match=message):
        build()


@pytest.mark.parametrize(
    "neuron",
    [
        FiringRate(torch.tensor([0.5, 0.05])),
        WilsonCowan(0.05),
        MultiTimescaleRate(tau_trace=0.05),
        FiringRate(learned(0.05)),
    ],
    ids=["FiringRate", "WilsonCowan", "MultiTimescaleRate", "learned"],
)
def test_a_step_longer_than_a_time_constant_is_refused_and_the_largest_is_named(neuron):
    layer = Layer(neuron, 2, recurrent=Connection(2, 2))
    Network({"cortex": layer}, dt=0.05)
    with pytest.raises(ValueError, match=r"`dt` is 0\.06 s, .*'cortex' is 0\.05 s.*use dt <= 0\.05"):
        Network({"cortex": layer}, dt=0.06)


def test_no_optimizer_makes_a_positive_constant_negative():
    constant = LIF(learned(0.02)).tau_mem
    optimizer = torch.optim.SGD(constant.parameters(), lr=1e4)
    for _ in range(5):
        optimizer.zero_grad()
        constant().sum().backward()
        optimizer.step()
    assert 0 <= constant.value < 0.02


def test_a_learned_constant_starts_at_what_was_given_and_can_be_assigned():
    constant = LIF(learned(torch.tensor([0.01, 0.03], dtype=torch.float64))).tau_mem
    torch.testing.assert_close(constant.value, torch.tensor([0.01, 0.03], dtype=torch.float64), rtol=1e-14, atol=0)
    constant.assign(torch.tensor([0.5, 0.6], dtype=torch.float64))
    torch.testing.assert_close(constant(), torch.tensor([0.5, 0.6], dtype=torch.float64), rtol=1e-14, atol=0)
    constant.clamp_(least=0.55)
    torch.testing.assert_close(constant(), torch.tensor([0.55, 0.6], dtype=torch.float64), rtol=1e-14, atol=0)


def test_the_tensor_of_the_user_is_copied():
    given = torch.tensor([0.01, 0.02])
    fixed, trained = LIF(given), LIF(threshold=learned(given))
    given.fill_(9)
    assert float(fixed.tau_mem.value[0]) == pytest.approx(0.01)
    assert float(trained.threshold.value[0]) == pytest.approx(0.01)


def test_one_constant_may_be_shared_by_two_models():
    shared = Constant(torch.tensor(0.5), learned=True, positive=True)
    first, second = FiringRate(shared), WilsonCowan(shared)
    shared.assign(torch.tensor(0.7))
    assert float(first.tau.value) == float(second.tau.value) == pytest.approx(0.7)


def test_a_log_normal_start_is_spread_about_its_median_and_repeated_by_its_generator():
    def drawn(seed, count=10_000):
        return log_normal(count, 0.02, sigma=0.5, generator=torch.Generator().manual_seed(seed))

    logarithms = (drawn(1) / 0.02).log()
    error = 6 / 10_000**0.5  # six standard deviations of the mean of that many, in units of sigma
    assert float(logarithms.mean()) == pytest.approx(0, abs=0.5 * error)
    assert float(logarithms.std()) == pytest.approx(0.5, rel=error)
    assert torch.equal(drawn(1), drawn(1))
    with pytest.raises(ValueError, match="`median` is -1"):
        log_normal(3, -1.0, generator=torch.Generator())


def test_wilson_cowan_learns_tau_mu_and_r_of_every_neuron(generator):
    taus = log_normal(7, 0.1, generator=generator)
    unit = WilsonCowan(learned(taus), learned(torch.zeros(7)), r=learned(torch.full((7,), 0.1)))
    network = Network({"cortex": Layer(unit, 7, recurrent=Connection(7, 7, generator=generator))}, dt=0.001)
    torch.testing.assert_close(unit.tau.value, taus, rtol=1e-6, atol=0)
    output, _ = network(None, frames=20)
    output.square().sum().backward()
    for parameter in (unit.tau.raw, unit.mu.raw, unit.r.raw):
        assert parameter.shape == (7,)
        assert bool((parameter.grad != 0).all())
