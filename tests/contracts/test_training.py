"""Every model trains: with a frozen readout, BPTT and e-prop lower the loss through the neurons alone."""

import copy

import pytest
import torch

from neurotorch.learning import BPTT, EProp, MeanSquaredError
from tests.contracts.models import VARIANTS
from tests.contracts.test_eprop import READOUTS, WEIGHTS, build

UPDATES = 20
RATES = (0.05, 0.01)  # of the size of each parameter
STARTS = {"Izhikevich": 4}  # its surrogate gradients lead down from some starts only: it leaps over its peak


def trained(network, batch, rule, rate):
    """Return the losses, and the names of the parameters that ever had a gradient."""
    parameters = {name: p for name, p in network.named_parameters() if p.requires_grad}
    groups = [{"params": [p], "lr": rate * max(float(p.detach().abs().mean()), 1e-3)} for p in parameters.values()]
    rule = rule(network, MeanSquaredError(), optimizer=torch.optim.Adam(groups))
    losses, reached = [], set()
    for _ in range(UPDATES):
        losses.append(rule.compute(batch).loss)
        reached |= {name for name, p in parameters.items() if p.grad is not None and bool(p.grad.any())}
        rule.apply()
    return losses, reached


@pytest.mark.parametrize("rule", [BPTT, EProp])
@pytest.mark.parametrize("model", VARIANTS)
def test_the_loss_falls_by_what_the_neurons_learn(model, rule, generator):
    fallen = []
    for _ in range(STARTS.get(model.partition("-")[0], 1)):
        start, batch = build(VARIANTS[model], generator, 3, readout=READOUTS["one kappa"])
        start.freeze("readout")
        with torch.no_grad():
            batch.target.copy_(0.2 * start(batch.inputs)[0])  # which less activity of the neurons reaches
        for rate in RATES:
            network = copy.deepcopy(start)
            losses, reached = trained(network, batch, rule, rate)
            fallen.append(min(losses) / losses[0])
            assert reached >= set(WEIGHTS)
            before, after = dict(start.named_parameters()), dict(network.named_parameters())
            for name, parameter in after.items():
                assert bool(torch.isfinite(parameter).all()), name
                assert torch.equal(before[name], parameter) == (name not in reached), name
        if min(fallen) < 0.95:
            return
    raise AssertionError(f"the loss fell to {fallen} of what it was")
