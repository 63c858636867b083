import errno
import json
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import neurotorch
from neurotorch.core.storage import (
    has_state,
    load_json,
    load_state,
    load_tensors,
    save_json,
    save_state,
    save_tensors,
    write_atomically,
)

ROOT = Path(neurotorch.__path__[0]).parent


def full_disk(*arguments, **keywords):
    raise OSError(errno.ENOSPC, "No space left on device")


def same(first, second):
    """Whether two nested states are equal in structure, types and bits (NaN equals NaN)."""
    if isinstance(first, torch.Tensor):
        return (
            isinstance(second, torch.Tensor)
            and first.dtype == second.dtype
            and first.shape == second.shape
            and first.contiguous().numpy().tobytes() == second.contiguous().numpy().tobytes()
        )
    if type(first) is not type(second):
        return False
    if isinstance(first, dict):
        return same(list(first), list(second)) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, float):
        return repr(first) == repr(second)
    return first == second


class TestWriteAtomically:
    def test_the_file_is_written_and_nothing_else(self, tmp_path):
        path = tmp_path / "new" / "text.txt"
        write_atomically(path, lambda temporary: temporary.write_text("new"))
        assert path.read_text() == "new"
        assert os.listdir(path.parent) == ["text.txt"]

    def test_the_temporary_file_has_the_suffix_and_the_folder_of_the_target(self, tmp_path):
        seen = []
        write_atomically(tmp_path / "table.npy", lambda temporary: (seen.append(temporary), np.save(temporary, [1])))
        assert seen[0].suffix == ".npy"
        assert seen[0].parent == tmp_path
        assert np.load(tmp_path / "table.npy").tolist() == [1]

    @pytest.mark.parametrize("fails", ["write", "fsync", "replace"])
    def test_a_full_disk_leaves_what_was_there(self, tmp_path, monkeypatch, fails):
        path = tmp_path / "text.txt"
        path.write_text("old")

        def write(temporary):
            temporary.write_text("ne")
            if fails == "write":
                full_disk()

        if fails != "write":
            monkeypatch.setattr(os, fails, full_disk)
        with pytest.raises(OSError, match=r"No space left on device.*unchanged.*Free space") as raised:
            write_atomically(path, write)
        assert raised.value.errno == errno.ENOSPC
        assert str(path) in str(raised.value)
        assert path.read_text() == "old"
        assert os.listdir(tmp_path) == ["text.txt"]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
    def test_any_other_failure_passes_through_and_leaves_what_was_there(self, tmp_path, error):
        path = tmp_path / "text.txt"
        path.write_text("old")

        def write(temporary):
            temporary.write_text("ne")
            raise error

        with pytest.raises(error):
            write_atomically(path, write)
        assert path.read_text() == "old"
        assert os.listdir(tmp_path) == ["text.txt"]

    def test_a_folder_that_cannot_be_made_is_named(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(OSError, match=r"file/text\.txt"):
            write_atomically(tmp_path / "file" / "text.txt", lambda temporary: temporary.write_text(""))

    def test_a_link_stays_a_link(self, tmp_path):
        (tmp_path / "target.txt").write_text("old")
        (tmp_path / "link.txt").symlink_to(tmp_path / "target.txt")
        write_atomically(tmp_path / "link.txt", lambda temporary: temporary.write_text("new"))
        assert (tmp_path / "link.txt").is_symlink()
        assert (tmp_path / "target.txt").read_text() == "new"


class TestTensors:
    def test_views_and_shared_memory_are_stored_by_value(self, tmp_path):
        base = torch.arange(12.0).reshape(3, 4)
        tensors = {
            "base": base,
            "again": base,
            "transposed": base.T,
            "column": base[:, 1],
            "expanded": torch.ones(1).expand(5),
            "scalar": torch.tensor(0.1, dtype=torch.float64),
            "empty": torch.zeros(0, 3),
            "mask": base > 3,
            "half": base.to(torch.bfloat16),
            "conjugate": torch.tensor([1 + 2j]).conj(),
            "parameter": torch.nn.Parameter(base),
        }
        save_tensors(tmp_path / "t.safetensors", tensors)
        loaded = load_tensors(tmp_path / "t.safetensors")
        assert set(loaded) == set(tensors)
        for name, tensor in tensors.items():
            assert loaded[name].dtype == tensor.dtype
            assert torch.equal(loaded[name], tensor.detach())

    def test_what_is_loaded_may_be_changed(self, tmp_path):
        save_tensors(tmp_path / "t.safetensors", {"a": torch.zeros(2)})
        loaded = load_tensors(tmp_path / "t.safetensors")["a"].add_(1)
        assert loaded.tolist() == [1, 1]
        assert load_tensors(tmp_path / "t.safetensors")["a"].tolist() == [0, 0]

    @pytest.mark.parametrize(
        ("tensor", "says"),
        [
            (torch.eye(2).to_sparse(), "tensor `a` is .*to_dense"),
            (torch.zeros(1, dtype=torch.complex128), "complex128"),
        ],
    )
    def test_a_tensor_that_cannot_be_stored_is_named(self, tmp_path, tensor, says):
        with pytest.raises(TypeError, match=says):
            save_tensors(tmp_path / "t.safetensors", {"a": tensor})
        assert not os.listdir(tmp_path)

    def test_a_truncated_file_is_named(self, tmp_path):
        path = tmp_path / "t.safetensors"
        save_tensors(path, {"a": torch.zeros(100)})
        path.write_bytes(path.read_bytes()[:-7])
        with pytest.raises(ValueError, match=r"t\.safetensors` is truncated"):
            load_tensors(path)


class TestJson:
    def test_values_come_back(self, tmp_path):
        value = {"a": [1, 0.1, -0.0, None, True, "é\n"], "b": {"c": {}}}
        save_json(tmp_path / "v.json", value)
        assert same(load_json(tmp_path / "v.json"), value)

    def test_numpy_values_and_tuples_become_plain(self, tmp_path):
        value = {"a": np.float32(0.5), "b": np.arange(3), "c": (np.int64(1), np.bool_(True))}
        save_json(tmp_path / "v.json", value)
        assert load_json(tmp_path / "v.json") == {"a": 0.5, "b": [0, 1, 2], "c": [1, True]}

    @pytest.mark.parametrize("value", [math.nan, math.inf, np.float32("nan"), np.array([0, -math.inf])])
    def test_non_finite_values_are_refused_unless_null_is_asked_for(self, tmp_path, value):
        with pytest.raises(ValueError, match=r"`value\['a'\].*non_finite_as_null=True"):
            save_json(tmp_path / "v.json", {"a": value})
        assert not os.listdir(tmp_path)
        save_json(tmp_path / "v.json", {"a": value}, non_finite_as_null=True)
        assert load_json(tmp_path / "v.json")["a"] in (None, [0, None])

    @pytest.mark.parametrize(
        ("value", "says"),
        [({"a": [{1: 2}]}, r"`value\['a'\]\[0\]` has the key 1"), ({"a": {1}}, r"`value\['a'\]` is a set")],
    )
    def test_what_json_cannot_hold_is_named(self, tmp_path, value, says):
        with pytest.raises(TypeError, match=says):
            save_json(tmp_path / "v.json", value)

    @pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": Infinity}', '{"a": 1', "", "\udcff"])
    def test_a_file_that_is_not_strict_json_is_named(self, tmp_path, text):
        (tmp_path / "v.json").write_text(text, errors="surrogateescape")
        with pytest.raises(ValueError, match=r"v\.json` is not a JSON file"):
            load_json(tmp_path / "v.json")


TENSORS = st.sampled_from(
    [torch.zeros(0), torch.tensor(3), torch.eye(3)[:, 1], torch.tensor([math.nan, -0.0]), torch.get_rng_state()]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("$tensor") | TENSORS
KEYS = st.text() | st.integers() | st.none() | st.sampled_from(["$tuple", "$dict", "$float", True, 0.5, math.inf])
STATES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner) | st.lists(inner).map(tuple),
    max_leaves=12,
)


