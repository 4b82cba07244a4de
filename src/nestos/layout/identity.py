"""What a tree must not carry of the machine that composed it, and what it says of itself."""

from __future__ import annotations

from pathlib import Path


def settle(tree: Path) -> None:
    """Removes machine id, host keys, host name, resolver and package sources of the builder.

    ``uninitialized`` makes systemd treat the first start as a first boot (machine-id(5)), so that presets of a
    provisioning config are applied and host keys are made.
    """
    etc = tree / "etc"
    (etc / "machine-id").unlink(missing_ok=True)
    (etc / "machine-id").write_text("uninitialized\n")
    (etc / "machine-id").chmod(0o444)
    for key in (etc / "ssh").glob("ssh_host_*"):
        key.unlink()
    (etc / "hostname").write_text("localhost\n")
    (etc / "fstab").write_text("")
    resolver = etc / "resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.symlink_to("../run/systemd/resolve/stub-resolv.conf")
    for left in {*etc.glob("*.bak"), *etc.glob("resolv.conf.*")}:
        left.unlink()
    # The folder in the builder's cache that packages were installed from, and how they were.
    for left in (etc / "apt/sources.list", etc / "apt/apt.conf.d/99mmdebstrap"):
        left.unlink(missing_ok=True)


def name_release(tree: Path, *, version: str, variant: str) -> None:
    """Writes os-release(5): ours on top, the base distribution's name kept as ``ID_LIKE``."""
    file = tree / "usr/lib/os-release"
    base = dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
    fields = {
        "NAME": "NestOS",
        "ID": "nestos",
        "ID_LIKE": base.get("ID", "debian").strip('"'),
        "PRETTY_NAME": f"NestOS {version}",
        "VERSION": version,
        "VERSION_ID": version.split(".", maxsplit=1)[0],
        "VARIANT_ID": variant,
        "IMAGE_ID": "nestos",
        "IMAGE_VERSION": version,
        "OSTREE_VERSION": version,
        "BASE_PRETTY_NAME": base.get("PRETTY_NAME", "").strip('"'),
    }
    file.write_text("".join(f'{key}="{value}"\n' for key, value in fields.items()))
    (tree / "etc/issue").write_text("NestOS \\S{VERSION} \\n \\l\n\\4 \\6\n\n")
    (tree / "etc/motd").write_text("")
