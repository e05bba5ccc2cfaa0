"""`make gpu-test`: what a GPU must do as the CPU does, and how fast it is. Ten minutes at most.

    python -m tests.on_a_gpu.run [--minutes 10] [--try]

Writes its table into docs/gpu.md and ends with an error if something is not as it should be. Without a GPU it says so
in one line. --try goes through all of it on the CPU, to try the script itself, and writes nothing.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from advgen.core.kinds import PlannedJob
from advgen.driver.plan import build
from advgen.io import devices
from advgen.study.load import load_file
from tests.conftest import raw
from tests.interruption import digests
from tests.on_a_gpu.comparison import compare
from tests.on_a_gpu.page import Row, section, with_section
from tests.project import ROOT, Project
from tests.same import payload

STUDY = "config/smoke.yaml"
PAGE = ROOT / "docs/gpu.md"
LEASED = "from advgen.io import devices; import torch; devices.lease('gpu-test'); torch.zeros(1, device='cuda'); "
LEASED += "print(torch.cuda.get_device_properties(0).uuid, flush=True); input()"


class OutOfTime(Exception):
    """The minutes are over."""


class Bench:
    """The two places where the smoke study runs, and the time that is left."""

    def __init__(self, folder: Path, seconds: float, jobs: int):
        self.folder, self.end, self.jobs = folder, time.monotonic() + seconds, jobs
        self.projects = dict[str, Project]()

    def left(self) -> float:
        """Seconds; OutOfTime if there are none."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise OutOfTime
        return left

    def project(self, name: str) -> Project:
        """A copy of the project, made when it is first asked for; its jobs are not watched, which takes time."""
        if name not in self.projects:
            self.projects[name] = Project(self.folder / name)
            del self.projects[name].environment["ADVGEN_AROUND"]
        return self.projects[name]

    def run(self, project: Project, *command: str, **environment: str) -> str:
        """What a command says; ValueError if it fails."""
        variables = {**project.environment, **environment}
        try:
            done = subprocess.run(
                command, cwd=project.folder, env=variables, capture_output=True, text=True, timeout=self.left()
            )
        except subprocess.TimeoutExpired:
            raise OutOfTime from None
        if done.returncode:
            raise ValueError((done.stderr or done.stdout).strip().splitlines()[-1])
        return done.stdout

    def study(self, project: Project, places: int, graphs: bool = False) -> None:
        """Run the smoke study, with so many jobs at a time on the GPUs."""
        words = ["-m", "snakemake", "--cores", "all", "--resources", f"gpu={places}", "--config", f"study={STUDY}"]
        variables = {"ADVGEN_JOBS_PER_GPU": str(self.jobs), "ADVGEN_CUDA_GRAPHS": str(int(graphs))}
        self.run(project, sys.executable, *words, **variables)


