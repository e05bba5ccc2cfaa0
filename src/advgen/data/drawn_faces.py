"""Drawn faces: two npm packages draw them as SVG from seeds, resvg turns them into pixels."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from advgen.data.download import fetch, local, local_folder, npm_archives
from advgen.seeds import derive
from advgen.specs.datasets import DrawnFacesDataset

Labels = np.ndarray[Any, Any]
PACKAGES = dict(zip(DrawnFacesDataset.raw, ("@dicebear/core@9.4.3", "@dicebear/toon-head@9.4.3"), strict=True))
DRAW = """
import { readFileSync } from "node:fs";
import { createAvatar } from "@dicebear/core";
import * as design from "@dicebear/toon-head";

for (const seed of JSON.parse(readFileSync(0))) {
  const face = createAvatar(design, { seed });
  console.log(JSON.stringify({ svg: face.toString(), parts: face.toJson().extra }));
}
"""


class DrawnFaces:
    """Where the packages that draw come from."""

    def fetch(self, targets: Sequence[Path]) -> None:
        """Write the raw files; ValueError lists every source tried, or says that nothing here can run them."""
        check_node()
        sources = [local(local_folder("drawn_faces")), npm_archives(PACKAGES)]
        fetch(DrawnFacesDataset.raw, targets, sources, "drawn_faces")


def drawn_faces(spec: DrawnFacesDataset) -> DrawnFaces:
    """The npm packages that draw the faces, by integrity: a local folder, then the registry."""
    return DrawnFaces()


class Faces:
    """Faces as SVG, turned into pixels when they are asked for: `faces[rows]` is an array (rows, 3, H, W) of bytes."""

    def __init__(self, svgs: list[str], side: int):
        self.svgs, self.side = svgs, side

    def __len__(self) -> int:
        """How many faces there are."""
        return len(self.svgs)

    def __getitem__(self, rows: Sequence[int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Some faces on white as bytes (rows, 3, H, W)."""
        return np.stack([_pixels(self.svgs[row], self.side) for row in rows])


def check_node() -> None:
    """ValueError without Node.js."""
    if shutil.which("node") is None:
        raise ValueError("drawn faces want Node.js, which is not installed; install version 18 or newer and run again")


def read(raw: Sequence[Path], spec: DrawnFacesDataset) -> tuple[tuple[Faces, Labels], tuple[Faces, Labels]]:
    """Faces and labels (N,) uint8 for training and for test; ValueError without Node.js."""
    train, test = spec.full
    parts, side = spec.parts[spec.attribute], spec.shape[1]
    drawn = _draw(raw, [str(derive(0, "drawn faces", face)) for face in range(train + test)])
    svgs = [face["svg"] for face in drawn]
    labels = np.array([parts.index(face["parts"].get(spec.attribute, "none")) for face in drawn], np.uint8)
    return (Faces(svgs[:train], side), labels[:train]), (Faces(svgs[train:], side), labels[train:])


def _draw(raw: Sequence[Path], seeds: list[str]) -> list[dict[str, Any]]:
    """An SVG and its parts by attribute for each seed."""
    check_node()
    with tempfile.TemporaryDirectory() as folder:
        for path, package in zip(raw, PACKAGES.values(), strict=True):
            place = Path(folder) / "node_modules" / package.rpartition("@")[0]
            with tarfile.open(path) as archive:
                if hasattr(tarfile, "data_filter"):  # since Python 3.11.4; what is unpacked has its checksum
                    archive.extraction_filter = tarfile.data_filter
                archive.extractall(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / "package").rename(place)
        script = Path(folder) / "draw.mjs"
        script.write_text(DRAW)
        drawn = subprocess.run(["node", str(script)], input=json.dumps(seeds), capture_output=True, text=True)
    if drawn.returncode:
        told = next((line for line in drawn.stderr.splitlines() if "Error" in line), "no reason told")
        raise ValueError(f"drawn faces: Node.js failed ({told}); install version 18 or newer and run again")
    return [json.loads(line) for line in drawn.stdout.splitlines()]


def _pixels(svg: str, side: int) -> np.ndarray[Any, Any]:
    """An SVG as an image (3, side, side) on white."""
    from resvg_py import svg_to_bytes

    png = svg_to_bytes(svg_string=svg, width=side, height=side, background="white", skip_system_fonts=True)
    with Image.open(io.BytesIO(bytes(png))) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
