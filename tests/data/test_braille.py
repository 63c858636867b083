"""The file of the Braille letters, and what is no such file."""

import numpy as np
import pytest

from neurotorch.data.sequences import read_braille

LETTERS = {
    "taxel": np.arange(24, dtype=np.uint8).reshape(3, 4, 2),
    "length": np.array([4, 2, 3]),
    "label": np.array([1, 0, 1]),
    "repetition": np.array([0, 0, 1]),
    "letters": np.array(["A", "B"]),
}


@pytest.fixture
def path(tmp_path):
    np.savez(tmp_path / "x.npz", **LETTERS)
    return tmp_path / "x.npz"


def test_it_reads_what_the_file_holds(path):
    found = read_braille(path)
    np.testing.assert_array_equal(found.values, LETTERS["taxel"])
    assert (found.labels.tolist(), found.lengths.tolist(), found.groups.tolist()) == ([1, 0, 1], [4, 2, 3], [0, 0, 1])
    assert (found.classes, found.dt, found.name) == (("A", "B"), 0.025, "x")


def test_what_is_no_such_file_is_one_error_that_names_it(path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*y.npz"):
        read_braille(path.with_name("y.npz"))
    for damage in (path.read_bytes()[:-30], b"hello", b""):
        path.write_bytes(damage)
        with pytest.raises(ValueError, match=r"x.npz cannot be read as a NumPy archive"):
            read_braille(path)
    with path.open("wb") as file:
        np.save(file, LETTERS["label"])
    with pytest.raises(ValueError, match=r"x.npz cannot be read as a NumPy archive"):
        read_braille(path)
    np.savez(path, label=LETTERS["label"])
    with pytest.raises(ValueError, match=r"it holds \['label'\] and no \['taxel', 'length', 'repetition', 'letters'\]"):
        read_braille(path)
    np.savez(path, **LETTERS | {"letters": np.array(["A", None])})
    with pytest.raises(ValueError, match=r"'letters' in .*x.npz holds Python objects"):
        read_braille(path)
