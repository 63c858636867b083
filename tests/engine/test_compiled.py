"""The compiled scans: what they take, what they leave to torch and say so, and that they are kept safely on disk."""

import dataclasses
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from neurotorch.core.trees import leaves
from neurotorch.core.vocabulary import spike, tanh, where
from neurotorch.engine import Link, Population, adjoint, choice, kernel, machine, reference
from neurotorch.engine.choice import choose
from neurotorch.network.observation import Observation
from neurotorch.network.steps import NeuronStep, ObservedStep
from neurotorch.neurons import LIF, Calcium, FiringRate, WilsonCowan, learned
from tests.contracts.models import VARIANTS, time_step

DOUBLE = torch.float64
# The same terms in another order, over tens of steps in float64.
RELATIVE = 1e-10


def circuit(model, generator, *, steps=30, batch=2, neurons=5, dtype=DOUBLE, weak=0.3):
    model = model.to(dtype)
    rest = torch.zeros(batch, neurons, dtype=dtype)
    current = torch.rand(steps, batch, neurons, generator=generator, dtype=dtype).requires_grad_()
    weight = (weak * torch.randn(neurons, neurons, generator=generator, dtype=dtype)).requires_grad_()
    population = Population(
        NeuronStep(type(model)),
        model.coefficients(time_step(model)),
        model.initial_state(batch, rest),
        rest[None],
        current,
    )
    return population, Link(0, 0, weight)


def results(engine, populations, links, wanted):
    runs = engine.scan(populations, links)
    outputs = [tensor for run in runs for tensor in (run.emitted, run.seen, *leaves(run.state))]
    total = sum(tensor.square().sum() for tensor in outputs)
    found = torch.autograd.grad(total, wanted, allow_unused=True, retain_graph=True)
    return [*outputs, *(torch.zeros_like(x) if g is None else g for x, g in zip(wanted, found, strict=True))]


def assert_close(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).detach().norm()) <= RELATIVE * float(other.detach().norm())


def observed(generator, *, forced):
    observation = Observation(Calcium(learned(0.3)), gain=learned(2.0), nudge=learned(0.1), steps_per_frame=4).double()
    model = LIF(learned(0.02)).double()
    rest = torch.zeros(2, 5, dtype=DOUBLE)
    place = torch.arange(40)[:, None, None] % 4
    drive = ((place == 0).to(DOUBLE), (place == 3).to(DOUBLE))
    if forced:
        drive += (torch.rand(40, 2, 5, generator=generator, dtype=DOUBLE).requires_grad_(), 0.5 * drive[1])
    population = Population(
        ObservedStep(LIF, Calcium),
        observation.coefficients(model.coefficients(0.001), 0.001),
        observation.initial_state(model.initial_state(2, rest), 2, rest),
        rest[None],
        (0.3 * torch.rand(40, 1, 1, generator=generator, dtype=DOUBLE)).expand(40, 2, 5),
        drive,
    )
    weight = torch.randn(5, 5, generator=generator, dtype=DOUBLE).t().requires_grad_()
    return population, Link(0, 0, weight), [weight, *model.parameters(), *observation.parameters(), *drive[2:3]]


@pytest.mark.parametrize("forced", [False, True])
def test_a_neuron_behind_an_instrument_runs_compiled(forced, generator):
    population, link, wanted = observed(generator, forced=forced)
    assert choose([population], [link]) is not None
    found, expected = (results(engine, [population], [link], wanted) for engine in (adjoint, reference))
    assert 0 < float(expected[0].detach().sum()) < expected[0].numel(), "spikes must come and fail to come"
    assert_close(found, expected)


