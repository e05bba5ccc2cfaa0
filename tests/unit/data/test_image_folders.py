"""Folders of images: labels as torchvision's ImageFolder gives them, pixels of every type, and what is skipped."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.datasets import ImageFolder

from advgen.cli import main
from advgen.commands.audit import _match_channels
from advgen.core.errors import ConfigError
from advgen.data.custom import read_custom
from advgen.data.custom_splits import custom_splits
from advgen.files import user_files
from advgen.files.image_files import list_folder, read_image
from advgen.files.user_files import dataset_facts, dataset_notes, user_file_digest
from advgen.io.tables import read_table
from advgen.registry import parse
from advgen.specs.datasets import Facts
from advgen.study.load import load_file

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
COLOUR = np.stack([GREY, GREY.T, 255 - GREY], -1)
ORIENTATION = 0x0112
TWELVE = tuple(str(number) for number in range(12))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    user_files.clear_cache()


def save(path: str, pixels: Any = GREY, mode: str | None = None, **options: Any) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return Path(path)


def classes(root: str, names: tuple[str, ...] = ("cat", "dog"), each: int = 3) -> Path:
    """Class folders with images that all differ."""
    for label, name in enumerate(names):
        for row in range(each):
            save(f"{root}/{name}/{row}.png", np.full((8, 8), 20 * label + row, np.uint8))
    return Path(root)


def notes(**keys: Any) -> str:
    user_files.clear_cache()
    return "\n".join(dataset_notes(parse("datasets", {"kind": "folder", **keys})))


def facts(**keys: Any) -> Facts:
    user_files.clear_cache()
    return dataset_facts(parse("datasets", {"kind": "folder", **keys}))


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names", [TWELVE, ("9", "10", "8"), ("0", "2", "10"), ("01", "1", "a", "B", "é", "z z"), ("b.c", "b", "b-c")]
)
def test_labels_are_those_of_image_folder(names: tuple[str, ...]) -> None:
    root = classes("data", names)
    save(f"data/{names[0]}/deep/er/UPPER.PNG")
    Path("outside").mkdir()
    save("outside/linked.png", COLOUR)
    Path(f"data/{names[1]}/link").symlink_to(Path("outside").absolute())
    reference = ImageFolder("data")
    found = list_folder(root)
    assert {name: label for label, name in enumerate(found.names)} == reference.class_to_idx
    assert sorted(zip(map(str, found.paths), found.labels, strict=True)) == sorted(reference.samples)


def test_an_audit_of_a_model_that_was_trained_with_image_folder_shows_its_accuracy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The model reads the number of the folder off the pixels and gives the label that ImageFolder gives it."""
    for number in TWELVE:
        save(f"data/{number}/0.png", np.full((8, 8, 3), 20 * int(number), np.uint8))
    label_of = ImageFolder("data").class_to_idx
    levels = [20 * int(name) / 255 for name in sorted(label_of, key=lambda name: label_of[name])]
    Path("net.py").write_text(f"""
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.levels = torch.nn.Parameter(torch.tensor({levels}))

    def forward(self, x):
        assert x.shape[1] == 3
        return -100 * (x.mean((1, 2, 3))[:, None] - self.levels).abs()
""")
    save_file({"levels": torch.tensor(levels)}, "net.safetensors")
    words = ["audit", "net.safetensors", "--factory", "net.py:Net", "--data", "data", "--eps", "0.001"]
    with pytest.raises(SystemExit, match=r"^[34]$"):  # twelve images are too few to be sound
        main(words)
    said = capsys.readouterr().err
    assert "data: 12 classes (folder → label): 0 → 0, 1 → 1, 10 → 2, 11 → 3, 2 → 4," in said
    assert "sorted as text, as in ImageFolder" in said
    assert read_table(Path("net-audit/robustness.parquet")).column("clean_accuracy").to_pylist()[0] == 1
    # grey images, for a model of three channels, and labels from a file
    for path in Path("data").rglob("*.png"):
        save(str(path), Image.open(path).convert("L"))
    Path("order.json").write_text(json.dumps(label_of))
    with pytest.raises(SystemExit, match=r"^[34]$"):
        main([*words, "--classes", "order.json", "--out", "grey.html"])
    assert "data: the images are grey; passing them to the model with 3 channels" in capsys.readouterr().err
    assert read_table(Path("grey/robustness.parquet")).column("clean_accuracy").to_pylist()[0] == 1


