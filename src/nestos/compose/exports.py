"""Artifacts of a release as they are handed out: named as the field names them, with checksum, signature and metadata.

``artifacts/`` beside the release holds, for each, the file, ``FILE.sha256`` (as sha256sum(1) checks it), ``FILE.sig``
(a detached OpenPGP signature, which ``nestos-installer`` asks for), and one ``artifacts.json``: the part of stream
metadata that tells of them, with file names where a stream has addresses.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from nestos.base import durable
from nestos.base.log import Progress
from nestos.compose import images, live_media
from nestos.compose.artifacts import compressed, oci, platforms
from nestos.compose.keys import SigningKey
from nestos.compose.release import Release
from nestos.host.process import Runner
from nestos.wire import stream
from nestos.wire.stream import Artifact, PlatformArtifacts, Stream, StreamArchitecture

INDEX = "artifacts.json"
CONTAINER, LIVE = "container", "live"
"""The platforms whose artifacts are no disks."""


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """Makes artifacts of one release. ``runner`` sees the cache ``home``, the repository and the key's home."""

    release: Release
    folder: Path
    home: Path
    repository: Path
    key: SigningKey
    runner: Runner
    progress: Progress

    def disk(self, platform: str, *, form: str = "") -> Path:
        """The disk image for ``platform``, in its usual format unless ``form`` names another."""
        wanted = platforms.find(platform)
        form = form or wanted.formats[0]
        runner, progress = self.runner, self.progress
        raw = images.ensure_disk(
            self.release, self.folder, platform=platform, home=self.home, runner=runner, progress=progress
        )
        made = images.ensure_format(
            raw, form=form, platform=platform, version=self.release.version, runner=runner, progress=progress
        )
        _, compression = platforms.split(form)
        return self.publish(
            made,
            platform=wanted.stream_name or wanted.name,
            form=f"{wanted.stream_prefix}{form}",
            label=wanted.name,
            suffix=form,
            plain=made.with_suffix("") if compression else None,
        )

    def container(self) -> Path:
        """The release as an OCI archive."""
        release = self.release
        output = self.folder / f"{CONTAINER}-{release.commit[:12]}.ociarchive"
        if not output.exists():
            with self.progress.stage("container image"):
                self._make_container(output)
        return self.publish(output, platform=CONTAINER, form="ociarchive", label=CONTAINER, suffix="ociarchive")

    def live(self) -> tuple[Path, ...]:
        """The live ISO, then kernel, initramfs and root for a network boot. A stream has them below ``metal``."""
        made = live_media.ensure(self.release, self.folder, home=self.home, runner=self.runner, progress=self.progress)
        iso = self.publish(made.iso, platform="metal", form="iso", label=f"{LIVE}-iso", suffix="iso")
        parts = (
            ("kernel", made.network.kernel, ""),
            ("initramfs", made.network.initramfs, "img"),
            ("rootfs", made.network.rootfs, "img"),
        )
        network = [
            self.publish(path, platform="metal", form="pxe", label=f"{LIVE}-{part}", suffix=suffix, part=part)
            for part, path, suffix in parts
        ]
        return (iso, *network)

    def _make_container(self, output: Path) -> None:
        release = self.release
        exported, plain, packed = (output.with_suffix(f".{name}") for name in ("export", "layer", "layer.gz"))
        try:
            repo = f"--repo={self.repository}"
            self.runner(["ostree", "export", repo, f"--output={exported}", release.commit])
            oci.layer(exported, output=plain)
            compressed.compress(plain, output=packed, by="gz", runner=self.runner)
            about = oci.About(
                name=release.ref,
                version=release.version,
                commit=release.commit,
                architecture=release.architecture,
                epoch_seconds=release.timestamp,
            )
            oci.archive(packed, diff_id=_digest(plain), output=output, about=about)
        finally:
            for path in (exported, plain, packed):
                path.unlink(missing_ok=True)

    def publish(
        self,
        made: Path,
        *,
        platform: str,
        form: str,
        label: str,
        suffix: str,
        part: str = "disk",
        plain: Path | None = None,
    ) -> Path:
        """Hands ``made`` out under its public name; ``plain`` is its content before compression, if there is one."""
        release = self.release
        name = f"nestos-{release.version}-{label}.{release.architecture}"
        target = self.folder / "artifacts" / (f"{name}.{suffix}" if suffix else name)
        target.parent.mkdir(exist_ok=True)
        partial = target.with_name(f".{target.name}.part")
        partial.unlink(missing_ok=True)
        os.link(made, partial)
        partial.replace(target)
        digest = _digest(target)
        durable.write_text(target.with_name(f"{target.name}.sha256"), f"{digest}  {target.name}\n")
        self._sign(target)
        artifact = Artifact(
            location=target.name,
            sha256=digest,
            signature=f"{target.name}.sig",
            uncompressed_sha256=_digest(plain) if plain else "",
        )
        self._record(artifact, platform=platform, form=form, part=part)
        return target

    def _sign(self, target: Path) -> None:
        signature = target.with_name(f"{target.name}.sig")
        gpg = [
            "gpg",
            f"--homedir={self.key.home}",
            "--batch",
            "--quiet",
            "--yes",
            f"--local-user={self.key.fingerprint}",
        ]
        self.runner([*gpg, f"--output={signature}", "--detach-sign", target])

    def _record(self, artifact: Artifact, *, platform: str, form: str, part: str) -> None:
        path = self.folder / "artifacts" / INDEX
        held: dict[str, dict[str, dict[str, Artifact]]] = {}
        if path.exists():
            known = stream.parse(path.read_text(), source=str(path)).architectures[self.release.architecture].artifacts
            held = {name: {f: dict(parts) for f, parts in one.formats.items()} for name, one in known.items()}
        held.setdefault(platform, {}).setdefault(form, {})[part] = artifact
        offered = {name: PlatformArtifacts(release=self.release.version, formats=held[name]) for name in sorted(held)}
        document = Stream(
            stream=self.release.ref, architectures={self.release.architecture: StreamArchitecture(artifacts=offered)}
        )
        durable.write_text(path, stream.render(document))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