@pytest.mark.parametrize("name", VARIANTS)
def test_single_precision_stays_single_and_agrees_with_the_loop(name, generator):
    population, link = circuit(VARIANTS[name](), generator, dtype=torch.float32, weak=0.01, steps=10)
    assert choose([population], [link]) is not None
    found, expected = (
        results(engine, [population], [link], [link.weight, population.current]) for engine in (adjoint, reference)
    )
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_shapes_of_every_kind_run_compiled(generator):
    for steps, batch, neurons in ((1, 1, 1), (2, 1, 3), (5, 3, 1), (3, 4, 700), (4, 40, 64)):
        population, link = circuit(
            FiringRate(learned(0.1)), generator, steps=steps, batch=batch, neurons=neurons, weak=0.05
        )
        for given in (
            population,
            population._replace(current=population.current[:, :1, :1].expand(-1, batch, neurons)),
        ):
            wanted = [link.weight, population.current]
            assert_close(*(results(engine, [given], [link], wanted) for engine in (adjoint, reference)))
            with torch.no_grad():
                (run,) = adjoint.scan([given], [link])
                (other,) = reference.scan([given], [link])
            assert_close([run.emitted, run.seen, *leaves(run.state)], [other.emitted, other.seen, *leaves(other.state)])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("where_", ["current", "weight", "state"])
def test_what_is_not_finite_goes_where_it_goes_in_torch(value, where_, generator):
    population, link = circuit(FiringRate(0.1), generator, steps=4)
    with torch.no_grad():
        {"current": population.current[2], "weight": link.weight, "state": population.state.x}[where_][1, 2] = value
    (found,), (expected,) = (engine.scan([population], [link]) for engine in (adjoint, reference))
    if (where_, value) != ("current", float("inf")):  # Tanh bounds it
        assert not bool(expected.emitted.isfinite().all())
    torch.testing.assert_close(found.emitted, expected.emitted, equal_nan=True)


def test_the_text_of_the_machine_means_the_same_in_plain_python(generator, monkeypatch):
    population, link = circuit(WilsonCowan(learned(0.1)), generator, steps=3)
    wanted = [link.weight, population.current]
    expected = results(adjoint, [population], [link], wanted)
    monkeypatch.setattr(choice, "kernel", lambda dtype: machine.run)
    assert_close(results(adjoint, [population], [link], wanted), expected)


class State(NamedTuple):
    x: Any


@dataclasses.dataclass(frozen=True)
class Words:
    """Most of what the vocabulary allows, in one step."""

    def __call__(self, coefficients, state, current, drive):
        x = -(abs(state.x) ** 1.5) + 2 / (1 + current**2) - (3 - current) * state.x / 4
        x = where((x > 0) & ~(current >= 0.5) | (x != x), tanh(x), x * (current <= 0.7) + 1.0)
        return x, x - coefficients, State(x=x)


def test_arithmetic_and_comparisons_mean_what_they_mean_in_torch(generator):
    current, rest = torch.randn(20, 3, 4, generator=generator, dtype=DOUBLE), torch.ones(3, 4, dtype=DOUBLE)
    population = Population(Words(), torch.tensor(0.5), State(rest), rest[None], current)
    assert choose([population], []) is not None
    (found,), (expected,) = (engine.scan([population], []) for engine in (adjoint, reference))
    assert_close([found.emitted, found.seen], [expected.emitted, expected.seen])


def test_an_edited_step_gives_another_result_at_once(generator, monkeypatch):
    population, link = circuit(FiringRate(0.1), generator)
    (before,) = adjoint.scan([population], [link])
    original = FiringRate.step
    monkeypatch.setattr(FiringRate, "step", staticmethod(lambda c, state, current: original(c, state, 2 * current)))
    (after,), (expected,) = (engine.scan([population], [link]) for engine in (adjoint, reference))
    assert not torch.equal(before.emitted, after.emitted)
    assert_close([after.emitted], [expected.emitted])


@dataclasses.dataclass(frozen=True)
class Outside:
    def __call__(self, coefficients, state, current, drive):
        x = torch.special.erf(state.x + current)
        return x, x, State(x=x)


@dataclasses.dataclass(frozen=True)
class Branching:
    def __call__(self, coefficients, state, current, drive):
        x = current if current > 0 else -current
        return x, x, State(x=x)


@pytest.mark.parametrize(("step", "reason"), [(Outside(), "special_erf"), (Branching(), "branches on a value")])
def test_a_step_outside_the_vocabulary_runs_in_torch_and_says_so_once(step, reason, generator, caplog):
    choice._report.cache_clear()
    rest = torch.zeros(1, 1)
    population = Population(step, (), State(rest), rest[None], torch.rand(4, 1, 1, generator=generator))
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            (found,), (expected,) = (engine.scan([population], []) for engine in (adjoint, reference))
            assert torch.equal(found.emitted, expected.emitted)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert reason in record.getMessage()
    assert type(step).__name__ in record.getMessage()