def test_grey_images_have_as_many_channels_as_an_audited_model_takes() -> None:
    grey, colour = torch.rand(4, 1, 8, 8), torch.rand(4, 3, 8, 8)
    one, three = (torch.nn.Sequential(torch.nn.Conv2d(channels, 2, 8), torch.nn.Flatten()) for channels in (1, 3))
    tripled = grey.expand(-1, 3, -1, -1)
    for model, images, expected in (
        (one, grey, grey),
        (three, grey, tripled),
        (one, tripled, grey),
        (three, tripled, tripled),
        (one, colour, colour),
        (torch.nn.Flatten(), grey, grey),
    ):
        torch.testing.assert_close(_match_channels(model, images, "data"), expected)


def test_classes_give_another_order() -> None:
    classes("data", ("1", "2", "10"))
    for listed in (("1", "2", "10"), "order.json"):
        Path("order.json").write_text('{"2": 1, "10": 2, "1": 0}')
        own = read_custom("data", classes=listed)
        assert own.names == ("1", "2", "10") and own.images[own.labels == 2, 0, 0, 0].tolist() == [40, 41, 42]
    few = read_custom("data", classes=("0", "1", "2", "10", "11"))
    assert (few.names, sorted(set(few.labels))) == (("0", "1", "2", "10", "11"), [1, 2, 3])


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ("gone.json", "classes = gone.json: no such file; use a list of class folders, or a JSON file"),
        ("bad.json", r"classes = bad.json: is not a JSON file \(Expecting"),
        ("index.json", 'must map folders to labels, such as {"cat": 0, "dog": 1}'),
        ("holes.json", "must use each of the labels 0 to 1 once"),
        (("cat", "cat"), "has 'cat' twice; list each class once"),
        (("cat", "owl"), "data/dog: the class 'dog' is not in classes; add it there, or move the folder away"),
        (("emu", "owl"), "data/cat: the class 'cat' is not in classes"),
    ],
)
def test_classes_that_do_not_fit_are_refused(listed: Any, message: str) -> None:
    classes("data")
    Path("bad.json").write_text("{")
    Path("index.json").write_text('{"0": ["n01440764", "tench"]}')
    Path("holes.json").write_text('{"cat": 0, "dog": 2}')
    with pytest.raises(ValueError, match=message) as caught:
        read_custom("data", classes=listed)
    assert "\n" not in str(caught.value)


def test_classes_from_a_file_are_an_input_of_the_job() -> None:
    classes("data")
    spec = parse("datasets", {"kind": "folder", "path": "data", "classes": "order.json"})

    def digest(content: str) -> str:
        Path("order.json").write_text(content)
        user_files.clear_cache()
        return user_file_digest(spec)

    before = digest('{"cat": 0, "dog": 1}')
    assert digest('{"dog": 1,   "cat": 0}') == before != digest('{"cat": 1, "dog": 0}')


def test_a_study_names_the_key_and_prints_the_labels_once(capsys: pytest.CaptureFixture[str]) -> None:
    classes("data", TWELVE)
    study = (
        "datasets:\n  mine: {{kind: folder, path: data, classes: {}}}\n"
        "classifiers:\n  net: {{dataset: mine, model: cnn}}\nevaluation: {{attack_examples: 2, validation: 5}}\n"
    )
    Path("one.yaml").write_text(study.format("gone.json"))
    with pytest.raises(ConfigError, match=r"one\.yaml:2: datasets\.mine\.classes = 'gone\.json': no such file"):
        load_file(Path("one.yaml"))
    Path("one.yaml").write_text(study.format("null"))
    for times in (1, 0):
        load_file(Path("one.yaml"))
        assert capsys.readouterr().err.count("data: 12 classes (folder → label): 0 → 0, 1 → 1, 10 → 2") == times


# --- pixels ----------------------------------------------------------------------------------------------------------

WIDE = np.linspace(0, 65535, 64).round().astype(np.uint16).reshape(8, 8)
SCALED = np.round(WIDE * 255.0 / 65535).astype(np.uint8)


