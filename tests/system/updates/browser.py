"""A real browser, driven by WebDriver (W3C), which chromedriver speaks over HTTP: as much as the tests need."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromedriver")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key that the protocol gives to elements
_QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,1250"),
)
"""A network that is closed makes the browser's own business slow; the sandbox needs what a container lacks."""
_START_SECONDS, _ANSWER_SECONDS = 120, 180


class Browser:
    """One window."""

    def __init__(self, url: str) -> None:
        self._url = url

    def go(self, url: str) -> None:
        """Loads a page."""
        self._post("url", {"url": url})

    @property
    def url(self) -> str:
        """Where it is now."""
        return str(self._ask("GET", "url"))

    def text(self, selector: str = "body") -> str:
        """What is read there."""
        return str(self._ask("GET", f"element/{self._find(selector)}/text"))

    def count(self, selector: str) -> int:
        """How many such elements there are."""
        return len(self._post("elements", {"using": "css selector", "value": selector}))

    def type(self, selector: str, text: str) -> None:
        """Types into a field."""
        self._post(f"element/{self._find(selector)}/value", {"text": text})

    def click(self, selector: str) -> None:
        """Clicks, and waits for the page that comes."""
        self._post(f"element/{self._find(selector)}/click", {})

    def picture(self, path: Path) -> None:
        """A screenshot (PNG)."""
        path.write_bytes(base64.b64decode(self._ask("GET", "screenshot")))

    def run(self, script: str) -> Any:
        """What a script returns."""
        return self._post("execute/sync", {"script": script, "args": []})

    def _find(self, selector: str) -> str:
        found = self._post("element", {"using": "css selector", "value": selector})
        return str(found[_ELEMENT])

    def _post(self, path: str, document: object) -> Any:
        return self._ask("POST", path, document)

    def _ask(self, method: str, path: str, document: object = None) -> Any:
        return _ask(method, f"{self._url}/{path}", document)


@contextmanager
def browsing(profile: Path, *, scripts: bool = True, dark: bool = False) -> Iterator[Browser]:
    """A browser with an empty profile; without ``scripts`` pages run none."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    try:
        _await_driver(base)
        preferences = {} if scripts else {"profile.managed_default_content_settings.javascript": 2}
        flags = [*_QUIET, f"--user-data-dir={profile}", *(["--force-dark-mode"] if dark else [])]
        options = {"binary": shutil.which("chromium"), "args": flags, "prefs": preferences}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        session = f"{base}/session/{_ask('POST', f'{base}/session', wanted)['sessionId']}"
        yield Browser(session)
        _ask("DELETE", session)
    finally:
        driver.terminate()
        driver.wait()


def _await_driver(base: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            if _ask("GET", f"{base}/status")["ready"]:
                return
        except OSError:
            assert time.monotonic() < deadline, "chromedriver does not start"
        time.sleep(0.2)


def _ask(method: str, url: str, document: object = None) -> Any:
    data = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:
            return json.loads(answer.read())["value"]
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(f"{method} {url}: {error.read().decode()[:500]}") from error
