"""Inject small faults into the whole package, one at a time: is every job stale whose result changes?

    python tests/mutants/stale.py [PART OF A PATH …] [--changing N] [--minutes M] [--study FILE] [--seed K]

Each fault is injected into a copy of the project that has the results of the original code. The plan of the copy lists
the stale jobs. Then all jobs run without the cache, the last one first, so that each reads original inputs. A job is a
miss if its payload (its bytes without stamps) differs although its command, spec, digest and inputs are the same. Jobs
whose process never loads the changed file are skipped. A fault that changes no payload does not count; faults are drawn
until enough of them change one.
"""

import argparse
import hashlib
import importlib
import json
import os
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT)]

from tests.mutants.operators import Edit, Mutant, make_edits, make_mutants  # noqa: E402
from tests.mutants.run import LIBRARIES, Watch, run_in_fork  # noqa: E402

CHANGING = 80  # faults that change a payload
MINUTES = 60.0
SLOWEST = 60.0  # seconds; a job that takes longer hangs
PACKAGE = "src/advgen"
DECLARED = ("experiment.py", "outcome.py")  # loaded by every job; they count as one folder each
TEXTS = (".j2", ".css", ".typ", ".mplstyle", ".rst")
EXCLUDED = {"verify"}  # it reads the stamps of all artefacts, so it follows every change
CLOSED = "http://127.0.0.1:9"  # no server listens there, so that no fault makes a job download

REGISTRY, CATALOG = f"{PACKAGE}/registry.py", f"{PACKAGE}/core/catalog.py"
SWAP = '.replace("pgd:pgd", "fgsm:fgsm")'
HAND_WRITTEN_FAULTS = (
    (REGISTRY, "    return load_target(target(spec))", f"    return load_target(target(spec){SWAP})"),
    (REGISTRY, "    return _TARGETS[type(spec)]", f"    return _TARGETS[type(spec)]{SWAP}"),
    (REGISTRY, "    module, name = target.split(", f"    module, name = target{SWAP}.split("),
    (REGISTRY, "_TARGETS = {spec: target for", f"_TARGETS = {{spec: target{SWAP} for"),
    (REGISTRY, '"advgen.attacks.pgd:pgd"', '"advgen.attacks.fgsm:fgsm"'),
    (CATALOG, "    return tuple(sorted(found, key", "    return tuple(sorted(found[::-1], key"),
    (CATALOG, "        if _summary.module:", "        if not _summary.module:"),
    (CATALOG, "for name, (one, _) in found.items()}", "for name, (one, _) in reversed(found.items())}"),
)
"""Faults in the modules that look up code by name, which operators cannot cause: file, text, replacement."""

Fault = Mutant | Edit
Job = dict[str, Any]
"""The words of a job's command, its inputs, outputs and code; for the original code also its results."""


class Copy:
    """A copy of the project in a folder, with results. Its files are hard links: never write them in place."""

    def __init__(self, folder: Path, source: Path, study: str, results: bool = True):
        self.folder, self.study = folder, study
        link = os.link if results else shutil.copy2
        for part in (PACKAGE, "config/cv", *(["results"] if results else [])):
            ignored = shutil.ignore_patterns("*.lock", *([] if results else ["__pycache__"]))
            shutil.copytree(source / part, folder / part, copy_function=link, ignore=ignored)
        (folder / study).parent.mkdir(parents=True, exist_ok=True)
        link(source / study, folder / study)

    def write(self, file: str, text: str) -> None:
        """Replace a file by another text."""
        path = self.folder / file
        path.unlink()
        path.write_text(text, encoding="utf-8")
        for old in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            old.unlink()

    def enter(self) -> None:
        """Change the folder of this process to the copy, and import its package from now on."""
        os.chdir(self.folder)
        sys.path.insert(0, str(self.folder / "src"))

    def run(self, work: Callable[[], Any], limit: float = SLOWEST) -> Any:
        """Return the result of a function in a forked process, as JSON; None if it fails or hangs."""
        result = self.folder / "result.json"

        def working() -> int:
            with self.log.open("a") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
                try:
                    result.write_text(json.dumps(work()), encoding="utf-8")
                except BaseException:  # including SystemExit, with which commands fail
                    traceback.print_exc(file=log)
                    return 1
            return 0

        return json.loads(result.read_text(encoding="utf-8")) if run_in_fork(working, limit) == 0 else None

    @property
    def log(self) -> Path:
        """The output of all work in the copy."""
        return self.folder / "log.txt"

    @cached_property
    def jobs(self) -> dict[str, Job] | None:
        """The jobs of the study by rule and wildcards, in the order of the plan; None if planning fails."""
        return self.run(partial(plan_jobs, self.study))


