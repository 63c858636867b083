"""Holds the order of the rooms and what no room may do, by reading the source of the package.

Each rule is a function from one parsed file to its breaches, and each is shown to catch a planted breach.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "neurotorch"
ROOMS = (
    "core", "neurons", "connections", "engine", "network", "data", "learning", "training", "evaluation",
    "analysis", "plotting", "interop", "runs", "cli",
)  # fmt: skip
AT_FIRST_USE = {"numba", "pandas", "scipy", "matplotlib", "h5py"}  # together 0.8 s at import
ONLY_IN = {"matplotlib": "plotting", "norse": "interop", "nir": "interop"}
PICKLES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


@dataclass(frozen=True)
class Import:
    """One import: the dotted name that is loaded, its line, and where it stands."""

    name: str
    line: int
    inside_function: bool
    for_types: bool


@dataclass(frozen=True)
class Source:
    """One file of the package: its path below the package and its syntax tree."""

    path: Path
    tree: ast.Module

    @classmethod
    def of(cls, path: str, text: str) -> Source:
        return cls(Path(path), ast.parse(textwrap.dedent(text)))

    @property
    def room(self) -> str | None:
        """The room, or None for the files that stand in the package's own folder."""
        return self.path.parts[0] if len(self.path.parts) > 1 else None

    def imports(self) -> list[Import]:
        return list(_imports(self.tree, self.path, inside_function=False, for_types=False))


def _imports(node: ast.AST, path: Path, *, inside_function: bool, for_types: bool) -> Iterator[Import]:
    for name in _imported(node, path):
        yield Import(name, node.lineno, inside_function, for_types)  # type: ignore[attr-defined]
    if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        for child in node.body:
            yield from _imports(child, path, inside_function=inside_function, for_types=True)
        for child in node.orelse:
            yield from _imports(child, path, inside_function=inside_function, for_types=for_types)
        return
    inside_function = inside_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, path, inside_function=inside_function, for_types=for_types)


def _imported(node: ast.AST, path: Path) -> list[str]:
    """The dotted names which `node` itself imports, relative imports and `import_module("...")` resolved."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            folder = ["neurotorch", *path.parts[:-1]]
            base = ".".join(folder[: len(folder) - node.level + 1] + ([base] if base else []))
        return [f"{base}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__"):
        return [a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return []


def _told(source: Source, line: int, breach: str) -> str:
    return f"neurotorch/{source.path.as_posix()}:{line} {breach}"


def upward_imports(source: Source) -> Iterator[str]:
    """A room may import itself and the rooms named before it."""
    if source.room is None:
        return
    for item in source.imports():
        top, _, rest = item.name.partition(".")
        if top != "neurotorch":
            continue
        other = rest.partition(".")[0]
        if other not in ROOMS:
            yield _told(source, item.line, f"imports {item.name}: name the room a thing lives in")
        elif ROOMS.index(other) > ROOMS.index(source.room):
            yield _told(source, item.line, f"imports {item.name}, but `{other}` comes after `{source.room}`")


def imports_in_the_wrong_room(source: Source) -> Iterator[str]:
    """Only plotting imports matplotlib, only interop imports norse and nir."""
    for item in source.imports():
        top = item.name.partition(".")[0]
        if top in ONLY_IN and source.room != ONLY_IN[top]:
            yield _told(source, item.line, f"imports {top}, which only `{ONLY_IN[top]}` may")


def early_imports(source: Source) -> Iterator[str]:
    """Slow libraries are imported inside functions, at first use (or for types only)."""
    for item in source.imports():
        if item.name.partition(".")[0] in AT_FIRST_USE and not (item.inside_function or item.for_types):
            yield _told(source, item.line, f"imports {item.name} at module level: import it where it is first used")


def pickles(source: Source) -> Iterator[str]:
    """Nothing is read from or written to pickles, directly or through torch, numpy or pandas."""
    for item in source.imports():
        if item.name.partition(".")[0] in PICKLES or item.name in ("torch.load", "torch.save"):
            yield _told(source, item.line, f"imports {item.name}")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute):
            if ast.unparse(node) in ("torch.load", "torch.save") or node.attr in ("read_pickle", "to_pickle"):
                yield _told(source, node.lineno, f"uses {ast.unparse(node)}")
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
            yield _told(source, node.value.lineno, f"passes {ast.unparse(node)}")


def prints(source: Source) -> Iterator[str]:
    """Only the command line prints."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print" and source.room != "cli":
            yield _told(source, node.lineno, "prints: use `logging`, or `tqdm` for progress")


