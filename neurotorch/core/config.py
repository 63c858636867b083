"""Objects to JSON and back: what was built, without what was learned.

It rests on one convention: every constructor argument ``x`` of a module, a NamedTuple or a frozen dataclass is kept as
the attribute ``x``. Arguments named in the class attribute ``__config_exclude__`` (a frozenset of names, for what
matters only while building, such as ``generator``) are left out and take their defaults.

=========================  ==========================================================================================
value                      description
=========================  ==========================================================================================
None, bool, int, str       itself
float                      itself, or ``{"float": "nan"}`` (also ``inf``, ``-inf``)
list, ``nn.ModuleList``    a list
tuple                      ``{"tuple": [...]}``
mapping, ``ModuleDict``    ``{"mapping": {...}}``
dtype                      ``{"dtype": "float32"}``
tensor                     ``{"tensor": {"shape", "dtype", "key"}}`` if it is in the state dict of the root, else
                           ``{"tensor": {"shape", "dtype", "values"}}``, since no state dict would bring it back
object                     ``{"class": "module:qualname", "arguments": {...}}``
the same module again      ``{"reference": n}``, where the first one has ``"id": n``
=========================  ==========================================================================================
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from neurotorch.core.checks import nearest

_PACKAGE = "neurotorch"


def describe(value: Any) -> Any:
    """Return a JSON-able description of `value`, from which `build` makes an equal one.

    A module that appears twice is described once and referred to, so that sharing survives. Tensors that are in the
    ``state_dict()`` of `value` are described by shape and dtype only: save them beside it.

    Raises
    ------
    TypeError
        If an object cannot be described; the message says where it is and what to do.
    """
    return _Describer(value).describe(value, "value" if not _is_object(value) else type(value).__name__)


def build(description: Any, extra: Iterable[type] = (), *, tensors: Mapping[str, torch.Tensor] | None = None) -> Any:
    """Return the object that `description` describes.

    Only classes of neurotorch and those in `extra` are ever used: a description cannot make other code run.

    Parameters
    ----------
    description
        What `describe` returned, perhaps read back from JSON.
    extra
        Classes of your own that the description may name, found by module and name or else by name alone.
    tensors
        The state dict saved beside the description. With it constructors see the true masks, signs, ...; without it
        they see zeros. Either way what was learned comes back only by calling ``load_state_dict`` afterwards.

    Raises
    ------
    ValueError
        If a class is not known or the description does not fit its constructor.
    """
    return _Builder(extra, tensors).build(description)


class _Describer:
    def __init__(self, root: Any) -> None:
        state = root.state_dict(keep_vars=True) if isinstance(root, nn.Module) else {}
        self._keys = {id(tensor): key for key, tensor in state.items() if isinstance(tensor, torch.Tensor)}
        self._entries: dict[int, dict[str, Any]] = {}
        self._alive: list[nn.Module] = []  # an id is only unique while its object lives
        self._identified = 0

    def describe(self, value: Any, place: str) -> Any:
        if value is None or isinstance(value, (bool, int, str)):
            return value
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"float": str(float(value))}
        if isinstance(value, torch.dtype):
            return {"dtype": _name_of_dtype(value)}
        if isinstance(value, torch.Tensor):
            return {"tensor": self._tensor(value)}
        if isinstance(value, (nn.ModuleDict, Mapping)):
            return {"mapping": {self._key(k, place): self.describe(v, f"{place}[{k!r}]") for k, v in value.items()}}
        if _is_object(value):
            return self._module(value, place) if isinstance(value, nn.Module) else self._object(value, place, {})
        if isinstance(value, (list, tuple, nn.ModuleList)):
            items = [self.describe(item, f"{place}[{i}]") for i, item in enumerate(value)]
            return {"tuple": items} if isinstance(value, tuple) else items
        raise TypeError(
            f"`{place}` is a {type(value).__qualname__}, which cannot be described: make it a module, a NamedTuple, a "
            "frozen dataclass, a tensor or a plain value, or name the argument in `__config_exclude__`."
        )

    def _tensor(self, tensor: torch.Tensor) -> dict[str, Any]:
        entry: dict[str, Any] = {"shape": list(tensor.shape), "dtype": _name_of_dtype(tensor.dtype)}
        if isinstance(tensor, nn.Parameter):
            entry["parameter"] = True
        if id(tensor) in self._keys:
            entry["key"] = self._keys[id(tensor)]
        else:
            entry["values"] = self.describe(tensor.detach().cpu().tolist(), "values")
        return entry

    def _module(self, module: nn.Module, place: str) -> dict[str, Any]:
        if id(module) not in self._entries:
            self._alive.append(module)
            return self._object(module, place, self._entries.setdefault(id(module), {}))
        entry = self._entries[id(module)]
        if "arguments" not in entry:
            raise TypeError(f"`{place}` holds itself: an object that contains itself cannot be built again.")
        if "id" not in entry:
            self._identified += 1
            entry["id"] = self._identified
        return {"reference": entry["id"]}

    def _object(self, value: Any, place: str, entry: dict[str, Any]) -> dict[str, Any]:
        cls = type(value)
        excluded: frozenset[str] = getattr(value, "__config_exclude__", frozenset())
        arguments = {}
        for name, parameter in inspect.signature(cls).parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise TypeError(
                    f"`{cls.__qualname__}` at `{place}` takes `{parameter}`: name the arguments one by one."
                )
            if name in excluded:
                if parameter.default is parameter.empty:
                    raise TypeError(f"`{cls.__qualname__}` excludes its argument `{name}`, so it needs a default.")
                continue
            if not hasattr(value, name):
                raise TypeError(
                    f"`{cls.__qualname__}` at `{place}` takes the argument `{name}` but has no attribute of that name: "
                    "keep it as an attribute or name it in `__config_exclude__`."
                )
            arguments[name] = self.describe(getattr(value, name), f"{place}.{name}")
        entry.update({"class": _name_of(cls), "arguments": arguments})
        return entry

    def _key(self, key: Any, place: str) -> str:
        if not isinstance(key, str):
            raise TypeError(f"`{place}` has the key {key!r}, but the keys of a described mapping are strings.")
        return key


class _Builder:
    def __init__(self, extra: Iterable[type], tensors: Mapping[str, torch.Tensor] | None) -> None:
        self._extra = list(extra)
        self._tensors = tensors
        self._built: dict[int, Any] = {}

    def build(self, description: Any) -> Any:
        if description is None or isinstance(description, (bool, int, float, str)):
            return description
        if isinstance(description, list):
            return [self.build(item) for item in description]
        match description:
            case {"class": str(name), "arguments": dict(arguments)}:
                value = self._object(name, arguments)
                if "id" in description:
                    self._built[description["id"]] = value
                return value
            case {"reference": int(number)} if number in self._built:
                return self._built[number]
            case {"mapping": dict(items)}:
                return {key: self.build(item) for key, item in items.items()}
            case {"tuple": list(items)}:
                return tuple(self.build(item) for item in items)
            case {"float": ("nan" | "inf" | "-inf") as text}:
                return float(text)
            case {"dtype": str(name)}:
                return _dtype(name)
            case {"tensor": {"shape": list(shape), "dtype": str(name), **rest}}:
                return self._tensor(shape, _dtype(name), rest)
        raise ValueError(f"{description!r:.200} is not a description: give what `describe` returned, unchanged.")

    def _tensor(self, shape: list[int], dtype: torch.dtype, rest: Mapping[Any, Any]) -> torch.Tensor:
        if "values" in rest:
            tensor = torch.tensor(self.build(rest["values"]), dtype=dtype).reshape(shape)
        elif self._tensors is None:
            tensor = torch.zeros(shape, dtype=dtype)
        else:
            found = self._tensors.get(str(rest.get("key")))
            if found is None or list(found.shape) != shape:
                what = "missing" if found is None else f"of shape {list(found.shape)}"
                raise ValueError(
                    f"`tensors[{rest.get('key')!r}]` is {what}, but the description has the shape {shape}: give the "
                    "state dict that was saved beside it."
                )
            tensor = found.detach().to(dtype).clone()
        return nn.Parameter(tensor) if rest.get("parameter") else tensor

    def _object(self, name: str, arguments: Mapping[str, Any]) -> Any:
        cls = self._class(name)
        parameters = inspect.signature(cls).parameters
        for argument in arguments:
            if argument not in parameters:
                raise ValueError(f"`{name}` has no argument `{argument}`.{nearest(argument, parameters)}")
        required = {key for key, parameter in parameters.items() if parameter.default is parameter.empty}
        if missing := required - set(arguments):
            raise ValueError(f"the description of `{name}` lacks {sorted(missing)}: it is of another version.")
        built = {key: self.build(value) for key, value in arguments.items()}
        positional = [built.pop(key) for key, p in parameters.items() if p.kind is p.POSITIONAL_ONLY and key in built]
        return cls(*positional, **built)

    def _class(self, name: str) -> Any:
        module, _, qualname = name.partition(":")
        exact = [cls for cls in self._extra if _name_of(cls) == name]
        own = _own_class(module, qualname)
        # By name alone last: a class of a script is `__main__:X` there and `script:X` where it is imported.
        renamed = [cls for cls in self._extra if cls.__qualname__ == qualname]
        for cls in (*exact, own, *renamed):
            if cls is not None:
                return cls
        known = ", ".join(_name_of(cls) for cls in self._extra) or "none"
        raise ValueError(
            f"`{name}` is not a class of {_PACKAGE} that can be built, nor among those passed in `extra=` ({known}). "
            "If it is yours and you trust it, import it and pass the class in `extra=`."
        )


def _own_class(module: str, qualname: str) -> type | None:
    """Return a buildable class *defined* in a module of this package; names such as ``os.system`` lead nowhere."""
    parts = module.split(".")
    if parts[0] != _PACKAGE or not all(part.isidentifier() and not part.startswith("__") for part in parts):
        return None
    try:
        value: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(_PACKAGE):
            raise  # a library that a room of ours needs is missing: say that instead
        return None
    for part in qualname.split("."):
        value = getattr(value, part, None)
    if not isinstance(value, type) or _name_of(value) != f"{module}:{qualname}" or not _is_buildable(value):
        return None
    return value


def _is_object(value: Any) -> bool:
    return _is_buildable(type(value)) and not isinstance(value, (nn.ModuleList, nn.ModuleDict))


def _is_buildable(cls: type) -> bool:
    is_named_tuple = issubclass(cls, tuple) and hasattr(cls, "_fields")
    is_frozen = dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    return issubclass(cls, nn.Module) or is_named_tuple or is_frozen


def _name_of(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _name_of_dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _dtype(name: str) -> torch.dtype:
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"{name!r} is not a dtype of torch.{nearest(name, ('float32', 'float64', 'int64', 'bool'))}")
    return dtype