def plan_jobs(study: str) -> dict[str, Job]:
    """Return the jobs of a study, with the commands that the workflow would run."""
    from advgen.core.code import save_digest_cache
    from advgen.driver.plan import build
    from advgen.study.load import load_file

    found = {}
    for job in build(load_file(Path(study))).jobs:
        inputs = {flag: [files] if isinstance(files, str) else list(files) for flag, files in job.inputs.items()}
        outputs = {flag: [job.outputs[role]] for role, flag in job.task.output_flags().items() if role}
        outputs = outputs or {"out": list(job.outputs.values())}
        files = [word for flag, some in {**inputs, **outputs}.items() for word in (f"--{flag}", *some)]
        words = [job.task.command, *files, "--spec", job.spec, "--code", job.code]
        if job.rule not in EXCLUDED:
            name = " ".join([job.rule, *map(str, job.wildcards.values())])
            read = [one for some in inputs.values() for one in some]
            made = [one for some in outputs.values() for one in some]
            found[name] = {"words": words, "inputs": read, "outputs": made, "code": job.code}
    save_digest_cache()
    return found


def compute(job: Job) -> bool:
    """Run a job's command."""
    from advgen.cli import main

    main(job["words"])
    return True


def trace_job(job: Job, files: list[str]) -> dict[str, Any]:
    """Run a job's command; return the loaded files of the package, and the lines that ran."""
    watch = Watch(set(files))
    sys.settrace(watch.trace)
    compute(job)
    sys.settrace(None)
    loaded = {str(getattr(module, "__file__", "")) for module in list(sys.modules.values())}
    return {"loaded": sorted(loaded & watch.files), "lines": sorted(watch.hit)}


def digest_payload(path: Path, code: str) -> str:
    """Return the digest of an artefact without stamps and digests of code, without using the package."""
    content = path.read_bytes()
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.read_table(path).combine_chunks()
        kept = {name: value for name, value in (table.schema.metadata or {}).items() if name != b"advgen"}
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema.with_metadata(kept)) as stream:
            stream.write_table(table.replace_schema_metadata(kept))
        content = sink.getvalue().to_pybytes()
    elif path.suffix == ".safetensors":
        [size] = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + size])
        model = json.loads(header["__metadata__"].pop("advgen"))["model"]
        model.pop("code")  # the digest of the architecture, for jobs that read the file
        content = json.dumps([header, model], sort_keys=True).encode() + content[8 + size :]
    elif path.suffix == ".png":
        start = content.find(b"tEXtadvgen\0")
        content = content[: start - 4] + content[start + 8 + int.from_bytes(content[start - 4 : start], "big") :]
    else:
        content = re.sub(rb"advgen:[A-Za-z0-9_-]+=*", b"", content).replace(code.encode(), b"")
        for one in re.findall(rb"InstanceID>([^<]+)<", content):  # Typst's digest of a PDF, which includes the stamp
            content = content.replace(one, b"")
    return hashlib.sha256(content).hexdigest()


def digest_for_readers(path: Path) -> str:
    """Return what the digest of a job that reads this file depends on."""
    if path.suffix == ".safetensors":
        content = path.read_bytes()
        [size] = struct.unpack("<Q", content[:8])
        return str(json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["advgen"])["model"])
    return digest_payload(path, "")


# --- one fault -------------------------------------------------------------------------------------------------------


def try_fault(fault: Fault | None, copy: Copy, known: dict[str, Job], blind: bool) -> dict[str, list[str]]:
    """Return the effect of a fault in a copy: the jobs that are stale, differ, fail, and differ without being stale.

    With `blind`, digests of code are ignored, so that every difference must be a miss.
    """
    if fault:
        copy.write(fault.file, fault.text() or "")
    copy.enter()
    if copy.jobs is None:
        return {"failed": ["the plan"]}
    importlib.import_module("advgen.cli")
    file = str(Path(fault.file).relative_to("src")) if fault else ""
    last = -1 if blind else None  # the digest is the last word of a command
    stale, differ, failed, other = set(), set(), set(), set()
    for name, job in reversed(copy.jobs.items()):
        before = known.get(name)
        if before is None:
            continue
        here = [one for one in job["inputs"] if not one.startswith("results/")]
        same = job["words"][:last] == before["words"][:last]
        if not same or any(digest_file(copy.folder / one) != before["hashed"].get(one) for one in here):
            stale.add(name)
        elif file.endswith(".py") and file not in before["loaded"]:
            continue
        if copy.run(partial(compute, job)) is None:
            failed.add(name)
        elif job["outputs"] == before["outputs"]:
            made = [copy.folder / one for one in job["outputs"]]
            if [digest_payload(one, job["code"]) for one in made] != before["payloads"]:
                differ.add(name)
            old = zip(made, job["outputs"], before["for_readers"], strict=True)
            other |= {path for one, path, digest in old if digest_for_readers(one) != digest}
    missed = {name for name in differ - stale if not other & set(copy.jobs[name]["inputs"])}
    return {"stale": [*stale], "differ": [*differ], "failed": [*failed], "missed": [*missed]}


