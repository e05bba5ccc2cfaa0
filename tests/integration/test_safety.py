"""Nothing that is read can run code: no file of results/, no study, no CV, no state, no name in a command line."""

import ast
import json
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import save_file
from tests.layouts import Evil
from tests.project import ROOT, Project

import advgen
from advgen.commands.verify import find_problems
from advgen.core.errors import ConfigError
from advgen.cv.scan import scan_profile
from advgen.driver.plan import build
from advgen.files.provenance import Stamp
from advgen.io import tables
from advgen.io.checkpoints import load_state, save_state
from advgen.io.stamps import read_stamp
from advgen.study.load import load_file


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """What malicious content would create, if it ran."""
    path = tmp_path / "it-ran"
    pickle.loads(pickle.dumps(Evil(path)))
    assert path.is_dir()
    path.rmdir()
    return path


@pytest.mark.parametrize("write", [torch.save, lambda evil, path: path.write_bytes(pickle.dumps(evil))])
def test_pickles(write: Callable[[Evil, Path], None], trace: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write(Evil(trace), path)
    with pytest.raises(ValueError, match="not a checkpoint"):
        advgen.load(path)
    assert load_state(path, "key") is None
    assert not trace.exists()


def test_a_state_is_tensors_alone(trace: Path, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    with pytest.raises(ValueError, match="Evil"):
        save_state(path, {"step": Evil(trace)}, "key")  # type: ignore[dict-item]
    evil = np.frombuffer(pickle.dumps(Evil(trace)), dtype=np.uint8)
    save_file({"step": evil}, path, {"advgen": "key"})
    found = load_state(path, "key")
    assert found is not None and bytes(found["step"].numpy()) == evil.tobytes()
    assert not trace.exists()


@pytest.mark.parametrize(
    "model",
    [
        {"family": "networks", "spec": {"kind": "os.mkdir"}},
        {"family": "networks", "spec": {"kind": "builtins:exec", "preset": "__import__('os').mkdir('it-ran')"}},
        {"family": "os", "spec": {"kind": "mkdir"}},
        {"family": "networks", "spec": "!!python/object/apply:os.mkdir [it-ran]"},
        {"family": ["networks"], "spec": None},
    ],
)
def test_the_header_of_a_checkpoint(
    model: dict[str, object], trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.safetensors"
    header = {"model": {"outputs": 10, "weights": "", **model}, "stamp": {}}
    save_file({"w": np.zeros(1, dtype=np.float32)}, path, {"advgen": json.dumps(header)})
    with pytest.raises(ValueError, match="not a model of this version of advgen"):
        advgen.load(path)
    assert not trace.exists()


def test_the_metadata_of_a_table(trace: Path, tmp_path: Path) -> None:
    evil = pickle.dumps(Evil(trace))
    # pyarrow once un-pickled the type of such a column by itself
    extension = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": evil}
    column = pa.field("a", pa.binary(), metadata={**extension, b"dtype": evil, b"shape": evil})
    stamp = Stamp("x", {"kind": "os.mkdir"}, "x", {str(trace): "0"}).to_json().encode()
    schema = pa.schema([column], {b"advgen": stamp, b"kind": b"dataset", b"pandas": evil, b"pickle": evil})
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"a": [evil]}, schema=schema), path)
    assert tables.read_table(path)["a"].to_pylist() == [evil]
    with pytest.raises(ValueError, match="table"):
        tables.read_table(path, "examples")
    assert read_stamp(path) == Stamp.from_json(stamp.decode())
    job = next(job for job in build(load_file(ROOT / "tests/spine.yaml")).jobs if job.rule == "craft")
    assert list(find_problems(job, str(path), {}))
    assert not trace.exists()


TAGS = [
    "!!python/object/apply:os.mkdir [{trace}]",
    "!!python/object/new:os.mkdir [{trace}]",
    "!!python/object/apply:subprocess.check_call [[mkdir, {trace}]]",
    "!!python/name:os.mkdir",
    "!!python/module:antigravity",
]


@pytest.mark.parametrize("tag", TAGS)
def test_python_tags_in_yaml(tag: str, trace: Path, tmp_path: Path) -> None:
    value = tag.format(trace=trace)
    study = tmp_path / "study.yaml"
    study.write_text(f"title: {value}\n")
    with pytest.raises(ConfigError) as caught:
        load_file(study)
    assert str(caught.value).startswith(f"{study}:1: not valid YAML")
    assert len(str(caught.value).splitlines()) == 1
    profile = tmp_path / "profile.yaml"
    profile.write_text(f"name: {value}\n")
    with suppress(ValueError):  # refused, or read as the plain list that it looks like
        scan_profile(profile, None)
    assert not trace.exists()


def test_texts_in_a_command_line(project: Callable[..., Project]) -> None:
    copy = project(stubs=True)
    title = """'; touch ran; ' " `touch ran` $(touch ran) {output} {params.spec} \\n %s ; touch ran #"""
    copy.edit("config/smoke.yaml", "title: advgen, smoke test", f"title: {json.dumps(title)}")
    study = "config/smoke $(touch ran); touch ran.yaml"
    (copy.folder / "config/smoke.yaml").rename(copy.folder / study)
    copy.finish(study, cores=4)
    assert "report report/index.html" in copy.log.read_text()
    assert "verify report/verify.md" in copy.log.read_text()
    assert not list(copy.folder.rglob("ran"))


def test_no_source_unpickles_or_evaluates() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {"pickle", "marshal", "shelve", "dill", "joblib"} & {name.split(".")[0] for name in names}, path
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("eval", "exec", "compile", "yaml.unsafe_load"), path
                flags = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert called != "yaml.load" or flags.get("Loader") == "_SafeLoader", path
                assert called != "torch.load" or flags.get("weights_only") == "True", path
                assert flags.get("allow_pickle", "False") == "False", path
                assert flags.get("shell", "False") == "False", path
