"""What every learning rule that `neurotorch.learning` exports keeps to; new ones are found."""

import math

import numpy as np
import pytest
import torch

from neurotorch.core.storage import load_state, save_state
from neurotorch.data import Recording, WindowLoader, Windows
from neurotorch.learning import LearningRule
from neurotorch.training import Callback, Checkpoint, Trainer
from tests.contracts.rules import CASES, CHANNELS, DT, OPTIMIZERS, case_of, closed_loop, discover, drawn

RULES = discover()
WITH_OPTIMIZER = [
    (rule, name)
    for rule in RULES
    for name in OPTIMIZERS
    if rule.__name__ not in CASES or case_of(rule).takes_optimizer or name == "SGD"
]


def built(rule, *, optimizer="Adam", dtype=torch.float32, device="cpu", seed=1, delays=False):
    case = case_of(rule)
    network = (case.delayed if delays else case.network)(torch.Generator().manual_seed(seed)).to(device, dtype)
    return case.build(network, OPTIMIZERS[optimizer])


def parameters(rule):
    return {name: parameter.detach().clone() for name, parameter in rule.network.named_parameters()}


def trained(rule, count, *, seed=2):
    generator, reports = torch.Generator().manual_seed(seed), []
    for _ in range(count):
        reports.append(rule.compute(drawn(rule.network, generator)))
        rule.apply()
    return reports