def digest_file(path: Path) -> str:
    """Return the digest of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


# --- all faults ------------------------------------------------------------------------------------------------------


def prepare_base(folder: Path, study: str) -> tuple[Copy, dict[str, Job], set[tuple[str, int]]]:
    """Return the original project with its results, its jobs, and the lines that they run."""
    base = Copy(folder, ROOT, study, results=False)
    subprocess.run([sys.executable, "-m", "compileall", "-q", folder / "src"], check=True)

    def computed() -> Any:
        base.enter()
        files = sorted(map(str, (folder / "src").rglob("*.py")))
        lines = set[tuple[str, int]]()
        importlib.import_module("advgen.cli")
        for job in (base.jobs or {}).values():
            trace = base.run(partial(trace_job, job, files))
            if trace is None:
                raise SystemExit(f"{' '.join(job['words'])} fails without a fault")
            lines |= {(str(Path(file).relative_to(folder)), line) for file, line in trace["lines"]}
            made = [folder / one for one in job["outputs"]]
            job["loaded"] = [str(Path(one).relative_to(folder / "src")) for one in trace["loaded"]]
            job["payloads"] = [digest_payload(one, job["code"]) for one in made]
            job["for_readers"] = [digest_for_readers(one) for one in made]
            job["hashed"] = {one: digest_file(folder / one) for one in job["inputs"]}
        return base.jobs, sorted(lines)

    result = base.run(computed, limit=1800)
    if result is None:
        raise SystemExit(base.log.read_text(encoding="utf-8")[-3000:])
    return base, result[0], set(map(tuple, result[1]))


def draw_faults(known: dict[str, Job], lines: set[tuple[str, int]], parts: list[str], seed: int) -> Iterator[Fault]:
    """Yield faults in code that the study runs, alternating between folders, those with the smallest digests first."""
    loaded = {f"src/{file}" for job in known.values() for file in job["loaded"]}
    read = {file for job in known.values() for file in job["inputs"]}
    groups = defaultdict[str, list[Fault]](list)
    for path in sorted((ROOT / PACKAGE).rglob("*")):
        file = str(path.relative_to(ROOT))
        if parts and not any(part in file for part in parts):
            continue
        if path.suffix == ".py":
            for one in make_mutants(file, path.read_text(encoding="utf-8")):
                here = {(file, line) for line in range(one.at, one.last + 1)}
                if here & lines if one.inside else file in loaded:
                    groups[path.name if path.name in DECLARED else str(path.parent)].append(one)
        elif path.suffix in TEXTS and file in read:
            groups[path.suffix] += make_edits(file, path.read_text(encoding="utf-8"))

    for file, old, new in HAND_WRITTEN_FAULTS:
        if not parts or any(part in file for part in parts):
            groups[f"planted {file}"].append(plant_fault(file, old, new))

    def rank(words: str) -> bytes:
        return hashlib.sha256(f"{seed}\n{words}".encode()).digest()

    for group in groups.values():
        group.sort(key=lambda one: rank(f"{one.file}\n{one.line}\n{one.change}"))
    for turn in zip_longest(*(groups[name] for name in sorted(groups, key=rank))):
        yield from (one for one in turn if one and one.text())


def plant_fault(file: str, old: str, new: str) -> Edit:
    """Return a fault of `HAND_WRITTEN_FAULTS`; raise ValueError if its text is not in the file exactly once."""
    source = (ROOT / file).read_text(encoding="utf-8")
    if source.count(old) != 1:
        raise ValueError(f"{file}: has {source.count(old)} times {old!r}; update HAND_WRITTEN_FAULTS")
    start = source.index(old)
    at = source.count("\n", 0, start) + 1
    line = source.splitlines()[at - 1].strip()
    return Edit(file, source, at, line, f"{old.strip()} -> {new.strip()}", start, start + len(old), new)


def try_faults(
    faults: Iterable[Fault | None], base: Copy, known: dict[str, Job], workers: int = 1, blind: bool = False
) -> Iterator[tuple[Any, dict[str, list[str]]]]:
    """Yield each fault with its effect when it is known; `workers` faults are tried at a time."""
    running: dict[int, tuple[Fault | None, Path]] = {}
    todo = enumerate(faults)
    while True:
        while len(running) < workers and (one := next(todo, None)):
            number, fault = one
            folder = base.folder.parent / str(number)
            if (child := os.fork()) == 0:
                try:
                    found = try_fault(fault, Copy(folder, base.folder, base.study), known, blind)
                    (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")
                except BaseException:
                    traceback.print_exc()
                os._exit(0)
            running[child] = fault, folder
        if not running:
            return
        child, _ = os.wait()
        fault, folder = running.pop(child)
        yield fault, json.loads((folder / "found.json").read_text(encoding="utf-8"))
        shutil.rmtree(folder)


def prepare_process() -> None:
    """Download the raw data, then import and use the libraries once, so that each job does not import them again."""
    # in another process, because this one must not import the package
    folder = [sys.executable, "-c", "from tests.conftest import raw; print(raw('mnist').parent)"]
    os.environ["ADVGEN_DATA"] = subprocess.check_output(folder, text=True, cwd=ROOT).splitlines()[-1]
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "ADVGEN_CACHE": "off"}
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "http_proxy": CLOSED, "https_proxy": CLOSED}
    os.environ.pop("ADVGEN_AROUND", None)
    sys.dont_write_bytecode = True
    for library in [*LIBRARIES.split(), "matplotlib.figure", "torchvision"]:
        importlib.import_module(library)
    import io

    import torch
    from matplotlib.figure import Figure

    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1, requires_grad=True)]).step()
    figure = Figure()
    figure.add_subplot().set_title("x")
    for kind in ("pdf", "png"):
        figure.savefig(io.BytesIO(), format=kind)


def main() -> int:
    """Try faults until enough change a payload; return 1 if one was missed, or if there were too few."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--changing", type=int, default=CHANGING)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--study", default="tests/mutants/stale.yaml")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="number of faults to try at a time")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    prepare_process()
    base, known, lines = prepare_base(Path(tempfile.gettempdir()) / "base", options.study)
    [(_, control)] = try_faults([None], base, known)
    if any(control.values()):
        raise SystemExit(f"without a fault: {control}")
    print(f"{len(known)} jobs; without a fault none is stale and none differs", flush=True)
    count, where, seen = Counter[str](), Counter[str](), list[Fault]()

    def wanted() -> Iterator[Fault]:
        for fault in draw_faults(known, lines, options.parts, options.seed):
            if count["changing"] >= options.changing or time.monotonic() > end:
                return
            yield fault

    for fault, found in try_faults(wanted(), base, known, options.workers):
        stale, differ, failed, missed = (set(found.get(what, ())) for what in ("stale", "differ", "failed", "missed"))
        count.update(
            {"tried": 1, "changing": bool(differ), "failing": bool(failed and not differ), "missing": bool(missed)}
        )
        count.update({"stale": len(stale - failed), "equal": len(stale - failed - differ), "differ": len(differ)})
        seen += [fault] if isinstance(fault, Mutant) and differ & stale else []
        where.update({str(Path(fault.file).parent.relative_to(PACKAGE)): bool(differ)})
        summary = f"{len(stale)} stale, {len(differ)} differ, {len(failed)} fail"
        print(f"{count['changing']:3} {fault.file}:{fault.at}: {fault.change} ({summary})", flush=True)
        if missed:
            print(f"missed: {', '.join(sorted(missed))}\n  {fault.line}", flush=True)
    if seen and not any(found["missed"] for _, found in try_faults(seen[:3], base, known, blind=True)):
        raise SystemExit("differences are not reported as misses without digests: the test cannot detect a miss")
    print(", ".join(f"{name}: {number}" for name, number in sorted(where.items()) if number))
    share = count["equal"] / max(count["stale"], 1)
    seconds = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(
        f"{count['tried']} faults tried: {count['changing']} in {len(+where)} folders change a payload, "
        f"{count['failing']} make jobs fail, {count['missing']} are missed\n{count['differ']} payloads differ; "
        f"of {count['stale']} stale jobs {count['equal']} give equal results ({share:.0%}); {seconds:.0f} core-seconds"
    )
    if count["changing"] < options.changing:
        print(f"{options.changing} were requested: the time is over, or there are no more faults")
    return bool(count["missing"] or count["changing"] < options.changing)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="stale.") as tempfile.tempdir:
        sys.exit(main())
