"""Digests of what the source files of a CV say, whatever their comments, order of keys and white space."""

import json
from contextlib import suppress
from pathlib import Path

from advgen.cv import foreign
from advgen.cv.bibtex import normalize_bibtex
from advgen.cv.yaml_files import read
from advgen.files.provenance import sha256_file, sha256_text


def digest_source(path: Path) -> str:
    """Return the digest of the content of a YAML or BibTeX file; of any other or invalid file, of its bytes."""
    with suppress(ValueError):
        if path.suffix in (".yaml", ".yml"):
            data = read(path).data
            # files of other generators print some maps in their order
            return sha256_text(json.dumps(data, sort_keys=not foreign.is_bamos_cv(data), default=repr))
        if path.suffix == ".bib":
            return sha256_text(json.dumps(normalize_bibtex(path)))
    return sha256_file(path)
