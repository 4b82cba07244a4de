"""Small Debian packages made by hand, and repositories of them."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from nestos.host.process import run


def deb(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    depends: str = "",
    files: Mapping[str, str] | None = None,
    scripts: Mapping[str, str] | None = None,
    fields: Mapping[str, str] | None = None,
) -> Path:
    """A package with ``files`` (absolute path to text) and maintainer ``scripts`` (name to shell lines)."""
    root = folder / f"{name}-{version}.root"
    (root / "DEBIAN").mkdir(parents=True)
    root.chmod(0o755)
    for path, text in (files if files is not None else {f"/usr/share/{name}/file": f"{name} {version}\n"}).items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    control = {
        "Package": name,
        "Version": version,
        "Architecture": "all",
        "Maintainer": "tests <tests@example.org>",
        **({"Depends": depends} if depends else {}),
        **(fields or {}),
        "Description": f"the test package {name}",
    }
    (root / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
    for script, lines in (scripts or {}).items():
        place = root / "DEBIAN" / script
        place.write_text(f"#!/bin/sh\nset -e\n{lines}\n")
        place.chmod(0o755)
    made = folder / f"{name}_{version.replace(':', '%3a')}_all.deb"
    run(["dpkg-deb", "--build", "--root-owner-group", root, made])
    shutil.rmtree(root)
    return made


def index(folder: Path) -> None:
    """Writes ``Packages`` and ``Release`` of the packages in ``folder``, a flat repository."""
    entries = []
    for file in sorted(folder.glob("*.deb")):
        control = run(["dpkg-deb", "--field", file]).stdout.rstrip()
        data = file.read_bytes()
        entries.append(
            f"{control}\nFilename: ./{file.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
        )
    text = "\n".join(entries).encode()
    (folder / "Packages").write_bytes(text)
    (folder / "Packages.gz").write_bytes(gzip.compress(text, mtime=0))
    sums = "".join(
        f" {hashlib.sha256((folder / name).read_bytes()).hexdigest()} {(folder / name).stat().st_size} {name}\n"
        for name in ("Packages", "Packages.gz")
    )
    (folder / "Release").write_text(f"Date: Mon, 23 Nov 2026 12:00:00 UTC\nSuite: test\nSHA256:\n{sums}")


class Keys:
    """A key that signs repositories."""

    def __init__(self, home: Path) -> None:
        self._home = home
        home.mkdir(mode=0o700)
        options = ["--batch", "--pinentry-mode=loopback", "--passphrase="]
        run(["gpg", f"--homedir={home}", *options, "--quick-gen-key", "tests", "ed25519", "sign", "never"])
        self.public = home / "public.asc"
        run(["gpg", f"--homedir={home}", f"--output={self.public}", "--armor", "--export", "tests"])

    def sign(self, folder: Path) -> None:
        """Signs the ``Release`` of a repository."""
        signed = folder / "InRelease"
        signed.unlink(missing_ok=True)
        run(["gpg", f"--homedir={self._home}", "--batch", f"--output={signed}", "--clearsign", folder / "Release"])

    def close(self) -> None:
        """Ends the agent that gpg started for this home."""
        run(["gpgconf", f"--homedir={self._home}", "--kill", "all"], accepted=(0, 1, 2))
