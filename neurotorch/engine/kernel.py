"""Compiles `neurotorch.engine.machine`, once per machine and dtype, and keeps the compiled code on disk."""

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
from neurotorch.engine import machine

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
    numpy, because numba takes its cached code for fresh as long as one file is unchanged. Processes that start together
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
        return _compile(_from_text(text, dtype), dtype, cache=False)
    except Exception as error:  # noqa: BLE001  numba has its own errors on every platform; torch can do the work
        _LOGGER.warning("The compiled scans are not available, scans run in torch, slower: %s", _first_line(error))
        return None


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _prepare(text: str, dtype: str) -> Path | None:
    """Write the file to compile, unless it is there; return its path, or None where it cannot be written."""
    import numba
    import numpy as np

    key = "\n".join((text, inspect.getsource(sys.modules[__name__]), dtype, numba.__version__, np.__version__))
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


def _from_text(text: str, dtype: str) -> types.ModuleType:
    module = types.ModuleType(f"neurotorch_machine_{dtype}")
    exec(compile(text, f"<{module.__name__}>", "exec"), vars(module))
    return module


def _compile(module: types.ModuleType, dtype: str, *, cache: bool) -> Callable[..., None]:
    """Compile a copy of the machine for one dtype.

    No `fastmath` beyond contraction: elementwise arithmetic then rounds as in torch, and non-finite values stay what
    they are.
    """
    import numba
    from numba import types as kinds

    _teach_view(module.view)
    for name, helper in inspect.getmembers(module, inspect.isfunction):
        if helper.__module__ == module.__name__ and name not in ("view", "run"):
            setattr(module, name, numba.njit(fastmath={"contract"}, error_model="numpy", nogil=True)(helper))
    whole = kinds.int64
    table, row = kinds.Array(whole, 2, "C"), kinds.Array(whole, 1, "C")
    numbers = kinds.Array(getattr(kinds, dtype), 1, "C")
    signature = kinds.void(whole, whole, table, table, table, table, table, whole, row, numbers)
    settings: dict[str, Any] = {"fastmath": {"contract"}, "error_model": "numpy", "nogil": True, "cache": cache}
    compiled: Callable[..., None] = numba.njit(signature, **settings)(module.run)
    return compiled


def _teach_view(view: Callable[..., Any]) -> None:
    """Tell numba how to read numbers at an address. Signatures must agree, annotations included."""
    import numba
    from numba import types
    from numba.extending import intrinsic, overload

    @intrinsic
    def pointer(typing: Any, address: Any, like: Any) -> Any:  # noqa: ARG001
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(like.dtype)(address, like), generate

    read: Any = pointer
    carray: Any = numba.carray  # type: ignore[attr-defined]

    def choose(address, count, like):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, ARG001
        return lambda address, count, like: carray(read(address, like), (count,))

    overload(view)(choose)