def tiff(path: str, pixels: np.ndarray[Any, Any], sample: int, white: int = 1) -> None:
    """An uncompressed TIFF of numbers that Pillow does not write: `sample` 1 is unsigned, 2 signed, 3 float."""
    data, (height, width) = pixels.tobytes(), pixels.shape
    tags = [(256, width), (257, height), (258, 8 * pixels.itemsize), (259, 1), (262, white), (273, 8), (277, 1)]
    tags += [(278, height), (279, len(data)), (339, sample)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    head = b"II*\0" + struct.pack("<I", 8 + len(data))
    Path(path).write_bytes(head + data + struct.pack("<H", len(tags)) + entries + bytes(4))


def read(path: str, background: str = "white") -> np.ndarray[Any, Any]:
    return np.asarray(read_image(Path(path), background)[0])


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_16_bits_are_scaled_and_stay_grey(name: str) -> None:
    save(f"data/a/{name}", WIDE)
    save("data/b/0.png")
    own = read_custom("data")
    assert own.images.shape == (2, 1, 8, 8) and own.images.dtype == np.uint8
    np.testing.assert_array_equal(own.images[0, 0], SCALED)


def test_32_bits_are_scaled_by_the_range_of_their_type() -> None:
    tiff("unsigned.tif", WIDE.astype(np.uint32) * 65537, 1)
    tiff("signed.tif", WIDE.astype(np.int32) * 32768, 2)
    tiff("signed16.tif", (WIDE // 2).astype(np.int16), 2)
    tiff("white.tif", WIDE, 1, white=0)
    for name in ("unsigned.tif", "signed.tif"):
        np.testing.assert_array_equal(read(name), SCALED)
    assert np.abs(read("signed16.tif").astype(int) - SCALED).max() <= 1
    np.testing.assert_array_equal(read("white.tif"), 255 - SCALED)


def test_floats_are_taken_to_be_from_0_to_1() -> None:
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    save("a.tif", values)
    assert np.abs(read("a.tif") - values * 255).max() <= 0.5 + 1e-5
    values[0, 0] = np.nan
    for name, wrong in (("b.tif", values), ("c.tif", np.full((8, 8), 200, np.float32))):
        save(name, wrong)
        with pytest.raises(ValueError, match=rf"{name}: has pixels from (nan|200) to (nan|200), outside 0"):
            read(name)


def test_values_that_would_all_become_black_are_refused() -> None:
    tiff("a.tif", (WIDE // 16).astype(np.uint32), 1)
    with pytest.raises(ValueError, match=r"a\.tif: has pixels up to 4095 of 4\.29497e\+09, which all become black"):
        read("a.tif")


def test_a_grey_palette_and_grey_with_alpha_have_one_channel() -> None:
    save("data/a/palette.png", GREY, "P")
    save("data/a/palette.gif", GREY, "P")
    save("data/b/alpha.png", GREY, "LA")
    save("data/b/bits.png", (GREY > 99), "1")
    own = read_custom("data")
    assert own.images.shape == (4, 1, 8, 8)
    assert all(np.array_equal(image[0], GREY) for image in own.images[[0, 1, 2]])
    save("data/a/colours.png", Image.fromarray(COLOUR).quantize(64))
    assert read_custom("data").images.shape == (5, 3, 8, 8)


def test_grey_rgb_has_as_many_channels_as_the_data_set_wants() -> None:
    save("data/a/0.png", GREY, "RGB"), save("data/b/0.png", GREY // 2, "L")
    assert facts(path="data", test_share=0.5) == Facts((3, 8, 8), 2, 1, 1)
    assert facts(path="data", test_share=0.5, channels=1) == Facts((1, 8, 8), 2, 1, 1)
    spec = parse("datasets", {"kind": "folder", "path": "data", "test_share": 0.5, "channels": 1})
    (train, _), (test, _) = custom_splits(spec, user_file_digest(spec))
    assert train.shape == test.shape == (1, 1, 8, 8)
    assert {int(train.sum()), int(test.sum())} == {int(GREY.sum()), int((GREY // 2).sum())}
    save("data/b/1.png", COLOUR)
    with pytest.raises(ValueError, match=r"data/b/1\.png: has colours, but channels = 1; set channels: 3, or con"):
        facts(path="data", channels=1)


@pytest.mark.parametrize("channels", [None, 3])
def test_grey_training_and_coloured_test_images_are_all_in_colour(channels: int | None) -> None:
    classes("train"), save("test/cat/0.png", COLOUR), save("test/dog/0.png", COLOUR)
    keys = {"kind": "folder", "path": "train", "test_path": "test", "channels": channels}
    assert facts(**keys) == Facts((3, 8, 8), 2, 6, 2)
    spec = parse("datasets", keys)
    (train, _), (test, _) = custom_splits(spec, user_file_digest(spec))
    assert train.shape == (6, 3, 8, 8) and np.array_equal(test[0], COLOUR.transpose(2, 0, 1))


@pytest.mark.parametrize(("background", "level"), [("white", 255), ("black", 0)])
def test_colours_under_transparent_pixels_are_not_shown(background: str, level: int) -> None:
    hidden = np.dstack([COLOUR, np.where(GREY > 128, 255, 0)]).astype(np.uint8)
    save("a.png", hidden)
    expected = np.where(GREY[..., None] > 128, COLOUR, level)
    np.testing.assert_array_equal(read("a.png", background), expected)
    save("b.webp", hidden, lossless=True, exact=True)
    np.testing.assert_array_equal(read("b.webp", background), expected)
    save("c.png", hidden[..., [0, 3]], "LA")
    assert read("c.png", background).ndim == 2
    np.testing.assert_array_equal(read("c.png", background), np.where(GREY > 128, GREY, level))
    save("d.png", WIDE, transparency=65535)
    np.testing.assert_array_equal(read("d.png", background), np.where(WIDE == 65535, level, SCALED))
    save("e.png", Image.fromarray(GREY), transparency=0)
    np.testing.assert_array_equal(read("e.png", background), np.where(GREY == 0, level, GREY))
    half = np.full((8, 8, 4), (100, 100, 100, 51), np.uint8)
    save("f.png", half)
    assert read("f.png", background)[0, 0].tolist() == [round(0.2 * 100 + 0.8 * level)] * 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp", "a.avif"])
def test_exif_orientation_is_applied(name: str, orientation: int) -> None:
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:8, :16] = 255  # the top left
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    save(name, stored, exif=exif)
    turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 3, 6: 3, 7: 1, 8: 1}[orientation]  # counterclockwise, on top of mirroring
    mirrored = stored[:, ::-1] if orientation in (2, 4, 5, 7) else stored
    expected = np.rot90(mirrored, {5: 1, 7: 3}.get(orientation, turns))
    image = read(name)
    assert image.shape == expected.shape and np.abs(image.astype(int) - expected).max() < 60


def test_phone_photos_of_one_shape_are_read_and_others_are_named() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    save("data/a/0.jpg", np.zeros((8, 6, 3), np.uint8))
    save("data/b/0.jpg", np.zeros((6, 8, 3), np.uint8), exif=exif)
    assert facts(path="data", test_share=0.5).shape == (3, 8, 6)
    exif[ORIENTATION] = 6
    save("data/b/1.jpg", np.zeros((8, 6, 3), np.uint8), exif=exif)
    message = (
        r"data/b/1\.jpg: has 6×8 \(rotated by its EXIF orientation\) pixels, but data/a/0\.jpg has 8×6; resize all"
    )
    for attempt in (lambda: facts(path="data"), lambda: read_custom("data")):
        with pytest.raises(ValueError, match=message):
            attempt()


def test_cmyk_is_read_in_colour() -> None:
    save("a.jpg", COLOUR, "CMYK", quality=100, subsampling=0)
    save("b.tif", COLOUR, "CMYK")
    assert np.abs(read("a.jpg").astype(int) - COLOUR).max() < 8
    np.testing.assert_array_equal(read("b.tif"), COLOUR)


# --- what is skipped -------------------------------------------------------------------------------------------------


def test_what_is_skipped_is_named_in_one_line() -> None:
    root = classes("data")
    save("data/cat/.ipynb_checkpoints/0-checkpoint.png")
    save("data/__MACOSX/cat/0.png")
    for name in ("cat/._0.png", "cat/notes.txt", "dog/a.heic", "LICENCE", ".DS_Store"):
        (root / name).write_text("no image")
    (root / "dog/lost.png").symlink_to("nowhere.png")
    (root / "dog/loop").symlink_to(root.absolute() / "dog")
    save("data/photo.png")
    assert len(read_custom("data").labels) == 6 and facts(path="data").classes == 2
    [line] = [line for line in notes(path="data").splitlines() if "skipped" in line]
    assert line.startswith("data: skipped ") and "1 broken link (dog/lost.png)" in line
    assert "outside the class folders (LICENCE, photo.png)" in line
    assert "4 hidden (.DS_Store, __MACOSX, cat/._0.png, …)" in line
    assert "2 not a supported image (cat/notes.txt, dog/a.heic)" in line
    assert "1 second link to a folder (dog/loop)" in line
    assert line in read_custom("data").notes


@pytest.mark.parametrize("name", ["A.JFIF", "a.avif", "a.JPEG", "a.bmp", "a.webp", "a.jpe"])
def test_every_ending_of_an_image_counts(name: str) -> None:
    classes("data", each=1)
    save(f"data/cat/{name}", GREY, "RGB", format="JPEG" if name.endswith("JFIF") else None)
    assert len(read_custom("data").labels) == 3


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("cut.jpg", lambda path: path.write_bytes(path.read_bytes()[:-200])),
        ("cut.png", lambda path: path.write_bytes(path.read_bytes()[:-40])),
        ("cut.webp", lambda path: path.write_bytes(path.read_bytes()[:-40])),
        ("cut.tif", lambda path: path.write_bytes(path.read_bytes()[:100])),
        ("empty.png", lambda path: path.write_bytes(b"")),
    ],
)
def test_a_damaged_file_is_named(name: str, write: Callable[[Path], Any]) -> None:
    classes("data")
    path = save(f"data/dog/{name}", np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8))
    write(path)
    for attempt in (lambda: facts(path="data"), lambda: read_custom("data")):
        with pytest.raises(
            ValueError, match=rf"data/dog/{name}: cannot be read as an image \(.*\); repair or"
        ) as caught:
            attempt()
        assert "\n" not in str(caught.value)


def test_a_class_of_other_files_alone_is_named() -> None:
    Path("data/owl").mkdir(parents=True)
    Path("data/owl/a.heic").write_text("x")
    classes("data")
    with pytest.raises(ValueError, match=r"data/owl: has no readable images, but a\.heic; add images"):
        read_custom("data")


def test_the_same_file_in_two_classes_is_named() -> None:
    classes("data")
    Path("data/dog/copy.png").write_bytes(Path("data/cat/1.png").read_bytes())
    line = "data: cat/1.png and dog/copy.png are the same file in two classes; keep each image in one class"
    assert line in notes(path="data").splitlines() and line in read_custom("data").notes


def test_transparent_images_and_frames_are_named() -> None:
    classes("data")
    save("data/cat/clear.png", np.zeros((8, 8, 4), np.uint8))
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    frames[0].save("data/dog/moving.gif", save_all=True, append_images=frames[1:])
    said = notes(path="data", background="black")
    assert "data: 1 have transparent pixels, set to black (cat/clear.png)" in said
    assert "data: 1 have several frames, of which the first is used (dog/moving.gif)" in said


# --- splits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("test", ["test", "val", "Validation"])
def test_train_and_test_folders_are_the_splits(test: str) -> None:
    names = ("cat", "dog", "owl")
    classes("data/train", names, 4)
    save(f"data/{test}/owl/7.png", np.full((8, 8), 99, np.uint8)), save(f"data/{test}/dog/7.png")
    classes("data/extra")
    assert facts(path="data") == Facts((1, 8, 8), 3, 12, 2)
    spec = parse("datasets", {"kind": "folder", "path": "data"})
    (train, labels), (images, test_labels) = custom_splits(spec, user_file_digest(spec))
    assert sorted(labels) == [0] * 4 + [1] * 4 + [2] * 4 and len(train) == 12
    assert test_labels.tolist() == [1, 2] and (images[1] == 99).all()
    audited = read_custom("data")
    assert audited.labels.tolist() == [1, 2] and audited.names == names
    assert f"data: skipped 1 outside train/ and {test}/ (extra)" in notes(path="data").splitlines()
    assert f"data: skipped 1 outside train/ and {test}/ (extra)" in audited.notes


def test_test_images_come_before_those_of_validation_and_need_class_folders() -> None:
    classes("data/train"), classes("data/val", each=2), classes("data/test", each=1)
    assert facts(path="data") == Facts((1, 8, 8), 2, 6, 2)
    assert "outside train/ and test/ (val)" in notes(path="data")
    for path in Path("data/test").rglob("*.png"):
        path.unlink()
    for path in Path("data/test").iterdir():
        path.rmdir()
    save("data/test/unlabelled.png")
    assert facts(path="data") == Facts((1, 8, 8), 2, 6, 4)


def test_splits_with_other_classes_and_half_splits_are_refused() -> None:
    classes("data/train"), classes("data/extra")
    with pytest.raises(ValueError, match=r"data: has a split train/, but no test/ or val/; set path"):
        facts(path="data")
    assert facts(path="data", classes=["extra", "train"]).classes == 2
    classes("data/val", ("cat", "emu"))
    with pytest.raises(ValueError, match=r"data/val/emu: the class 'emu' is not in data/train; add it there, or move"):
        facts(path="data")


def test_classes_may_be_called_train_and_test() -> None:
    classes("data", ("plane", "test", "train"))
    assert read_custom("data").names == ("plane", "test", "train")
