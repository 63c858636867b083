"""What a circuit is checked for, in both engines, and when activity arrives."""

import pytest
import torch

from neurotorch.engine import Link, Population, adjoint, reference
from neurotorch.network.steps import NeuronStep
from neurotorch.neurons import FiringRate, LeakyIntegrator

ENGINES = pytest.mark.parametrize("engine", [reference, adjoint], ids=["reference", "adjoint"])


def population(*, steps=3, batch=2, neurons=4, dtype=torch.float32, model=None, **changes):
    model = FiringRate(0.1) if model is None else model
    rest = torch.zeros(batch, neurons, dtype=dtype)
    current = torch.zeros(steps, batch, neurons, dtype=dtype)
    found = Population(
        NeuronStep(type(model)), model.coefficients(0.02), model.initial_state(batch, rest), rest[None], current
    )
    return found._replace(**changes)


BOTH = r"torch\.float64.*torch\.float32"
BAD = {
    "no steps": (lambda: [population(steps=0)], [], ValueError, "no time steps"),
    "current of another width": (
        lambda: [population(current=torch.zeros(3, 2, 5))],
        [],
        ValueError,
        r"current of population 0 is \(3, 2, 5\), but \(time, batch, neuron\) is \(3, 2, 4\)",
    ),
    "populations of different lengths": (
        lambda: [population(), population(steps=5)],
        [],
        ValueError,
        r"current of population 1 is \(5, 2, 4\)",
    ),
    "state of another batch": (
        lambda: [population(state=population(batch=1).state)],
        [],
        ValueError,
        r"state of population 0 is \(1, 4\), but \(batch, neuron\) is \(2, 4\)",
    ),
    "weight turned the wrong way": (
        lambda: [population(), population(neurons=3)],
        [Link(0, 1, torch.zeros(4, 3))],
        ValueError,
        r"weight is \(4, 3\), but \(post, pre\) is \(3, 4\)",
    ),
    "weight in another dtype": (
        lambda: [population()],
        [Link(0, 0, torch.zeros(4, 4, dtype=torch.float64))],
        TypeError,
        BOTH,
    ),
    "current in another dtype": (
        lambda: [population(current=torch.zeros(3, 2, 4, dtype=torch.float64))],
        [],
        TypeError,
        BOTH,
    ),
    "state in another dtype": (
        lambda: [population(state=population(dtype=torch.float64).state)],
        [],
        TypeError,
        BOTH,
    ),
    "populations in different dtypes": (
        lambda: [population(), population(dtype=torch.float64)],
        [],
        TypeError,
        BOTH,
    ),
    "constant per neuron in another dtype": (
        lambda: [population(model=FiringRate(torch.full((4,), 0.1, dtype=torch.float64)))],
        [],
        TypeError,
        rf"constant given per neuron.*{BOTH}",
    ),
    "drive in another dtype": (
        lambda: [population(drive=(torch.zeros(3, 2, 4, dtype=torch.float64), torch.zeros(3, 1, 1)))],
        [],
        TypeError,
        rf"drive.*{BOTH}",
    ),
}


@ENGINES
@pytest.mark.parametrize("case", BAD)
def test_a_circuit_that_does_not_fit_together_is_refused(case, engine):
    build, links, error, message = BAD[case]
    with pytest.raises(error, match=message):
        engine.scan(build(), links)


@ENGINES
def test_a_constant_of_no_dimension_takes_the_dtype_of_what_it_meets(engine):
    (run,) = engine.scan([population(model=FiringRate(torch.tensor(0.1, dtype=torch.float64)))], [])
    assert run.emitted.dtype == torch.float32


@ENGINES
def test_activity_runs_forwards_within_a_step_and_back_a_step_later(engine):
    # A pulse into the first of two perfect followers (alpha = 0) reaches the second at once, and is back a step later.
    follower = LeakyIntegrator(1e-9)

    def follow(current):
        return population(steps=4, batch=1, neurons=1, model=follower, current=current)

    pulse = torch.zeros(4, 1, 1)
    pulse[0] = 1
    links = [Link(0, 1, torch.tensor([[2.0]])), Link(1, 0, torch.tensor([[3.0]]))]
    first, second = engine.scan([follow(pulse), follow(torch.zeros(4, 1, 1))], links, record=True)
    assert first.emitted.flatten().tolist() == [1, 6, 36, 216]
    assert second.emitted.flatten().tolist() == [2, 12, 72, 432]
    assert first.currents.flatten().tolist() == [1, 6, 36, 216]
    assert Link(0, 1, torch.empty(0)).lag == 0
    assert Link(1, 1, torch.empty(0)).lag == 1


@ENGINES
def test_the_first_step_receives_the_history(engine):
    given = population(steps=2, batch=1, neurons=2, model=LeakyIntegrator(1e-9), history=torch.tensor([[[1.0, 10.0]]]))
    (run,) = engine.scan([given], [Link(0, 0, torch.tensor([[0.0, 1.0], [2.0, 0.0]]))])
    assert run.emitted[0].tolist() == [[10, 2]]


@ENGINES
def test_what_is_not_asked_for_is_not_recorded(engine):
    (plain,) = engine.scan([population()], [])
    (full,) = engine.scan([population()], [], record=True)
    assert plain.states is None
    assert plain.currents is None
    assert full.states.x.shape == full.currents.shape == (3, 2, 4)
    assert torch.equal(full.states.x[-1], full.state.x)
