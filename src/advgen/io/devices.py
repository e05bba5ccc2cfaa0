"""The device of a job: a lease on a GPU of this machine, or the CPU with a fixed number of threads."""

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
    """Return the usable GPUs: those of CUDA_VISIBLE_DEVICES if it is set, else all of this machine.

    ADVGEN_GPU_SLOTS="0,1" replaces the call of nvidia-smi.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", os.environ.get("ADVGEN_GPU_SLOTS"))
    if visible is not None:
        return [slot.strip() for slot in visible.split(",") if slot.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    lines = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(index) for index in range(len(lines))]


def jobs_per_gpu() -> int:
    """Return how many jobs share a GPU: ADVGEN_JOBS_PER_GPU, or 1. Small models use a tenth of a large GPU."""
    value = os.environ.get("ADVGEN_JOBS_PER_GPU", "1")
    if not value.isdecimal() or int(value) == 0:
        sys.exit(f"ADVGEN_JOBS_PER_GPU={value}: must be a whole number, 1 or greater")
    return int(value)


def cuda_graphs() -> bool:
    """Whether training steps are recorded as CUDA graphs (ADVGEN_CUDA_GRAPHS=1)."""
    value = os.environ.get("ADVGEN_CUDA_GRAPHS", "0")
    if value not in ("0", "1"):
        sys.exit(f"ADVGEN_CUDA_GRAPHS={value}: must be 1 (record steps as CUDA graphs) or 0")
    return value == "1"


def slots() -> list[str]:
    """Return one slot per job that can run at once: all GPUs, repeated as often as jobs may share a GPU."""
    return gpus() * jobs_per_gpu()


def lease(label: str = "") -> str | None:
    """Lease a GPU slot until this process ends and set CUDA_VISIBLE_DEVICES; call it before importing torch.

    Waits while all slots are leased. Of several GPUs in CUDA_VISIBLE_DEVICES it leases one. Without a GPU, or if the
    environment has already chosen one (as in a SLURM job), it leases nothing. `label` is shown by `advgen status`.
    Returns the GPU, or None.
    """
    available = gpus()
    if len(available) < 2 and "CUDA_VISIBLE_DEVICES" in os.environ:
        return os.environ["CUDA_VISIBLE_DEVICES"]
    if not available or "SLURM_STEP_ID" in os.environ:
        return None
    folder = _leases_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    message_at = time.monotonic() + 5
    while True:
        for place, slot in enumerate(slots()):
            repeat = f" ({place // len(available) + 1})" if place >= len(available) else ""
            handle = os.open(folder / f"{slot.replace('/', '_')}{repeat}.lock", os.O_RDWR | os.O_CREAT, 0o600)
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
        if time.monotonic() > message_at:
            message_at = float("inf")
            print(f"waits for a free GPU: all {len(slots())} of this machine are taken", flush=True)
        time.sleep(0.2)


def leases() -> Iterator[tuple[str, str]]:
    """Yield the leased GPUs of this machine, each with its holder."""
    for path in sorted(_leases_folder().glob("*.lock")):
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # a job that tries at this moment tries again
            except BlockingIOError:
                yield path.stem, file.read(1000).decode(errors="replace")


def _leases_folder() -> Path:
    return Path(os.environ.get("ADVGEN_LEASES", Path(tempfile.gettempdir()) / f"advgen-leases-{os.getuid()}"))


def prepare(label: str = "", gpu: bool = True, tf32: bool = False) -> str:
    """Lease a GPU unless `gpu` is False, set torch's threads and precision, and return "cuda" or "cpu"."""
    if gpu:
        lease(label)
    import torch

    torch.set_num_threads(thread_counts()["torch"])
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms imports the compiler
    torch.backends.cudnn.benchmark = False
    _without_compiler()
    # torch's own default is to round in convolutions, but not in matrix products
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    return "cuda" if gpu and torch.cuda.is_available() else "cpu"


def use_one_thread() -> None:
    """Make numpy and SciPy use one thread unless OMP_NUM_THREADS is set; call it before importing them.

    Snakemake sets the variable for its jobs. A command in a shell gives the same bits this way.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def thread_counts() -> dict[str, int]:
    """Return the threads of torch and of BLAS (used by numpy and SciPy), which affect the last bits of results.

    Raises ValueError if OMP_NUM_THREADS is not a positive whole number.
    """
    value = os.environ.get("OMP_NUM_THREADS", "1")
    if not value.isdecimal() or int(value) == 0:
        raise ValueError(f"OMP_NUM_THREADS={value}: must be a whole number, 1 or greater; unset it to use one thread")
    # OpenBLAS uses the first of these that is a positive number
    values = (os.environ.get(f"{name}_NUM_THREADS", "") for name in ("OPENBLAS", "GOTO"))
    blas = next((int(one) for one in values if one.isdecimal() and int(one)), int(value))
    return {"torch": int(value), "blas": blas}


def _without_compiler() -> None:
    """Prevent the first optimizer from importing torch's compiler, which takes over a second and is never used.

    torch imports it only to exclude these functions from compilation: at the first call of each, unless a function is
    already marked as excluded, and around each step.
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
    """Return the device's model for stamps: the GPU's name, or "cpu" and its capability, which affects the bits.

    Results of CUDA graphs are marked until a test on a GPU shows that their bits are the same.
    """
    if device == "cpu":
        return f"cpu {cpu_capability()}"
    import torch

    return f"{torch.cuda.get_device_name()}{' with CUDA graphs' if cuda_graphs() else ''}"


def cpu_capability() -> str:
    """Return the vector instructions that torch uses on this CPU, by torch's names: AVX512, AVX2, DEFAULT, ….

    numpy reports them on x86-64: importing torch takes three times as long as reusing a cached result.
    """
    if platform.machine() != "x86_64" or "ATEN_CPU_CAPABILITY" in os.environ:
        import torch

        return torch.backends.cpu.get_cpu_capability()
    import numpy as np

    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    return next((name for level, name in (("X86_V4", "AVX512"), ("X86_V3", "AVX2")) if level in found), "DEFAULT")
