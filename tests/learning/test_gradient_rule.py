"""What gradient rules share: optimizers, accumulation, freezing, penalties, and what they refuse."""

import inspect

import pytest
import torch

from neurotorch.connections import Connection
from neurotorch.core.storage import load_state, save_state
from neurotorch.data import Batch
from neurotorch.learning import BPTT, MeanSquaredError, NonFiniteError, TruncatedBPTT, WarmUp
from neurotorch.network import Layer, Network
from neurotorch.neurons import FiringRate
from tests.contracts.rules import OPTIMIZERS, closed_loop, drawn

DOUBLE = torch.float64
# A closure, and sparse gradients, which no network here has.
NOT_HERE = {"Optimizer", "LBFGS", "SparseAdam"}
ALL_OPTIMIZERS = sorted(
    name
    for name, kind in vars(torch.optim).items()
    if inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer) and name not in NOT_HERE
)


def network_of(generator, dtype=DOUBLE):
    return closed_loop(generator).to(dtype)


def any_optimizer(name, network):
    """Return the optimizer with every kind of decay and momentum that it has."""
    kind = getattr(torch.optim, name)
    options = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}
    known = inspect.signature(kind).parameters
    # Muon takes matrices alone
    parameters = [p for p in network.parameters() if name != "Muon" or p.dim() == 2]
    return kind(parameters, **{key: value for key, value in options.items() if key in known})


def rule_of(network, optimizer=None, **options):
    optimizer = optimizer or torch.optim.SGD(network.parameters(), lr=0.1)
    return BPTT(network, MeanSquaredError(), optimizer=optimizer, **options)


def values(network):
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def step(rule, batch):
    report = rule.compute(batch)
    rule.apply()
    return report


def moved(before, network):
    return {name for name, value in values(network).items() if not torch.equal(value, before[name])}


class TestOptimizers:
    @pytest.mark.parametrize("name", ALL_OPTIMIZERS)
    def test_any_optimizer_of_torch_goes_on_bit_for_bit_after_a_restart(self, name, seed, tmp_path):
        def made():
            network = network_of(torch.Generator().manual_seed(seed))
            return rule_of(network, any_optimizer(name, network), clip=1.0)

        batches = [drawn(made().network, torch.Generator().manual_seed(seed + i)) for i in range(5)]
        whole, second = made(), made()
        for batch in batches[:3]:
            step(whole, batch)
        save_state(tmp_path, {"rule": whole.state_dict(), "network": whole.network.state_dict()})
        state = load_state(tmp_path)
        second.network.load_state_dict(state["network"])
        second.load_state_dict(state["rule"])
        assert second.steps == 3
        before = values(second.network)
        for rule in (whole, second):
            for batch in batches[3:]:
                step(rule, batch)
        assert not moved(values(whole.network), second.network)
        assert moved(before, second.network)

    def test_one_that_needs_a_closure_is_refused(self, generator):
        network = network_of(generator)
        with pytest.raises(TypeError, match="LBFGS evaluates the loss several times.*BPTT computes one gradient"):
            rule_of(network, torch.optim.LBFGS(network.parameters()))

    def test_foreign_parameters_are_named_by_their_group(self, generator):
        network, other = network_of(generator), network_of(generator)
        groups = [{"params": list(network.parameters())}, {"params": [other.layers["cortex"].bias.raw], "lr": 1e-3}]
        with pytest.raises(ValueError, match=r"(?s)group 1 .*not the network's.*1 of 1 .*shape \(6,\).*'cortex'"):
            rule_of(network, torch.optim.Adam(groups))

    def test_one_with_frozen_parameters_alone_is_refused(self, generator):
        network = network_of(generator)
        network.freeze("cortex")
        optimizer = torch.optim.Adam(network.layers["cortex"].parameters())
        with pytest.raises(ValueError, match=r"no parameter that BPTT could train.*network.unfreeze"):
            rule_of(network, optimizer)
        network.unfreeze("cortex.bias")
        rule_of(network, optimizer)


