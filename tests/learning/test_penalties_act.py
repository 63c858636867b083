"""Every penalty acts: that on rates under every rule, a connectome as a prior; none is exported without such a test."""

from __future__ import annotations

import inspect
from functools import partial

import numpy as np
import pytest
import torch

import neurotorch.learning
from neurotorch.connections import Connection, Connectome, Dale, Given, Normal, no_self
from neurotorch.data import Batch
from neurotorch.learning import (
    BPTT,
    EProp,
    FiringRatePenalty,
    MeanSquaredError,
    TruncatedBPTT,
    WeightDistance,
    WeightPenalty,
)
from neurotorch.network import Layer, Network
from neurotorch.neurons import LIF, FiringRate, LeakyIntegrator
from tests.learning.test_regularization import PENALTIES

DOUBLE = torch.float64
RULES = {
    "BPTT": BPTT,
    "TruncatedBPTT": partial(TruncatedBPTT, k1=10, k2=20),
    "EProp": EProp,
    "EProp online": partial(EProp, online=True),
}
ADDRESS = "brain.recurrent"


def test_every_exported_penalty_is_in_a_table_of_tests():
    exported = {getattr(neurotorch.learning, name) for name in neurotorch.learning.__all__}
    found = {each for each in exported if inspect.isclass(each) and issubclass(each, WeightPenalty)}
    found = {each for each in found if not inspect.isabstract(each)}
    assert {type(penalty) for penalty, _ in PENALTIES.values()} == found
    others = {each for each in exported if inspect.isclass(each) and each.__name__.endswith("Penalty")} - found
    # two protocols and a base
    assert {each.__name__ for each in others} == {"Penalty", "RatePenalty", "WeightPenalty", "FiringRatePenalty"}


def spiking(seed=0):
    """Return ten spiking neurons that hardly fire, and a readout."""
    generator = torch.Generator().manual_seed(seed)
    connected = partial(Connection, init=Normal(0.3), generator=generator)
    cortex = Layer(LIF(0.02), 10, inputs=connected(4, 10), recurrent=connected(10, 10, mask=no_self(10)))
    readout = Layer(LeakyIntegrator(0.02), 2, inputs=connected(10, 2))
    return Network({"cortex": cortex, "readout": readout}, dt=0.005).double()


def rates():
    generator = torch.Generator().manual_seed(1)
    connected = partial(Connection, init=Normal(0.3), generator=generator)
    cortex = Layer(FiringRate(0.02), 10, inputs=connected(4, 10), recurrent=connected(10, 10, mask=no_self(10)))
    readout = Layer(FiringRate(0.02), 2, inputs=connected(10, 2))
    return Network({"cortex": cortex, "readout": readout}, dt=0.005).double()


def drawn(frames=40, samples=4):
    generator = torch.Generator().manual_seed(2)
    target = torch.rand(frames, samples, 2, generator=generator, dtype=DOUBLE)
    return Batch(target, torch.rand(frames, samples, 4, generator=generator, dtype=DOUBLE))


def mean_rates(network, batch):
    run = network.run(batch.inputs, network.initial_state(batch.target.shape[1]))
    return run.runs[0].emitted.detach().mean((0, 1)).numpy()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("build", "target"), [(spiking, 0.2), (rates, 0.3)])
def test_the_penalty_on_rates_is_in_the_total_and_moves_them(build, target, rule):
    batch = drawn()
    distances = {}
    for strength in (None, 5.0):
        network = build()
        before = mean_rates(network, batch)
        penalties = [] if strength is None else [FiringRatePenalty(target, strength, layers=["cortex"])]
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        trained = RULES[rule](network, MeanSquaredError(), optimizer=optimizer, penalties=penalties)
        report = trained.gradient(batch)
        if strength is not None:
            on_paper = 0.5 * strength * ((before - target) ** 2).sum()
            assert on_paper > 0.05
            # truncated, it is taken chunk by chunk: the mean over time of the penalties of parts is larger than that of
            # the whole, by what rates change from part to part
            exact = rule != "TruncatedBPTT"
            assert report.terms["firing_rate"] == pytest.approx(on_paper, rel=1e-9 if exact else 0.3)
            assert report.loss == pytest.approx(report.terms["data"] + report.terms["firing_rate"], rel=1e-9)
        for _ in range(60):
            trained.compute(batch)
            trained.apply()
        distances[strength] = np.abs(mean_rates(network, batch) - target).mean() / np.abs(before - target).mean()
    assert distances[5.0] < 0.5
    assert distances[5.0] < 0.6 * distances[None]