def moved(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_the_rules_are_found_and_one_without_a_case_is_told_of():
    assert {"BPTT", "TruncatedBPTT"} <= {rule.__name__ for rule in RULES}
    with pytest.raises(AssertionError, match=r"add CASES\['Unheard'\]"):
        case_of(type("Unheard", (LearningRule,), {}))


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_case(rule):
    assert isinstance(built(rule), rule)


@pytest.mark.parametrize("rule", RULES)
def test_the_state_goes_through_storage_into_a_new_rule(rule, tmp_path):
    first = built(rule)
    trained(first, 3)
    save_state(tmp_path / "first", first.state_dict())
    second = built(rule)
    second.load_state_dict(load_state(tmp_path / "first"))
    save_state(tmp_path / "second", second.state_dict())
    assert (tmp_path / "first/state.json").read_bytes() == (tmp_path / "second/state.json").read_bytes()


class StopAt(Callback):
    def __init__(self, epoch, batch):
        self.at = (epoch, batch)

    def on_batch_end(self, trainer, report):
        if (trainer.epoch, trainer.batch) == self.at:
            trainer.stop("asked")


@pytest.mark.parametrize("delays", [False, True])
@pytest.mark.parametrize("at", [(0, 3), (1, 2)])
@pytest.mark.parametrize("rule", RULES)
def test_resumed_equals_uninterrupted_bit_for_bit(rule, at, delays, tmp_path):
    def trainer(*callbacks):
        return Trainer(built(rule, delays=delays), callbacks=callbacks)

    def loader(network):
        random = np.random.default_rng(0)
        first = next(iter(network.named_layers().values()))
        inputs = None if first.inputs is None else random.normal(size=(50, first.inputs.pre))
        recording = Recording(random.uniform(size=(50, network.neurons)), DT, inputs=inputs)
        return WindowLoader(Windows(recording, 9), 3, generator=torch.Generator().manual_seed(2), batches=4)

    whole = trainer()
    whole.fit(loader(whole.network), epochs=2)
    first = trainer(Checkpoint(tmp_path / "run"), StopAt(*at))
    first.fit(loader(first.network), epochs=2)
    second = trainer()
    second.fit(loader(second.network), epochs=2, resume_from=tmp_path / "run")
    for run, name in ((whole, "whole"), (second, "second")):
        save_state(tmp_path / name, {"rule": run.rule.state_dict(), "network": run.network.state_dict()})
    assert (tmp_path / "whole/state.json").read_bytes() == (tmp_path / "second/state.json").read_bytes()
    assert whole.history.column("loss") == second.history.column("loss")


@pytest.mark.parametrize("delays", [False, True])
@pytest.mark.parametrize(("rule", "optimizer"), WITH_OPTIMIZER)
def test_signs_and_the_zeros_of_masks_survive_wild_updates(rule, optimizer, delays):
    trained_rule = built(rule, optimizer=optimizer, delays=delays)
    network, before = trained_rule.network, parameters(trained_rule)
    for update in range(20):
        trained(trained_rule, 1, seed=update)
        assert network.dale_violations() == 0
        for address, connection in network.connections().items():
            if connection.mask is not None:
                assert not connection.weight().detach()[~connection.mask].any(), address
    assert moved(before, parameters(trained_rule))


@pytest.mark.parametrize("rule", RULES)
def test_a_closed_loop_of_two_layers_is_trained_or_refused_with_a_reason(rule):
    case = case_of(rule)
    network = closed_loop(torch.Generator().manual_seed(1))
    if case.refuses is not None:
        with pytest.raises((TypeError, ValueError), match=case.refuses):
            case.build(network, OPTIMIZERS["Adam"])
        return
    made = case.build(network, OPTIMIZERS["Adam"])
    before = parameters(made)
    reports = trained(made, 4)
    assert all(math.isfinite(report.loss) and report.samples == 2 for report in reports)
    assert moved(before, parameters(made))


@pytest.mark.parametrize("delays", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rule", RULES)
def test_both_dtypes_are_kept(rule, dtype, delays):
    made = built(rule, dtype=dtype, delays=delays)
    before = parameters(made)
    trained(made, 3)
    after = parameters(made)
    assert {value.dtype for value in after.values()} == {dtype}
    assert all(bool(torch.isfinite(value).all()) for value in after.values())
    assert moved(before, after)


@pytest.mark.gpu
@pytest.mark.parametrize("rule", RULES)
def test_a_gpu_does_the_same(rule):
    here, there = built(rule, dtype=torch.float64), built(rule, dtype=torch.float64, device="cuda")
    ours, theirs = trained(here, 4), trained(there, 4)
    # the same terms summed in another order, over four updates
    assert [report.loss for report in theirs] == pytest.approx([report.loss for report in ours], rel=1e-9)
    for name, value in parameters(there).items():
        assert value.is_cuda, name


@pytest.mark.parametrize("rule", RULES)
def test_a_network_with_delays_learns_all_that_one_without_learns(rule):
    def all_moved(made):
        before = parameters(made)
        trained(made, 4)
        return moved(before, parameters(made))

    assert all_moved(built(rule, delays=True)) == all_moved(built(rule))
    late = built(rule, delays=True).network
    assert all(connection.delay is not None for connection in late.connections().values())


@pytest.mark.parametrize("rule", RULES)
def test_it_is_deterministic(rule):
    first, second = built(rule), built(rule)
    assert [r.loss for r in trained(first, 4)] == [r.loss for r in trained(second, 4)]
    assert not moved(parameters(first), parameters(second))


@pytest.mark.parametrize(("rule", "optimizer"), WITH_OPTIMIZER)
def test_what_is_frozen_never_moves_and_the_rest_does(rule, optimizer):
    def made():
        rule_made = built(rule, optimizer=optimizer)
        for group in rule_made.optimizer.param_groups if case_of(rule).takes_optimizer else ():
            group["lr"] *= 0.01  # gentle: nothing ends where no gradient leads away from it
        return rule_made

    probe = made()
    before = parameters(probe)
    trained(probe, 4)
    movable = sorted(moved(before, parameters(probe)))
    for frozen in filter(None, (movable[::2], movable[1::2])):
        found = made()
        trained(found, 4)  # momentum has built up
        for name in frozen:
            dict(found.network.named_parameters())[name].requires_grad_(False)
        before = parameters(found)
        trained(found, 4, seed=3)
        changed = moved(before, parameters(found))
        assert not changed & set(frozen)
        assert changed == set(movable) - set(frozen)


@pytest.mark.parametrize("rule", RULES)
def test_the_network_that_is_trained_is_known_as_such(rule):
    case, network = case_of(rule), case_of(rule).network(torch.Generator().manual_seed(0))
    assert case.build(network, OPTIMIZERS["SGD"]).network is network


def test_the_closed_loop_has_what_the_contracts_are_about():
    network = closed_loop(torch.Generator().manual_seed(1))
    connections = network.connections()
    assert connections["cortex.inputs"].pre == CHANNELS
    assert bool((~connections["cortex.recurrent"].mask).any())
    assert sum(connection.dale is not None for connection in connections.values()) == 3
