"""Which device a job computes on: a lease on a GPU of this machine, or the CPU with a fixed number of threads."""

import fcntl
import inspect
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

_LEASES: list[int] = []  # open file descriptors: the kernel drops the locks when the process ends, however it ends


def gpus() -> list[str]:
    """The GPUs that may be used: those of CUDA_VISIBLE_DEVICES if it is set, else all of this machine.

    ADVGEN_GPU_SLOTS="0,1" replaces the question to the driver.
    """
    told = os.environ.get("CUDA_VISIBLE_DEVICES", os.environ.get("ADVGEN_GPU_SLOTS"))
    if told is not None:
        return [slot.strip() for slot in told.split(",") if slot.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    lines = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(index) for index in range(len(lines))]


def jobs_per_gpu() -> int:
    """How many jobs share a GPU: ADVGEN_JOBS_PER_GPU, or one. A small net fills a tenth of a large one."""
    told = os.environ.get("ADVGEN_JOBS_PER_GPU", "1")
    if not told.isdecimal() or int(told) == 0:
        sys.exit(f"ADVGEN_JOBS_PER_GPU={told}: how many jobs may share a GPU is a number from 1 on")
    return int(told)


def cuda_graphs() -> bool:
    """Whether steps are recorded as CUDA graphs: where ADVGEN_CUDA_GRAPHS=1. It has run on no hardware yet."""
    told = os.environ.get("ADVGEN_CUDA_GRAPHS", "0")
    if told not in ("0", "1"):
        sys.exit(f"ADVGEN_CUDA_GRAPHS={told}: 1 records steps as CUDA graphs, 0 does not")
    return told == "1"


def slots() -> list[str]:
    """Places for jobs: each GPU as often as jobs may share it, all of them once before one of them again."""
    return gpus() * jobs_per_gpu()


def lease(label: str = "") -> str | None:
    """Take a place on a GPU for the life of this process and set CUDA_VISIBLE_DEVICES; call before torch is imported.

    Does nothing where somebody else has chosen one already (CUDA_VISIBLE_DEVICES names one, as in a SLURM job) and on
    a machine without a GPU; of several that CUDA_VISIBLE_DEVICES names, it takes one. Waits while all are taken.
    `label` tells others who holds it. Returns the device's name.
    """
    available = gpus()
    if len(available) < 2 and "CUDA_VISIBLE_DEVICES" in os.environ:
        return os.environ["CUDA_VISIBLE_DEVICES"]
    if not available or "SLURM_STEP_ID" in os.environ:
        return None
    folder = _leases_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    told = time.monotonic() + 5
    while True:
        for place, slot in enumerate(slots()):
            again = f" ({place // len(available) + 1})" if place >= len(available) else ""
            handle = os.open(folder / f"{slot.replace('/', '_')}{again}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()}, {label}".encode(), 0)
            _LEASES.append(handle)
            os.environ["CUDA_VISIBLE_DEVICES"] = slot
            return slot
        if time.monotonic() > told:
            told = float("inf")
            print(f"waits for a free GPU: all {len(slots())} of this machine are taken", flush=True)
        time.sleep(0.2)


def leases() -> Iterator[tuple[str, str]]:
    """The GPUs of this machine that are leased, each with who holds it."""
    for path in sorted(_leases_folder().glob("*.lock")):
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # a job that comes just now looks again
            except BlockingIOError:
                yield path.stem, file.read(1000).decode(errors="replace")


def _leases_folder() -> Path:
    return Path(os.environ.get("ADVGEN_LEASES", Path(tempfile.gettempdir()) / f"advgen-leases-{os.getuid()}"))


def prepare(label: str = "", gpu: bool = True, tf32: bool = False) -> str:
    """Lease a GPU if one is asked for, set torch's threads and precision, and return the device: "cuda" or "cpu"."""
    if gpu:
        lease(label)
    import torch

    torch.set_num_threads(thread_counts()["torch"])
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms, which imports the compiler
    torch.backends.cudnn.benchmark = False
    _without_compiler()
    # torch's own default is to round in convolutions, but not in matrix products
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    return "cuda" if gpu and torch.cuda.is_available() else "cpu"


def use_one_thread() -> None:
    """Have numpy and SciPy compute with one thread unless OMP_NUM_THREADS is set; call before they are imported.

    Snakemake sets it for each job, and a command that is run by hand gives the same bits.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def thread_counts() -> dict[str, int]:
    """How many threads torch and BLAS, which numpy and SciPy call, compute with: it decides the last bits of results.

    ValueError if OMP_NUM_THREADS is no number of threads.
    """
    value = os.environ.get("OMP_NUM_THREADS", "1")
    if not value.isdecimal() or int(value) == 0:
        raise ValueError(f"OMP_NUM_THREADS={value}: must be a whole number from 1 on; unset it to use one thread")
    # OpenBLAS takes the first of these that is a number of threads
    values = (os.environ.get(f"{name}_NUM_THREADS", "") for name in ("OPENBLAS", "GOTO"))
    blas = next((int(one) for one in values if one.isdecimal() and int(one)), int(value))
    return {"torch": int(value), "blas": blas}


def _without_compiler() -> None:
    """Keep the first optimizer from importing torch's compiler, which takes over a second and is never used.

    torch imports it to have it leave these functions alone: at the first call of each, unless it finds that this has
    been done, and around each step.
    """
    import torch

    def eager(step: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(step)
        def stepped(self: torch.optim.Optimizer, closure: Any = None) -> Any:
            with torch.set_grad_enabled(self.defaults["differentiable"]):
                return step(self, closure)

        return stepped

    if "torch._dynamo" in sys.modules:
        return
    kinds = (torch.optim.Adam, torch.optim.SGD)
    for owner in (torch.optim.Optimizer, *(sys.modules[kind.__module__] for kind in kinds)):
        for function in vars(owner).values():
            if plain := getattr(function, "__wrapped__", None):
                setattr(plain, "__dynamo_disable", plain)
    for kind in kinds:
        kind.step = eager(inspect.unwrap(kind.step))  # type: ignore[method-assign]


def device_name(device: str) -> str:
    """The device's model, for stamps: the GPU's name, or "cpu" and its capability, which decides the bits.

    What was computed with CUDA graphs is told apart until a GPU has shown that its bits are the same.
    """
    if device == "cpu":
        return f"cpu {cpu_capability()}"
    import torch

    return f"{torch.cuda.get_device_name()}{' with CUDA graphs' if cuda_graphs() else ''}"


def cpu_capability() -> str:
    """The vector instructions that torch computes with on this CPU, in its words: AVX512, AVX2, DEFAULT, ….

    Asked of numpy where it can tell: an import of torch costs three times what taking a result from the cache does.
    """
    if platform.machine() != "x86_64" or "ATEN_CPU_CAPABILITY" in os.environ:
        import torch

        return torch.backends.cpu.get_cpu_capability()
    import numpy as np

    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    return next((name for level, name in (("X86_V4", "AVX512"), ("X86_V3", "AVX2")) if level in found), "DEFAULT")
