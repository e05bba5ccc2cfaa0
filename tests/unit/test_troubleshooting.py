"""Each message that docs/troubleshooting.md quotes is one that the program gives."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.project import ROOT

from advgen.cli import main
from advgen.driver.locking import lock_results

PAGE = ROOT / "docs/troubleshooting.md"
STUDY = """title: mine
datasets: {mnist: {kind: mnist}}
classifiers:
  net:
    dataset: mnist
    model: FC100-100-10
attacks:
  fgsm: {kind: fgsm, eps: 0.1}
  quick: {kind: ensemble, eps: 0.1}
figures:
  robustness: {kind: robustness, sources: [net], attacks: [fgsm, quick]}
"""


def cli(*words: str) -> Callable[[], str]:
    """What a command says as it ends."""

    def said() -> str:
        with pytest.raises(SystemExit) as caught:
            main(words)
        return str(caught.value.code)

    return said


def study(old: str, new: str, *words: str) -> Callable[[], str]:
    """What `advgen plan` says of a study in which something is wrong."""

    def said() -> str:
        assert STUDY.count(old) == 1
        Path("my.yaml").write_text(STUDY.replace(old, new))
        return cli(*(words or ("plan", "my.yaml")))()

    return said


def comparison() -> str:
    nets = "".join(
        f"  {name}: {{dataset: mnist, model: cnn, seeds: [0, 1, 2, 3, 4], training: {{epochs: {epochs}}}{defence}}}\n"
        for name, epochs, defence in (("plain", 3, ""), ("trained", 1, ", defence: {kind: fgsm, eps: 0.1}"))
    )
    asked = (
        "comparisons:\n  trained-on-fgsm: {kind: accuracy, asks: Does it help, differs: [defence], baseline: plain,\n"
    )
    asked += "    arms: {plain: [plain], trained: [trained]}, attack: quick}\nfigures:\n"
    Path("my.yaml").write_text(STUDY.replace("attacks:\n", f"{nets}attacks:\n", 1).replace("figures:\n", asked))
    return cli("plan", "my.yaml")()


def folder(*classes: str) -> None:
    for place, name in enumerate(classes):
        (Path("photos") / name).mkdir(parents=True)
        for number in range(40):
            grey = np.full((28 + (name == "large"), 28), 20 * place + number, np.uint8)
            Image.fromarray(grey).save(f"photos/{name}/{number}.png")


def images(*classes: str) -> Callable[[], str]:
    def said() -> str:
        folder(*classes)
        return study("{mnist: {kind: mnist}}", "{mnist: {kind: folder, path: photos}}")()

    return said


def sideways() -> str:
    exif = Image.Exif()
    exif[0x0112] = 6  # the orientation: turn by 90 degrees
    for name, options in (("cats", {}), ("dogs", {"exif": exif})):
        (Path("photos") / name).mkdir(parents=True)
        Image.new("RGB", (6, 8)).save(f"photos/{name}/0.jpg", **options)
    return study("{mnist: {kind: mnist}}", "{mnist: {kind: folder, path: photos}}")()


def no_classes_file() -> str:
    folder("cats", "dogs")
    return study("{mnist: {kind: mnist}}", "{mnist: {kind: folder, path: photos, classes: classes.json}}")()


def pickled() -> str:
    Path("net.pt").write_bytes(pickle.dumps({"weight": 1}))
    return cli("audit", "net.pt", "--data", "mnist", "--eps", "0.1")()


def radius() -> str:
    import torch

    import advgen

    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
    with pytest.raises(ValueError, match="eps") as caught:
        advgen.attack(net, np.zeros((2, 1, 8, 8), np.float32), np.array([0, 1]), "pgd", eps=8)
    return str(caught.value)


def two_drivers() -> str:
    (Path("results")).mkdir()
    lock_results()
    other = "from advgen.driver.locking import lock_results; lock_results()"
    return subprocess.run([sys.executable, "-c", other], capture_output=True, text=True).stderr


def gpus(monkeypatch: pytest.MonkeyPatch) -> str:
    from advgen.io.devices import jobs_per_gpu

    monkeypatch.setenv("ADVGEN_JOBS_PER_GPU", "0")
    with pytest.raises(SystemExit) as caught:
        jobs_per_gpu()
    return str(caught.value.code)


def download(monkeypatch: pytest.MonkeyPatch) -> str:
    from advgen.data.download import Source, fetch

    def refuse(name: str) -> bytes:
        raise OSError("Temporary failure in name resolution")

    with pytest.raises(ValueError, match="could not get") as caught:
        fetch({"train-images-idx3-ubyte": ""}, [Path("train-images-idx3-ubyte")], [Source("mirror", refuse)], "mnist")
    return str(caught.value)


def out_of_memory(monkeypatch: pytest.MonkeyPatch) -> str:
    from advgen.commands import plan

    def fill(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(plan, "run", fill)
    return cli("plan")()


def disk_full(monkeypatch: pytest.MonkeyPatch) -> str:
    from advgen.commands import plan

    def fill(_: object) -> None:
        raise OSError(28, "No space left on device", "results/gans/dcgan/seed0/generator.safetensors")

    monkeypatch.setattr(plan, "run", fill)
    return cli("plan")()


def no_package() -> str:
    words = ("cv", "--profile", "profile.yaml", "--out", "made")
    without = f"import sys; sys.modules['bibtexparser'] = None; from advgen.cli import main; main({words})"
    return subprocess.run([sys.executable, "-c", without], capture_output=True, text=True).stderr


def no_node(monkeypatch: pytest.MonkeyPatch) -> str:
    from advgen.data.drawn_faces import check_node

    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="Node") as caught:
        check_node()
    return str(caught.value)


def cv(
    bibliography: str, profile: str = "name: Zoë Quillåker\nupdated: 2025-10-15\norder: [publications]\n"
) -> Callable[[], str]:
    def said() -> str:
        Path("profile.yaml").write_text(profile)
        Path("publications.bib").write_text(bibliography)
        words = ("cv", "--profile", "profile.yaml", "--bibliography", "publications.bib", "--out", "made")
        return cli(*words, "--formats", "pdf")()

    return said


ENTRY = (
    "@article{{li2024, title = {{Norms}}, author = {{{author}}}, journal = {{Journal of Norms}}, year = {{{year}}}}}\n"
)
CASES: dict[str, Callable[..., str]] = {
    "a key is unknown": study("fgsm, eps: 0.1", "fgsm, epss: 0.1"),
    "a name is unknown": study("attacks: [fgsm, quick]", "attacks: [fgsm, qiuck]"),
    "no such study": cli("plan", "mine.yaml"),
    "FGSM alone": study("attacks: [fgsm, quick]", "attacks: [fgsm]"),
    "arms differ in more": comparison,
    "no figure": study(STUDY[STUDY.index("figures:") :], "", "so-far", "my.yaml"),
    "no class folders": images("cats"),
    "images of two sizes": images("cats", "large"),
    "photos of two orientations": sideways,
    "no file of classes": no_classes_file,
    "a model is a pickle": pickled,
    "eps in grey levels": radius,
    "nothing can be downloaded": download,
    "no Node.js": no_node,
    "no package": no_package,
    "two drivers": two_drivers,
    "out of memory": out_of_memory,
    "disk full": disk_full,
    "jobs per GPU": gpus,
    "nobody is the owner": cv(ENTRY.format(author="Zoe Quillaker and Ann Lee", year=2024)),
    "no year": cv(ENTRY.format(author="Zoë Quillåker", year="202O")),
}  # fmt: skip


def quoted() -> list[str]:
    """The messages on the page."""
    return re.findall(r"^```text\n(.*?)\n```$", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("case", CASES)
def test_the_message_stands_on_the_page(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    provoke = CASES[case]
    given = provoke(monkeypatch) if provoke.__code__.co_argcount else provoke()
    said = re.sub(r"process \d+", "process 4711", given.strip().replace(str(tmp_path), "…"))
    assert said in quoted()


def test_no_message_is_invented() -> None:
    assert len(quoted()) == len(set(quoted())) == len(CASES)
