"""Each message that docs/troubleshooting.md quotes is a message of the program."""

import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.project import ROOT

import advgen
from advgen.cli import main
from advgen.commands import plan
from advgen.data.download import RawFiles, Source
from advgen.data.drawn_faces import check_node
from advgen.driver.locking import lock_results
from advgen.io.devices import jobs_per_gpu

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
ARMS = """  plain: {dataset: mnist, model: cnn, seeds: [0, 1, 2, 3, 4], training: {epochs: 3}}
  trained: {dataset: mnist, model: cnn, seeds: [0, 1, 2, 3, 4], training: {epochs: 1}, defence: {kind: fgsm, eps: 0.1}}
attacks:
"""
COMPARISON = """comparisons:
  trained-on-fgsm: {kind: accuracy, asks: Does it help, differs: [defence], baseline: plain,
    arms: {plain: [plain], trained: [trained]}, attack: quick}
figures:
"""
ENTRY = "@article{li2024, title = {Norms}, author = {%s}, journal = {Journal of Norms}, year = {%s}}\n"
PROFILE = "name: Zoë Quillåker\nupdated: 2025-10-15\norder: [publications]\n"
DATASET = "{mnist: {kind: mnist}}"
FOLDER = "{mnist: {kind: folder, path: photos}}"


def run(*words: str) -> str:
    """Return the message with which a command fails."""
    return message_of(lambda: main(words))


def message_of(function: Callable[[], object]) -> str:
    """Return the message with which a function fails."""
    with pytest.raises((SystemExit, ValueError)) as caught:
        function()
    return str(caught.value.code if isinstance(caught.value, SystemExit) else caught.value)


def plan_with(edits: dict[str, str], *command: str) -> str:
    """Return the message of `advgen plan`, or another command, for an edited study."""
    text = STUDY
    for old, new in edits.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    Path("my.yaml").write_text(text)
    return run(*(command or ("plan", "my.yaml")))


def plan_with_photos(sizes: dict[str, tuple[int, int]], dataset: str = FOLDER) -> str:
    """Return the message for a data set with a photo of this size in each class folder."""
    for name, size in sizes.items():
        (Path("photos") / name).mkdir(parents=True)
        exif = Image.Exif()
        if name == "dogs":
            exif[0x0112] = 6  # the orientation: rotated by 90 degrees
        for number in range(40):
            ending = "jpg" if size == (6, 8) else "png"
            options = {"exif": exif} if ending == "jpg" else {}
            Image.new("L", size, number).save(f"photos/{name}/{number}.{ending}", **options)
    return plan_with({DATASET: dataset})


def audit_pickle() -> str:
    Path("net.pt").write_bytes(pickle.dumps({"weight": 1}))
    return run("audit", "net.pt", "--data", "mnist", "--eps", "0.1")


def attack_with_grey_levels() -> str:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
    images, labels = np.zeros((2, 1, 8, 8), np.float32), np.array([0, 1])
    return message_of(lambda: advgen.attack(model, images, labels, "pgd", eps=8))


def download() -> str:
    def fail(name: str) -> bytes:
        raise OSError("Temporary failure in name resolution")

    name = "train-images-idx3-ubyte"
    return message_of(lambda: RawFiles("mnist", {name: ""}, [Source("mirror", fail)]).fetch([Path(name)]))


def run_python(code: str) -> str:
    """Return the error output of a Python program."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr


def start_two_drivers() -> str:
    Path("results").mkdir()
    lock_results()
    return run_python("from advgen.driver.locking import lock_results; lock_results()")


def build_cv(author: str, year: str) -> str:
    Path("profile.yaml").write_text(PROFILE)
    Path("publications.bib").write_text(ENTRY % (author, year))
    files = ("--profile", "profile.yaml", "--bibliography", "publications.bib", "--out", "made")
    return run("cv", *files, "--formats", "pdf")


def build_cv_without_package() -> str:
    words = ("cv", "--profile", "profile.yaml", "--out", "made")
    return run_python(f"import sys; sys.modules['bibtexparser'] = None; from advgen.cli import main; main({words})")


def plan_that_raises(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> str:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(plan, "run", fail)
    return run("plan")


def with_variable(name: str, value: str, function: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the message of a function with another value of an environment variable."""
    monkeypatch.setenv(name, value)
    return message_of(function)


NO_SPACE = OSError(28, "No space left on device", "results/gans/dcgan/seed0/generator.safetensors")
CLASSES_FILE = "{mnist: {kind: folder, path: photos, classes: classes.json}}"
CASES: dict[str, Callable[[pytest.MonkeyPatch], str]] = {
    "a key is unknown": lambda _: plan_with({"fgsm, eps: 0.1": "fgsm, epss: 0.1"}),
    "a name is unknown": lambda _: plan_with({"attacks: [fgsm, quick]": "attacks: [fgsm, qiuck]"}),
    "no such study": lambda _: run("plan", "mine.yaml"),
    "FGSM alone": lambda _: plan_with({"attacks: [fgsm, quick]": "attacks: [fgsm]"}),
    "arms differ in more": lambda _: plan_with({"attacks:\n": ARMS, "figures:\n": COMPARISON}),
    "no figure": lambda _: plan_with({STUDY[STUDY.index("figures:") :]: ""}, "so-far", "my.yaml"),
    "one class folder": lambda _: plan_with_photos({"cats": (28, 28)}),
    "images of two sizes": lambda _: plan_with_photos({"cats": (28, 28), "large": (28, 29)}),
    "photos of two orientations": lambda _: plan_with_photos({"cats": (6, 8), "dogs": (6, 8)}),
    "no file of classes": lambda _: plan_with_photos({"cats": (28, 28), "dogs": (28, 28)}, CLASSES_FILE),
    "a model is a pickle": lambda _: audit_pickle(),
    "eps in grey levels": lambda _: attack_with_grey_levels(),
    "nothing can be downloaded": lambda _: download(),
    "no Node.js": lambda patch: with_variable("PATH", "", check_node, patch),
    "no package": lambda _: build_cv_without_package(),
    "two drivers": lambda _: start_two_drivers(),
    "out of memory": lambda patch: plan_that_raises(MemoryError(), patch),
    "disk full": lambda patch: plan_that_raises(NO_SPACE, patch),
    "jobs per GPU": lambda patch: with_variable("ADVGEN_JOBS_PER_GPU", "0", jobs_per_gpu, patch),
    "nobody is the owner": lambda _: build_cv("Zoe Quillaker and Ann Lee", "2024"),
    "no year": lambda _: build_cv("Zoë Quillåker", "202O"),
}


def read_messages() -> list[str]:
    """Return the messages on the page."""
    return re.findall(r"^```text\n(.*?)\n```$", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("case", CASES)
def test_a_message_is_on_the_page(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = CASES[case](monkeypatch).strip().replace(str(tmp_path), "…")
    assert re.sub(r"process \d+", "process 4711", message) in read_messages()


def test_every_message_on_the_page_has_a_case() -> None:
    assert len(read_messages()) == len(set(read_messages())) == len(CASES)
