"""Stamps and atomic writes."""

from pathlib import Path

import pytest

from advgen.files.provenance import Stamp, atomic_write, write_bytes

STAMP = Stamp("advgen craft --model a", {"eps": 0.1}, "abc", {"a": "0" * 64}, {"torch": "2"}, 3, "cpu")


def test_a_stamp_survives_a_round_trip() -> None:
    assert Stamp.from_json(STAMP.to_json()) == STAMP
    assert Stamp.from_token(STAMP.token()) == STAMP
    assert STAMP.token().isascii()
    with pytest.raises(ValueError, match="stamp cannot be read"):
        Stamp.from_json("{")


def test_atomic_write_leaves_old_content_on_failure(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_bytes(path, b"old")
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert [one.name for one in path.parent.iterdir()] == ["file.txt"]