class Erf(NamedTuple):
    """A surrogate that the vocabulary has no words for."""

    def derivative(self, x):
        return torch.special.erf(1 + x * x)


@dataclasses.dataclass(frozen=True)
class Spiking:
    surrogate: Any

    def __call__(self, coefficients, state, current, drive):
        x = 0.5 * state.x + current
        return spike(x - 0.5, self.surrogate), x, State(x=x)


def test_a_surrogate_outside_the_vocabulary_runs_in_torch_and_says_so_once(generator, caplog):
    choice._report.cache_clear()
    rest = torch.zeros(1, 3, dtype=DOUBLE)
    current = torch.rand(9, 1, 3, generator=generator, dtype=DOUBLE).requires_grad_()
    weight = torch.randn(3, 3, generator=generator, dtype=DOUBLE).requires_grad_()
    population = Population(Spiking(Erf()), (), State(rest), rest[None], current)
    assert choose([population], [Link(0, 0, weight)]) is None
    assert_close(
        *(results(engine, [population], [Link(0, 0, weight)], [weight, current]) for engine in (adjoint, reference))
    )
    (record,) = caplog.records
    assert "special_erf" in record.getMessage()


def test_a_plain_function_is_called_at_every_step(caplog):
    calls, rest = [], torch.zeros(1, 3)

    def step(coefficients, state, current, drive):
        calls.append(1)
        return current, current, state

    with torch.no_grad():
        adjoint.scan([Population(step, (), State(rest), rest[None], torch.zeros(7, 1, 3))], [])
    assert len(calls) == 7
    assert not caplog.records


SCRIPT = """
import logging, torch
logging.basicConfig(level=logging.INFO)
from neurotorch.engine import Link, Population, adjoint, kernel
from neurotorch.network.steps import NeuronStep
from neurotorch.neurons import FiringRate
model, rest = FiringRate(0.1), torch.zeros(1, 3)
population = Population(
    NeuronStep(FiringRate), model.coefficients(0.02), model.initial_state(1, rest), rest[None], torch.ones(20, 1, 3)
)
(run,) = adjoint.scan([population], [Link(0, 0, torch.full((3, 3), 0.1))])
assert kernel.kernel("float32") is not None
print(run.emitted[-1].tolist())
"""


def started(cache):
    environment = {**os.environ, "NEUROTORCH_CACHE": str(cache), "PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("NUMBA_CACHE_DIR", None)
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finished(process):
    output, messages = process.communicate(timeout=300)
    assert process.returncode == 0, messages
    return output, messages


@pytest.mark.slow
def test_processes_that_start_together_share_one_cache_and_a_broken_one_is_made_anew(tmp_path):
    first, second = [finished(process) for process in [started(tmp_path / "new"), started(tmp_path / "new")]]
    assert first == second
    assert first[1] == ""
    (source,) = (tmp_path / "new").glob("*.py")
    assert source.stem.startswith("neurotorch_machine_float32_")
    kept = list((tmp_path / "new" / "__pycache__").glob("*.nbc"))
    assert kept
    assert finished(started(tmp_path / "new")) == first
    for file in kept:
        file.write_bytes(b"broken")
    output, messages = finished(started(tmp_path / "new"))
    assert output == first[0]
    assert "compiling it anew" in messages


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_changes_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    output, messages = finished(started(tmp_path / "file" / "below"))
    assert "Compiled code is not kept" in messages
    assert "WARNING" not in messages
    assert output == finished(started(tmp_path / "kept"))[0]


def test_what_is_compiled_is_named_by_all_that_it_depends_on(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROTORCH_CACHE", str(tmp_path))
    numba = pytest.importorskip("numba")
    path = kernel._prepare("text = 1\n", "float32")
    assert path is not None
    assert path.read_text() == "text = 1\n"
    assert kernel._prepare("text = 1\n", "float32") == path
    others = {kernel._prepare("text = 2\n", "float32"), kernel._prepare("text = 1\n", "float64")}
    monkeypatch.setattr(numba, "__version__", "another")
    others.add(kernel._prepare("text = 1\n", "float32"))
    assert len(others - {path}) == 3