class TestAccumulation:
    @pytest.mark.parametrize("name", ["SGD", "Adam"])
    def test_the_mean_over_batches_is_the_gradient_of_one_large_batch(self, name, generator, seed):
        batch = drawn(network_of(generator), generator, samples=6)
        parts = [Batch(batch.target[:, i : i + 2], batch.inputs[:, i : i + 2]) for i in (0, 2, 4)]
        large, small = (network_of(torch.Generator().manual_seed(seed)) for _ in range(2))
        one = rule_of(large, OPTIMIZERS[name](large), clip=0.05)
        many = rule_of(small, OPTIMIZERS[name](small), clip=0.05, accumulate=3)
        for _ in range(4):
            whole = step(one, batch).loss
            losses = [step(many, part).loss for part in parts]
            assert sum(losses) / 3 == pytest.approx(whole, rel=1e-9)
        assert (one.steps, many.steps) == (4, 4)
        for name, value in values(small).items():
            # three sums of a third each, in place of one; through four steps of a smooth network
            torch.testing.assert_close(value, values(large)[name], rtol=1e-9, atol=1e-11)

    def test_nothing_moves_before_the_last_batch_of_a_step(self, generator):
        network = network_of(generator)
        rule, before = rule_of(network, accumulate=3), values(network)
        for expected in (False, False, True):
            step(rule, drawn(network, generator))
            assert bool(moved(before, network)) == expected
        assert rule.steps == 1

    def test_the_gradient_that_is_seen_is_that_of_the_last_batch(self, generator):
        network = network_of(generator)
        rule, alone = rule_of(network, accumulate=3), rule_of(network)
        for _ in range(2):
            batch = drawn(network, generator)
            rule.compute(batch)
            found = [parameter.grad.clone() for parameter in network.parameters()]
            rule.apply()
            alone.compute(batch)
            assert all(torch.equal(p.grad, g) for p, g in zip(network.parameters(), found, strict=True))

    def test_a_part_of_a_step_survives_a_restart_and_loses_what_was_frozen(self, generator, seed, tmp_path):
        def made():
            return rule_of(network_of(torch.Generator().manual_seed(seed)), accumulate=3)

        whole, second = made(), made()
        batches = [drawn(whole.network, generator) for _ in range(3)]
        for batch in batches[:2]:
            step(whole, batch)
        save_state(tmp_path, whole.state_dict())
        second.load_state_dict(load_state(tmp_path))
        for rule in (whole, second):
            rule.network.freeze("cortex.bias")
        before = values(whole.network)
        for rule in (whole, second):
            step(rule, batches[2])
        assert not moved(values(whole.network), second.network)
        assert "layers.cortex.bias.raw" not in moved(before, whole.network)
        assert "layers.cortex.recurrent.raw" in moved(before, whole.network)

    @pytest.mark.parametrize("accumulate", [0, -1])
    def test_less_than_one_batch_is_refused(self, accumulate, generator):
        with pytest.raises(ValueError, match=f"`accumulate` is {accumulate}, but it must be at least 1"):
            rule_of(network_of(generator), accumulate=accumulate)


