"""The contract of every neuron model: its step, its state, its force. Models are found by walking the package."""

import copy
import pickle

import pytest
import torch

from neurotorch.core.trees import leaves, transform
from tests.contracts.checks import CHECKS, check_keeps, outputs
from tests.contracts.models import DOUBLE, MODELS, VARIANTS, Situation, lively_currents, run, scattered, time_step

FORCED = {name: factory for name, factory in VARIANTS.items() if factory().force is not None}
SMOOTH = {name: factory for name, factory in VARIANTS.items() if factory().emits == "rates"}


def each(factories):
    return pytest.mark.parametrize("factory", factories.values(), ids=factories.keys())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@each(VARIANTS)
def test_a_step_is(check, factory, generator):
    check(Situation(factory, generator))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@each(VARIANTS)
def test_a_step_keeps_dtype_and_shape(factory, dtype, generator):
    check_keeps(Situation(factory, generator), dtype)


@pytest.mark.gpu
@each(VARIANTS)
def test_a_step_stays_on_the_gpu(factory, generator):
    check_keeps(Situation(factory, generator), torch.float32, "cuda")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_default_constants_run_in_the_dtype_of_the_current(model, generator):
    for dtype in (torch.float32, torch.float64):
        instance = model()
        current = torch.rand(2, 3, generator=generator).to(dtype)
        state = instance.initial_state(2, current)
        emitted, after = model.step(instance.coefficients(time_step(instance)), state, current)
        assert {tensor.dtype for tensor in (emitted, *leaves(state), *leaves(after))} == {dtype}


@each(VARIANTS)
def test_a_state_is_a_tree_of_floating_batch_by_neuron_tensors(factory, generator):
    situation = Situation(factory, generator)
    rest = situation.model.initial_state(situation.batch, situation.current)
    for state in (rest, situation.state):
        assert type(state) is situation.model.State
        for leaf in leaves(state):
            assert leaf.shape == (situation.batch, situation.count)
            assert leaf.dtype == DOUBLE
    assert len(leaves(rest)) == len(leaves(situation.state)), "a step must not change the form of the state"


@each({name: factory for name, factory in VARIANTS.items() if factory().emits == "spikes"})
def test_spikes_are_zeros_and_ones_and_occur(factory, generator):
    model = scattered(factory, 5, generator)
    emitted, _ = run(model, lively_currents(model, 100, 3, 5, generator))
    assert set(emitted.unique().tolist()) == {0.0, 1.0}


@each(SMOOTH)
def test_the_derivatives_of_a_smooth_step_are_those_of_finite_differences(factory, generator):
    situation = Situation(factory, generator, batch=2, count=3)
    inputs = [tensor.clone().requires_grad_() for tensor in situation.inputs()]
    trees = (situation.coefficients, situation.state, situation.current)

    def flat(*tensors):
        given = iter(tensors)
        coefficients, state, current = (transform(tree, lambda _: next(given)) for tree in trees)
        return tuple(outputs(situation, state, current, coefficients))

    assert torch.autograd.gradcheck(flat, inputs)


@each(FORCED)
def test_forcing_with_strength_zero_leaves_everything_as_it_was(factory, generator):
    situation = Situation(factory, generator)
    emitted, state = situation.step(situation.coefficients, situation.state, situation.current)
    target = torch.randn(emitted.shape, generator=generator, dtype=DOUBLE)
    z, forced = situation.model.force(situation.coefficients, state, target, torch.zeros(1, dtype=DOUBLE))
    for one, other in zip((z, *leaves(forced)), (emitted, *leaves(state)), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("strength", [0.3, 1.0])
@each(FORCED)
def test_forcing_pulls_what_is_observed_towards_the_target(factory, strength, generator):
    situation = Situation(factory, generator)
    emitted, state = situation.step(situation.coefficients, situation.state, situation.current)
    target = torch.randn(emitted.shape, generator=generator, dtype=DOUBLE)
    given = torch.full((1, 1), strength, dtype=DOUBLE)
    before = [tensor.clone() for tensor in leaves(state)]
    z, forced = situation.model.force(situation.coefficients, state, target, given)
    seen = situation.model.observe(state, emitted)
    expected = seen + strength * (target - seen) if strength < 1 else target
    # x + 1 (target - x) is target to the rounding of its two operations, whose terms are at most of order ten here
    torch.testing.assert_close(situation.model.observe(forced, z), expected, rtol=1e-14, atol=1e-14)
    assert type(forced) is type(state)
    for old, new in zip(before, leaves(state), strict=True):
        assert torch.equal(old, new), "force changed its input in place"


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])  # noqa: S301
@each(VARIANTS)
def test_a_copy_does_the_same_and_is_independent(factory, copied, generator):
    situation = Situation(factory, generator)
    copy_ = copied(situation.model)
    coefficients = copy_.coefficients(time_step(copy_))
    assert leaves(coefficients), "a model without constants proves nothing here"
    for one, other in zip(outputs(situation), outputs(situation, coefficients=coefficients), strict=True):
        assert torch.equal(one, other)
    with torch.no_grad():
        for parameter in situation.model.parameters():
            parameter.fill_(1e3)
    for one, other in zip(leaves(copy_.coefficients(time_step(copy_))), leaves(coefficients), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("learn", [False, True], ids=["fixed", "learned"])
@each(VARIANTS)
def test_the_state_dict_carries_every_constant(factory, learn, generator):
    source, target = (scattered(factory, 5, generator, learn=learn) for _ in range(2))
    dt = min(time_step(source), time_step(target))

    def same():
        pairs = zip(leaves(source.coefficients(dt)), leaves(target.coefficients(dt)), strict=True)
        return all(torch.equal(a, b) for a, b in pairs)

    assert not same()
    target.load_state_dict(source.state_dict())
    assert same()
