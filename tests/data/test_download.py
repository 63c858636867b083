"""Downloads from a server on this machine: complete and right, or nothing under the name."""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile

import numpy as np
import pytest

from neurotorch.data.download import download
from tests.data.server import serving

DATA = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
DIGEST = f"md5:{hashlib.md5(DATA).hexdigest()}"
WRONG = f"sha256:{hashlib.sha256(b'other').hexdigest()}"
PACKED = gzip.compress(DATA, mtime=0)


def zipped(*names):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, DATA)
    return held.getvalue()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "cache" / "set" / "data.bin"


def left(target):
    return sorted(path.name for path in target.parent.iterdir())


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize(
    ("name", "sent"),
    [("data.bin", DATA), ("data.bin.gz", PACKED), ("data.bin.zip", zipped("folder/data.bin", "LICENSE"))],
)
def test_what_arrives_is_unpacked_and_stands_alone(target, name, sent, lengths):
    with serving({name: sent}, lengths=lengths) as site:
        assert download(site.address + name, target, digest=DIGEST) == target
    assert target.read_bytes() == DATA
    assert left(target) == ["data.bin"]


def test_the_digest_of_the_archive_is_checked_where_that_is_what_is_known(target):
    published = f"md5:{hashlib.md5(PACKED).hexdigest()}"
    with serving({"data.bin.gz": PACKED}) as site:
        download(site.address + "data.bin.gz", target, archive_digest=published)
        assert target.read_bytes() == DATA
        target.unlink()
        with pytest.raises(ValueError, match=f"does not have the digest {WRONG}: it was deleted"):
            download(site.address + "data.bin.gz", target, archive_digest=WRONG)
    assert left(target) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection_goes_on_where_it_was_cut(target, ranges):
    with serving({"data.bin.gz": PACKED}, breaks=[1000, 70_000], ranges=ranges) as site:
        download(site.address + "data.bin.gz", target, digest=DIGEST)
    assert target.read_bytes() == DATA
    # A server that knows no ranges sends all of it again, which is what is kept.
    assert site.requests == [None, "bytes=1000-", "bytes=71000-" if ranges else "bytes=70000-"]


def test_a_server_that_brings_nothing_more_is_not_asked_again_and_the_rest_is_kept(target):
    with serving({"data.bin.gz": PACKED}, breaks=[1000, 0]) as site:
        with pytest.raises(OSError, match=r"the connection ended early. 1000 bytes have arrived and are kept"):
            download(site.address + "data.bin.gz", target, digest=DIGEST)
        assert left(target) == [".data.bin.part"]
        download(site.address + "data.bin.gz", target, digest=DIGEST)
    assert site.requests == [None, "bytes=1000-", "bytes=1000-"]
    assert target.read_bytes() == DATA
    assert left(target) == ["data.bin"]


def test_all_of_it_had_arrived_before(target):
    target.parent.mkdir(parents=True)
    target.with_name(".data.bin.part").write_bytes(PACKED)
    with serving({"data.bin.gz": PACKED}) as site:
        download(site.address + "data.bin.gz", target, digest=DIGEST)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("stale", [b"of another version", b"x" * (len(PACKED) + 5)])
def test_what_was_left_of_another_version_is_thrown_away(target, stale):
    target.parent.mkdir(parents=True)
    target.with_name(".data.bin.part").write_bytes(stale)
    with serving({"data.bin.gz": PACKED}) as site:
        download(site.address + "data.bin.gz", target, digest=DIGEST)
    assert target.read_bytes() == DATA
    assert left(target) == ["data.bin"]


@pytest.mark.parametrize(
    ("name", "sent", "told"),
    [
        ("data.bin.gz", gzip.compress(DATA[:-1], mtime=0), "does not have the digest md5:"),
        ("data.bin.gz", PACKED[:-100], "cannot be unpacked"),
        ("data.bin.gz", b"<html>moved</html>", "cannot be unpacked"),
        ("data.bin.zip", b"<html>moved</html>", "cannot be unpacked"),
        ("data.bin.zip", zipped("other.bin"), r"holds \['other.bin'\] and not 'data.bin' once"),
        ("data.bin", DATA + b"x", "does not have the digest md5:"),
    ],
)
def test_a_wrong_file_leaves_nothing(target, name, sent, told):
    with serving({name: sent}) as site, pytest.raises(ValueError, match=told):
        download(site.address + name, target, digest=DIGEST)
    assert left(target) == []


def test_a_file_that_exists_stays_if_the_new_one_is_wrong(target):
    target.parent.mkdir(parents=True)
    target.write_bytes(b"old")
    with serving({"data.bin": b"new"}) as site, pytest.raises(ValueError, match="digest"):
        download(site.address + "data.bin", target, digest=DIGEST)
    assert target.read_bytes() == b"old"


def test_a_server_that_refuses_or_is_not_there(target):
    with serving({}) as site, pytest.raises(OSError, match="data.bin cannot be had: the server answers 404"):
        download(site.address + "data.bin", target)
    with pytest.raises(OSError, match=r"data.bin could not be fetched: .*refused.*\.$"):
        download(site.address + "data.bin", target)
    assert left(target) == []