class TestFreezing:
    PARTS = {  # noqa: RUF012
        "cortex": {"cortex.neuron.tau", "cortex.neuron.mu", "cortex.inputs", "cortex.recurrent", "cortex.bias"},
        "readout.inputs": {"readout.inputs"},
        "cortex.neuron": {"cortex.neuron.tau", "cortex.neuron.mu"},
        "cortex.bias": {"cortex.bias"},
        "readout -> cortex": {"feedback"},
        "observation": {"observation"},
    }

    @staticmethod
    def frozen(network):
        names = {name for name, p in network.named_parameters() if not p.requires_grad}
        short = {name.removeprefix("layers.").removesuffix(".raw") for name in names}
        return {name.split(".")[0] if name.split(".")[0] in ("feedback", "observation") else name for name in short}

    @pytest.mark.parametrize("address", PARTS)
    def test_a_part_is_what_its_address_says(self, address, generator):
        network = network_of(generator)
        network.freeze(address)
        assert self.frozen(network) == self.PARTS[address]
        network.unfreeze(address)
        assert not self.frozen(network)

    @pytest.mark.parametrize("name", ALL_OPTIMIZERS)
    def test_no_optimizer_moves_what_was_frozen_in_the_midst_of_training(self, name, generator):
        network = network_of(generator)
        rule = rule_of(network, any_optimizer(name, network), clip=0.5)
        for _ in range(3):
            step(rule, drawn(network, generator))
        network.freeze("cortex.recurrent", "readout")
        before = values(network)
        for _ in range(3):
            step(rule, drawn(network, generator))
        gone = {n for n in before if n.startswith(("layers.cortex.recurrent", "layers.readout"))}
        changed = moved(before, network)
        assert not changed & gone
        held = {
            n for n, p in network.named_parameters() if any(p is q for q in rule.optimizer.param_groups[0]["params"])
        }
        assert changed == held - gone
        network.unfreeze("cortex.recurrent", "readout")
        step(rule, drawn(network, generator))
        assert moved(before, network) >= gone & held

    def test_frozen_between_gradient_and_update_it_does_not_move_either(self, generator):
        network = network_of(generator)
        rule = rule_of(network, OPTIMIZERS["SGD"](network))
        for _ in range(2):
            step(rule, drawn(network, generator))
        rule.compute(drawn(network, generator))
        raw = network.layers["cortex"].recurrent.raw
        raw.requires_grad_(False)  # by hand, its gradient still there
        before = values(network)
        rule.apply()
        assert raw.grad is None
        changed = moved(before, network)
        assert "layers.cortex.recurrent.raw" not in changed
        assert len(changed) == len(before) - 1

    def test_a_frozen_gradient_does_not_count_for_the_clip(self, generator):
        network = network_of(generator)
        batch = drawn(network, generator)
        network.freeze("readout", "observation")
        rule = rule_of(network, torch.optim.SGD(network.parameters(), lr=1.0), clip=1e-4)
        before = values(network)
        step(rule, batch)
        change = torch.cat([(values(network)[name] - before[name]).flatten() for name in before])
        # clip_grad_norm_ divides by the norm + 1e-6
        norm = float(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]).norm())
        assert norm == pytest.approx(1e-4, rel=2e-2)
        assert float(change.norm()) == pytest.approx(norm, rel=1e-9)

    def test_projection_passes_over_it(self, generator):
        network = network_of(generator)
        raw, tau = network.layers["readout"].inputs.raw, network.layers["cortex"].neuron.tau
        with torch.no_grad():
            raw[0, 0] = -0.5  # outside of what Projected() allows
            tau.raw[0] = -9.0  # a time constant far below dt
        network.freeze("readout.inputs")
        network.project_()
        assert raw[0, 0] == -0.5
        assert float(tau.value[0]) == pytest.approx(network.dt, rel=1e-12)
        network.unfreeze("readout.inputs")
        network.project_()
        assert raw[0, 0] == 0

    def test_what_is_frozen_comes_back_with_the_state_of_the_rule(self, generator, tmp_path):
        network, other = network_of(generator), network_of(generator)
        rule, second = rule_of(network), rule_of(other)
        network.freeze("cortex")
        other.freeze("readout")
        save_state(tmp_path, rule.state_dict())
        second.load_state_dict(load_state(tmp_path))
        assert self.frozen(other) == self.PARTS["cortex"]

    @pytest.mark.parametrize(
        ("addresses", "says"),
        [
            (("cortx",), r"no part 'cortx'; there are .*Did you mean 'cortex'\?"),
            (("cortex.recurent",), "no part 'cortex.recurent'.*Did you mean 'cortex.recurrent'"),
            (("cortex", "reedout -> cortex"), "Did you mean 'readout -> cortex'"),
            ((), "at least one part"),
        ],
    )
    def test_an_address_that_is_none_changes_nothing(self, addresses, says, generator):
        network = network_of(generator)
        for change in (network.freeze, network.unfreeze):
            with pytest.raises(ValueError, match=says):
                change(*addresses)
        assert not self.frozen(network)

    def test_a_part_without_parameters_is_told_of(self, generator):
        layer = Layer(FiringRate(0.2), 3, recurrent=Connection(3, 3, generator=generator), bias=0.1)
        with pytest.raises(ValueError, match=r"'unit.bias' holds no parameters.*learned"):
            Network({"unit": layer}, dt=0.1).freeze("unit.bias")

    def test_a_loss_that_nothing_can_change_is_told_of(self, generator):
        network = network_of(generator)
        rule = rule_of(network)
        network.freeze("cortex", "readout", "readout -> cortex", "observation")
        with pytest.raises(ValueError, match=r"BPTT has nothing to train.*\['cortex', 'readout'\].*unfreeze"):
            rule.compute(drawn(network, generator))


class Size:
    """A penalty on the square of the recurrent weights."""

    name = "size"

    def __init__(self, strength=0.3):
        self.strength = strength

    def __call__(self, network, run):
        return self.strength * network.connections()["cortex.recurrent"].weight().square().sum()


class Activity:
    """A penalty on the mean square of what the first layer emits."""

    name = "activity"

    def __call__(self, network, run):
        return run.runs[0].emitted.square().mean()


class Named(Size):
    def __init__(self, name):
        super().__init__()
        self.name = name


