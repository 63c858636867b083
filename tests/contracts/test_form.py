"""The form of every model: where things stand, and what the documentation says."""

import inspect
import re
import sys
import textwrap

import pytest

from neurotorch import neurons
from tests.contracts import models
from tests.contracts.models import ALL, COMPOSED, discover, is_composed

each_model = pytest.mark.parametrize("model", ALL, ids=lambda model: model.__name__)


@each_model
def test_states_and_coefficients_are_named_tuples_at_module_level(model):
    for kind in (model.State, model.Coefficients):
        assert issubclass(kind, tuple)
        assert hasattr(kind, "_fields")
        assert getattr(sys.modules[kind.__module__], kind.__name__) is kind
        assert inspect.getdoc(kind), f"{kind.__name__} must say what its fields are"
        assert not kind.__doc__.startswith(f"{kind.__name__}("), f"{kind.__name__} must say what its fields are"
    assert model.emits in ("spikes", "rates")


@each_model
def test_the_step_is_static_and_takes_what_the_contract_says(model):
    assert isinstance(vars(model)["step"], staticmethod)
    assert list(inspect.signature(model.step).parameters) == ["coefficients", "state", "current"]
    assert list(inspect.signature(model.observe).parameters) == ["state", "emitted"]
    if model.force is not None:
        assert isinstance(vars(model)["force"], staticmethod)
        assert list(inspect.signature(model.force).parameters) == ["coefficients", "state", "target", "strength"]


@each_model
def test_a_model_is_final_and_exported(model):
    (base,) = model.__bases__
    assert inspect.isabstract(base)
    assert model.__name__ in neurons.__all__
    assert getattr(neurons, model.__name__) is model


@each_model
def test_the_docstring_has_the_equation_the_parameters_and_its_source(model):
    text = inspect.getdoc(model)
    assert re.search(r"::\n\n +\S+ *= .+", text), "no equation as implemented"
    sections = dict(re.findall(r"^(\w+)\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", text, re.MULTILINE | re.DOTALL))
    assert re.search(r"\b(19|20)\d\d\b", sections["References"]), "a reference has a year"
    assert "equation" in sections["References"] or "doi:" in sections["References"]
    said = {
        word for line in re.findall(r"^(\w[\w, ]*)$", sections["Parameters"], re.MULTILINE) for word in line.split(", ")
    }
    assert said >= set(inspect.signature(model).parameters)


def test_every_composed_model_has_a_case():
    assert {model.__name__ for model in ALL if is_composed(model)} == {name.partition("-")[0] for name in COMPOSED}


def test_a_model_in_a_new_file_is_found_without_naming_it(tmp_path, monkeypatch):
    (tmp_path / "planted.py").write_text(
        textwrap.dedent("""
        from neurotorch.neurons.base import NeuronModel

        class Planted(NeuronModel):
            pass
        """)
    )
    monkeypatch.setattr(models.neurons, "__path__", [*neurons.__path__, str(tmp_path)])
    found = {model.__name__ for model in discover()}
    sys.modules.pop("neurotorch.neurons.planted", None)
    assert found == {model.__name__ for model in ALL} | {"Planted"}
