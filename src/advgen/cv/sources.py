"""What the files of a CV say, apart from how they are written."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from advgen.cv import bibliography, legacy, live_values
from advgen.files.provenance import sha256_file, sha256_text


def digest_source(path: Path) -> str:
    """Digest of what YAML or BibTeX says, whatever its comments, order of keys and white space; else of its bytes."""
    with suppress(ValueError):
        if path.suffix in (".yaml", ".yml"):
            data = live_values.read(path).data
            # another generator's file shows some maps in their order
            return sha256_text(json.dumps(data, sort_keys=not legacy.recognised(data), default=repr))
        if path.suffix == ".bib":
            return sha256_text(json.dumps(bibliography.fields(path)))
    return sha256_file(path)
