"""Data of somebody else's: class folders, arrays, tables and names, and what is wrong with them in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from advgen.data.custom import read_custom
from advgen.files.provenance import Stamp
from advgen.io.tables import arrow_table, write_table

GREY = np.arange(12 * 64, dtype=np.uint8).reshape(12, 8, 8)
LABELS = np.arange(12) % 3


def folders(root: Path, names: tuple[str, ...] = ("cat", "dog", "owl"), mode: str = "L") -> Path:
    for row, (image, label) in enumerate(zip(GREY, LABELS, strict=True)):
        (root / names[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).convert(mode).save(root / names[label] / f"{row:02}.png")
    return root


def test_class_folders_are_read_in_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "data" / ".git").mkdir(parents=True)
    (tmp_path / "data" / "README").write_text("x")
    own = read_custom(str(folders(tmp_path / "data")))
    order = np.argsort(LABELS, kind="stable")
    assert own.names == ("cat", "dog", "owl") and own.images.dtype == np.uint8
    assert np.array_equal(own.images, GREY[order][:, None]) and np.array_equal(own.labels, LABELS[order])
    assert own.labels.dtype == np.int64 and own.total == 12


def test_a_choice_is_the_same_each_time_and_of_all_classes(tmp_path: Path) -> None:
    whole, some = read_custom(str(folders(tmp_path / "data"))), read_custom(str(tmp_path / "data"), 8)
    assert np.array_equal(some.images, whole.images[some.indices]) and len(some.labels) == 8
    assert np.array_equal(some.indices, read_custom(str(tmp_path / "data"), 8).indices)
    assert set(some.labels) == {0, 1, 2}
    assert len(read_custom(str(tmp_path / "data"), 100).labels) == 12


def npz(path: Path, **arrays: Any) -> str:
    np.savez(path / "data.npz", **arrays)
    return str(path / "data.npz")


@pytest.mark.parametrize("shape", [(12, 8, 8), (12, 1, 8, 8), (12, 8, 8, 1)])
def test_arrays_of_every_layout_are_taken(tmp_path: Path, shape: tuple[int, ...]) -> None:
    own = read_custom(npz(tmp_path, images=GREY.reshape(shape), labels=LABELS.astype(np.uint8)[:, None]))
    assert np.array_equal(own.images, GREY[:, None]) and np.array_equal(own.labels, LABELS)


def test_colours_may_stand_last_and_pixels_be_floats(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((12, 8, 8, 3))
    own = read_custom(npz(tmp_path, images=images, labels=LABELS))
    assert own.images.dtype == np.float32
    np.testing.assert_allclose(own.images, images.transpose(0, 3, 1, 2), rtol=1e-6)


def test_a_table_of_ours_is_read(tmp_path: Path) -> None:
    columns = {"index": np.arange(12) + 50, "label": LABELS.astype(np.int32), "cue": None, "image": GREY[:, None]}
    write_table(tmp_path / "test.parquet", arrow_table("dataset", columns), Stamp("x", {}, ""))
    own = read_custom(str(tmp_path / "test.parquet"), 5)
    assert np.array_equal(own.images, GREY[own.indices - 50][:, None])


def test_mnist_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch, raw_mnist: Path) -> None:
    monkeypatch.setenv("ADVGEN_DATA", str(raw_mnist.parent))
    own = read_custom("mnist", 100)
    assert own.images.shape == (100, 1, 28, 28) and own.total == 10_000 and own.names == tuple("0123456789")
    assert len(set(own.labels)) == 10


def sizes(root: Path) -> str:
    Image.fromarray(GREY[0, :4]).save(folders(root) / "dog" / "01.png")
    return str(root)


def text(root: Path, name: str) -> str:
    (root / name).write_text("no zip")
    return str(root / name)


def objects(root: Path) -> str:
    return npz(root, images=GREY, labels=np.array([{"a": 1}] * 12, dtype=object))


WRONG: dict[str, tuple[Callable[[Path], str], str]] = {
    "nothing": (lambda root: str(root / "none"), "none: no such file or folder; give .* a name .*fashion_mnist.*mnist"),
    "a text": (lambda root: text(root, "a.txt"), "a.txt: is not a data set; give a folder of class folders"),
    "no zip": (lambda root: text(root, "a.npz"), "a.npz: "),
    "no parquet": (lambda root: text(root, "a.parquet"), "a.parquet: cannot be read as Parquet"),
    "no npz": (lambda root: str(root / "no.npz"), "no.npz: no such file"),
    "other names": (lambda root: npz(root, x=GREY, y=LABELS), "holds x, y; save the arrays as images and labels"),
    "objects": (objects, "data.npz: .*allow_pickle"),
    "too few labels": (lambda root: npz(root, images=GREY, labels=LABELS[:9]), "has 12 images and 9 labels; give one"),
    "floats": (
        lambda root: npz(root, images=GREY, labels=LABELS + 0.5),
        "labels of float64 are no classes; give integ",
    ),
    "flat": (lambda root: npz(root, images=GREY.reshape(12, 64), labels=LABELS), r"images of shape \(12, 64\) cannot"),
    "integers": (lambda root: npz(root, images=GREY.astype(int), labels=LABELS), "images of int64 cannot be used"),
    "sizes": (sizes, "dog/01.png: has 4×8 pixels, but .*cat/00.png has 8×8; resize all images to one size"),
}


@pytest.mark.parametrize("way", WRONG)
def test_data_that_cannot_be_read_are_told_in_one_line(tmp_path: Path, way: str) -> None:
    make, message = WRONG[way]
    with pytest.raises(ValueError, match=message) as caught:
        read_custom(make(tmp_path))
    assert "\n" not in str(caught.value)
