"""The catalog: which file is taken, and that no wrong one is."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from neurotorch.data import catalog
from neurotorch.data.cards import CARDS
from tests.data.files import idx_bytes, write_idx, write_spikes
from tests.data.server import serving

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
LABELS = np.array([1, 0], dtype=np.uint8)
IMAGES, ANSWERS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def md5(data):
    return f"md5:{hashlib.md5(data).hexdigest()}"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """No data but what the test puts there: returns (NEUROTORCH_DATA, cache) of a small MNIST without a server."""
    local, cache = tmp_path / "local", tmp_path / "xdg" / "neurotorch" / "data"
    monkeypatch.setenv("NEUROTORCH_DATA", str(local))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    (local / "mnist").mkdir(parents=True)
    (cache / "mnist").mkdir(parents=True)
    serve(monkeypatch, None)
    return local / "mnist", cache / "mnist"


def serve(monkeypatch, base):
    card = next(each for each in CARDS if each.name == "mnist")
    digests = {IMAGES: md5(idx_bytes(PIXELS)), ANSWERS: md5(idx_bytes(LABELS))}
    files = tuple(
        replace(file, digest=digests[file.name], address=base and f"{base}{file.name}")
        for file in card.files
        if file.part == "train"
    )
    small = replace(card, files=files)
    monkeypatch.setattr(catalog, "CARDS", tuple(small if each is card else each for each in CARDS))


def put(folder, *, pixels=PIXELS, compressed=False):
    folder.mkdir(parents=True, exist_ok=True)
    ending = ".gz" if compressed else ""
    write_idx(folder / f"{IMAGES}{ending}", pixels, compressed=compressed)
    write_idx(folder / f"{ANSWERS}{ending}", LABELS, compressed=compressed)


@pytest.mark.parametrize("where", [0, 1])
@pytest.mark.parametrize("compressed", [False, True])
def test_local_files_are_found_packed_or_not(place, where, compressed):
    put(place[where], compressed=compressed)
    images = catalog.open("mnist", "train")
    np.testing.assert_array_equal(images.pixels, PIXELS)
    assert images.labels.tolist() == [1, 0]
    assert (images.name, images.part, len(images.classes)) == ("mnist", "train", 10)
    assert images.provenance["paths"][0].startswith(str(place[where]))


def test_a_folder_that_is_handed_in_is_the_only_one_looked_in(place, tmp_path):
    put(place[0])
    put(tmp_path / "mine")
    images = catalog.open("mnist", "train", folder=tmp_path / "mine")
    assert images.provenance["paths"][0].startswith(str(tmp_path / "mine"))
    with pytest.raises(FileNotFoundError, match=f"no {IMAGES} in .*empty"):
        catalog.open("mnist", "train", folder=tmp_path / "empty")


def test_the_local_folder_comes_before_the_cache(place):
    put(place[0])
    put(place[1])
    assert catalog.open("mnist", "train").provenance["paths"][0].startswith(str(place[0]))


def test_a_damaged_file_of_the_users_is_named_and_stays(place):
    put(place[0], pixels=PIXELS + 1)
    path = place[0] / IMAGES
    with pytest.raises(ValueError, match=f"{IMAGES} is damaged or another file: .* digest md5:.* copy or download"):
        catalog.open("mnist", "train")
    assert path.exists()


@pytest.mark.parametrize("data", [None, b"\x1f\x8b truncated"])
def test_a_damaged_file_of_the_cache_is_named_and_deleted(place, data):
    put(place[1], pixels=PIXELS + 1)
    path = place[1] / IMAGES
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ValueError, match=IMAGES):
        catalog.open("mnist", "train")
    assert not path.exists()


def test_what_is_missing_is_downloaded_once(place, monkeypatch):
    with serving({IMAGES: idx_bytes(PIXELS), ANSWERS: idx_bytes(LABELS)}) as site:
        serve(monkeypatch, site.address)
        np.testing.assert_array_equal(catalog.open("mnist", "train").pixels, PIXELS)
        np.testing.assert_array_equal(catalog.open("mnist", "train").pixels, PIXELS)
    assert len(site.requests) == 2
    assert sorted(path.name for path in place[1].iterdir()) == sorted((IMAGES, ANSWERS))


def test_a_wrong_download_is_not_cached(place, monkeypatch):
    with serving({IMAGES: idx_bytes(PIXELS + 1), ANSWERS: idx_bytes(LABELS)}) as site:
        serve(monkeypatch, site.address)
        with pytest.raises(ValueError, match=f"{IMAGES} sent does not have the digest"):
            catalog.open("mnist", "train")
    assert list(place[1].iterdir()) == []


def test_without_file_and_network_it_says_where_to_put_it(place, monkeypatch):
    with serving({}) as site:
        pass
    serve(monkeypatch, site.address)
    with pytest.raises(FileNotFoundError) as caught:
        catalog.open("mnist", "train")
    told = str(caught.value)
    for part in (f"mnist/{IMAGES}", "NEUROTORCH_DATA", str(place[1] / IMAGES), "refused", "yann.lecun.com"):
        assert part in told


def test_a_data_set_that_nobody_hands_out_says_where_to_put_it(place):
    with pytest.raises(FileNotFoundError, match=r"fsdd700_train.h5 .* cannot be downloaded. Put it at speech_spikes/"):
        catalog.open("spoken-digits", "train")


def test_spike_trains_are_opened_and_their_digest_is_checked(place, tmp_path):
    write_spikes(tmp_path / "shd_test.h5", [[0.5], [0.25]], [[0], [699]], [1, 0], keys=["null", "eins"])
    trains = catalog.open("heidelberg", "test", folder=tmp_path)
    assert (trains.name, trains.part, trains.classes, trains.channels) == ("heidelberg", "test", ("null", "eins"), 700)
    (tmp_path / "shd_test.h5").rename(tmp_path / "fsdd700_test.h5")
    with pytest.raises(ValueError, match="fsdd700_test.h5 is damaged or another file"):
        catalog.open("spoken-digits", "test", folder=tmp_path)


def test_an_archive_of_spike_trains_is_downloaded_checked_and_opened(place, tmp_path, monkeypatch):
    path = write_spikes(tmp_path / "shd_train.h5", [[0.5], []], [[0], []], [1, 0], speakers=[3, 4])
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "shd_train.h5")
    card = catalog.card("heidelberg")
    with serving({"shd_train.h5.zip": held.getvalue()}, breaks=[100]) as site:
        file = replace(card.files[0], address=f"{site.address}shd_train.h5.zip", archive_digest=md5(held.getvalue()))
        monkeypatch.setattr(catalog, "CARDS", (replace(card, files=(file, card.files[1])),))
        trains = catalog.open("heidelberg", "train")
        assert (trains.part, trains.speakers.tolist(), trains[0].units.tolist()) == ("train", [3, 4], [0])
        assert trains.paths[0].parent == catalog.cache_folder() / "heidelberg"
        trains.paths[0].unlink()
        site.files["shd_train.h5.zip"] = held.getvalue()[:-30]
        with pytest.raises(ValueError, match="shd_train.h5.zip sent does not have the digest"):
            catalog.open("heidelberg", "train")
    assert list((catalog.cache_folder() / "heidelberg").iterdir()) == []


def test_names_and_parts_that_do_not_exist(place):
    with pytest.raises(ValueError, match=r"no data set 'fashion_mnist'. Did you mean 'fashion-mnist'\?"):
        catalog.open("fashion_mnist", "train")
    with pytest.raises(ValueError, match="Spiking Heidelberg Digits has no part 'validation', but 'train' and 'test'"):
        catalog.open("heidelberg", "validation")


def test_every_card_is_complete():
    assert catalog.names() == tuple(card.name for card in CARDS)
    for card in CARDS:
        assert catalog.card(card.name) is card
        assert card.address.startswith("http")
        assert card.licence
        assert card.citation
        assert {"train", "test"} <= set(card.parts)
        for file in card.files:
            # What is downloaded is checked, against one digest or the other.
            assert file.address is None or file.digest or file.archive_digest
            assert file.digest is None or len(file.digest) in (len("md5:") + 32, len("sha256:") + 64)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("mnist", (60_000, 10_000)),
        ("fashion-mnist", (60_000, 10_000)),
        ("spoken-digits", (1800, 200)),
        ("braille", (1080, 270)),
    ],
)
def test_the_real_files_have_their_digests(data_folder, name, sizes):
    for part, size in zip(("train", "test"), sizes, strict=True):
        data = catalog.open(name, part)
        assert (len(data), data.part, data.name) == (size, part, name)
        # Every class is there, in each part.
        assert data.labels.unique().tolist() == list(range(len(data.classes)))
