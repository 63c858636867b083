"""Compiles `neurotorch.engine.machine` and its products, once per dtype, and keeps the compiled code on disk."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import inspect
import logging
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neurotorch.core.storage import write_atomically
from neurotorch.engine import intrinsics, machine, masked_products, products

_LOGGER = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return where compiled code is kept: the folder NEUROTORCH_CACHE, or one of the user's caches."""
    given = os.environ.get("NEUROTORCH_CACHE")
    if given:
        return Path(given)
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "neurotorch" / "Cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "neurotorch"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "neurotorch"


@functools.cache
def kernel(dtype: str) -> Callable[..., None] | None:
    """Return the compiled `machine.run` for "float32" or "float64", None (and a warning) where it cannot be compiled.

    The text is compiled from a file of its own, named by the hash of the text, the dtype and the versions of numba and
    numpy, because numba takes its cached code for fresh as long as one file is unchanged; the texts that are compiled
    into it are part of the hash. Processes that start together
    each write the same file, atomically. Where the folder cannot be written, the code is compiled without being kept.
    """
    try:
        text = inspect.getsource(machine)
        path = _prepare(text, dtype)
        if path is not None:
            try:
                return _compile(_from_file(path), dtype, cache=True)
            except Exception as error:  # noqa: BLE001  a broken cache may raise anything; it is only a cache
                _LOGGER.warning(
                    "The compiled code in %s could not be used (%s): compiling it anew.", path, _first_line(error)
                )
        return _compile(_from_text(text, f"machine_{dtype}"), dtype, cache=False)
    except Exception as error:  # noqa: BLE001  numba has its own errors on every platform; torch can do the work
        _LOGGER.warning("The compiled scans are not available, scans run in torch, slower: %s", _first_line(error))
        return None


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _prepare(text: str, dtype: str) -> Path | None:
    """Write the file to compile, unless it is there; return its path, or None where it cannot be written."""
    import numba
    import numpy as np

    rest = [inspect.getsource(module) for module in (products, masked_products, intrinsics, sys.modules[__name__])]
    key = "\n".join((text, *rest, dtype, numba.__version__, np.__version__))
    path = cache_folder() / f"neurotorch_machine_{dtype}_{hashlib.sha256(key.encode()).hexdigest()[:16]}.py"
    try:
        if not path.is_file():
            write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
        writable = os.access(path.parent, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        _LOGGER.info("Compiled code is not kept, because %s cannot be written; set NEUROTORCH_CACHE.", path.parent)
    return path if writable else None


def _from_file(path: Path) -> types.ModuleType:
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module  # numba looks the module up by its name when it reads its cache
    specification.loader.exec_module(module)
    return module


def _from_text(text: str, name: str) -> types.ModuleType:
    module = types.ModuleType(f"neurotorch_{name}")
    sys.modules[module.__name__] = module  # as above
    exec(compile(text, f"<{module.__name__}>", "exec"), vars(module))
    return module


def _compile(module: types.ModuleType, dtype: str, *, cache: bool) -> Callable[..., None]:
    """Compile a copy of the machine, and copies of its products with it, for one dtype.

    No `fastmath` beyond contraction: elementwise arithmetic then rounds as in torch, and non-finite values stay what
    they are. The terms of `dot` may also change their order, which lets it run in vectors.
    """
    import numba
    from numba import types as kinds

    helpers = _from_text(inspect.getsource(products), f"products_{dtype}")
    intrinsics.teach(helpers, dtype)
    _jit_helpers(helpers)
    masked = _from_text(inspect.getsource(masked_products), f"masked_products_{dtype}")
    for name in ("events", "not_finite", "tile_at", "view"):
        setattr(masked, name, getattr(helpers, name))
    _jit_helpers(masked)
    for name in ("add_outer", "add_product", "view"):
        setattr(module, name, getattr(helpers, name))
    for name in ("add_masked_outer", "add_masked_product"):
        setattr(module, name, getattr(masked, name))
    _jit_helpers(module)
    whole = kinds.int64
    table, indices = kinds.Array(whole, 2, "C"), kinds.Array(kinds.int32, 1, "C")
    numbers = kinds.Array(getattr(kinds, dtype), 1, "C")
    signature = kinds.void(*[whole] * 4, *[table] * 6, whole, whole, indices, numbers, numbers)
    settings: dict[str, Any] = {"fastmath": {"contract"}, "error_model": "numpy", "nogil": True, "cache": cache}
    compiled: Callable[..., None] = numba.njit(signature, **settings)(module.run)
    return compiled


def _jit_helpers(module: types.ModuleType) -> None:
    """Compile the functions of a module for one another; those with a compiled meaning of their own stay."""
    import numba

    for name, helper in inspect.getmembers(module, inspect.isfunction):
        if helper.__module__ == module.__name__ and name not in (*intrinsics.NAMES, "run"):
            fast = {"contract", "reassoc", "nsz"} if name == "dot" else {"contract"}
            setattr(module, name, numba.njit(fastmath=fast, error_model="numpy", nogil=True)(helper))