def main() -> None:
    """Run all parts while there is time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--jobs", type=int, default=4, help="jobs that share a GPU while the smoke study runs")
    parser.add_argument("--try", action="store_true", dest="trial", help="on the CPU, to try this script")
    arguments = parser.parse_args()
    missing = what_is_missing()
    if missing and not arguments.trial:
        print(f"gpu-test: {missing}; nothing was measured, and docs/gpu.md stays as it is")
        return
    if arguments.trial:
        os.environ["ADVGEN_GPU_SLOTS"] = "0"
    raw("mnist")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), 60 * arguments.minutes, arguments.jobs)
        rows = list(measured(bench))
    for row in rows:
        print(f"{row.what}: {row.found}{'' if row.passed is not False else '  <-- wrong'}")
    if not arguments.trial:
        here = f"torch {torch.__version__}, CUDA {torch.version.cuda}, Python {sys.version.split()[0]}"
        text = section(rows, f"{len(devices.gpus())} × {torch.cuda.get_device_name()}", here)
        PAGE.write_text(with_section(PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")
    if wrong := [row.what for row in rows if row.passed is False]:
        sys.exit(f"gpu-test: not as it should be: {', '.join(wrong)}")


def what_is_missing() -> str:
    """Why nothing can be measured here; empty if it can."""
    if not devices.gpus():
        return "no GPU here"
    return "" if torch.cuda.is_available() else f"torch {torch.__version__} finds no GPU"


def measured(bench: Bench) -> Iterator[Row]:
    """All rows; a part that the time does not last for, or that fails, is a row that says so."""
    parts: dict[str, Callable[[Bench], Iterator[Row]]] = {
        "the smoke study, twice": twice,
        "GPU and CPU": on_both,
        "two leases": two_leases,
        "killed and resumed": killed,
        "CUDA graphs": recorded,
        "images per second": rates,
        "DeepFool": deepfool,
    }
    for name, part in parts.items():
        try:
            yield from part(bench)
        except OutOfTime:
            yield Row(name, "not measured: the time was over")
        except Exception as error:  # the other parts are worth having
            yield Row(name, f"failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}", False)


def twice(bench: Bench) -> Iterator[Row]:
    """The same bytes from two runs on the device."""
    for name in ("one", "two"):
        bench.study(bench.project(name), len(devices.gpus()) * bench.jobs)
    one, two = (digests(bench.project(name)) for name in ("one", "two"))
    other = [path for path in sorted({*one, *two}) if one.get(path) != two.get(path)]
    found = f"{len(one)} tables and models, " + (f"{len(other)} differ, first {other[0]}" if other else "equal bytes")
    yield Row("the smoke study, twice", found, not other)


def on_both(bench: Bench) -> Iterator[Row]:
    """Each table of the study within its tolerance."""
    cpu = bench.project("cpu")
    bench.study(cpu, 0)
    for path in sorted((cpu.folder / "results/tables").glob("*.parquet")):
        found = compare(bench.folder / "one/results/tables" / path.name, path)
        share = f"{found.share:.0%} of what it may differ, in {found.where}" if found.share else "equal"
        yield Row(f"GPU and CPU, table `{found.table}`", share, found.share <= 1)


def two_leases(bench: Bench) -> Iterator[Row]:
    """Two jobs at a time get two devices, where there are two."""
    variables = {**bench.project("one").environment, "ADVGEN_LEASES": str(bench.folder / "leases")}
    if len(devices.gpus()) < 2:
        yield Row("two leases on two GPUs", "one GPU here: not tried")
        return
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", LEASED], env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    found = {job.stdout.readline().strip() for job in jobs if job.stdout is not None}
    for job in jobs:
        job.communicate("\n")
    yield Row("two leases on two GPUs", f"{len(found)} devices", len(found) == 2)


def planned(study: str, rule: str, **wildcards: str) -> PlannedJob:
    """A job of a study's plan."""
    jobs = build(load_file(ROOT / study)).jobs_of(rule)
    return next(job for job in jobs if wildcards.items() <= job.wildcards.items())


def command(job: PlannedJob, folder: Path, changes: dict[str, Any], **inputs: str) -> list[str]:
    """The command of a job with other keys, and other inputs where it has them; its outputs go into a folder."""
    words = [sys.executable, "-m", "advgen", job.task.command]
    for flag, files in {**job.inputs, **inputs}.items():
        words += [f"--{flag}", *([files] if isinstance(files, str) else files)]
    spec = json.loads(job.spec)
    for key, value in changes.items():
        *above, last = key.split(".")
        place = spec
        for part in above:
            place = place[part]
        place[last] = value
    for role, flag in job.task.output_flags().items():
        words += [f"--{flag}", str(folder / Path(job.outputs[role]).name)]
    return [*words, "--spec", json.dumps(spec)]


def killed(bench: Bench) -> Iterator[Row]:
    """A GAN's training, killed at its first saved state and continued, ends with the bytes of one left alone."""
    project = bench.project("one")
    job = planned(STUDY, "train_gan", gan="tiny-gan", seed="0")
    paths = [Path(path) for path in job.outputs.values()]
    before = {path: (project.folder / path).read_bytes() for path in paths}
    for path in paths:
        (project.folder / path).unlink()
    words, variables = command(job, paths[0].parent, {}), {**project.environment, "ADVGEN_SAVE_SECONDS": "0"}
    nowhere = subprocess.DEVNULL
    started = subprocess.Popen(words, cwd=project.folder, env=variables, stdout=nowhere, stderr=nowhere)
    states = project.folder / "results/state"
    while started.poll() is None and not [*states.glob("[!.]*.safetensors")]:
        if time.monotonic() > bench.end:
            started.kill()
            raise OutOfTime
        time.sleep(0.002)
    started.send_signal(signal.SIGKILL)
    was_killed = started.wait() == -signal.SIGKILL
    continued = "continues from a saved state" in bench.run(project, *words)
    equal = all((project.folder / path).read_bytes() == content for path, content in before.items())
    found = "killed, continued, " if was_killed and continued else "not killed or not continued, "
    found += "equal bytes" if equal else "other bytes"
    yield Row("a GAN's training, killed and resumed", found, was_killed and continued and equal)