class TestState:
    @given(state=STATES)
    def test_any_nested_state_comes_back_exactly(self, tmp_path_factory, state):
        folder = tmp_path_factory.mktemp("state")
        save_state(folder, state)
        assert same(load_state(folder), state)

    def test_the_state_of_an_optimizer_comes_back(self, tmp_path):
        model = torch.nn.Linear(3, 2)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        model(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        save_state(tmp_path, optimizer.state_dict())
        loaded = load_state(tmp_path)
        assert same(loaded, optimizer.state_dict())
        torch.optim.Adam(model.parameters()).load_state_dict(loaded)

    def test_only_the_newest_state_is_kept_and_other_files_are_left_alone(self, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        (tmp_path / ".state.0123abcd.writing.json").write_text("what a killed writer left")
        for value in range(3):
            save_state(tmp_path, {"a": torch.full((2,), value)})
        names = sorted(os.listdir(tmp_path))
        assert [name.split("-")[0] for name in names] == ["notes.txt", "state", "state.json"]
        assert load_state(tmp_path)["a"].tolist() == [2, 2]

    def test_saving_the_same_state_again_keeps_it(self, tmp_path):
        for _ in range(2):
            save_state(tmp_path, [torch.ones(2)])
        assert load_state(tmp_path)[0].tolist() == [1, 1]

    @pytest.mark.parametrize("which", [0, 1])
    def test_a_full_disk_leaves_the_old_state_and_no_rubbish(self, tmp_path, monkeypatch, which):
        save_state(tmp_path, {"a": torch.zeros(3)})
        before = sorted(os.listdir(tmp_path))
        calls = []

        def fails_once(source, target, replace=os.replace):
            calls.append(target)
            return full_disk() if len(calls) == which + 1 else replace(source, target)

        monkeypatch.setattr(os, "replace", fails_once)
        with pytest.raises(OSError, match=str(tmp_path)) as raised:
            save_state(tmp_path, {"a": torch.ones(3)})
        assert raised.value.errno == errno.ENOSPC
        assert sorted(os.listdir(tmp_path)) == before
        assert load_state(tmp_path)["a"].tolist() == [0, 0, 0]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
    def test_killed_at_any_file_operation_the_old_or_the_new_state_is_there(self, tmp_path):
        result = subprocess.run(
            [sys.executable, "-c", KILLED_EVERYWHERE, str(tmp_path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 0, result.stderr
        outcomes = result.stdout.split()
        # Old until state.json is replaced, new from then on, and the writer that was not killed is the last.
        assert outcomes == sorted(outcomes, key=["old", "new", "alive"].index)
        assert {"old", "new", "alive"} == set(outcomes)
        assert len(outcomes) > 6

    @pytest.mark.parametrize(
        ("value", "says"),
        [
            ({"a": [object()]}, "`state/a/0` is a object"),
            ({"a": {(1, 2): 3}}, "`state/a` is a dict"),
            ({"a": np.float32(1)}, "`state/a` is a float32"),
            (torch.Size([1]), "`state` is a Size"),
        ],
    )
    def test_what_a_state_cannot_hold_is_named(self, tmp_path, value, says):
        with pytest.raises(TypeError, match=says):
            save_state(tmp_path, value)
        assert not has_state(tmp_path)

    def test_a_folder_without_a_state_is_named(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"nowhere` holds no saved state"):
            load_state(tmp_path / "nowhere")

    def test_a_foreign_state_file_is_not_overwritten(self, tmp_path):
        (tmp_path / "state.json").write_text('{"mine": 1}')
        with pytest.raises(ValueError, match="not a state of this version"):
            save_state(tmp_path, {})
        with pytest.raises(ValueError, match="not a state of this version"):
            load_state(tmp_path)
        assert json.loads((tmp_path / "state.json").read_text()) == {"mine": 1}

    def test_damaged_tensors_are_found(self, tmp_path):
        save_state(tmp_path, [torch.zeros(50)])
        (path,) = tmp_path.glob("state-*.safetensors")
        data = bytearray(path.read_bytes())
        data[-3] ^= 1
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"is damaged"):
            load_state(tmp_path)

    def test_a_state_names_no_file_outside_its_folder(self, tmp_path):
        save_state(tmp_path / "state", [torch.zeros(1)])
        save_state(tmp_path / "other", [torch.ones(1)])
        (other,) = (tmp_path / "other").glob("*.safetensors")
        document = load_json(tmp_path / "state" / "state.json")
        foreign = load_json(tmp_path / "other" / "state.json")
        document |= {"tensors": f"../other/{other.name}", "sha256": foreign["sha256"]}
        save_json(tmp_path / "state" / "state.json", document)
        with pytest.raises(FileNotFoundError):
            load_state(tmp_path / "state")


def test_nothing_is_pickled(tmp_path, monkeypatch):
    def refused(*arguments, **keywords):
        raise AssertionError("pickle was used")

    for module, names in (
        (torch, ("save", "load")),
        (pickle, ("dump", "dumps", "load", "loads", "Pickler", "Unpickler")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, refused)
    save_state(tmp_path, {"a": torch.ones(2), "b": [1, (2,)]})
    assert load_state(tmp_path)["b"] == [1, (2,)]


# Each child replaces the state of a fresh folder and kills itself at its k-th file operation, until one survives.
KILLED_EVERYWHERE = """
import os, shutil, signal, sys
from pathlib import Path
import torch
from neurotorch.core.storage import load_state, save_state

root = Path(sys.argv[1])
for k in range(1, 100):
    folder = root / str(k)
    save_state(folder, {"value": "old", "tensor": torch.zeros(1000)})
    child = os.fork()
    if child == 0:
        seen = 0

        def hook(event, arguments):
            global seen
            if any(isinstance(a, (str, os.PathLike)) and str(a).startswith(str(folder)) for a in arguments):
                seen += 1
                if seen == k:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        save_state(folder, {"value": "new", "tensor": torch.ones(1000)})
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    state = load_state(folder)
    assert state["tensor"].eq({"old": 0, "new": 1}[state["value"]]).all()
    if status == 0:
        print("alive")
        break
    assert os.WTERMSIG(status) == signal.SIGKILL
    print(state["value"])
    save_state(folder, {"value": "after", "tensor": torch.full((3,), 2.0)})
    assert load_state(folder)["value"] == "after" and len(os.listdir(folder)) == 2, os.listdir(folder)
"""
