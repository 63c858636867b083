"""Every format gives the same recording; what a file does not say is asked for, and damage is one clear error."""

from __future__ import annotations

import dataclasses
import hashlib

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from neurotorch.data import read

ACTIVITY = np.random.default_rng(0).normal(size=(9, 4))  # (time, neuron)
NAMES = ["AVAL", "AVAR", "RIML", "RIMR"]


def write_npy(path, array=ACTIVITY):
    np.save(path, array)


def write_npz(path, array=ACTIVITY, **others):
    np.savez(path, activity=array, **others)


def write_csv(path, array=ACTIVITY, header="", first=None):
    rows = [",".join(repr(float(value)) for value in row) for row in array]
    rows = rows if first is None else [f"{label},{row}" for label, row in zip(first, rows, strict=True)]
    path.write_text("\n".join(([header] if header else []) + rows) + "\n")


def write_hdf5(path, array=ACTIVITY, name="session/dff", **attributes):
    with h5py.File(path, "w") as file:
        file[name] = array
        file[name].attrs.update(attributes)


def write_mat(path, array=ACTIVITY, **others):
    savemat(path, {"activity": array, **others})


def write_mat_v73(path, array=ACTIVITY):
    """As MATLAB does: a block of its own before the HDF5 file, and matrices with columns first."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file["activity"] = np.ascontiguousarray(array.T)
        file["activity"].attrs["MATLAB_class"] = np.bytes_("double")
        file["label"] = np.array([[ord(letter)] for letter in "fish"], dtype=np.uint16)
        file["label"].attrs["MATLAB_class"] = np.bytes_("char")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


WRITERS = {
    "a.npy": write_npy, "a.npz": write_npz, "a.csv": write_csv, "a.h5": write_hdf5, "a.hdf5": write_hdf5,
    "a.mat": write_mat, "v73.mat": write_mat_v73,
}  # fmt: skip


@pytest.fixture(params=WRITERS)
def file(request, tmp_path):
    path = tmp_path / request.param
    return path, WRITERS[request.param]


def test_every_format_gives_the_same_recording(file):
    path, write = file
    write(path)
    recording = read(path, dt=0.5, axes="time,neuron")
    np.testing.assert_array_equal(recording.activity, ACTIVITY)
    assert recording.dt == 0.5
    assert recording.provenance["path"] == str(path.resolve())
    assert recording.provenance["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("axes", ["neuron,time", "neuron, time", ("neuron", "time")])
def test_every_format_can_be_turned(file, axes):
    path, write = file
    write(path, ACTIVITY.T)
    recording = read(str(path), dt=0.5, axes=axes)
    np.testing.assert_array_equal(recording.activity, ACTIVITY)
    assert recording.provenance["axes"] == "neuron,time"


@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (6, 6)])
def test_axes_are_never_guessed_and_the_error_shows_both_readings(file, shape):
    path, write = file
    write(path, np.ones(shape))
    rows, columns = shape
    message = (
        rf"{rows} frames of {columns} neurons \(axes='time,neuron'\) or {columns} frames of {rows} neurons \(axes='n"
    )
    with pytest.raises(ValueError, match=message):
        read(path, dt=0.5)


def test_dt_is_needed_where_the_file_does_not_say(file):
    path, write = file
    write(path)
    with pytest.raises(ValueError, match="does not say how long a frame lasts: pass `dt` in seconds"):
        read(path, axes="time,neuron")


def test_a_truncated_file_of_any_format_is_one_error_that_names_it(file):
    path, write = file
    write(path, np.random.default_rng(0).normal(size=(50, 40)))
    if path.suffix == ".csv":
        pytest.skip("a shorter table is a table")
    size = path.stat().st_size
    for kept in (0, 3, size // 2, size - 9):
        write(path, np.random.default_rng(0).normal(size=(50, 40)))
        with path.open("r+b") as opened:
            opened.truncate(kept)
        with pytest.raises(ValueError, match=r"cannot be read as .* truncated, damaged or of another format") as error:
            read(path, dt=0.5, axes="time,neuron")
        assert str(path) in str(error.value)


def test_a_file_of_another_format_is_one_error(file):
    path, _ = file
    path.write_bytes(b"%PDF-1.4 not a recording\n" * 40)
    with pytest.raises(ValueError, match=r"another format|not a number|no column of numbers"):
        read(path, dt=0.5, axes="time,neuron")


def test_flipped_bytes_never_end_in_anything_but_a_value_error(file, random):
    path, write = file
    if path.name == "a.mat":
        pytest.skip("scipy's parser of old .mat files can end the process on such bytes (seen with scipy 1.17.1)")
    write(path)
    whole = path.read_bytes()
    for _ in range(30):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 4):
            damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            read(path, dt=0.5, axes="time,neuron")
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017


def test_python_objects_are_refused_without_pickle(tmp_path):
    objects = np.array([{"a": 1}, None], dtype=object)
    np.save(tmp_path / "a.npy", objects)
    np.savez(tmp_path / "a.npz", objects=objects, activity=ACTIVITY)
    with pytest.raises(ValueError, match=r"Python objects, which only pickle can read.*save a plain array"):
        read(tmp_path / "a.npy", dt=1, axes="time,neuron")
    with pytest.raises(ValueError, match=r"'objects'.*Python objects"):
        read(tmp_path / "a.npz", dt=1, axes="time,neuron", key="objects")
    assert read(tmp_path / "a.npz", dt=1, axes="time,neuron").frames == 9


def test_a_missing_file_says_which_one_may_be_meant(tmp_path):
    write_npy(tmp_path / "fish1.npy")
    with pytest.raises(FileNotFoundError, match=r"no file .*fihs1\.npy.*Did you mean 'fish1.npy'"):
        read(tmp_path / "fihs1.npy")
    with pytest.raises(FileNotFoundError, match=r"folder .*nowhere does not exist"):
        read(tmp_path / "nowhere" / "fish1.npy")


BAD = {
    "unknown ending": ("a.npyy", {}, r"'\.npyy'.*\.npy, \.npz.*Did you mean '\.npy'"),
    "unknown axes": ("a.npy", {"axes": "time,cell"}, "`axes` is 'time,cell'"),
    "three axes": ("a.npy", {"axes": ("time", "neuron", "trial")}, "'time,neuron' or 'neuron,time'"),
    "unknown key": (
        "two.npz",
        {"key": "dfff"},
        r"no array 'dfff'.*Did you mean 'dff'.*'dff' \(9, 4\).*'raw' \(9, 4\)",
    ),
    "no key of two": (
        "two.npz",
        {},
        r"2 matrices.*key='dff'.*'dff' \(9, 4\).*'raw' \(9, 4\).*'note' \(\) \(text\)",
    ),
    "key of a vector": ("two.npz", {"key": "times"}, r"'times'.*shape \(9,\).*matrix"),
    "key of a text": ("two.npz", {"key": "note"}, "holds text"),
    "unknown inputs": ("two.npz", {"key": "dff", "inputs_key": "stim"}, "no array 'stim'"),
    "inputs too short": ("two.npz", {"key": "dff", "inputs_key": "short"}, r"'short'.*\(5,\).*9 frames"),
    "names too few": ("two.npz", {"key": "dff", "names_key": "three"}, "'three'.*3 names.*4 neurons"),
    "dt in milliseconds": ("a.npy", {"dt": 5e3}, "`dt` is 5000 s.*in seconds"),
    "infinite values": ("inf.npy", {}, "inf.npy: .*1 infinite"),
    "one frame": ("one.npy", {}, "one.npy: .*1 frame of 4 neurons"),
    "zero neurons": ("none.npy", {}, "9 frames of zero neurons"),
    "one axis": ("flat.npy", {}, r"'array' \(9,\)"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    write_npy(folder / "a.npy")
    (folder / "a.npyy").write_bytes(b"")
    np.savez(
        folder / "two.npz", dff=ACTIVITY, raw=ACTIVITY, times=np.arange(9), note="x", short=np.ones(5),
        three=np.array(["a", "b", "c"]),
    )  # fmt: skip
    infinite = ACTIVITY.copy()
    infinite[2, 2] = np.inf
    arrays = {"inf": infinite, "one": ACTIVITY[:1], "none": ACTIVITY[:, :0], "flat": ACTIVITY[:, 0]}
    for name, array in arrays.items():
        write_npy(folder / f"{name}.npy", array)
    return folder


@pytest.mark.parametrize(("name", "arguments", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_read_is_one_clear_error(folder, name, arguments, message):
    with pytest.raises(ValueError, match=message):
        read(folder / name, **{"dt": 0.5, "axes": "time,neuron", **arguments})


def test_a_folder_is_no_recording(tmp_path):
    with pytest.raises(ValueError, match="is a folder"):
        read(tmp_path)


def test_fields_of_an_npz_say_dt_axes_and_names(tmp_path):
    write_npz(tmp_path / "a.npz", ACTIVITY.T, frame_rate=4.0, axes="neuron,time", neurons=np.array(NAMES))
    recording = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(recording.activity, ACTIVITY)
    assert recording.neurons == tuple(NAMES)
    assert recording.dt == 0.25
    assert (recording.provenance["dt"], recording.provenance["names"]) == ("frame_rate", "neurons")


def test_attributes_of_an_hdf5_dataset_and_of_its_folders_count_nearest_first(tmp_path):
    write_hdf5(tmp_path / "a.h5", fs=4.0)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file.attrs["axes"] = "time,neuron"
        file["session/labels"] = NAMES
    recording = read(tmp_path / "a.h5")
    assert (recording.dt, recording.neurons) == (0.25, tuple(NAMES))
    assert recording.provenance["dt"] == "session/dff/fs"


def test_a_file_that_contradicts_the_caller_or_itself_is_an_error(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, dt=0.25, axes="time,neuron")
    with pytest.raises(ValueError, match=r"`dt` is 250 s, but 'dt' .* 0\.25 s.*dataclasses\.replace"):
        read(path, dt=250)
    with pytest.raises(ValueError, match=r"`axes` is 'neuron,time'.*says that they are 'time,neuron'"):
        read(path, axes="neuron,time")
    assert read(path, dt=0.2501).dt == 0.2501
    write_npz(path, dt=0.25, fs=25.0)
    with pytest.raises(ValueError, match=r"disagrees with itself.*'dt'.*0\.25 s.*'fs'.*0\.04 s"):
        read(path, axes="time,neuron")
    write_npz(path, fs=0.0)
    with pytest.raises(ValueError, match="'fs' is 0"):
        read(path, axes="time,neuron")


def test_a_vector_of_times_gives_dt_and_catches_turned_axes(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, time=np.arange(9) * 0.25)
    assert read(path, axes="time,neuron").dt == 0.25
    with pytest.raises(ValueError, match=r"'time' holds 9 times.*4 frames of 9 neurons: pass axes='time,neuron'"):
        read(path, axes="neuron,time")
    write_npz(path, time=np.array([0, 1, 2, 3, 5, 6, 7, 8, 9]) * 0.25)
    with pytest.raises(ValueError, match=r"a\.npz: 'time'.*steps from 0\.25 to 0\.5 s.*rows of NaN"):
        read(path, axes="time,neuron")


def test_names_and_inputs_are_taken_from_the_fields_asked_for(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, cell_type=np.array(NAMES), stimulus=np.arange(9), movie=np.ones((9, 2)))
    recording = read(path, dt=1, axes="time,neuron", key="activity", names_key="cell_type", inputs_key="stimulus")
    assert recording.neurons == tuple(NAMES)
    assert recording.inputs[:, 0].tolist() == list(range(9))
    turned = tmp_path / "b.mat"
    write_mat(turned, ACTIVITY.T, stimulus=np.arange(9.0), cells=np.array(NAMES, dtype=object))
    recording = read(turned, dt=1, axes="neuron,time", inputs_key="stimulus", names_key="cells")
    assert recording.neurons == tuple(NAMES)
    assert recording.inputs.shape == (9, 1)
    assert read(path, dt=1, axes="time,neuron", inputs_key="movie").inputs.shape == (9, 2)


def test_a_table_with_a_header_and_a_time_column_says_everything(tmp_path):
    path = tmp_path / "a.csv"
    write_csv(path, header="time," + ",".join(NAMES), first=np.arange(9) * 0.2)
    recording = read(path)
    np.testing.assert_array_equal(recording.activity, ACTIVITY)
    assert recording.dt == pytest.approx(0.2, rel=1e-12)
    assert recording.neurons == tuple(NAMES)


def test_a_table_of_neurons_by_time_takes_its_names_from_the_rows(tmp_path):
    path = tmp_path / "a.csv"
    write_csv(path, ACTIVITY.T, first=NAMES)
    assert read(path, dt=1, axes="neuron,time").neurons == tuple(NAMES)
    write_csv(path, ACTIVITY, header=",".join(NAMES))
    assert read(path, dt=1, axes="time,neuron").neurons == tuple(NAMES)


def test_empty_cells_are_nan_and_an_empty_row_is_a_missing_frame(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n3,\n,\n5,NaN\n")
    recording = read(path, dt=1, axes="time,neuron")
    np.testing.assert_array_equal(recording.activity, [[1, 2], [3, np.nan], [np.nan] * 2, [5, np.nan]])
    assert recording.missing.tolist() == [False, False, True, False]
    assert recording.dead().nan == ("b",)


BAD_TABLES = {
    "a word": ("a,b\n1,2\n3,x\n", r"'x' in line 3, column 'b'"),
    "a word without header": ("1,2\n3,x\n", "'x' in line 2, column 2"),
    "ragged": ("1,2\n3,4,5\n", "cannot be read as a table"),
    "nothing": ("", "cannot be read as a table"),
    "only a header": ("a,b\n", "a header and no rows"),
    "semicolons": ("a;b\n1;2\n3;4\n", "';'|separated by ','"),
    "a clock of another unit": ("time_ms,b\n0,2\n10,4\n", "'time_ms'.*clock or a counter.*'time' if it holds seconds"),
    "the index of a data frame": (",a,b\n0,1,2\n1,3,4\n", "''.*clock or a counter"),
    "a gap in time": ("time,b\n0,2\n1,4\n3,4\n", "steps from 1 to 2 s"),
}


@pytest.mark.parametrize(("text", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_table_that_is_no_recording_is_one_clear_error(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read(tmp_path / "a.csv", dt=1, axes="time,neuron")
    assert "a.csv" in str(error.value)


def test_a_wrong_dt_in_a_file_can_be_replaced_afterwards(tmp_path):
    write_npz(tmp_path / "a.npz", dt=0.25)
    assert dataclasses.replace(read(tmp_path / "a.npz", axes="time,neuron"), dt=0.5).dt == 0.5
