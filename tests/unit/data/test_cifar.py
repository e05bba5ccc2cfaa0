"""CIFAR-10: batches are read without unpickling anything, from a folder or a tarball; odd ones are refused."""

import hashlib
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from tests import layouts
from tests.layouts import Evil, cifar_batch, objects

from advgen.data import cifar
from advgen.data.cifar import cifar10, intact, read, read_batch
from advgen.data.pickle_literals import literal
from advgen.specs.datasets import Cifar10Dataset

SPEC = Cifar10Dataset(kind="cifar10")
NAMES = list(cifar.MD5)


def as_published(count: int) -> bytes:
    """What Python 2 wrote: texts and the array's content are byte strings, functions have their old names."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    images, labels = objects(count, 0)
    content = images.tobytes()
    kind = (
        b"cnumpy\ndtype\n"
        + text(b"u1")
        + b"K\x00K\x01\x87R(K\x03"
        + text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R("
    array += b"K\x01" + b"K" + bytes([count]) + b"M\x00\x0c\x86" + kind + b"\x89"
    array += b"T" + len(content).to_bytes(4, "little") + content + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}q\x00(" + text(b"data") + array + text(b"labels") + numbers + b"u."


@pytest.mark.parametrize("protocol", range(6))
def test_batches_are_read_as_they_were_written(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "data_batch_1").write_bytes(cifar_batch(protocol=protocol))
    images, labels = read_batch(tmp_path / "data_batch_1")
    expected, numbers = objects(7, 0)
    assert np.array_equal(images.reshape(7, 3072), expected)
    assert labels.tolist() == numbers


def test_the_old_way_of_writing_is_read_too(tmp_path: Path) -> None:
    content = as_published(9)
    assert np.array_equal(pickle.loads(content, encoding="bytes")[b"data"], objects(9, 0)[0])
    (tmp_path / "data_batch_1").write_bytes(content)
    images, labels = read_batch(tmp_path / "data_batch_1")
    assert np.array_equal(images.reshape(9, 3072), objects(9, 0)[0])
    assert labels.tolist() == objects(9, 0)[1]


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_nothing_in_a_file_is_ever_called(tmp_path: Path, protocol: int) -> None:
    trap = tmp_path / "trap"
    path = tmp_path / "data_batch_1"
    for value in (Evil(trap), {"data": Evil(trap), "labels": [1]}, {"data": b"", "labels": Evil(trap)}):
        path.write_bytes(pickle.dumps(value, protocol=protocol))
        with pytest.raises(ValueError, match="not a batch of CIFAR-10") as caught:
            read_batch(path)
        assert "\n" not in str(caught.value)
    assert not trap.exists()


def test_opcodes_that_no_batch_needs_are_refused() -> None:
    with pytest.raises(ValueError, match="NEWOBJ"):
        literal(pickle.dumps(Path("a"), protocol=2).replace(b"R", b"\x81"))
    with pytest.raises(ValueError, match="EMPTY_SET"):
        literal(pickle.dumps({1, 2}, protocol=4))
    assert literal(pickle.dumps({"a": [1, -2, 2**70, None, True, (1.5, b"x")], 3: "ä"})) == {
        "a": [1, -2, 2**70, None, True, (1.5, b"x")],
        3: "ä",
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        cifar_batch()[:-1],
        cifar_batch()[:50],
        pickle.dumps([1, 2]),
        pickle.dumps({"data": np.zeros((2, 5), np.uint8), "labels": [0, 1]}),
        pickle.dumps({"data": np.zeros((2, 3072)), "labels": [0, 1]}),
        pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 10]}),
        pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1, 2]}),
        pickle.dumps({"data": np.zeros((0, 3072), np.uint8), "labels": []}),
    ],
    ids=["empty", "page", "no end", "half", "list", "width", "type", "label", "lengths", "no rows"],
)
def test_damaged_batches_end_in_a_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "test_batch"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="test_batch: not a batch of CIFAR-10") as caught:
        read_batch(path)
    assert "\n" not in str(caught.value)


def test_a_folder_is_read_in_order_of_its_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGEN_DATA", str(tmp_path))
    layouts.cifar(tmp_path / "cifar10" / cifar.FOLDER)
    targets = [tmp_path / "raw" / name for name in NAMES]
    cifar10(SPEC).fetch(targets)
    made = zip(*(objects(7, seed) for seed in range(6)), strict=True)
    expected, numbers = (np.concatenate(part) for part in made)
    (images, labels), (test_images, test_labels) = read(targets)
    assert np.array_equal(np.concatenate([images, test_images]).reshape(42, 3072), expected)
    assert np.array_equal(np.concatenate([labels, test_labels]), numbers)
    assert len(test_labels) == 7
    assert intact(targets[0], SPEC)


def test_a_tarball_is_taken_by_its_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGEN_DATA", str(tmp_path / "data"))
    content = {name: cifar_batch(3, seed) for seed, name in enumerate(NAMES)}
    (tmp_path / "data" / "cifar10").mkdir(parents=True)
    with tarfile.open(tmp_path / "data" / "cifar10" / cifar.TARBALL, "w:gz") as archive:
        for name, one in content.items():
            member = tarfile.TarInfo(f"{cifar.FOLDER}/{name}")
            member.size = len(one)
            archive.addfile(member, io.BytesIO(one))
    monkeypatch.setattr(cifar, "download", lambda _: (_ for _ in ()).throw(OSError(None, "no network")))
    targets = [tmp_path / "raw" / name for name in NAMES]
    with pytest.raises(ValueError, match="wrong content"):
        cifar10(SPEC).fetch(targets)
    for name, one in content.items():
        monkeypatch.setitem(cifar.MD5, name, hashlib.md5(one).hexdigest())
    cifar10(SPEC).fetch(targets)
    assert [target.read_bytes() for target in targets] == list(content.values())


def test_what_a_folder_must_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGEN_DATA", str(tmp_path))
    folder = layouts.cifar(tmp_path / "cifar10" / cifar.FOLDER)
    targets = [tmp_path / "raw" / name for name in NAMES]
    (folder / "data_batch_2").unlink()
    with pytest.raises(ValueError, match="data_batch_2: no such file"):
        cifar10(SPEC).fetch(targets)
    (folder / "data_batch_2").write_bytes(b"junk")
    with pytest.raises(ValueError, match="data_batch_2: not a batch"):
        cifar10(SPEC).fetch(targets)
    assert not targets[1].exists()
    monkeypatch.setattr(cifar, "PUBLISHED", 7)  # as many images as the published one, but others
    (folder / "data_batch_2").write_bytes(cifar_batch(7))
    with pytest.raises(ValueError, match="not the published ones"):
        cifar10(SPEC).fetch(targets)
    (tmp_path / "test_batch").write_bytes(cifar_batch(7))
    assert not intact(tmp_path / "test_batch", SPEC)
