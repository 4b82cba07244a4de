"""A root made by rpm: the accounts first, then everything, in a sandbox, with the same bytes each time.

rpm's database goes to ``/usr/lib/sysimage/rpm``, where it belongs to the release. Its times come from
``SOURCE_DATE_EPOCH``; it is written once, in the order that rpm gives to the same files, and left without a journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nestos.base.errors import CommandError, InputError
from nestos.host.packages import accounts as account_files
from nestos.host.packages import dnf_failures
from nestos.host.packages.backend import AccountFiles
from nestos.host.process import Completed, Runner

DATABASE = "usr/lib/sysimage/rpm"
"""Where the database is in a tree."""

# Documentation and translations never reach a node; licences stay, because packages mark them as such.
_PATHS_LEFT_OUT = (
    "/usr/share/man",
    "/usr/share/info",
    "/usr/share/locale",
    "/usr/share/lintian",
    "/usr/share/bash-completion",
    "/usr/share/zsh",
    "/usr/share/fish",
)
# What scriptlets may: work on files and accounts, not on the machine.
_CAPABILITIES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
)
_KERNEL_FOLDERS = ("dev", "proc", "sys")
_LEFTOVERS = (".rpm.lock", "rpmdb.sqlite-shm", "rpmdb.sqlite-wal")


def make(target: Path, files: Sequence[Path], *, accounts: AccountFiles, timestamp: int, runner: Runner) -> None:
    """Installs exactly ``files`` into the new folder ``target``. ``timestamp`` is in seconds since 1970.

    A scriptlet that fails is an error, of whichever kind; rpm itself only warns of most. Raises ``InputError`` for
    packages that cannot stand together, ``SpaceError`` for a full disk.
    """
    target.mkdir(parents=True)
    environment = {
        "SOURCE_DATE_EPOCH": str(timestamp),
        "PYTHONHASHSEED": "0",
        # Whoever installs a kernel would make an initramfs now, of half a system; the compose makes it later.
        "KERNEL_INSTALL_BYPASS": "1",
        "SYSTEMD_OFFLINE": "1",
    }
    first = _owners_of_accounts(files, runner=runner)
    if first:
        # Nothing is there yet that a scriptlet could run with; theirs only tidy up after older versions.
        _rpm(target, first, options=["--nodeps", "--noscripts"], environment=environment, runner=runner)
    (target / "etc").mkdir(exist_ok=True)
    account_files.add(target / "etc", accounts)
    rest = [file for file in files if file not in first]
    if rest:
        _rpm(target, rest, options=[], environment=environment, runner=runner)
    _tidy(target)
    old_place = target / "var/lib/rpm"
    if not old_place.is_symlink() and not old_place.exists():
        old_place.parent.mkdir(parents=True, exist_ok=True)
        old_place.symlink_to(f"../../{DATABASE}")


def query(tree: Path, words: Sequence[str], *, runner: Runner, accepted: Sequence[int] = (0,)) -> Completed:
    """``rpm --query`` in the database of ``tree``, which is left as it was."""
    database = tree / DATABASE
    if not (database / "rpmdb.sqlite").exists():
        raise InputError(f"{tree} holds no rpm database")
    try:
        return runner(["rpm", f"--dbpath={database}", "--query", *words], accepted=accepted)
    finally:
        _tidy(tree)


def _owners_of_accounts(files: Sequence[Path], *, runner: Runner) -> list[Path]:
    """The packages with /etc/passwd and /etc/group: before anything else can be owned, these must be there."""
    form = "[%{FILENAMES}\t%{=PKGID}\n]"
    found = []
    for file in files:
        listing = runner(["rpm", "--query", "--nosignature", f"--queryformat={form}", "--package", str(file)]).stdout
        if any(line.split("\t")[0] in ("/etc/passwd", "/etc/group") for line in listing.splitlines()):
            found.append(file)
    return found


def _rpm(
    target: Path, files: Sequence[Path], *, options: Sequence[str], environment: dict[str, str], runner: Runner
) -> None:
    command = [
        *_sandbox(target),
        "rpm",
        f"--root={target}",
        f"--define=_dbpath /{DATABASE}",
        "--define=_pkgverify_level digest",
        f"--define=_netsharedpath {':'.join(f'/{name}' for name in _KERNEL_FOLDERS)}",
        "--install",
        "--nosignature",  # checked when they were fetched, against the keys of their repository
        "--ignorearch",
        "--excludedocs",
        *(f"--excludepath={path}" for path in _PATHS_LEFT_OUT),
        *options,
        *map(str, files),
    ]
    try:
        done = runner(command, environment=environment)
    except CommandError as error:
        raise dnf_failures.uninstalled(error) from error
    dnf_failures.check_scriptlets(done)


def _sandbox(target: Path) -> list[str]:
    """Everything read-only but ``target``, in which the kernel's folders are what scriptlets may see of them."""
    line = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--tmpfs", "/tmp", "--bind", str(target), str(target)]
    line += ["--proc", f"{target}/proc", "--dev", f"{target}/dev", "--tmpfs", f"{target}/run"]
    line += ["--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent"]
    for capability in _CAPABILITIES:
        line += ["--cap-add", f"CAP_{capability}"]
    return [*line, "--"]


def _tidy(tree: Path) -> None:
    for name in _LEFTOVERS:
        (tree / DATABASE / name).unlink(missing_ok=True)
