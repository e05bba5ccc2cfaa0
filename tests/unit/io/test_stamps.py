"""Stamps in files of all formats."""

import base64
import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure

from advgen.figures.style import save_figure
from advgen.files.provenance import Stamp
from advgen.io.archives import DOCX_STAMP, pack
from advgen.io.checkpoints import build, save_model
from advgen.io.stamps import check_content, content_digest, read_stamp, relabel, seal
from advgen.io.tables import arrow_table, write_table
from advgen.specs.networks import FcNetwork
from advgen.training.initial import build_seeded

STAMP = Stamp("advgen draw --out x", {"name": "one"}, "abc", {"a": "0" * 64}, {"pyarrow": pa.__version__}, 3)
OTHER = Stamp("advgen draw --out y", {"name": "another"}, "abc", {"b": "0" * 64}, {"pyarrow": pa.__version__}, 3)


def test_the_stamp_of_a_figure_can_be_read(tmp_path: Path) -> None:
    figure = Figure(figsize=(0.2, 0.2))
    for number in range(60):  # a quarter of all checksums begin with a byte that a token may hold
        stamp = Stamp("advgen draw", {"number": number}, "x" * (number % 7))
        pdf, png = tmp_path / "figure.pdf", tmp_path / "figure.png"
        save_figure(figure, pdf, png, stamp.token())
        assert read_stamp(png) == stamp
        assert read_stamp(pdf) == stamp
        seal(png)
        check_content(png)


def test_a_picture_without_a_stamp(tmp_path: Path) -> None:
    Figure(figsize=(0.2, 0.2)).savefig(tmp_path / "plain.png")
    assert read_stamp(tmp_path / "plain.png") is None


def table(path: Path, stamp: Stamp, name: str = "one") -> None:
    rows = {"step": [1, 2, 3], "epoch": [0.1, 0.2, 0.3], "loss": [3.0, 2.0, 1.0], "accuracy": [0.1, 0.2, None]}
    write_table(path, arrow_table("training", {"model": name, "seed": 0, **rows}), stamp)


def model(path: Path, stamp: Stamp) -> None:
    spec = FcNetwork(kind="fc", image=(1, 3, 3), hidden=(2,), activation="relu")
    save_model(path, build_seeded(build, "networks", spec, 2, seed=0), stamp)


def figure(path: Path, stamp: Stamp) -> None:
    pdf, png = path.with_suffix(".pdf"), path.with_suffix(".png")
    save_figure(Figure(figsize=(0.2, 0.2)), pdf, png, stamp.token())
    seal(path)


def text(path: Path, stamp: Stamp) -> None:
    path.write_text(f'{{"words": "Grüße", "provenance": "{stamp.token()}", "more": 1}}\n', encoding="utf-8")
    seal(path)


def office(path: Path, stamp: Stamp) -> None:
    path.write_bytes(pack({"word/document.xml": b"<w/>", DOCX_STAMP: f"<stamp>{stamp.token()}</stamp>".encode()}))
    seal(path)


def whole(path: Path) -> bool:
    """Return whether `verify` accepts a file by itself."""
    try:
        check_content(path)
        return read_stamp(path) is not None
    except ValueError:
        return False


WRITERS = {
    **{".parquet": table, ".safetensors": model, ".png": figure, ".pdf": figure},
    ".docx": office,
    **dict.fromkeys((".html", ".md", ".tex", ".json"), text),
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_any_changed_byte_is_found(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"
    write: Callable[[Path, Stamp], None] = WRITERS[suffix]
    write(path, STAMP)
    check_content(path)
    stamp = read_stamp(path)
    assert stamp is not None
    assert stamp.with_seal(STAMP.seal) == STAMP
    written, chance = path.read_bytes(), random.Random(0)
    for place in chance.sample(range(len(written)), min(len(written), 400)):
        damaged = bytearray(written)
        damaged[place] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        assert not whole(path), place


@pytest.mark.parametrize("suffix", [".parquet", ".safetensors", ".json"])
def test_the_content_digest_does_not_depend_on_the_stamp(tmp_path: Path, suffix: str) -> None:
    one, another = tmp_path / f"one{suffix}", tmp_path / f"another{suffix}"
    WRITERS[suffix](one, STAMP)
    WRITERS[suffix](another, OTHER)
    assert one.read_bytes() != another.read_bytes()
    assert content_digest(one) == content_digest(another)


@pytest.mark.parametrize("suffix", [".parquet", ".safetensors"])
def test_relabelling_gives_the_bytes_of_another_run(tmp_path: Path, suffix: str) -> None:
    one, another, made = (tmp_path / f"{name}{suffix}" for name in ("one", "another", "made"))
    WRITERS[suffix](one, STAMP)
    WRITERS[suffix](another, OTHER)
    if suffix == ".parquet":
        table(another, OTHER, "another")
    relabel(one, made, OTHER, {"model": ("one", "another")})
    assert made.read_bytes() == another.read_bytes()
    check_content(made)


DEEP = 100_000 * "[" + 100_000 * "]"
STAMPS = {
    "deep": STAMP.to_json().replace('{"name":"one"}', DEEP),
    "a list": "[]",
    "a text": '"stamp"',
    "lists for maps": STAMP.to_json().replace('{"pyarrow":', '[{"pyarrow":').replace('"}}', '"}]}'),
    "inputs": STAMP.to_json().replace('"inputs":{', '"inputs":[1],"seed":{'),
    "more": STAMP.to_json().replace('"seed":', '"more":1,"seed":'),
}


@pytest.mark.parametrize("text", STAMPS.values(), ids=STAMPS)
def test_a_malformed_stamp_is_an_error(text: str, tmp_path: Path) -> None:
    assert text != STAMP.to_json()
    with pytest.raises(ValueError, match="stamp cannot be read"):
        Stamp.from_json(text)
    rows, checkpoint, page, data = (tmp_path / f"file.{kind}" for kind in ("parquet", "safetensors", "html", "json"))
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({"advgen": text}), rows)
    header = json.dumps({"__metadata__": {"advgen": f'{{"model":{DEEP},"stamp":{text}}}'}}).encode()
    checkpoint.write_bytes(len(header).to_bytes(8, "little") + header)
    page.write_text(f"advgen:{base64.urlsafe_b64encode(text.encode()).decode()}")
    data.write_text(text)
    for path in (rows, checkpoint, page):
        with pytest.raises(ValueError, match="delete it and run again"):
            read_stamp(path)
        with pytest.raises(ValueError, match="delete it and run again"):
            check_content(path)
    assert content_digest(data) == content_digest(data)


def test_a_column_with_several_values_is_no_label(tmp_path: Path) -> None:
    table(tmp_path / "one.parquet", STAMP)
    with pytest.raises(ValueError, match="'model' has several values"):
        relabel(tmp_path / "one.parquet", tmp_path / "two.parquet", OTHER, {"model": ("other", "another")})
