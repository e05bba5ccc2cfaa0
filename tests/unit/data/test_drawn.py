"""Drawn faces and colour symbols: what is drawn is what is labelled, and where nothing can draw, one line says so."""

import json
import sys
import tarfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from tests import layouts

from advgen.cli import main
from advgen.data import drawn_faces, symbols
from advgen.data.checksum import intact
from advgen.jobs import job as jobs
from advgen.specs.datasets import DrawnFacesDataset, SymbolsDataset

FACES = DrawnFacesDataset(kind="drawn_faces")
STYLES = [SymbolsDataset(kind="symbols", style=style) for style in ("google", "twitter")]


def test_real_faces_are_drawn_alike_twice_and_labelled_by_what_was_drawn(
    raw_drawn_faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DrawnFacesDataset, "full", (150, 50))
    raw = [raw_drawn_faces / name for name in FACES.files()]
    assert all(intact(path, FACES) for path in raw)
    (faces, labels), (tested, test_labels) = drawn_faces.read(raw, FACES)
    assert (len(faces), len(tested)) == (len(labels), len(test_labels)) == (150, 50)
    images = np.concatenate([faces[range(150)], tested[range(50)]])
    (again, _), _ = drawn_faces.read(raw, FACES)
    assert np.array_equal(images[[5, 3]], again[[5, 3]])
    assert images.shape == (200, 3, 64, 64)
    assert len(np.unique(images, axis=0)) == 200
    assert (images[:, :, 0, 0] == 255).all()  # on white
    assert (images.std((1, 2, 3)) > 20).all()
    for attribute, parts in FACES.parts.items():
        spec = FACES.model_copy(update={"attribute": attribute})
        (_, labels), (_, test_labels) = drawn_faces.read(raw, spec)
        assert set(labels) | set(test_labels) == set(range(len(parts)))
        assert spec.facts().classes == len(parts)


def test_a_part_shows_where_it_is_drawn(raw_drawn_faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DrawnFacesDataset, "full", (300, 1))
    raw = [raw_drawn_faces / name for name in FACES.files()]
    (faces, hair), _ = drawn_faces.read(raw, FACES.model_copy(update={"attribute": "hair"}))
    above = faces[range(300)][:, :, 1:4, 30:34].mean((1, 2, 3))
    bun = FACES.parts["hair"].index("bun")
    assert above[hair == bun].max() < above[hair != bun].min()


def test_faces_are_drawn_where_archives_have_no_filters(raw_drawn_faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in Python 3.11.2, which is Debian 12's."""
    extract = tarfile.TarFile.extractall
    monkeypatch.setattr(tarfile.TarFile, "extractall", lambda archive, path: extract(archive, path))
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    monkeypatch.setattr(DrawnFacesDataset, "full", (2, 1))
    (faces, _), _ = drawn_faces.read([raw_drawn_faces / name for name in FACES.files()], FACES)
    assert faces[range(2)].shape == (2, *FACES.shape)


@pytest.mark.parametrize("spec", STYLES, ids=lambda spec: spec.style)
def test_variants_of_a_symbol_stand_in_one_split(spec: SymbolsDataset, tmp_path: Path) -> None:
    layouts.symbols(tmp_path, spec.style)
    (images, labels), (tested, test_labels) = symbols.read([tmp_path / name for name in spec.files()], spec)
    assert (len(images), len(tested)) in ((32, 6), (30, 8))  # 36 symbols, six of them for the test, and two variants
    assert sorted([*labels, *test_labels]) == sorted([*(4 * list(range(9))), 1, 1])
    assert (images[:, :, 0, 0] == 255).all()  # on white
    assert (images[:, :, 8:24, 8:24] < 255).all()


def test_real_symbols_are_the_same_in_both_styles(raw_symbols: Path) -> None:
    made = [symbols.read([raw_symbols / name for name in spec.files()], spec) for spec in STYLES]
    assert all(intact(raw_symbols / name, spec) for spec in STYLES for name in spec.files())
    for split, count in enumerate(SymbolsDataset.full):
        (google, labels), (twitter, other) = (one[split] for one in made)
        assert len(google) == count
        assert np.array_equal(labels, other)
        assert set(labels) == set(range(SymbolsDataset.classes))
        assert np.mean([np.array_equal(a, b) for a, b in zip(google, twitter, strict=True)]) < 0.01
        distance = np.abs(google.astype(float) - twitter).mean()
        assert distance < np.abs(google.astype(float) - twitter[::-1]).mean()  # one symbol is drawn alike twice


def test_without_what_draws_a_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    layouts.drawn_faces(tmp_path)
    monkeypatch.setattr(DrawnFacesDataset, "raw", layouts.checksums(tmp_path, DrawnFacesDataset.raw))
    spec = json.dumps({"dataset": {"kind": "drawn_faces"}})
    made = ["--out-train", "train.parquet", "--out-test", "test.parquet"]
    with pytest.raises(ValueError, match=r"Node\.js, which is not installed; install version 18 or newer"):
        monkeypatch.setenv("PATH", "")
        drawn_faces.read(list(DrawnFacesDataset.raw), FACES)
    with pytest.raises(SystemExit, match=r"^advgen fetch: drawn faces need Node\.js, .* run again$"):
        main(["fetch", "--spec", spec, "--out", *(f"raw/{name}" for name in DrawnFacesDataset.raw)])

    def version(name: str) -> str:
        if name == "resvg-py":
            raise metadata.PackageNotFoundError(name)
        return metadata.version(name)

    monkeypatch.setattr(jobs, "version", version)
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(SystemExit) as caught:
        main(["make-dataset", "--spec", spec, "--raw", *DrawnFacesDataset.raw, *made])
    assert caught.value.code == "advgen make-dataset: needs resvg-py; pip install 'advgen[colour]'"


def test_archives_placed_by_hand_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGEN_DATA", str(tmp_path / "mine"))
    monkeypatch.setattr(drawn_faces, "check_node", lambda: None)
    monkeypatch.setenv("PATH", "")
    folder = tmp_path / "mine" / "drawn_faces"
    layouts.drawn_faces(folder)
    targets = [tmp_path / "raw" / name for name in FACES.files()]
    with pytest.raises(ValueError, match=r"wrong content .* checksum sha512-"):
        drawn_faces.drawn_faces(FACES).fetch(targets)
    monkeypatch.setattr(DrawnFacesDataset, "raw", layouts.checksums(folder, DrawnFacesDataset.raw))
    drawn_faces.drawn_faces(FACES).fetch(targets)
    assert all(path.read_bytes() == (folder / path.name).read_bytes() for path in targets)
