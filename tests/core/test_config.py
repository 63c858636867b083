import json
import math
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import nn

import neurotorch.core.checks
from neurotorch.core import config
from neurotorch.core.config import build, describe


@dataclass(frozen=True)
class Softness:
    width: float
    dtype: torch.dtype = torch.float32


class Surrogate(NamedTuple):
    slope: float
    offsets: tuple[float, ...] = ()


class Types(nn.Module):
    def __init__(self, signs, *, softness=Softness(0.5)):
        super().__init__()
        self.softness = softness
        self.register_buffer("signs", signs)


class Wires(nn.Module):
    __config_exclude__ = frozenset({"init", "generator"})

    def __init__(self, pre, post, *, types=None, mask=None, init=None, generator=None):
        super().__init__()
        self.pre, self.post, self.types = pre, post, types
        self.register_buffer("mask", mask)
        self.raw = nn.Parameter(torch.rand(post, pre, generator=generator))


class Leaf(nn.Module):
    def __init__(self, tau, *, surrogate=None, start=None):
        super().__init__()
        self.tau, self.surrogate, self.start = tau, surrogate, start


class Tree(nn.Module):
    def __init__(self, layers, *, dt, wires=(), options=None):
        super().__init__()
        self.layers = nn.ModuleDict(layers)
        self.wires = nn.ModuleList(wires)
        self.dt, self.options = dt, options


OWN = (Softness, Surrogate, Types, Wires, Leaf, Tree)


def tree():
    types = Types(torch.tensor([1.0, -1.0, 1.0]), softness=Softness(math.inf, torch.float64))
    mask = torch.eye(3, dtype=torch.bool)
    wires = [
        Wires(3, 3, types=types, mask=mask),
        Wires(3, 3, types=types, init="balanced", generator=torch.Generator()),
    ]
    leaves = {"first": Leaf(0.02, surrogate=Surrogate(10.0, (0.1, 0.2))), "a second": Leaf(nn.Parameter(torch.rand(3)))}
    return Tree(leaves, dt=0.001, wires=wires, options={"names": ["x", "é"], "flag": True, "none": None, "count": 3})


def through_json(value):
    return json.loads(json.dumps(value, allow_nan=False))


def test_a_tree_of_modules_is_built_again():
    original = tree()
    description = through_json(describe(original))
    built = build(description, OWN)
    assert type(built) is Tree
    assert list(built.layers) == ["first", "a second"]
    assert built.layers["first"].surrogate == Surrogate(10.0, (0.1, 0.2))
    assert built.wires[0].types.softness == Softness(math.inf, torch.float64)
    assert built.options == original.options
    assert built.dt == 0.001
    assert isinstance(built.layers["a second"].tau, nn.Parameter)
    assert not built.wires[0].mask.any()
    built.load_state_dict(original.state_dict())
    for name, tensor in original.state_dict().items():
        assert torch.equal(built.state_dict()[name], tensor)
    assert through_json(describe(built)) == description


def test_with_its_tensors_the_constructors_see_the_true_values():
    original = tree()
    built = build(through_json(describe(original)), OWN, tensors=original.state_dict())
    assert torch.equal(built.wires[0].mask, original.wires[0].mask)
    assert torch.equal(built.wires[0].types.signs, original.wires[0].types.signs)
    built.wires[0].mask.zero_()
    assert original.wires[0].mask.any()


def test_a_shared_module_is_built_once():
    built = build(through_json(describe(tree())), OWN)
    assert built.wires[0].types is built.wires[1].types
    assert describe(tree())["arguments"]["wires"][1]["arguments"]["types"] == {"reference": 1}


def test_equal_modules_that_are_not_the_same_stay_apart():
    wires = [Wires(1, 1, types=Types(torch.ones(1))) for _ in range(2)]
    built = build(describe(Tree({}, dt=1, wires=wires)), OWN)
    assert built.wires[0].types is not built.wires[1].types


def test_a_tensor_that_no_state_dict_holds_is_described_by_its_values():
    start = torch.tensor([[0.1, math.nan, -math.inf]], dtype=torch.float64)
    built = build(through_json(describe(Leaf(0.1, start=start))), OWN)
    assert built.start.dtype == torch.float64
    assert torch.equal(built.start[0, [0, 2]], start[0, [0, 2]])
    assert built.start[0, 1].isnan()


@pytest.mark.parametrize(
    "value",
    [torch.zeros(0, 2), torch.tensor(7), torch.tensor([True, False]), torch.tensor([0.1], dtype=torch.bfloat16)],
)
def test_tensors_on_their_own_come_back(value):
    built = build(through_json(describe(value)))
    assert built.dtype == value.dtype
    assert torch.equal(built, value)


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 0.1, -math.inf, "text", [1, (2, [3])], {"a": {"class": "b"}}, (), torch.int64, {"reference": 1}],
)
def test_plain_values_come_back(value):
    built = build(through_json(describe(value)))
    assert built == value
    assert type(built) is type(value)


