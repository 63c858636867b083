"""Every constant of every model: fixed or learned, one for all neurons or one each."""

import inspect
import math

import pytest
import torch

from neurotorch.core.trees import leaves
from neurotorch.neurons import learned
from tests.contracts.models import DOUBLE, MODELS, Situation, constants, scattered, time_step

CONSTANTS = [(model, name) for model in MODELS for name in constants(model())]
each_constant = pytest.mark.parametrize(("model", "name"), CONSTANTS, ids=[f"{m.__name__}-{n}" for m, n in CONSTANTS])
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)


def value_of(model, name):
    return constants(model())[name].value.to(DOUBLE)


@each_constant
def test_a_constant_may_be_fixed_or_learned_and_shared_or_per_neuron(model, name, generator):
    situation = Situation(model, generator)
    value = value_of(model, name)
    wide = value[..., None].expand(*value.shape, situation.count).clone()
    found = []
    for given in (value, learned(value), wide, learned(wide)):
        instance = model(**{name: given})
        instance.check_neurons(situation.count)
        trained = [parameter for parameter in instance.parameters() if parameter.requires_grad]
        assert len(trained) == isinstance(given, tuple), "exactly the learned constants are parameters"
        emitted, state = model.step(
            instance.double().coefficients(time_step(situation.model)), situation.state, situation.current
        )
        found.append([emitted, *leaves(state)])
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            # a learned positive constant is exp(log(value)), which differs from it by a few ulp
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)


@each_constant
def test_a_learned_constant_has_a_gradient(model, name, generator):
    situation = Situation(model, generator)
    instance = situation.model
    (parameter,) = constants(instance)[name].parameters()
    coefficients, state, total = instance.coefficients(time_step(instance)), situation.state, 0.0
    for _ in range(20):  # long enough for a spike and its reset
        emitted, state = model.step(coefficients, state, situation.current)
        total = total + sum((tensor * tensor).sum() for tensor in (emitted, *leaves(state)))
    (gradient,) = torch.autograd.grad(total, parameter)
    assert bool(torch.isfinite(gradient).all())
    assert bool((gradient != 0).any())


@each_constant
def test_a_constant_per_neuron_of_the_wrong_length_is_refused_by_name(model, name):
    value = value_of(model, name)
    instance = model(**{name: value[..., None].expand(*value.shape, 4).clone()})
    with pytest.raises(ValueError, match=rf"`{name}` has 4 .*5 neurons"):
        instance.check_neurons(5)


@each_model
def test_projection_brings_learned_constants_back_to_a_stable_step(model, generator):
    instance = scattered(model, 5, generator)
    dt = time_step(instance)
    with torch.no_grad():
        for constant in constants(instance).values():
            constant.assign(constant() * 1e-3)
    unbounded = math.isinf(instance.largest_dt())
    assert unbounded or instance.largest_dt() < dt
    instance.project_(dt)
    # the logarithm is stored: exp(log(dt)) is dt to rounding
    assert instance.largest_dt() >= dt * (1 - 1e-12)


@each_model
def test_arguments_have_defaults_and_are_kept_under_their_names(model):
    instance = model()
    for name, parameter in inspect.signature(model).parameters.items():
        assert parameter.default is not inspect.Parameter.empty, f"{name} has no default"
        assert parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        assert hasattr(instance, name), f"{name} is not kept as an attribute"