def recorded(bench: Bench) -> Iterator[Row]:
    """The same numbers from steps that are replayed as CUDA graphs; the stamps differ, which name the device."""
    plain, graphs = bench.project("one"), bench.project("graphs")
    bench.study(graphs, len(devices.gpus()) * bench.jobs, graphs=True)
    made = sorted(digests(plain))
    one, two = (
        [payload(path, {}) if (path := project.folder / "results" / name).is_file() else "" for name in made]
        for project in (plain, graphs)
    )
    other = [name for name, ours, theirs in zip(made, one, two, strict=True) if ours != theirs]
    found = f"{len(made)} tables and models, " + (
        f"{len(other)} differ, first {other[0]}" if other else "equal numbers"
    )
    yield Row("the smoke study, plain and with CUDA graphs", found, not other)


def rates(bench: Bench) -> Iterator[Row]:
    """Images per second, by the time that twice as much takes longer: starting up is left out."""
    project = bench.project("one")
    folder = project.folder / "rates"
    folder.mkdir(exist_ok=True)
    trained = json.loads(planned(STUDY, "make_dataset", raw="mnist").spec)["dataset"]["train"] - 200
    data, judge = "results/datasets/mnist/train.parquet", "results/judges/mnist/judge.safetensors"
    epochs, steps = (2.0, 750) if torch.cuda.is_available() else (0.04, 10)  # a few seconds each

    def seconds(job: PlannedJob, changes: dict[str, Any], graphs: str, **inputs: str) -> float:
        start = time.perf_counter()
        bench.run(project, *command(job, folder, changes, **inputs), ADVGEN_CUDA_GRAPHS=graphs)
        return time.perf_counter() - start

    def rate(job: PlannedJob, key: str, once: float, images: float, fixed: dict[str, Any], **inputs: str) -> str:
        found = []
        for graphs in ("0", "1"):
            first, second = (seconds(job, {**fixed, key: times * once}, graphs, **inputs) for times in (1, 2))
            found.append(f"{images / (second - first):,.0f} images/s" if second > first else "too short to tell")
        return ", with CUDA graphs ".join(found)

    apart = {"validation": 200}
    job = planned("config/paper.yaml", "train_classifier", classifier="madry-pgd", seed="0")
    found = rate(job, "training.epochs", epochs, epochs * trained, apart, data=data)
    yield Row("PGD-40 training, madry-16, batch 50", found)
    job = planned("config/paper.yaml", "train_gan", gan="report-mnist", seed="0")
    found = rate(job, "training.epochs", epochs, epochs * trained, apart, data=data, judge=judge)
    yield Row("GAN, M1 and M3, k = 4, batch 24", found)
    job, searched = planned(STUDY, "invert", inversion="short-search"), {"images": 200, "search.starts": 5}
    found = rate(job, "search.steps", steps, 200 * steps / 150, searched)
    yield Row("inversion, Adam, 5 starts, 150 steps", found)


def deepfool(bench: Bench) -> Iterator[Row]:
    """DeepFool beside foolbox and torchattacks, in one process, on one net and the same images."""
    import foolbox
    import torchattacks

    from advgen import registry
    from advgen.data.images import load_subset
    from advgen.io.checkpoints import load_model
    from advgen.specs.attacks import DeepFoolAttack

    bench.left()
    results = bench.project("one").folder / "results"
    device = devices.prepare("gpu-test")
    model = load_model(results / "classifiers/cnn/seed0/classifier.safetensors").eval().requires_grad_(False).to(device)
    x, y, _ = load_subset(results / "datasets/mnist/test.parquet", 250, 0)
    x, y = x.to(device), y.to(device)
    spec = DeepFoolAttack(kind="deepfool")
    attack, peer = registry.resolve(spec), foolbox.attacks.L2DeepFoolAttack(steps=50, overshoot=0.02)
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device=device)
    single = torchattacks.DeepFool(model, steps=50, overshoot=0.02)
    contenders: dict[str, tuple[int, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]] = {
        "ours": (250, lambda a, b: attack(model, a, b, spec, seed=0, indices=list(range(len(b))))),
        "foolbox": (250, lambda a, b: peer(wrapped, a, b, epsilons=None)[1]),
        "torchattacks, one image after the other": (20, single),
    }
    for who, (count, run) in contenders.items():
        bench.left()
        run(x[:2], y[:2])
        start = time.perf_counter()
        moved = run(x[:count], y[:count])
        if device == "cuda":
            torch.cuda.synchronize()
        rate = count / (time.perf_counter() - start)
        fooled = (model(moved).argmax(1) != y[:count]).double().mean().item()
        size = (moved - x[:count]).flatten(1).norm(dim=1).median().item()
        yield Row(f"DeepFool, {who}", f"{rate:,.0f} images/s, {fooled:.0%} fooled, median L2 {size:.3f}")


if __name__ == "__main__":
    main()
