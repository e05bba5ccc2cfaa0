"""Drawn faces: two npm packages draw them as SVG from seeds, and resvg renders them."""

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

from advgen.data.download import RawFiles, npm_archives
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


def drawn_faces(spec: DrawnFacesDataset) -> RawFiles:
    """The npm packages that draw the faces, by integrity; ValueError without Node.js."""
    check_node()
    return RawFiles("drawn_faces", DrawnFacesDataset.raw, (npm_archives(PACKAGES),))


def check_node() -> None:
    """ValueError without Node.js."""
    if shutil.which("node") is None:
        raise ValueError("drawn faces need Node.js, which is not installed; install version 18 or newer and run again")


class Faces:
    """Faces as SVG, rendered on access: `faces[rows]` is a uint8 array (rows, 3, H, W)."""

    def __init__(self, svgs: list[str], side: int):
        self.svgs, self.side = svgs, side

    def __len__(self) -> int:
        """The number of faces."""
        return len(self.svgs)

    def __getitem__(self, rows: Sequence[int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Some faces on white, uint8 (rows, 3, H, W)."""
        return np.stack([_render(self.svgs[row], self.side) for row in rows])


def read(raw: Sequence[Path], spec: DrawnFacesDataset) -> tuple[tuple[Faces, Labels], tuple[Faces, Labels]]:
    """Faces and labels (N,) uint8 for training and for test; ValueError without Node.js."""
    train, test = spec.full
    parts, side = spec.parts[spec.attribute], spec.shape[1]
    faces = _draw(raw, [str(derive(0, "drawn faces", face)) for face in range(train + test)])
    svgs = [face["svg"] for face in faces]
    labels = np.array([parts.index(face["parts"].get(spec.attribute, "none")) for face in faces], np.uint8)
    return (Faces(svgs[:train], side), labels[:train]), (Faces(svgs[train:], side), labels[train:])


def _draw(raw: Sequence[Path], seeds: list[str]) -> list[dict[str, Any]]:
    """An SVG and its parts by attribute for each seed."""
    check_node()
    with tempfile.TemporaryDirectory() as folder:
        for path, package in zip(raw, PACKAGES.values(), strict=True):
            target = Path(folder) / "node_modules" / package.rpartition("@")[0]
            with tarfile.open(path) as archive:
                if hasattr(tarfile, "data_filter"):  # since Python 3.11.4; the archive's checksum was compared
                    archive.extraction_filter = tarfile.data_filter
                archive.extractall(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / "package").rename(target)
        script = Path(folder) / "draw.mjs"
        script.write_text(DRAW)
        result = subprocess.run(["node", str(script)], input=json.dumps(seeds), capture_output=True, text=True)
    if result.returncode:
        reason = next((line for line in result.stderr.splitlines() if "Error" in line), "it gives no reason")
        raise ValueError(f"drawn faces: Node.js failed ({reason}); install version 18 or newer and run again")
    return [json.loads(line) for line in result.stdout.splitlines()]


def _render(svg: str, side: int) -> np.ndarray[Any, Any]:
    """An SVG as an image (3, side, side) on white."""
    from resvg_py import svg_to_bytes

    png = svg_to_bytes(svg_string=svg, width=side, height=side, background="white", skip_system_fonts=True)
    with Image.open(io.BytesIO(bytes(png))) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
