"""Plug-ins: messages about invalid ones, their effect on digests, and `check-plugin`."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field
from tests.project import ROOT

from advgen import registry
from advgen.cli import main
from advgen.core import plugins
from advgen.core.code import PLUGIN_FILES, PLUGIN_MODULE_ROOT, code_digest
from advgen.core.errors import ConfigError
from advgen.driver.plan import build
from advgen.specs.attacks import AttackSpec, Threat
from advgen.specs.base import Spec
from advgen.study.load import load_file

EXAMPLE = ROOT / "docs/examples/plugin/momentum.py"
ATTACK = """
from typing import Literal
from pydantic import Field
from advgen.registry import register
from advgen.specs.attacks import AttackSpec, Threat

class Spec(AttackSpec):
    '''Made up.'''
    kind: Literal["{kind}"] = Field(description="made up")
    eps: float = Field(0.1, gt=0, description="radius")

    def threat(self):
        return Threat("linf", self.eps, 1, "none")

def attack(model, x, y, spec, *, seed, indices):
    {body}

register(Spec, attack)
"""


@pytest.fixture(autouse=True)
def _restore_registry() -> Iterator[None]:
    """Remove what a test registers."""
    families = {family: dict(kinds) for family, kinds in registry.FAMILIES.items()}
    yield
    for family, kinds in families.items():
        registry.FAMILIES[family].clear()
        registry.FAMILIES[family].update(kinds)
    registry._adapter.cache_clear()
    for module in PLUGIN_FILES:
        sys.modules.pop(module, None)
    PLUGIN_FILES.clear()


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def attack(kind: str, body: str = "return x") -> str:
    return ATTACK.format(kind=kind, body=body)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = (\n", r"one\.py:1: SyntaxError: '\(' was never closed"),
        ("\nimport os\nos.nothing\n", r"one\.py:3: AttributeError: module 'os' has no attribute 'nothing'"),
        ("import no_such_module\n", r"one\.py:1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("import beside\n", r"one\.py:1: .*'beside'; a plug-in is a single file: move shared code to an installed"),
        ("x = 1\n", r"one\.py: registers nothing; end it with advgen\.registry\.register"),
        (
            attack("fgsm"),
            r"one\.py:\d+: Spec: the kind 'fgsm' is already used by advgen\.specs\.attacks; choose another",
        ),
        (
            attack("mine").replace("register(Spec, attack)", "register(Spec, lambda: 0)"),
            r"one\.py:\d+: <function <lambda>.*cannot be imported by its name; define it at the top level of a module",
        ),
        (
            attack("mine").replace("register(Spec, attack)", "register(attack, attack)"),
            r"one\.py:\d+: attack: is not a spec class of a family; derive it from one of DatasetSpec, ",
        ),
        (
            "from advgen.specs.figures import FigureSpec\n\nclass Mine(FigureSpec):\n    group = 'Mine'\n",
            r"one\.py:3: Mine: group = 'Mine': must be one of Comparisons, Data and judge, Generative lab, Adv",
        ),
    ],
)
def test_an_invalid_plug_in_gives_a_message_of_one_line(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, "beside.py", "")
    with pytest.raises(ValueError, match=message) as caught:
        plugins.load([write(tmp_path, "one.py", text)])
    assert "\n" not in str(caught.value)
    assert not PLUGIN_FILES


def test_a_file_is_loaded_once_and_its_name_is_unique(tmp_path: Path) -> None:
    path = write(tmp_path, "one.py", attack("mine"))
    plugins.load([path])
    plugins.load([path])
    (tmp_path / "other").mkdir()
    with pytest.raises(ValueError, match=r"has the same name; rename one of them"):
        plugins.load([write(tmp_path / "other", "one.py", attack("yours"))])
    with pytest.raises(ValueError, match=r"no such file"):
        plugins.load([tmp_path / "none.py"])
    with pytest.raises(ValueError, match=r"two words\.py: must be a .py file whose name"):
        plugins.load([tmp_path / "two words.py"])


class NotebookAttack(AttackSpec):
    """Made up."""

    kind: Literal["of_a_notebook"] = Field(description="made up")

    def threat(self) -> Threat:
        return Threat("linf", 0.1, 1, "none")


def does_nothing(model, x, y, spec, *, seed, indices):  # type: ignore[no-untyped-def]
    return x


def test_a_notebook_registers_at_run_time_and_again() -> None:
    for _ in range(2):
        registry.register(NotebookAttack, does_nothing)
        spec = registry.parse("attacks", {"kind": "of_a_notebook"})
        assert registry.resolve(spec) is does_nothing


STUDY = """
datasets: {mnist: {kind: mnist}}
classifiers: {one: {dataset: mnist, model: FC10}}
attacks: {mine: {kind: mine, eps: 0.2}, yours: {kind: yours}, fgsm: {kind: fgsm}}
transfers: {all: {sources: [one], targets: [one], attacks: [mine, yours, fgsm], rms: 0.1}}
plugins: [mine.py, yours.py]
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    write(tmp_path / "studies", "mine.py", attack("mine"))
    write(tmp_path / "studies", "yours.py", attack("yours"))
    return write(tmp_path / "studies", "one.yaml", STUDY)