def test_excluded_arguments_take_their_defaults():
    arguments = describe(Wires(2, 2, generator=torch.Generator()))["arguments"]
    assert list(arguments) == ["pre", "post", "types", "mask"]


def test_a_class_renamed_by_its_module_is_found_by_name_alone():
    description = describe(Leaf(0.1))
    description["class"] = "__main__:Leaf"
    assert type(build(description, [Leaf])) is Leaf


class Forgets(nn.Module):
    def __init__(self, size):
        super().__init__()


class Variadic(nn.Module):
    def __init__(self, *sizes):
        super().__init__()


class ExcludesTooMuch(nn.Module):
    __config_exclude__ = frozenset({"size"})

    def __init__(self, size):
        super().__init__()


@dataclass
class Thawed:
    value: int = 0


def holds_itself():
    leaf = Leaf(0.1)
    object.__setattr__(leaf, "surrogate", leaf)
    return leaf


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (Forgets(3), "takes the argument `size` but has no attribute"),
        (Variadic(3), r"takes `\*sizes`"),
        (ExcludesTooMuch(3), "excludes its argument `size`, so it needs a default"),
        (Leaf(Thawed()), r"`Leaf\.tau` is a Thawed, which cannot be described"),
        (Leaf([0, {1}]), r"`Leaf\.tau\[1\]` is a set"),
        (Leaf({1: 2}), "has the key 1"),
        (Leaf(torch.sigmoid), r"`Leaf\.tau` is a builtin"),
        (holds_itself(), "holds itself"),
    ],
)
def test_what_cannot_be_described_is_named(value, says):
    with pytest.raises(TypeError, match=says):
        describe(value)


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "builtins:eval",
        "subprocess:Popen",
        "torch.nn:Linear",
        "torch.nn.modules.linear:Linear",
        "neurotorch.core.config:importlib.import_module",
        "neurotorch.core.config:nn.Linear",
        "neurotorch.core.config:build",
        "neurotorch.core.config:_Builder",
        "neurotorch.core.storage:os.system",
        "neurotorch.core.storage:Path",
        "neurotorch.__main__:main",
        "neurotorch..core.config:nn",
        "neurotorch.nowhere:Thing",
        "neurotorchic:Thing",
        "../neurotorch:Thing",
        "neurotorch:",
        "",
        f"{__name__}:Leaf",
    ],
)
def test_only_classes_of_the_package_and_of_extra_are_built(name, monkeypatch):
    imported = []
    real = config.importlib.import_module
    monkeypatch.setattr(config.importlib, "import_module", lambda module: (imported.append(module), real(module))[1])
    with pytest.raises(ValueError, match="pass the class in `extra=`"):
        build({"class": name, "arguments": {}}, [Softness])
    assert all(module.startswith("neurotorch.") or module == "neurotorch" for module in imported)
    assert "neurotorch.__main__" not in imported


def test_a_class_of_the_package_needs_no_extra(monkeypatch):
    class Inner(NamedTuple):
        value: int

    Inner.__module__, Inner.__qualname__ = "neurotorch.core.checks", "Inner"
    monkeypatch.setattr(neurotorch.core.checks, "Inner", Inner, raising=False)
    assert build(through_json(describe(Inner(3)))) == Inner(3)


def test_the_package_comes_before_a_class_of_extra_that_has_the_name_of_one_of_its_classes(monkeypatch):
    class Leaf(NamedTuple):
        tau: float

    Leaf.__module__, Leaf.__qualname__ = "neurotorch.core.checks", "Leaf"
    monkeypatch.setattr(neurotorch.core.checks, "Leaf", Leaf, raising=False)
    assert type(build(describe(Leaf(1.0)), OWN)) is Leaf


@pytest.mark.parametrize(
    ("description", "says"),
    [
        ({"class": f"{__name__}:Leaf", "arguments": {"taw": 1}}, "no argument `taw`. Did you mean 'tau'"),
        ({"class": f"{__name__}:Leaf", "arguments": {}}, r"lacks \['tau'\]"),
        ({"reference": 4}, "not a description"),
        ({"unknown": 4}, "not a description"),
        ({"float": "1e3"}, "not a description"),
        ({"dtype": "float23"}, "'float23' is not a dtype of torch. Did you mean 'float32'"),
        ({"dtype": "load"}, "'load' is not a dtype"),
    ],
)
def test_a_description_that_does_not_fit_is_named(description, says):
    with pytest.raises(ValueError, match=says):
        build(description, OWN)


def test_tensors_that_do_not_belong_to_the_description_are_named():
    original = tree()
    tensors = original.state_dict()
    del tensors["wires.0.mask"]
    with pytest.raises(ValueError, match=r"`tensors\['wires.0.mask'\]` is missing"):
        build(describe(original), OWN, tensors=tensors)
    tensors["wires.0.mask"] = torch.zeros(2, 2)
    with pytest.raises(ValueError, match=r"of shape \[2, 2\]"):
        build(describe(original), OWN, tensors=tensors)
