"""Roots made by the real rpm of small hand-written packages: scriptlets, triggers, conflicts, signatures, bytes."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from nestos.base.errors import CommandError, InputError, VerificationError
from nestos.base.log import Progress
from nestos.compose import tools
from nestos.host.packages.backend import AccountFiles, Request, Resolution, RpmSource
from nestos.host.packages.dnf import DnfBackend
from nestos.host.packages.rpm_root import DATABASE
from nestos.host.toolbox import Toolbox
from tests.foundry import repository, rpmfile
from tests.foundry.packages import Foundry
from tests.foundry.rpmfile import File, FileFlag, Rpm
from tests.system.packages.worlds import TIME, Item, lacking, spec, workspace

if lacking():
    pytest.skip(f"roots of rpm are left out: {lacking()}", allow_module_level=True)

LOG = "/usr/share/log"
_REGULAR = stat.S_IFREG


@dataclass
class Bench:
    """Builds packages, publishes them and installs what is asked for."""

    folder: Path
    box: Toolbox

    def __post_init__(self) -> None:
        (self.folder / "pool").mkdir()
        self.foundry = Foundry(folder=self.folder / "rpms", timestamp=TIME)
        self.backend = DnfBackend(runner=self.box, work=self.folder / "dnf", pool=self.folder / "pool")
        self.key = repository.make_key(self.folder / "key", runner=self.box)
        self.files = [self.shell()]

    def shell(self) -> Path:
        """A package with a shell and the account files, without scriptlets."""
        busybox = (tools.ensure(workspace().home, progress=Progress()).root / "usr/bin/busybox").read_bytes()
        config = FileFlag.CONFIG | FileFlag.NOREPLACE
        links = [
            File(path=f"/bin/{name}", mode=stat.S_IFLNK | 0o777, content=b"busybox") for name in ("sh", "cat", "id")
        ]
        files = (
            File(path="/bin/busybox", mode=_REGULAR | 0o755, content=busybox),
            *links,
            File(path="/etc/passwd", mode=_REGULAR | 0o644, content=b"root:x:0:0::/:/bin/sh\n", flags=config),
            File(path="/etc/group", mode=_REGULAR | 0o644, content=b"root:x:0:\n", flags=config),
        )
        made = self.folder / "shell.rpm"
        rpmfile.write(
            Rpm(name="shell", version="1", release="1", arch="noarch", summary="a shell", files=files),
            made,
            timestamp=TIME,
        )
        return made

    def add(self, item: Item, *, body: str = "", install: str = "", files: str = "") -> None:
        """Builds a package that needs the shell."""
        text = spec(item, body=body, install=install, files=files).replace(
            "%description", "Requires: shell\n%description"
        )
        self.files.append(self.foundry.build(text, name=item.name, runner=self.box))

    def publish(self, *, key: repository.Key | None) -> RpmSource:
        """The repository of all packages, signed by ``key``, read with this bench's."""
        archive = self.folder / "archive"
        repository.publish(self.files, archive, timestamp=TIME, runner=self.box, key=key)
        return RpmSource(name="test", addresses=(archive.as_uri(),), keys=(self.key.public.read_text(),))

    def resolve(self, *names: str, recommends: bool = False) -> Resolution:
        """Publishes and resolves."""
        source = self.publish(key=self.key)
        return self.backend.resolve(
            Request(packages=names, architecture="x86_64", sources=(source,), recommends=recommends)
        )

    def root(self, *names: str, accounts: AccountFiles | None = None, name: str = "root") -> Path:
        """A root of the packages and what they need."""
        resolution = self.resolve(*names)
        self.backend.fetch(resolution)
        target = self.folder / name
        self.backend.install(resolution, target=target, accounts=accounts or AccountFiles())
        return target


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    box = tools.ensure(workspace().home, progress=Progress(), kind=tools.Kind.RPM)
    return Bench(tmp_path, box.with_binds(tmp_path, network=True))


def log(root: Path) -> list[str]:
    return (root / LOG[1:]).read_text().split()


def test_scriptlets_and_triggers_run_in_rpms_order(bench: Bench) -> None:
    says = "".join(f"%{kind}\necho {kind} >>{LOG}\n" for kind in ("pre", "post", "posttrans"))
    write = f'local log = io.open("{LOG}", "a") log:write("pretrans\\n") log:close()'
    lua = f'%pretrans -p <lua>\nposix.mkdir("/usr") posix.mkdir("/usr/share") {write}\n'
    bench.add(Item(name="alpha", depends="beta"), body=lua + says)
    bench.add(Item(name="beta"), body=f"%post\necho beta >>{LOG}\n")
    bench.add(Item(name="listener"), body=f"%transfiletriggerin -- /usr/share/alpha\necho trigger >>{LOG}\n")
    root = bench.root("alpha", "listener")
    assert log(root) == ["pretrans", "beta", "pre", "post", "posttrans", "trigger"]


def test_a_scriptlet_sees_no_network_and_has_few_rights(bench: Bench) -> None:
    body = f"%post\ncat /proc/net/dev >{LOG}\ncat /proc/self/status >>{LOG}\n"
    bench.add(Item(name="alpha"), body=body)
    text = (bench.root("alpha") / LOG[1:]).read_text()
    assert [line.split(":")[0].strip() for line in text.splitlines() if line.strip().startswith(("lo:", "e"))] == ["lo"]
    (rights,) = (int(line.split()[1], 16) for line in text.splitlines() if line.startswith("CapEff"))
    assert not rights & (1 << 21 | 1 << 16 | 1 << 22)  # SYS_ADMIN, SYS_MODULE, SYS_BOOT