class TestPenalties:
    def test_they_are_added_to_the_loss_and_reported_by_name(self, generator):
        network = network_of(generator)
        batch = drawn(network, generator)
        report = rule_of(network, penalties=[Size(), Activity()]).compute(batch)
        found = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
        run = network.run(batch.inputs, frames=len(batch.target))
        data = (run.output - batch.target).square().mean()
        size, activity = Size()(network, run), Activity()(network, run)
        network.zero_grad()
        (data + size + activity).backward()
        assert dict(report.terms) == pytest.approx(
            {"data": data.item(), "size": size.item(), "activity": activity.item()}, rel=1e-12
        )
        assert report.loss == pytest.approx(sum(report.terms.values()), rel=1e-12)
        for name, parameter in network.named_parameters():
            # the same terms in another order
            torch.testing.assert_close(found[name], parameter.grad, rtol=1e-10, atol=1e-14)

    def test_without_any_there_are_no_terms(self, generator):
        network = network_of(generator)
        assert dict(rule_of(network).compute(drawn(network, generator)).terms) == {}

    @pytest.mark.parametrize("options", [{}, {"k1": 2, "k2": 2}], ids=["BPTT", "TruncatedBPTT"])
    @pytest.mark.parametrize(
        ("names", "says"),
        [
            (["a", "b", "a"], "2 penalties are named 'a'"),
            (["data"], "named 'data', the name of another column"),
            (["loss"], "named 'loss', the name of another column"),
            (["epoch"], "named 'epoch', the name of another column"),
        ],
    )
    def test_names_that_cannot_be_told_apart_are_refused(self, options, names, says, generator):
        network, penalties = network_of(generator), [Named(name) for name in names]
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        make = TruncatedBPTT if options else BPTT
        with pytest.raises(ValueError, match=says):
            make(network, MeanSquaredError(), optimizer=optimizer, penalties=penalties, **options)

    def test_one_that_is_no_scalar_is_refused(self, generator):
        network = network_of(generator)
        rule = rule_of(network, penalties=[Size(torch.ones(2, dtype=DOUBLE))])
        with pytest.raises(ValueError, match=r"penalty 'size' is \(2,\), but it must be a scalar"):
            rule.compute(drawn(network, generator))


class TestBadBatches:
    @pytest.mark.parametrize("field", ["target", "inputs"])
    def test_another_device_is_named_beside_that_of_the_network(self, field, generator):
        network = network_of(generator)
        batch = drawn(network, generator)
        wrong = batch._replace(**{field: getattr(batch, field).to("meta")})
        with pytest.raises(ValueError, match=rf"`batch.{field}` is on meta, but .*BPTT trains is on cpu.*to\('cpu'\)"):
            rule_of(network).compute(wrong)

    @pytest.mark.parametrize("field", ["target", "inputs"])
    def test_another_dtype_is_named_beside_that_of_the_network(self, field, generator):
        network = network_of(generator)
        batch = drawn(network, generator)
        wrong = batch._replace(**{field: getattr(batch, field).float()})
        with pytest.raises(
            TypeError, match=rf"`batch.{field}` is torch.float32, but .* is torch.float64.*WindowLoader"
        ):
            rule_of(network).compute(wrong)

    def test_a_recording_in_place_of_windows_is_refused(self, generator):
        network = network_of(generator)
        with pytest.raises(ValueError, match=r"`batch.target` is \(14, 3\), but it must be \(time, batch, neuron\)"):
            rule_of(network).compute(Batch(drawn(network, generator).target[:, 0], None))

    def test_a_gradient_that_is_not_finite_stops_before_the_step(self, generator):
        network = network_of(generator)
        rule = rule_of(network, clip=1.0)
        step(rule, drawn(network, generator))
        rule.compute(drawn(network, generator))
        network.layers["cortex"].bias.raw.grad[2] = torch.inf
        before = values(network)
        with pytest.raises(
            NonFiniteError, match=r"gradient of `layers.cortex.bias.raw` holds 1 .*\(of 6\) before step 2 of the optim"
        ):
            rule.apply()
        assert not moved(before, network)


class TestAutocast:
    @pytest.mark.parametrize("forcing", [None, WarmUp(3, 0.5, 0.5)])
    def test_it_rounds_the_products_of_the_inputs_and_changes_no_dtype(self, forcing, generator, seed):
        batch = drawn(network_of(generator, torch.float32), generator)
        found = {}
        for dtype in (None, torch.bfloat16):
            network = network_of(torch.Generator().manual_seed(seed), torch.float32)
            rule = rule_of(network, OPTIMIZERS["Adam"](network), forcing=forcing, autocast=dtype, penalties=[Size()])
            report = rule.compute(batch)
            found[dtype] = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
            rule.apply()
            assert {p.dtype for p in network.parameters()} == {torch.float32}
            assert all(bool(torch.isfinite(p).all()) for p in network.parameters())
            assert torch.isfinite(torch.tensor(report.loss))
        error = float((found[torch.bfloat16] - found[None]).norm() / found[None].norm())
        # bfloat16 keeps 8 bits: inputs, weights and currents are off by up to 2^-9 each
        assert 0 < error < 0.05

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
    def test_another_dtype_is_refused(self, dtype, generator):
        with pytest.raises(ValueError, match=r"must be torch.bfloat16 or None"):
            rule_of(network_of(generator), autocast=dtype)
