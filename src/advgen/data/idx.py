"""Reading IDX files, the format of MNIST and Fashion-MNIST."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def read(raw: Sequence[Path], spec: object = None) -> tuple[Arrays, Arrays]:
    """Images (N, 1, H, W) uint8 and labels (N,) uint8 for training and for test, from four files."""
    train_images, train_labels, test_images, test_labels = (read_idx(path) for path in raw)
    return (train_images[:, None], train_labels), (test_images[:, None], test_labels)


def read_idx(path: Path) -> np.ndarray[Any, Any]:
    """An IDX file of unsigned bytes as an array; ValueError if it is damaged."""
    content = path.read_bytes()
    if len(content) < 8 or content[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path}: not an IDX file of bytes; delete it and run again")
    shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])
    if len(values) != int(np.prod(shape, dtype=np.int64)):
        expected = "×".join(map(str, shape))
        raise ValueError(f"{path}: {len(values)} values instead of {expected}; delete it and run again")
    return values.reshape(shape)
