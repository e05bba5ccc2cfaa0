"""Custom data and models: what planning reads from them, and the messages about their mistakes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.entries import write_images

from advgen.core.errors import ConfigError
from advgen.data.custom import read_custom
from advgen.data.custom_splits import custom_splits
from advgen.files import user_files
from advgen.files.user_files import dataset_facts, factory_files, model_digest, user_file_digest
from advgen.registry import parse
from advgen.specs.base import MAX_COUNT
from advgen.specs.datasets import Facts
from advgen.study.load import load_file

STUDY = """
datasets:
  mine: {{{data}}}
classifiers:
  net: {{kind: file, dataset: mine, {model}}}
evaluation: {{attack_examples: 2, validation: 5}}
"""
MODEL = "path: net.safetensors, factory: 'net.py:net'"


def images(n: int, channels: int = 3, side: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, side, side, channels), dtype=np.uint8)


def folder(where: str, n: int = 6, channels: int = 3, side: int = 8, classes: tuple[str, ...] = ("cat", "dog")) -> None:
    for label, name in enumerate(classes):
        Path(where, name).mkdir(parents=True)
        for row, image in enumerate(images(n, channels, side)):
            Image.fromarray(image[:, :, 0] if channels == 1 else image + np.uint8(label)).save(
                f"{where}/{name}/{row}.png"
            )


def arrays(path: str, labels: list[int], /, **keys: np.ndarray) -> None:
    np.savez(path, **{"images": images(len(labels)), "labels": np.array(labels), **keys})


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    user_files.clear_cache()
    folder("photos")
    Path("net.safetensors").write_bytes(b"weights")
    Path("net.py").write_text("def net():\n    return 1\n")


def facts(**keys: object) -> Facts:
    user_files.clear_cache()
    return dataset_facts(parse("datasets", keys))


def test_the_facts_of_a_folder() -> None:
    assert facts(kind="folder", path="photos", test_share=0.25) == Facts((3, 8, 8), 2, 9, 3)
    folder("grey", channels=1, side=28, classes=("a", "b", "c"))
    assert facts(kind="folder", path="grey", test_share=0.5) == Facts((1, 28, 28), 3, 9, 9)
    folder("more", n=2)
    assert facts(kind="folder", path="photos", test_path="more") == Facts((3, 8, 8), 2, 12, 4)
    assert facts(kind="folder", path="photos", test_path="more", train=5, test=3) == Facts((3, 8, 8), 2, 5, 3)


@pytest.mark.parametrize("dtype", ["<i8", ">i4", "u1", "<u2"])
@pytest.mark.parametrize(
    ("shape", "expected"),
    [((10, 32, 32), (1, 32, 32)), ((10, 64, 64, 3), (3, 64, 64)), ((10, 1, 28, 28), (1, 28, 28))],
)
def test_the_facts_of_arrays_come_from_their_headers(
    dtype: str, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    labels = np.array([0, 1, 2, 3, 4] * 2, dtype)
    np.savez_compressed("mine.npz", images=np.zeros(shape, np.uint8), labels=labels)
    assert facts(kind="npz", path="mine.npz") == Facts(expected, 5, 8, 2)  # type: ignore[arg-type]


def test_the_facts_of_a_parquet_file() -> None:
    write_images(Path("train.parquet"))
    assert facts(kind="parquet", path="train.parquet", test_share=0.1) == Facts((1, 28, 28), 3, 54, 6)


def test_the_pixels_read_are_those_in_the_file() -> None:
    arrays("mine.npz", [0, 1] * 10, images=images(20).astype(np.float32) / 255)
    spec = parse("datasets", {"kind": "npz", "path": "mine.npz"})
    (train, labels), (test, _) = custom_splits(spec, user_file_digest(spec))
    assert (train.shape, test.shape, train.dtype) == ((16, 3, 8, 8), (4, 3, 8, 8), np.uint8)
    both = np.concatenate([train, test]).reshape(20, -1)
    expected = images(20).transpose(0, 3, 1, 2).reshape(20, -1)
    np.testing.assert_array_equal(both[np.lexsort(both.T)], expected[np.lexsort(expected.T)])
    assert set(labels.tolist()) == {0, 1}
    with pytest.raises(ValueError, match=r"mine\.npz: was changed since this job was planned; run again"):
        custom_splits(spec, "another")
    arrays("mine.npz", [0, 1] * 10, images=images(20).astype(np.float32))
    user_files.clear_cache()
    with pytest.raises(ValueError, match=r"pixels are from 0 to 255; give uint8, or floats from 0 to 1"):
        custom_splits(spec, user_file_digest(spec))


def test_the_digest_depends_on_content_and_not_on_names() -> None:
    def digest(path: str) -> str:
        user_files.clear_cache()
        return user_file_digest(parse("datasets", {"kind": "folder", "path": path}))

    before = digest("photos")
    Path("photos").rename("moved")
    assert digest("moved") == before
    Path("moved/cat").rename("moved/bat")  # still the first class
    assert digest("moved") == before
    Path("moved/bat/0.png").touch()
    assert digest("moved") == before
    Image.fromarray(255 - images(1)[0]).save("moved/bat/0.png")
    assert digest("moved") != before


def test_the_code_of_a_model_is_all_that_it_imports_from_its_folder() -> None:
    for name, text in {
        "net.py": "import torch\n\nfrom blocks import block\n\ndef net():\n    import parts.head as head\n    return head\n",
        "blocks.py": "from parts import tail\nfrom . import nothing\n",
        "parts/__init__.py": "",
        "parts/tail.py": "from ..unused import away\n",
        "parts/head.py": "from .layers import layer\n",
        "parts/layers.py": "import net\n",
        "unused.py": "",
        "parts/unused.py": "",
    }.items():
        path = Path("code", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    files = {
        "blocks.py",
        "net.py",
        "unused.py",
        *(f"parts/{name}.py" for name in ("__init__", "head", "layers", "tail")),
    }
    assert {str(one.relative_to("code")) for one in factory_files("code/net.py:net")} == files
    package = ["code/parts/__init__.py", "code/parts/head.py", "code/parts/layers.py", "net.py"]
    assert [str(one) for one in factory_files("code.parts.head:layer")] == package
    assert factory_files("torch.nn:Linear") == factory_files(None) == []
    before = model_digest("net.safetensors", "code/net.py:net")
    Path("code/parts/unused.py").write_text("other = 1\n")
    assert model_digest("net.safetensors", "code/net.py:net") == before
    Path("code/parts/layers.py").write_text("import net\n\nwidth = 3\n")
    assert model_digest("net.safetensors", "code/net.py:net") != before


def test_a_large_folder_prints_its_progress(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_files, "PROGRESS_SECONDS", 0)
    facts(kind="folder", path="photos")
    assert capsys.readouterr().err.splitlines()[-1] == "photos: 11 of 12 images checked"


def test_a_hundred_thousand_images_are_planned_and_a_subset_is_read() -> None:
    labels = np.arange(100_000) % 3
    np.savez("many.npz", images=np.zeros((100_000, 4, 4), np.uint8), labels=labels)
    assert facts(kind="npz", path="many.npz") == Facts((1, 4, 4), 3, 80_000, 20_000)
    few = read_custom("many.npz", 1000)
    assert (few.images.shape, few.total) == ((1000, 1, 4, 4), 100_000)
    n = MAX_COUNT + 1
    np.savez("more.npz", images=np.zeros((n, 1, 1), np.uint8), labels=np.arange(n) % 2)
    with pytest.raises(
        ValueError, match=r"more\.npz: has 1,000,001 images, but the maximum is 1,000,000; use a part of"
    ):
        facts(kind="npz", path="more.npz")


def test_a_file_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = facts(kind="folder", path="photos")
    monkeypatch.setattr(user_files, "sha256_file", lambda path: pytest.fail("read again"))
    assert facts(kind="folder", path="photos") == first


def corrupt() -> None:
    Path("photos/dog/3.png").write_bytes(Path("photos/dog/3.png").read_bytes()[:90])


def another_size() -> None:
    Image.fromarray(images(1, side=9)[0]).save("photos/dog/9.png")


UNREADABLE: dict[str, tuple[Callable[[], None], str, str]] = {
    "no folder": (lambda: None, "gone", r"no such folder of class folders; paths are relative to"),
    "truncated": (corrupt, "photos", r"photos/dog/3\.png: cannot be read as an image \(.*\); repair or remove"),
    "size": (another_size, "photos", r"9\.png: has 9×9 pixels, but photos/cat/0\.png has 8×8; resize"),
    "empty class": (lambda: Path("photos/eel").mkdir(), "photos", r"photos/eel: has no readable images; add images"),
    "no classes": (
        lambda: Path("no").mkdir(),
        "no",
        r"no: has 0 class folders, not 2 or more; put the images of each class",
    ),
    "other classes": (
        lambda: folder("test", classes=("cat", "eel")),
        "photos, test_path: test",
        r"test: the class 'dog' is not in both folders",
    ),
    "other size": (
        lambda: folder("test", side=9),
        "photos, test_path: test",
        r"test: has 3×9×9 images, but photos has 3×8×8; resize all images to one size",
    ),
}
OBJECTS, FIVE = np.array([0, "1"], object), np.zeros((2, 5, 8, 8), np.uint8)
WRONG_ARRAYS: dict[str, tuple[list[int], dict[str, np.ndarray], str]] = {
    "from 1": ([1, 2] * 9, {}, r"labels are 1 to 2, but must start at 0; s"),
    "negative": ([-1, 0] * 9, {}, r"a\.npz: has the label -1; labels must start at 0"),
    "one class": ([0] * 9, {}, r"a\.npz: has only one class"),
    "floats": (
        [0, 1],
        {"labels": np.array([0.0, 1.0])},
        r"labels have dtype <f8 and shape \(2,\); save integers from 0",
    ),
    "more labels": ([0, 1], {"labels": np.arange(3)}, r"a\.npz: has 2 images, but 3 labels; save one label per image"),
    "channels": (
        [0, 1],
        {"images": FIVE},
        r"images have shape \(2, 5, 8, 8\); save \(images, channels, height, width\) w",
    ),
    "objects": ([0, 1], {"labels": OBJECTS}, r"has pickled Python objects; save arrays of numbers"),
}


def refused(data: str, message: str) -> None:
    """Check that loading a study with this data set fails with a message in one line."""
    Path("one.yaml").write_text(STUDY.format(data=data, model=MODEL))
    with pytest.raises(ConfigError, match=rf"one\.yaml:3: datasets\.mine\.(test_)?path = .*{message}") as caught:
        load_file(Path("one.yaml"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_folder_that_cannot_be_used_is_an_error_of_the_plan(name: str) -> None:
    prepare, path, message = UNREADABLE[name]
    prepare()
    refused(f"kind: folder, path: {path}", message)


@pytest.mark.parametrize("name", WRONG_ARRAYS)
def test_arrays_that_cannot_be_used_are_an_error_of_the_plan(name: str) -> None:
    labels, keys, message = WRONG_ARRAYS[name]
    arrays("a.npz", labels, **keys)
    refused("kind: npz, path: a.npz", message)


def test_a_file_that_cannot_be_read_is_an_error_of_the_plan() -> None:
    np.savez("x.npz", x=images(2))
    refused("kind: npz, path: x.npz", r"has x; save the arrays as images and labels")
    Path("a.npz").write_bytes(b"no zip")
    refused("kind: npz, path: a.npz", r"a\.npz: File is not a zip file")
    Path("a.parquet").write_bytes(b"PAR1")
    refused("kind: parquet, path: a.parquet", r"a\.parquet: is not a data set of advgen \(.*\); use a train\.parquet")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            "path: gone.pt2",
            r"path = 'gone\.pt2': no such file; paths are relative to the folder in which snakemake runs",
        ),
        ("path: net.safetensors", r"factory is missing: the file contains only weights; name the code of the module"),
        ("path: net.safetensors, factory: 'gone.py:net'", r"factory = 'gone\.py:net': no such file as gone\.py"),
        (
            "path: net.safetensors, factory: 'photos/net.py:net'",
            r"factory = 'photos/net\.py:net': photos/net\.py:1 is not valid Python: '\(' was never closed",
        ),
        ("path: net.safetensors, factory: net.py", r"factory = 'net\.py': write module:function, or path\.py:function"),
        (MODEL + ", mean: [0.5, 0.5]", r"mean = \[0\.5, 0\.5\]: has 2 numbers for 3 channels; give one for each"),
        (MODEL + ", std: 0", r"std = 0(\.0)?: must be positive; it divides the pixels"),
        (MODEL + ", bounds: [1, 0]", r"bounds = \[1\.0, 0\.0\]: must be the lowest and the highest pixel, such as"),
        (MODEL + ", training: {}", r"training: unknown key"),
    ],
)
def test_a_model_that_cannot_be_used_is_an_error_of_the_plan(model: str, expected: str) -> None:
    Path("one.yaml").write_text(STUDY.format(data="kind: folder, path: photos", model=model))
    Path("photos/net.py").write_text("net = (\n")
    with pytest.raises(ConfigError, match=rf"one\.yaml:5: classifiers\.net\.{expected}"):
        load_file(Path("one.yaml"))


def test_planning_needs_no_torch_or_numpy() -> None:
    arrays("mine.npz", [0, 1] * 10)
    Path("one.yaml").write_text(STUDY.format(data="kind: npz, path: mine.npz", model=MODEL))
    code = (
        "import sys; from pathlib import Path; from advgen.study.load import load_file; load_file(Path('one.yaml')); "
    )
    code += "print({'torch', 'numpy', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
