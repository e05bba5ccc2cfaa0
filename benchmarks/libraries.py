"""Compare code of this package with libraries that could replace it: the numbers of docs/decisions/libraries.md.

    pip install pooch ruamel.yaml     # the two that no other dependency installs
    python benchmarks/libraries.py

Times are the best of five, on one thread.
"""

import fcntl
import io
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bibtexparser
import filelock
import torch
import yaml
from bibtexparser.middlewares.names import parse_single_name_into_parts, split_multiple_persons_names
from markdown_it import MarkdownIt
from matplotlib.figure import Figure
from ruamel.yaml import YAML
from torch import Tensor, nn

from advgen.attacks import lbfgs
from advgen.attacks.carlini_wagner import carlini_wagner
from advgen.attacks.common import Goal, resolve_goal
from advgen.cv import inline, yaml_files
from advgen.cv import names as cv_names
from advgen.figures.layout import Page, Panels
from advgen.figures.style import save_figure, style_sheet
from advgen.specs.attacks import CarliniWagnerAttack, LbfgsAttack

ROOT = Path(__file__).parent.parent
PROFILE = ROOT / "tests/unit/cv/fixture/profile.yaml"


def best_time(run: Callable[[], object], times: int = 5) -> float:
    """Seconds of the fastest run."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def print_row(what: str, **numbers: object) -> None:
    """Print one line."""
    print(f"{what:<24}" + "  ".join(f"{name} {value}" for name, value in numbers.items()), flush=True)


def ms(seconds: float) -> str:
    """Seconds as milliseconds."""
    return f"{1000 * seconds:.3g} ms"


def imports() -> None:
    """The cost of imports, each in a new process."""
    for modules in ("urllib.request", "pooch, requests", "fcntl", "filelock", "yaml", "ruamel.yaml", "markdown_it"):
        code = f"import time; start = time.perf_counter()\nimport {modules}\nprint(time.perf_counter() - start)"
        command = [sys.executable, "-c", code]
        seconds = [float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(5)]
        print_row(f"import {modules}", takes=ms(min(seconds)))


def locks() -> None:
    """Acquire and release a free lock."""
    with tempfile.TemporaryDirectory() as folder:

        def ours() -> None:
            with open(f"{folder}/ours", "w") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

        def theirs() -> None:
            with filelock.FileLock(f"{folder}/theirs", blocking=False):
                pass

        print_row("a lock", ours=ms(best_time(ours, 500)), filelock=ms(best_time(theirs, 500)))


def advgen_names(text: str) -> list[tuple[str, str]]:
    """The names of an author list with their marks."""
    return [(str(name), name.mark) for name in cv_names.parse_names(text)]


def library_names(text: str) -> list[tuple[str, str]]:
    """`advgen_names` with bibtexparser's functions."""
    result = []
    for part in split_multiple_persons_names(text):
        bare, mark = cv_names._take_marks(part)
        name = parse_single_name_into_parts(bare)
        words = [*name.first, *name.von, *name.last, *name.jr]
        result.append((cv_names.decode(" ".join(words)), mark))
    return result


def outcome(run: Callable[[str], Any], text: str) -> object:
    """The result, or the type of the exception."""
    try:
        return run(text)
    except Exception as error:
        return type(error)


def names() -> None:
    """Author lists: those of all our files, damaged ones, and an accent where a name begins."""
    folders = [ROOT / name for name in ("config", "tests", "docs")]
    entries = [
        entry for folder in folders for file in folder.rglob("*.bib") for entry in bibtexparser.parse_file(file).entries
    ]
    lists = [entry["author"] for entry in entries if "author" in entry.fields_dict]
    same = sum(outcome(advgen_names, text) == outcome(library_names, text) for text in lists)
    damaged = ["A and and B", "and A", "A and others", "Ann Lee, Bo Ray, Cy Fox", ", A", "", "*"]
    ours, theirs = (
        sum(isinstance(outcome(run, text), type) for text in damaged) for run in (advgen_names, library_names)
    )
    print_row("author lists", same=f"{same} of {len(lists)}", damaged=f"{len(damaged)}, refused {ours} and {theirs}")
    accent = r"Ann Lee and \'Elie Cartan"
    print_row("an accent", ours=advgen_names(accent)[1], bibtexparser=library_names(accent)[1])