def more_than_exports(source: Source) -> Iterator[str]:
    """An `__init__.py` holds a docstring, imports by name, `__all__` and `__version__`.

    The package's own may also hold `__getattr__` and `__dir__`, for names that are loaded at first use.
    """
    if source.path.name != "__init__.py":
        return
    for node in source.tree.body:
        match node:
            case ast.Import() | ast.ImportFrom():
                if any(alias.name == "*" for alias in node.names):
                    yield _told(source, node.lineno, "imports *: write the names out")
            case ast.Expr(value=ast.Constant(value=str())):
                pass
            case ast.Assign(targets=[ast.Name(id="__all__" | "__version__")]):
                pass
            case ast.FunctionDef(name="__getattr__" | "__dir__") | ast.If(test=ast.Name(id="TYPE_CHECKING")):
                if source.room is not None:
                    yield _told(source, node.lineno, "only the package's own `__init__.py` may load names lazily")
            case ast.Assign() | ast.AnnAssign() if source.room is None and ast.unparse(node).startswith("_"):
                pass  # the table of names loaded at first use
            case _:
                yield _told(source, node.lineno, "an `__init__.py` only re-exports")


RULES = (upward_imports, imports_in_the_wrong_room, early_imports, pickles, prints, more_than_exports)
FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule):
    sources = [Source(path, ast.parse((PACKAGE / path).read_text("utf-8"))) for path in FILES]
    assert sources, "no source found"
    assert [breach for source in sources for breach in rule(source)] == []


PLANTED = [
    (upward_imports, "core/x.py", "from neurotorch.neurons import LIF"),
    (upward_imports, "core/x.py", "from neurotorch import neurons"),
    (upward_imports, "core/x.py", "from ..neurons import LIF"),
    (upward_imports, "data/readers/x.py", "from ...runs import load"),
    (upward_imports, "core/x.py", "def f():\n    import neurotorch.runs"),
    (upward_imports, "core/x.py", "import importlib\nimportlib.import_module('neurotorch.cli.main')"),
    (upward_imports, "runs/x.py", "import neurotorch"),
    (upward_imports, "core/x.py", "if TYPE_CHECKING:\n    from neurotorch.network import Network"),
    (imports_in_the_wrong_room, "runs/x.py", "def f():\n    import matplotlib.pyplot as plt"),
    (imports_in_the_wrong_room, "neurons/x.py", "import norse.torch"),
    (early_imports, "plotting/x.py", "from matplotlib.figure import Figure"),
    (early_imports, "data/x.py", "try:\n    import pandas as pd\nexcept ImportError:\n    pass"),
    (early_imports, "core/x.py", "class A:\n    import numba"),
    (pickles, "core/x.py", "import pickle"),
    (pickles, "core/x.py", "import torch\ntorch.save({}, 'x')"),
    (pickles, "core/x.py", "from torch import load"),
    (pickles, "data/x.py", "import numpy as np\nnp.load('x', allow_pickle=True)"),
    (prints, "core/x.py", "def f():\n    print('x')"),
    (more_than_exports, "core/__init__.py", "from neurotorch.core.checks import *"),
    (more_than_exports, "core/__init__.py", "LIMIT = 3"),
    (more_than_exports, "core/__init__.py", "def helper(): ..."),
    (more_than_exports, "core/__init__.py", "def __getattr__(name): ..."),
    (more_than_exports, "__init__.py", "for name in (): ..."),
]
ALLOWED = [
    ("runs/x.py", "from neurotorch.core import checks\nfrom neurotorch.runs import folder\nfrom . import config"),
    ("plotting/x.py", "if TYPE_CHECKING:\n    from matplotlib.axes import Axes\ndef f():\n    import matplotlib"),
    ("data/x.py", "import numpy as np\ndef f():\n    import h5py\n    np.load('x', allow_pickle=False)"),
    ("cli/x.py", "print('done')"),
    ("core/__init__.py", '"""Core."""\nfrom neurotorch.core.checks import nearest\n__all__ = ["nearest"]'),
    ("__init__.py", "_LAZY = {}\n__version__ = '1'\ndef __getattr__(name):\n    return _LAZY[name]"),
]


@pytest.mark.parametrize(("rule", "path", "text"), PLANTED, ids=[f"{p[0].__name__}-{i}" for i, p in enumerate(PLANTED)])
def test_a_planted_breach_is_found(rule, path, text):
    assert len(list(rule(Source.of(path, text)))) == 1


@pytest.mark.parametrize(("path", "text"), ALLOWED, ids=[path for path, _ in ALLOWED])
def test_what_is_allowed_passes_every_rule(path, text):
    assert [breach for rule in RULES for breach in rule(Source.of(path, text))] == []


def test_every_folder_is_a_known_room_with_an_init():
    folders = {path.parent for path in FILES if path.parent != Path()}
    assert {folder.parts[0] for folder in folders} <= set(ROOMS)
    assert {folder for folder in folders if not (PACKAGE / folder / "__init__.py").is_file()} == set()


def test_the_order_here_is_the_order_in_the_contracts():
    contracts = (REPOSITORY / "docs" / "contracts.md").read_text("utf-8")
    stated = re.search(r"Imports go downwards only: `([^`]+)`", contracts)
    assert stated is not None
    assert tuple(re.split(r",\s*", stated[1])) == ROOMS


def test_importing_the_package_loads_no_slow_library():
    program = f"""
        import sys, torch, numpy
        before = set(sys.modules)
        import neurotorch
        print(*sorted({AT_FIRST_USE!r} & (set(sys.modules) - before)))
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == []
