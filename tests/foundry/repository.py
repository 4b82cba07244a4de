"""A real, signed repository of RPM packages: rpmsign, createrepo_c, gpg."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nestos.host.process import Runner

_USER = "Foundry of tests <foundry@test.invalid>"


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key that signs packages and indexes. ``home`` is GnuPG's folder; ``public`` the file that readers need."""

    home: Path
    public: Path


def make_key(folder: Path, *, runner: Runner, user: str = _USER) -> Key:
    """The key in ``folder``, made if it is not there."""
    home, public = folder / "gnupg", folder / "public.asc"
    if not public.exists():
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        options = ["gpg", f"--homedir={home}", "--batch", "--quiet", "--pinentry-mode=loopback", "--passphrase="]
        runner([*options, "--quick-generate-key", user, "rsa2048", "sign", "never"])
        text = runner([*options, "--armor", "--export"]).stdout
        runner(["gpgconf", f"--homedir={home}", "--kill", "all"])
        public.write_text(text)
    return Key(home=home, public=public)


def sign(packages: Sequence[Path], *, key: Key, runner: Runner) -> None:
    """Signs the package files where they are."""
    macros = {"_gpg_path": str(key.home), "_gpg_name": _USER}
    options = [f"--define={name} {value}" for name, value in macros.items()]
    runner(["rpmsign", "--addsign", *options, *map(str, packages)])


def publish(packages: Sequence[Path], folder: Path, *, timestamp: int, runner: Runner, key: Key | None = None) -> None:
    """Makes ``folder`` a repository of copies of ``packages``; with ``key`` they are signed, and the index is too."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "Packages").mkdir(parents=True)
    copies = [Path(shutil.copyfile(path, folder / "Packages" / path.name)) for path in packages]
    if key is not None:
        sign(copies, key=key, runner=runner)
    index(folder, timestamp=timestamp, runner=runner, key=key)


def index(folder: Path, *, timestamp: int, runner: Runner, key: Key | None = None) -> None:
    """Writes the index of the packages in ``folder`` anew."""
    shutil.rmtree(folder / "repodata", ignore_errors=True)
    dates = [f"--revision={timestamp}", "--set-timestamp-to-revision"]
    runner(["createrepo_c", "--quiet", "--general-compress-type=zstd", "--no-database", *dates, str(folder)])
    if key is not None:
        options = ["gpg", f"--homedir={key.home}", "--batch", "--quiet", "--armor", "--detach-sign"]
        runner([*options, str(folder / "repodata/repomd.xml")])
        runner(["gpgconf", f"--homedir={key.home}", "--kill", "all"])