NAMES = ("AVAL", "AVBL", "RMDL", "SMDV", "ASEL")
TABLE = np.array([[0, 4, 2, 0, 1], [3, 0, 0, 2, 0], [1, 0, 0, 5, 0], [0, 2, 1, 0, 2], [2, 0, 1, 0, 0]])
"""Rows are presynaptic, as in most published tables."""
TRANSMITTERS = ("acetylcholine", "acetylcholine", "GABA", "acetylcholine", "glutamate")


def fitted_with_prior(strength, frames=12):
    """Return weights fitted to few frames of recorded neurons, near a connectome where a strength is given."""
    recorded = ("RMDL", "AVAL", "SMDV", "AVBL")
    known = Connectome.from_adjacency(TABLE, NAMES, rows="pre", transmitters=TRANSMITTERS).matched(recorded)
    dale = known.dale()
    prior = known.weight(dale, scale=0.3)
    recurrent = Connection(4, 4, dale=dale, mask=known.mask, generator=torch.Generator().manual_seed(0))
    network = Network({"brain": Layer(FiringRate(0.2), 4, recurrent=recurrent, bias=0.1)}, dt=0.1).double()
    penalties = [] if strength is None else [WeightDistance({ADDRESS: prior}, strength)]
    optimizer = torch.optim.Adam(network.parameters(), lr=0.03)
    rule = BPTT(network, MeanSquaredError(), optimizer=optimizer, penalties=penalties)
    target = torch.rand(frames, 1, 4, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    for _ in range(200):
        report = rule.compute(Batch(target, None))
        rule.apply()
    weight = network.effective_weights()[ADDRESS].detach()
    assert network.dale_violations() == 0
    assert not weight[~known.mask].any()
    return float((weight - prior)[known.mask].norm()), report


def test_a_connectome_is_a_prior_under_a_mask_and_the_signs_of_its_transmitters():
    free, _ = fitted_with_prior(None)
    weak, _ = fitted_with_prior(0.01)
    strong, report = fitted_with_prior(1.0)
    # the stronger the prior, the nearer: little data says little
    assert strong < 0.2 * free
    assert strong < weak < free
    # the report is of the parameters before the last step, of 0.03 at most
    assert report.terms["weight_distance"] == pytest.approx(0.5 * strong**2, rel=0.3)


def test_what_a_prior_says_where_the_mask_has_no_connection_does_not_count():
    mask = no_self(3)
    recurrent = Connection(3, 3, mask=mask, init=Given(torch.where(mask, 1.0, 0.0)))
    network = Network({"brain": Layer(FiringRate(0.2), 3, recurrent=recurrent)}, dt=0.1)
    reference = torch.where(mask, 0.5, 100.0)
    assert float(WeightDistance({ADDRESS: reference}, 2.0)(network, None).detach()) == 2.0 * 0.5 * 6 * 0.25
    network.zero_grad()
    WeightDistance({ADDRESS: reference})(network, None).backward()
    assert not recurrent.raw.grad.diagonal().any()


def test_a_prior_holds_weights_whose_types_are_inferred():
    dale = Dale.inferred(3, known=["e", None, None])
    recurrent = Connection(3, 3, dale=dale, init=Given(torch.ones(3, 3)))
    network = Network({"brain": Layer(FiringRate(0.2), 3, recurrent=recurrent)}, dt=0.1)
    reference = torch.tensor([[1.0, -1, 1]]).expand(3, 3)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.3)
    for _ in range(30):
        optimizer.zero_grad()
        WeightDistance({ADDRESS: reference})(network, None).backward()
        optimizer.step()
    # 0.7^30 of a distance of 2, and neuron 0 was there already
    torch.testing.assert_close(recurrent.weight().detach(), reference, rtol=0, atol=1e-4)
