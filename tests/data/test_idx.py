"""idx files and images made of them."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import torch

from neurotorch.data import Images, read_idx, read_images
from tests.data.files import IDX_CODES, idx_bytes, write_idx


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", sorted(IDX_CODES))
def test_every_type_is_read_big_endian(tmp_path, random, dtype, compressed):
    array = (random.normal(size=(3, 2, 4)) * 50).astype(dtype)
    found = read_idx(write_idx(tmp_path / "x", array, compressed=compressed))
    assert found.dtype == array.dtype
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, array)


def test_the_bytes_are_those_of_the_format(tmp_path):
    (tmp_path / "x").write_bytes(bytes.fromhex("00000c01 00000002 00000001 fffffffe"))
    np.testing.assert_array_equal(read_idx(tmp_path / "x"), np.array([1, -2], dtype=np.int32))


GOOD = idx_bytes(np.arange(6, dtype=np.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (gzip.compress(GOOD, mtime=0)[:-9], r"cannot be read as gzip: it is truncated"),
        (gzip.compress(GOOD, mtime=0)[:12] + b"\xff" * 20, r"cannot be read as gzip"),
        (b"", r"begins with nothing"),
        (b"PNG and more", r"begins with 50 4e 47 20"),
        (b"\0\0\x07\1" + GOOD[4:], r"begins with 00 00 07 01"),
        (GOOD[:7], r"announces 2 axes and ends before them"),
        (GOOD[:-1], r"values of shape \(2, 3\), that is 6 bytes, but 5 bytes follow"),
        (GOOD + b"\0", r"6 bytes, but 7 bytes follow"),
        (b"\0\0\x08\2\xff\xff\xff\xff\xff\xff\xff\xff" + GOOD, r"that is 18446744065119617025 bytes"),
        (b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"x", r"cannot be read as an idx file.*dimension"),
        (b"\0\0\x08\3\0\0\0\0" + b"\xff" * 8, r"cannot be read as an idx file.*too big"),
    ],
)
def test_a_damaged_file_is_one_clear_error_that_names_it(tmp_path, data, told):
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(ValueError, match=told) as caught:
        read_idx(tmp_path / "bad")
    assert str(tmp_path / "bad") in str(caught.value)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(tmp_path / "nowhere")


@pytest.fixture
def pair(tmp_path, random):
    pixels = random.integers(0, 256, size=(5, 4, 3), dtype=np.uint8)
    labels = np.array([0, 2, 1, 2, 0], dtype=np.uint8)
    write_idx(tmp_path / "pictures.idx3.gz", pixels, compressed=True)
    write_idx(tmp_path / "answers", labels)
    return tmp_path / "pictures.idx3.gz", tmp_path / "answers", pixels, labels


def test_images_and_labels_go_together(pair):
    *paths, pixels, labels = pair
    images = read_images(*paths, classes=("a", "b", "c"))
    assert (images.pixels.dtype, images.labels.dtype) == (torch.uint8, torch.int64)
    np.testing.assert_array_equal(images.pixels, pixels)
    np.testing.assert_array_equal(images.labels, labels)
    assert (images.name, images.classes, images.part, len(images)) == ("pictures", ("a", "b", "c"), None, 5)
    assert read_images(*paths).classes == ("0", "1", "2")
    pixel, label = images[3]
    np.testing.assert_array_equal(pixel, pixels[3])
    assert label == 2
    assert [label for _, label in images] == labels.tolist()
    with pytest.raises(TypeError, match="slice"):
        images[:2]


def test_values_are_fractions_of_white(pair):
    *paths, pixels, _ = pair
    np.testing.assert_array_equal(
        read_images(*paths).values(torch.float64), pixels.reshape(5, 12).astype(np.float64) / 255
    )


def test_selected_by_index_or_mask(pair):
    *paths, pixels, labels = pair
    images = read_images(*paths)
    some = images.select([3, 0])
    np.testing.assert_array_equal(some.pixels, pixels[[3, 0]])
    np.testing.assert_array_equal(some.labels, labels[[3, 0]])
    np.testing.assert_array_equal(images.select(images.labels == 2).pixels, pixels[labels == 2])
    assert len(images.select([])) == 0
    with pytest.raises(IndexError, match=r"from 0 to 5, but samples are 0..4"):
        images.select([0, 5])
    with pytest.raises(ValueError, match=r"mask has shape \(4,\), but there are 5"):
        images.select(np.ones(4, dtype=bool))


def test_pairs_that_do_not_fit_are_refused(pair, tmp_path):
    pictures, answers, *_ = pair
    with pytest.raises(ValueError, match="Were the files of images and labels exchanged"):
        read_images(answers, pictures)
    with pytest.raises(ValueError, match=r"Sample 1 of .*answers has the label 2, and 2 samples"):
        read_images(pictures, answers, classes=("a", "b"))
    with pytest.raises(ValueError, match=r"5 images and .* 3 labels"):
        read_images(pictures, write_idx(tmp_path / "few", np.zeros(3, dtype=np.uint8)))
    with pytest.raises(ValueError, match=r"one whole number for each sample"):
        read_images(pictures, write_idx(tmp_path / "real", np.zeros(5, dtype=np.float32)))
    with pytest.raises(ValueError, match=r"has the label -1"):
        read_images(pictures, write_idx(tmp_path / "negative", np.full(5, -1, dtype=np.int8)))


def test_labels_of_any_whole_number_are_int64():
    labels = torch.tensor([1, 0], dtype=torch.uint8)  # as an index these would be a mask
    assert Images(torch.zeros(2, 3, 3, dtype=torch.uint8), labels, ("a", "b")).labels.dtype == torch.int64


def test_images_check_what_they_are_made_of():
    labels = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"but it must be \(sample, row, column\) of torch.uint8"):
        Images(torch.zeros(2, 3, 3), labels, ("a",))
    with pytest.raises(ValueError, match=r"3 images and labels of shape \(2,\)"):
        Images(torch.zeros(3, 3, 3, dtype=torch.uint8), labels, ("a",))
    with pytest.raises(ValueError, match=r"label 0, .* outside of the 0 classes"):
        Images(torch.zeros(2, 3, 3, dtype=torch.uint8), labels, ())