def test_only_the_jobs_that_use_a_file_load_it(study: Path) -> None:
    plan = build(load_file(study.relative_to(Path.cwd())))
    jobs = {}
    for job in plan.jobs:
        jobs.setdefault(tuple(plan.plugins(job)), set()).add((job.rule, job.wildcards.get("attack", "")))
    assert jobs.pop(("--plugins studies/mine.py",)) == {("craft", "mine")}
    assert jobs.pop(("--plugins studies/yours.py",)) == {("craft", "yours")}
    assert set(jobs) == {()}
    [job] = [job for job in plan.jobs_of("craft") if job.wildcards["attack"] == "mine"]
    files = plan.files("craft", job.wildcards, job.inputs, job.outputs)
    assert files.endswith(" --plugins studies/mine.py")


def test_the_caption_of_a_figure_is_in_its_folder(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figure = ROOT / "docs/examples/plugins/confusion.py"
    shutil.copy(figure, study.parent)
    text = STUDY.replace("yours.py]", "yours.py, confusion.py]")
    study.write_text(text + "figures: {confused: {kind: confusion, source: one, attack: mine}}\n")
    file = study.relative_to(Path.cwd())
    message = (
        r"one\.yaml:7: figures\.confused\.kind: studies/confusion\.rst: no such file; write the caption of 'confusion'"
    )
    with pytest.raises(ConfigError, match=message):
        load_file(file)
    shutil.copy(figure.with_suffix(".rst"), study.parent)
    keys = ("--keys", '{"confusion": {"source": "one", "attack": "mine"}}')
    check("studies/confusion.py", *keys)
    Path("studies/confusion.rst").rename("away.rst")
    with pytest.raises(SystemExit, match="1 checks fail"):
        check("studies/confusion.py", *keys)
    assert "fail  figures confusion has a caption: studies/confusion.rst: no such file;" in capsys.readouterr().out
    Path("away.rst").rename("studies/confusion.rst")
    [report] = build(load_file(file)).jobs_of("report_page")
    assert report.inputs["captions"] == ("studies/confusion.rst",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            STUDY.replace("mine.py, ", "gone.py, "),
            r"one\.yaml:6: plugins\.0 = 'gone\.py': studies/gone\.py: no such file",
        ),
        (
            STUDY.replace("eps: 0.2", "eps: -1"),
            r"one\.yaml:4: attacks\.mine\.eps = -1: must be greater than 0 \(radius\)",
        ),
        (STUDY.replace("eps: 0.2", "esp: 1"), r"one\.yaml:4: attacks\.mine\.esp: unknown key; did you mean 'eps'\?"),
        (
            STUDY.replace("kind: yours", "kind: your"),
            r"attacks\.yours\.kind = 'your': is unknown; did you mean 'yours'\?",
        ),
        (STUDY.replace("plugins: [mine.py, yours.py]", ""), r"attacks\.mine\.kind = 'mine': is unknown"),
        (STUDY.replace("[mine.py, yours.py]", "mine.py"), r"one\.yaml:6: plugins = 'mine\.py': must be a list"),
    ],
)
def test_mistakes_in_the_use_of_a_plug_in_have_their_line(study: Path, text: str, message: str) -> None:
    study.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_file(study.relative_to(Path.cwd()))


