"""The modules that each command imports, which add to the time of every job without a server."""

import json
import os
import subprocess
import sys
from collections import defaultdict

from tests.project import ROOT

from advgen.core.catalog import TASKS
from advgen.driver.plan import build
from advgen.study.load import load_file

STUDIES = ("config/evening.yaml", "config/smoke.yaml", "config/paper.yaml", "tests/colour.yaml")
SLOW = [
    *("torch", "torchvision", "torch._dynamo", "torch._inductor", "numpy", "pandas", "pyarrow", "PIL", "snakemake"),
    *("matplotlib", "matplotlib.pyplot", "scipy.special", "scipy.stats"),
    *("jinja2", "typst", "docutils", "bibtexparser"),
]
"""Modules that take more than a few milliseconds to import."""

TABLES = {"numpy", "pyarrow"}
NETWORKS = {"torch", *TABLES}
INTERVALS = {"scipy.special"}
BUDGET = {
    "agree": {*TABLES, *INTERVALS, "pandas", "matplotlib", "PIL"},  # its numbers are those of a figure
    "certify": {*NETWORKS, *INTERVALS},
    "compare": {*TABLES, *INTERVALS, "pandas"},
    "cv-data": {*TABLES, "bibtexparser"},
    "cv-render": {"jinja2", "typst"},
    "draw": {*TABLES, *INTERVALS, "pandas", "matplotlib", "PIL"},
    "evaluate-autoencoder": {*NETWORKS, *INTERVALS, "scipy.stats"},
    "evaluate-classifiers": {*NETWORKS, *INTERVALS},
    "fetch": {"numpy", "PIL"},
    "make-dataset": {*TABLES, "PIL"},
    "qa": TABLES,
    "report": {*TABLES, "jinja2", "docutils"},
    "sanity-checks": {*NETWORKS, *INTERVALS, "pandas"},
    "simulate": {*NETWORKS, *INTERVALS},
    "summarise": {*TABLES, *INTERVALS, "pandas"},
    "transfer": {*NETWORKS, *INTERVALS},
    "verify": set[str](),
}
"""The slow modules that each command may import; by default those for networks and tables."""

IMPORT = """
import importlib, json, os, sys
import advgen.cli

slow, commands = json.loads(sys.argv[1])

def told(name, action):
    sys.stdout.flush()
    if os.fork() == 0:  # so that each begins with what all have
        action()
        print(json.dumps([name, [one for one in slow if one in sys.modules]]), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0, name

def imported(modules):
    for module in modules:
        importlib.import_module(module)

def optimised():
    for kind in (torch.optim.Adam, torch.optim.SGD):
        for _ in range(2):
            weight = torch.zeros(2, requires_grad=True)
            optimizer = kind([weight], lr=0.5)
            weight.sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            optimizer.load_state_dict(optimizer.state_dict())
        assert torch.allclose(weight, torch.tensor(-0.5)) and optimizer.step.hooked

for name, modules in commands["without"].items():
    told(name, lambda: imported(modules))
from advgen.io.devices import prepare
prepare()
import torch
for name, modules in commands["torch"].items():
    told(name, lambda: imported(modules))
told("an optimizer", optimised)
"""


def modules() -> dict[str, set[str]]:
    """Return the modules that the jobs of each command import."""
    found = defaultdict[str, set[str]](set)
    for study in STUDIES:
        for job in build(load_file(ROOT / study)).jobs:
            found[job.task.command] |= {target.partition(":")[0] for target in job.task.code_targets()}
    return found


def test_a_command_imports_only_what_it_needs() -> None:
    needed = modules()
    assert set(needed) == set(TASKS)
    commands = {
        kind: {name: sorted(some) for name, some in needed.items() if TASKS[name].torch == (kind == "torch")}
        for kind in ("torch", "without")
    }
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", IMPORT, json.dumps([SLOW, commands])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = {name: set(some) for name, some in map(json.loads, done.stdout.splitlines())}
    assert found.pop("an optimizer") == {"torch", "numpy"}
    assert found == {name: BUDGET.get(name, NETWORKS) for name in TASKS}
