"""Entries of the cache of results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from advgen.io import cache


def test_what_another_process_puts_there_is_not_taken_for_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, job = tmp_path / "ab" / "abc", Any
    monkeypatch.setattr(cache, "_place", lambda job: entry)
    entry.mkdir(parents=True)
    assert not cache.restore(job)  # type: ignore[arg-type]
    assert entry.is_dir()
    (entry / cache.LIST).write_text("[")
    assert not cache.restore(job)  # type: ignore[arg-type]
    assert not entry.exists()