MARKDOWN = MarkdownIt("zero").enable(["emphasis", "link", "escape"])
MARKDOWN.validateLink = lambda url: True  # type: ignore[method-assign]  # safe_url refuses with an error
MARKDOWN.normalizeLink = lambda url: url  # type: ignore[method-assign]


def library_inline(text: str) -> list[inline.Node]:
    """The result of `inline.parse`, with markdown-it-py."""
    stack: list[list[inline.Node]] = [[]]
    addresses: list[str] = []
    for token in MARKDOWN.parseInline(" ".join(text.split()))[0].children or ():
        if token.nesting == 1:
            stack.append([])
            addresses.append(str(token.attrs.get("href")))
        elif token.nesting == -1:
            inner, kind, url = inline.merge_strings(stack.pop()), token.type.removesuffix("_close"), addresses.pop()
            stack[-1].append({kind: inner} | ({"url": inline.safe_url(url)} if kind == "link" else {}))
        else:
            stack[-1].append(token.content)
    return inline.merge_strings(stack[0])


def strings(value: object) -> Iterator[str]:
    """All texts in a tree."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from strings(child)


def texts() -> None:
    """Inline texts: those of the fixture, and escaped noise that must be parsed back unchanged."""
    real = list(strings(yaml.safe_load(PROFILE.read_text(encoding="utf-8"))))
    same = sum(outcome(inline.parse, text) == outcome(library_inline, text) for text in real)
    draw = random.Random(0)
    noise = ["".join(draw.choices("ab *[]()\\_`#<&-.!", k=draw.randint(1, 12))) for _ in range(20_000)]
    plain = [" ".join(text.split()) for text in noise]
    broken = [
        sum("".join(map(str, run(inline.escape(text)))) != text for text in plain)
        for run in (inline.parse, library_inline)
    ]
    each = [
        ms(best_time(lambda run=run: [outcome(run, text) for text in real])) for run in (inline.parse, library_inline)
    ]
    print_row("CV texts", same=f"{same} of {len(real)}", escapes_broken=broken, ours=each[0], markdown_it=each[1])
    print_row("intraword stars", ours=inline.parse("5*3*2"), markdown_it=library_inline("5*3*2"))


def positions() -> None:
    """Positions of YAML keys, and values that differ between YAML 1.1 and 1.2."""
    text = PROFILE.read_text(encoding="utf-8")
    ours, theirs = best_time(lambda: yaml_files.read(PROFILE)), best_time(lambda: YAML().load(text))
    print_row("YAML with lines", ours=ms(ours), ruamel=ms(theirs))
    missing: list[str] = []

    def walk(node: Any) -> None:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if key not in node.lc.data:
                missing.append(str(key))
            if isinstance(value, dict | list):
                walk(value)

    walk(YAML().load((ROOT / "config/evening.yaml").read_text(encoding="utf-8")))
    print_row("keys merged by <<", without_a_line=len(missing))
    odd = "[yes, 010, 1e-3]"
    print_row(odd, pyyaml=yaml.safe_load(odd), ruamel=list(YAML().load(odd)))


def net() -> nn.Module:
    """An untrained fully connected classifier, like FC100-100-10."""
    torch.manual_seed(0)
    layers = [nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10)]
    return nn.Sequential(nn.Flatten(), *layers).eval().requires_grad_(False)


class Adam:
    """The three lines of carlini_wagner.py."""

    def __init__(self, w: Tensor, lr: float):
        self.w, self.lr, self.step = w, lr, 0
        self.mean, self.square = torch.zeros_like(w), torch.zeros_like(w)

    def __call__(self, gradient: Tensor) -> None:
        self.step += 1
        self.mean.lerp_(gradient, 0.1)
        self.square.lerp_(gradient.square(), 1 - 0.999)
        root = (self.square / (1 - 0.999**self.step)).sqrt_().add_(1e-8)
        self.w.addcdiv_(self.mean, root, value=-self.lr / (1 - 0.9**self.step))


def adam() -> None:
    """Time of a thousand Adam steps on a batch of 100 digits, and of a whole attack with as many steps."""
    gradients = torch.randn(10, 100, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    ends = []

    def ours() -> None:
        w = torch.zeros(100, 1, 28, 28)
        step = Adam(w, 0.01)
        for number in range(1000):
            step(gradients[number % 10])
        ends.append(w)

    def theirs() -> None:
        w = torch.zeros(100, 1, 28, 28)
        optimizer = torch.optim.Adam([w], lr=0.01)
        for number in range(1000):
            w.grad = gradients[number % 10]
            optimizer.step()
        ends.append(w)

    seconds = [best_time(run, 3) for run in (ours, theirs)]
    apart = float((ends[0] - ends[-1]).abs().max())
    model, x = net(), torch.rand(100, 1, 28, 28)
    y, spec = model(x).argmax(1), CarliniWagnerAttack(kind="carlini_wagner")
    whole = best_time(lambda: carlini_wagner(model, x, y, spec, seed=0, indices=list(range(100))), 3)
    attack = f"{ms(whole)} for {spec.steps * spec.searches} steps"
    print_row("Adam", ours=ms(seconds[0]), torch_optim=ms(seconds[1]), apart=f"{apart:.1g}", carlini_wagner=attack)


def quasi_newton(images: int = 50) -> None:
    """Box L-BFGS on all images at once, against torch.optim.LBFGS one image at a time with the same search over c."""
    model, x = net(), torch.rand(images, 1, 28, 28)
    y, spec = model(x).argmax(1), LbfgsAttack(kind="lbfgs")
    found: list[Tensor] = []

    def ours() -> None:
        found.append(lbfgs.lbfgs(model, x, y, spec, seed=0, indices=list(range(images))))

    def one(x0: Tensor, goal: Goal) -> float:
        c, low, high, start, size = lbfgs.FIRST_C, 0.0, math.inf, x0, math.inf
        for _ in range(spec.searches):
            z = start.clone().requires_grad_()
            optimizer = torch.optim.LBFGS(
                [z], 1, spec.steps, None, lbfgs.TOLERANCE, history_size=spec.memory, line_search_fn="strong_wolfe"
            )

            def closure(z: Tensor = z, c: float = c, optimizer: torch.optim.Optimizer = optimizer) -> Tensor:
                optimizer.zero_grad()
                inside = z.clamp(0, 1)
                loss = lbfgs._loss(goal, model(inside)).sum() + c * (inside - x0).square().sum()
                loss.backward()
                return loss

            optimizer.step(closure)
            start = z.detach().clamp(0, 1)
            reached = bool(goal.is_reached(model(start)))
            if reached:
                size = min(size, float((start - x0).norm()))
            low, high = (c, high) if reached else (low, c)
            c = 10 * c if high == math.inf else c / 10 if low == 0 else math.sqrt(low * high)
        return size

    def theirs() -> list[float]:
        rows = zip(x.split(1), y.split(1), strict=True)
        return [one(x0, resolve_goal(model, x0, y0, spec, seed=0, indices=[0])) for x0, y0 in rows]

    seconds = best_time(ours, 3)
    start = time.perf_counter()
    sizes = theirs()
    mine = float((found[0] - x).flatten(1).norm(dim=1).mean())
    other = f"{time.perf_counter() - start:.1f} s, L2 {sum(sizes) / images:.3f}"
    print_row("L-BFGS", ours=f"{seconds:.2f} s, L2 {mine:.3f}", torch_optim=other)


def layout(panels: int = 12) -> None:
    """A page of panels, and the effect of longer labels on their frames."""

    def draw(page: bool, label: str) -> str:
        places = Panels(panels, 174, 50, 32, 14, 10)
        with style_sheet():
            if page:
                on = Page(174, places.height)
                figure, axes = on.figure, [places.axes(on, 0, number, "panel") for number in range(panels)]
            else:
                figure = Figure(figsize=(174 / 25.4, places.height / 25.4), layout="constrained")
                axes = list(figure.subplots(panels // 3, 3).flat)
            for number, one in enumerate(axes):
                one.plot([0, 1], [0, 10**number])
                one.set_xlabel("training step")
                one.set_ylabel(label)
        save_figure(figure, io.BytesIO(), io.BytesIO(), "advgen:e30=")
        return f"{axes[0].get_position().width * figure.get_size_inches()[0] * 25.4:.1f} mm"

    for page, what in ((True, "placed in millimetres"), (False, "constrained layout")):
        print_row(
            what,
            takes=ms(best_time(lambda page=page: draw(page, "error"))),
            frame=f"{draw(page, 'error')}, {draw(page, 'error of the whole' + chr(10) + 'classifier in percent')}",
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    for part in (imports, locks, names, texts, positions, adam, quasi_newton, layout):
        part()
