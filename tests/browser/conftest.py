"""A headless Chromium and axe-core, the accessibility checker, for pages as files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

AXE = "axe-core@4.14.1"
# name, width, colour scheme
VIEWS = [(f"{device} {scheme}", width, scheme) for device, width in (("desktop", 1200), ("phone", 390))
         for scheme in ("light", "dark")]  # fmt: skip

PROBE = """
const found = await axe.run(document, {resultTypes: ["violations"]});
const violations = found.violations.map(v => ({
  id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.map(n => n.html).slice(0, 5)}));
const root = document.documentElement;
for (const image of document.images) image.loading = "eager";
await Promise.all([...document.images].map(image => image.decode().catch(() => 0)));
return {
  violations, rules: found.passes.length,
  scrollWidth: root.scrollWidth, innerWidth,
  background: getComputedStyle(document.body).backgroundColor,
  fontSize: parseFloat(getComputedStyle(document.body).fontSize),
  requests: performance.getEntriesByType("resource").map(r => r.name).filter(n => !n.startsWith("data:")),
  broken: [...document.images].filter(i => !i.naturalWidth).length,
};
"""


@dataclass(frozen=True)
class Browser:
    """Headless Chromium."""

    program: str
    axe: str

    def run(self, *arguments: str) -> str:
        """Standard output of one run."""
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [self.program, "--headless", "--disable-gpu", "--hide-scrollbars", *sandbox, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def look(self, page: Path) -> dict[str, dict[str, Any]]:
        """What the probe says of a page in every view."""
        answers = {}
        for view, width, scheme in VIEWS:
            with self.open(page, width, scheme) as tab:
                tab.run(self.axe)
                answers[view] = tab.run(PROBE)
        return answers

    def act(self, page: Path, script: str) -> Any:
        """What the body of an asynchronous function returns in a page, as JSON."""
        with self.open(page) as tab:
            return tab.run(script)

    def print(self, page: Path) -> Path:
        """The page as a PDF, as printed."""
        target = page.with_suffix(".print.pdf")
        self.run("--no-pdf-header-footer", f"--print-to-pdf={target}", page.as_uri())
        return target

    @contextmanager
    def open(self, page: Path, width: int = 1200, scheme: str = "light", touch: bool = False) -> Iterator[Tab]:
        """A page in a window, to be used as people do; its errors are asked for at the end."""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            tab = Tab(self.program, profile)
            try:
                tab.show(page, width, scheme, touch)
                yield tab
                assert tab.errors() == []
            finally:
                tab.close()


class Tab:
    """One page, driven through the DevTools protocol over a pipe: real keys, pointers and fingers."""

    def __init__(self, program: str, profile: str):
        (here, out), (in_, there) = os.pipe(), os.pipe()
        sandbox = "--no-sandbox" if os.geteuid() == 0 else ""
        options = f"--headless --disable-gpu {sandbox} --remote-debugging-pipe"
        # the browser reads from descriptor 3 and writes to 4
        shell = f'exec "$0" {options} --user-data-dir="$1" 3<&{here} 4>&{there}'
        self.process = subprocess.Popen(
            ["bash", "-c", shell, program, profile], pass_fds=(here, there), stderr=subprocess.DEVNULL
        )
        os.close(here)
        os.close(there)
        self.out, self.in_ = os.fdopen(out, "wb", 0), os.fdopen(in_, "rb")
        self.session, self.number, self.events = "", 0, list[dict[str, Any]]()

    def call(self, method: str, **params: Any) -> Any:
        """What the browser answers to a command; its events before are kept."""
        self.number += 1
        target = {"sessionId": self.session} if self.session else {}
        self.out.write(json.dumps({"id": self.number, "method": method, "params": params, **target}).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self.number:
                assert "error" not in message, (method, message["error"])
                return message["result"]
            self.events.append(message)

    def _message(self) -> dict[str, Any]:
        read = bytearray()
        while not read.endswith(b"\0"):
            one = self.in_.read(1)
            assert one, "the browser ended"
            read += one
        message: dict[str, Any] = json.loads(read[:-1])
        return message

    def show(self, page: Path, width: int, scheme: str, touch: bool) -> None:
        """Load a page in a window of this width."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=touch)
        self.call("Emulation.setTouchEmulationEnabled", enabled=touch)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._message())

    def run(self, script: str) -> Any:
        """What a function body returns in the page."""
        result = self.call(
            "Runtime.evaluate", expression=f"(async () => {{ {script} }})()", returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def press(self, *keys: str) -> None:
        """Press and release keys, one after the other."""
        letters = {"Enter": "\r", "Space": " "}
        for key in keys:
            name = " " if key == "Space" else key
            codes = {"Tab": 9, "Enter": 13, "Space": 32, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39}
            result = {"key": name, "code": key, "windowsVirtualKeyCode": codes[key]}
            text = {"text": letters[key]} if key in letters else {}
            self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **result, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", **result)

    def tab_to(self, selector: str, most: int = 600) -> None:
        """Press Tab until an element has the focus."""
        for _ in range(most):
            self.press("Tab")
            if self.run(f"return document.activeElement.matches({selector!r})"):
                return
        raise AssertionError(f"{selector} is not reached by Tab")

    def middle(self, selector: str) -> dict[str, float]:
        """The middle of an element, scrolled into view."""
        place: dict[str, float] = self.run(
            f"""const one = document.querySelector({selector!r});
            one.scrollIntoView({{block: "center", behavior: "instant"}});
            const box = one.getBoundingClientRect();
            return {{x: box.x + box.width / 2, y: box.y + box.height / 2}};"""
        )
        return place

    def tap(self, selector: str) -> None:
        """Touch an element with a finger."""
        place = self.middle(selector)
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[place])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def hover(self, selector: str) -> None:
        """Move the pointer over an element."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", **self.middle(selector))

    def errors(self) -> list[str]:
        """What the console has of errors."""
        self.run("return 0")
        thrown = [str(event["params"]) for event in self.events if event["method"] == "Runtime.exceptionThrown"]
        logged = [event["params"]["entry"] for event in self.events if event["method"] == "Log.entryAdded"]
        return thrown + [entry["text"] for entry in logged if entry["level"] == "error"]

    def close(self) -> None:
        """End the browser."""
        self.process.kill()
        self.process.wait()
        self.out.close()
        self.in_.close()


def _chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], check=True)
        found = shutil.which("chromium")
    return found or pytest.exit("the browser tests need Chromium; install it (Debian: apt-get install chromium)", 1)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """Chromium, installed where it is missing and may be, with axe-core from the npm registry."""
    if shutil.which("npm") is None:
        pytest.exit("the browser tests need npm for axe-core; install it (Debian: apt-get install npm)", 1)
    folder = tmp_path_factory.mktemp("npm")
    subprocess.run(["npm", "pack", "--silent", AXE], cwd=folder, check=True, capture_output=True, timeout=120)
    (packed,) = folder.glob("axe-core-*.tgz")
    with tarfile.open(packed) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        axe = member.read().decode()
    return Browser(_chromium(), axe)