def test_a_digest_includes_what_an_attack_uses_of_its_file(tmp_path: Path) -> None:
    two = attack("mine", "return helper(x)") + "\n\ndef helper(x):\n    return x\n\n\ndef other():\n    return 1\n"
    targets = ("advgen_plugins.{0}:attack", "advgen_plugins.{0}:Spec")
    plain = code_digest.__wrapped__

    def fresh(text: str) -> str:
        from advgen.core import code

        for cached in (code.read_source, code.reachable_symbols, code._used_symbols, code._resolve, code._path):
            cached.cache_clear()
        for module in PLUGIN_FILES:
            sys.modules.pop(module, None)
        for kind in [one for one in registry.ATTACKS if one.__module__.startswith(PLUGIN_MODULE_ROOT)]:
            del registry.ATTACKS[kind]
        PLUGIN_FILES.clear()
        plugins.load([write(tmp_path, "same.py", text)])
        return str(plain(*(target.format("same") for target in targets)))

    before = fresh(two)
    assert fresh("# a remark\n" + two) == before
    assert fresh(two.replace("return 1", "return 2")) == before
    another = two.replace(
        "class Spec", "class Other(AttackSpec):\n    kind: Literal['other'] = Field(description='other')\n\nclass Spec"
    )
    assert fresh(another + "register(Other, other)\n") == before
    assert fresh(two.replace("def helper(x):\n    return x", "def helper(x):\n    return -x")) != before
    assert fresh(two.replace("0.1, gt=0", "0.2, gt=0")) != before


def check(*arguments: str) -> None:
    main(["check-plugin", *arguments])


def test_the_example_fulfils_its_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= 40
    check(str(EXAMPLE))
    said = capsys.readouterr().out.splitlines()
    assert said[-1].endswith("all checks pass")
    assert sum(line.startswith("pass  attacks momentum ") for line in said) == len(said) - 1 > 10


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return (x + 2 * spec.eps).clamp(0, 1)", "stays in ball and box: leaves the linf ball: 0.2 > eps 0.1"),
        ("return x + spec.eps", "stays in ball and box: leaves the box: pixels from 0.1 to 1.1"),
        (
            "return (x + spec.eps * (x.new_empty(x.shape).uniform_() - 0.5)).clamp(0, 1)",
            "is deterministic: returns other examples for the same seed; draw with advgen.seeds",
        ),
        (
            "model.eval(); return (x + spec.eps).clamp(0, 1)",
            "restores the model: changes the model's training flags",
        ),
        (
            "return (x + spec.eps * x.mean()).clamp(0, 1)",
            "is independent of the batch: returns other examples in another batch",
        ),
        ("return x[:, 0]", "returns images like its input: returns (12, 12, 12) of torch.float32"),
        ("x += spec.eps; return x.clamp_(0, 1)", "returns images like its input: changes its input"),
        ("raise KeyError('lost')", "returns images like its input: raises KeyError: 'lost'"),
        ("return (x + 0.05).clamp(0, 1)", "is the identity without a budget: changes images at eps = 0"),
    ],
)
def test_a_broken_contract_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], body: str, message: str
) -> None:
    with pytest.raises(SystemExit, match=r"advgen check-plugin: .*: \d+ checks fail"):
        check(str(write(tmp_path, "broken.py", attack("broken", body))))
    assert f"fail  attacks broken {message}" in capsys.readouterr().out


def test_other_families_are_checked_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = ATTACK.replace("AttackSpec, Threat", "AttackSpec").replace(
        "from advgen.specs.attacks import AttackSpec", "from advgen.specs.masks import MaskSpec as AttackSpec"
    )
    mask = mask[: mask.index("    def threat")] + (
        "    def missing(self, shape):\n        return 28\n\n"
        "def attack(spec, shape, *, seed, indices):\n"
        "    import torch\n    known = torch.ones(len(indices), *shape[1:], dtype=torch.bool)\n"
        "    known[:, 0] = False\n    return known\n\nregister(Spec, attack)\n"
    )
    with pytest.raises(SystemExit, match="1 checks fail"):
        check(str(write(tmp_path, "first_row.py", mask.format(kind="first_row", body=""))))
    said = capsys.readouterr().out
    assert "fail  masks first_row hides as many pixels as missing: hides [32] pixels, but missing() is 28" in said
    assert "pass  masks first_row depends on seed and index only" in said


def test_keys_without_a_default_are_required(tmp_path: Path) -> None:
    text = attack("asks", "return (x + spec.eps).clamp(0, 1)").replace("0.1, gt=0", "gt=0")
    path = write(tmp_path, "asks.py", text)
    with pytest.raises(SystemExit, match=r"asks: --keys: eps: is missing; radius; pass keys as --keys"):
        check(str(path))
    with pytest.raises(SystemExit, match=r"no such file"):
        check("gone.py")
    with pytest.raises(SystemExit, match=r"registers nothing; pass a \.py file or an installed plug-in"):
        check("gone")
    assert issubclass(registry.kinds("attacks")["asks"], Spec)