@pytest.mark.parametrize("kind", ["pre", "post", "posttrans"])
def test_a_scriptlet_that_fails_fails_the_installation(bench: Bench, kind: str) -> None:
    bench.add(Item(name="alpha"), body=f"%{kind}\necho why it failed >&2\nexit 3\n")
    with pytest.raises(CommandError) as caught:
        bench.root("alpha")
    assert "alpha-1.0-1.noarch" in str(caught.value)
    assert "why it failed" in str(caught.value)


def test_packages_with_the_same_file_are_named_with_it(bench: Bench) -> None:
    for name in ("alpha", "beta"):
        make = f"mkdir -p %{{buildroot}}/etc\necho {name} >%{{buildroot}}/etc/shared"
        bench.add(Item(name=name), install=make, files="/etc/shared")
    with pytest.raises(InputError) as caught:
        bench.root("alpha", "beta")
    assert "/etc/shared" in str(caught.value)
    assert "alpha" in str(caught.value)
    assert "beta" in str(caught.value)


def test_accounts_are_there_before_anything_is_owned(bench: Bench) -> None:
    bench.add(
        Item(name="alpha"), body=f"%pre\nid -u keeper >{LOG}\n", files="%attr(0640, keeper, crew) /usr/share/alpha"
    )
    accounts = AccountFiles(users={"keeper": (321, 654, "", "/", "/bin/sh")}, groups={"crew": 654})
    root = bench.root("alpha", accounts=accounts)
    status = (root / "usr/share/alpha").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (321, 654, 0o640)
    assert log(root) == ["321"]
    assert (root / "etc/passwd").read_text().splitlines()[0] == "root:x:0:0::/:/bin/sh"
    assert not list((root / "etc").glob("*.rpm*"))


def test_the_same_resolution_gives_the_same_bytes_database_and_all(bench: Bench) -> None:
    for number in range(12):
        bench.add(Item(name=f"part{number}", depends=f"part{number + 1}" if number < 11 else ""))
    one = bench.root("part0", name="one")
    other = bench.root("part0", name="other")
    assert picture(one) == picture(other)
    assert sorted(path.name for path in (one / DATABASE).iterdir()) == ["rpmdb.sqlite"]


def test_the_database_tells_what_is_installed_and_stays_as_it_was(bench: Bench) -> None:
    bench.add(Item(name="alpha", version="3:2.0-7"))
    root = bench.root("alpha")
    before = picture(root)
    assert bench.backend.installed(root) == {"alpha": "3:2.0-7", "shell": "1-1"}
    assert bench.backend.files(root, "alpha") == ["/usr/share/alpha"]
    with pytest.raises(InputError, match="'beta' is not in the tree"):
        bench.backend.files(root, "beta")
    assert picture(root) == before


def test_documentation_stays_away_and_licences_come(bench: Bench) -> None:
    made = "usr/share/readme usr/share/copying usr/share/man/man1/a.1"
    make = f"cd %{{buildroot}} && mkdir -p usr/share/man/man1 && touch {made}"
    lines = "%doc /usr/share/readme\n%license /usr/share/copying\n/usr/share/man/man1/a.1*"
    bench.add(Item(name="alpha"), install=make, files=lines)
    root = bench.root("alpha")
    assert (root / "usr/share/copying").exists()
    assert not (root / "usr/share/readme").exists()
    assert not (root / "usr/share/man").exists()


def test_capabilities_of_files_are_kept(bench: Bench) -> None:
    bench.add(Item(name="alpha"), files="%caps(cap_net_raw=ep) /usr/share/alpha")
    assert os.getxattr(bench.root("alpha") / "usr/share/alpha", "security.capability")


def test_rich_and_weak_dependencies_and_obsoletes_are_dnfs_business(bench: Bench) -> None:
    bench.add(Item(name="alpha", depends="(beta or gamma)", recommends="delta"))
    bench.add(Item(name="gamma"))
    bench.add(Item(name="delta"))
    bench.add(Item(name="old"))
    text = spec(Item(name="newer", version="2-1")).replace(
        "%description", "Obsoletes: old < 2\nProvides: old = 2\n%description"
    )
    bench.files.append(bench.foundry.build(text, name="newer", runner=bench.box))
    chosen = {package.name for package in bench.resolve("alpha", "old").packages}
    assert chosen == {"alpha", "gamma", "newer", "shell"}
    assert "delta" in {package.name for package in bench.resolve("alpha", recommends=True).packages}


def test_a_package_that_nobody_signed_is_refused_unless_told_otherwise(bench: Bench) -> None:
    bench.add(Item(name="alpha"))
    source = bench.publish(key=None)
    request = Request(packages=("alpha",), architecture="x86_64", sources=(source,))
    with pytest.raises(VerificationError, match=r"alpha 1\.0-1"):
        bench.backend.fetch(bench.backend.resolve(request))
    unchecked = RpmSource(name="test", addresses=source.addresses, check_packages=False)
    bench.backend.fetch(
        bench.backend.resolve(Request(packages=("alpha",), architecture="x86_64", sources=(unchecked,)))
    )


def test_a_package_that_a_stranger_signed_is_refused(bench: Bench) -> None:
    bench.add(Item(name="alpha"))
    stranger = repository.make_key(bench.folder / "stranger", runner=bench.box)
    request = Request(packages=("alpha",), architecture="x86_64", sources=(bench.publish(key=stranger),))
    with pytest.raises(VerificationError, match="no key of their repository has signed"):
        bench.backend.fetch(bench.backend.resolve(request))


def picture(root: Path) -> dict[str, tuple[object, ...]]:
    """Kind, mode, owner and content of everything below ``root``."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else _digest(path) if path.is_file() else ""
        found[str(path.relative_to(root))] = (status.st_mode, status.st_uid, status.st_gid, content)
    return found


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
