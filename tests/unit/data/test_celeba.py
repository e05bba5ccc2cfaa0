"""CelebA in torchvision's layout: a small synthetic folder or zip; odd files end in one line."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests import layouts

from advgen.data import celeba as module
from advgen.data.celeba import IMAGES, celeba, crop_centre, intact, read
from advgen.specs.datasets import CelebaDataset

SPEC = CelebaDataset(kind="celeba")
COUNT = 12
PARTS = [0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 0]
SMILES = [index % 3 == 0 for index in range(COUNT)]


def name(index: int) -> str:
    return f"{index + 1:06}.jpg"


def face(index: int) -> Image.Image:
    """178×218, a grey that tells the index, a red centre, a blue frame that the central crop cuts away."""
    pixels = np.full((218, 178, 3), 20 * index, dtype=np.uint8)
    pixels[79:139, 59:119] = (255, 0, 0)
    pixels[:20] = pixels[-20:] = (0, 0, 255)
    return Image.fromarray(pixels)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A synthetic data set where the project looks for it."""
    monkeypatch.setenv("ADVGEN_DATA", str(tmp_path / "mine"))
    folder = tmp_path / "mine" / "celeba"
    layouts.celeba(folder, [face(index) for index in range(COUNT)], SMILES, PARTS)
    return folder


def targets(folder: Path) -> list[Path]:
    return [folder / name for name in SPEC.raw]


def test_faces_are_read_with_their_labels_by_split(folder: Path, tmp_path: Path) -> None:
    raw = targets(tmp_path / "raw")
    celeba(SPEC).fetch(raw)
    in_train = [index for index in range(COUNT) if PARTS[index] < 2]
    for (faces, labels), members in zip(read(raw, SPEC), (in_train, [8, 9, 10]), strict=True):
        assert labels.tolist() == [SMILES[index] for index in members]
        images = faces[range(len(members))]
        assert images.shape == (len(members), 3, 64, 64)
        np.testing.assert_allclose(images[:, 0, 32, 2], [20 * index for index in members], atol=11)  # the left edge
        assert (images[:, 0, 32, 32] > 200).all() and (images[:, 2, 32, 32] < 60).all()
    assert all(intact(path, SPEC) for path in raw)


def test_a_zip_gives_the_same_faces_as_a_folder(folder: Path, tmp_path: Path) -> None:
    celeba(SPEC).fetch(targets(tmp_path / "loose"))
    with zipfile.ZipFile(tmp_path / "loose" / IMAGES) as packed:  # the same bytes at any time
        assert {face.date_time for face in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / "img_align_celeba").iterdir()):
            archive.write(path, f"img_align_celeba/{path.name}")
            path.unlink()
    (folder / "img_align_celeba").rmdir()
    celeba(SPEC).fetch(targets(tmp_path / "zipped"))
    loose, zipped = (read(targets(tmp_path / kind), SPEC) for kind in ("loose", "zipped"))
    for one, other in zip(loose, zipped, strict=True):
        assert np.array_equal(one[0][range(len(one[0]))], other[0][range(len(other[0]))])
        assert np.array_equal(one[1], other[1])


def test_central_crop() -> None:
    pixels = np.zeros((218, 178, 3), dtype=np.uint8)
    pixels[35:183, 15:163] = 200  # exactly the central 148×148
    assert (crop_centre(Image.fromarray(pixels), 148, 64) == 200).all()
    assert (crop_centre(Image.fromarray(pixels), 178, 64) == 0).any()
    assert crop_centre(Image.fromarray(pixels[:50, :40]), 148, 64).shape == (64, 64, 3)


BROKEN = {
    "no folder": (shutil.rmtree, r"mine/celeba: no such folder; .* put img_align_celeba\.zip or"),
    "no partition": (
        lambda folder: (folder / "list_eval_partition.txt").unlink(),
        "list_eval_partition.txt is missing; CelebA needs it",
    ),
    "no faces": (
        lambda folder: (folder / "img_align_celeba").rename(folder / "faces"),
        "neither img_align_celeba.zip nor a folder img_align_celeba/",
    ),
    "a zip that is none": (lambda folder: (folder / "img_align_celeba.zip").write_bytes(b"x"), "zip: damaged"),
    "no test images": (
        lambda folder: (folder / "list_eval_partition.txt").write_text("000001.jpg 0\n"),
        "parts must be 0, 1 and 2",
    ),
    "a short line": (
        lambda folder: (folder / "list_eval_partition.txt").write_text("000001.jpg 0\n000002.jpg\n"),
        "000002.jpg has 1 columns instead of 2",
    ),
}


@pytest.mark.parametrize(("damage", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_folder_ends_in_a_line(folder: Path, tmp_path: Path, damage, message: str) -> None:
    damage(folder)
    with pytest.raises(ValueError, match=message) as caught:
        celeba(SPEC).fetch(targets(tmp_path / "raw"))
    assert "\n" not in str(caught.value)


def test_unknown_attributes_and_missing_faces_end_in_a_line(folder: Path, tmp_path: Path) -> None:
    (folder / "img_align_celeba" / name(0)).unlink()
    celeba(SPEC).fetch(targets(tmp_path / "raw"))
    with pytest.raises(ValueError, match="no attribute 'Beard'; it has Young, Smiling"):
        read(targets(tmp_path / "raw"), SPEC.model_copy(update={"attribute": "Beard"}))
    (faces, _), _ = read(targets(tmp_path / "raw"), SPEC)
    with pytest.raises(ValueError, match=r"000001\.jpg is missing"):
        faces[[0, 1]]


def test_a_full_set_must_be_the_published_one(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PUBLISHED", COUNT)
    with pytest.raises(ValueError, match="wrong checksum"):
        celeba(SPEC).fetch(targets(tmp_path / "raw"))
    assert not any(path.exists() for path in targets(tmp_path / "raw"))


def test_a_damaged_raw_file_is_told(folder: Path, tmp_path: Path) -> None:
    celeba(SPEC).fetch(targets(tmp_path / "raw"))
    images = tmp_path / "raw" / IMAGES
    assert intact(images, SPEC)
    content = bytearray(images.read_bytes())
    content[len(content) // 3] ^= 1
    images.write_bytes(bytes(content))
    assert not intact(images, SPEC)
