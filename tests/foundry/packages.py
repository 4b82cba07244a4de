"""RPM packages on the disk: of Debian ones, kept by what they were made of, and hand-written ones by rpmbuild."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nestos.host.packages.backend import Package
from nestos.host.process import Runner
from tests.foundry import conversion, deb, rpmfile

_RECIPE = ("conversion.py", "deb.py", "relations.py", "rpmfile.py")


@dataclass(frozen=True, kw_only=True)
class Foundry:
    """``folder`` keeps the packages; ``timestamp`` (seconds since 1970) is the time of everything in them."""

    folder: Path
    timestamp: int

    def convert(self, packages: Sequence[Package], *, pool: Path) -> list[Path]:
        """The RPM package of each Debian package, whose file is in ``pool``, and the one that ties the essential."""
        stanzas = {package.name: deb.parse_fields(package.stanza) for package in packages}
        base = conversion.closure(stanzas)
        built = [self._convert(pool / f"{p.sha256}.deb", name=p.name, in_base=p.name in base) for p in packages]
        names = [name for name, fields in stanzas.items() if fields.get("Essential") == "yes"]
        tie = self._place(conversion.ESSENTIAL, *sorted(names))
        rpmfile.write(conversion.essential(names, version=str(self.timestamp)), tie, timestamp=self.timestamp)
        return [*built, tie]

    def _convert(self, file: Path, *, name: str, in_base: bool) -> Path:
        kept = self._place(name, file.stem, str(in_base))
        if not kept.exists():
            part = kept.with_suffix(".part")
            rpmfile.write(conversion.rpm(deb.read(file), in_base=in_base), part, timestamp=self.timestamp)
            part.rename(kept)
        return kept

    def build(self, text: str, *, name: str, runner: Runner, target: str = "noarch") -> Path:
        """The package of a hand-written spec, by rpmbuild in ``runner``, a toolbox that sees ``folder``."""
        kept = self._place(name, text, target)
        if kept.exists():
            return kept
        bench = kept.with_suffix(".bench")
        shutil.rmtree(bench, ignore_errors=True)
        bench.mkdir()
        (bench / "package.spec").write_text(text)
        macros = {
            "_topdir": str(bench / "top"),
            "_rpmdir": str(bench),
            "_rpmfilename": "made.rpm",
            "_buildhost": "foundry.invalid",
            "_tmppath": str(bench),
            "use_source_date_epoch_as_buildtime": "1",
        }
        command = ["rpmbuild", "-bb", "--quiet", "--nodeps", f"--target={target}-linux"]
        command += [f"--define={macro} {value}" for macro, value in macros.items()]
        runner([*command, str(bench / "package.spec")], environment={"SOURCE_DATE_EPOCH": str(self.timestamp)})
        (bench / "made.rpm").replace(kept)
        shutil.rmtree(bench)
        return kept

    def _place(self, name: str, *inputs: str) -> Path:
        texts = [(Path(__file__).parent / part).read_text() for part in _RECIPE]
        digest = hashlib.sha256("\0".join([*texts, str(self.timestamp), *inputs]).encode()).hexdigest()
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{name}-{digest[:24]}.rpm"
