"""What of a staged tree may come into the running system without a restart: additions. Pure.

Programs that run keep the files that they opened, and services the configuration that they read, so a file that changes
or goes is a matter for a restart. Databases of the package programs and caches made from what is installed are the
exception: they are read anew by whoever asks them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nestos.deploy.compare import Difference as PackageDifference
from nestos.ostree.commits import Difference

# Rewritten by every installation, and read anew by who uses them.
_CACHES = re.compile(
    r"/usr/(lib/sysimage/.*"
    r"|etc/(ld\.so\.cache|(passwd|group|shadow|gshadow|subuid|subgid)-?)"
    r"|lib/udev/hwdb\.bin|lib/tmpfiles\.d/nestos-layers\.conf"
    r"|lib/locale/locale-archive|share/info/dir(\.old)?|share/glib-2\.0/schemas/gschemas\.compiled"
    r"|share/(mime|icons|applications)/.*(cache|globs2?|magic|types|aliases|subclasses|generic-icons|XMLnamespaces)"
    r"|lib/[^/]+/(gio/modules/giomodule\.cache|gdk-pixbuf-2\.0/[^/]+/loaders\.cache))"
)
_ACCOUNT_FILES = re.compile(r"/usr/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?")
_LINKER_CACHE = "/usr/etc/ld.so.cache"
_OF_THE_NEXT_BOOT = re.compile(r"/usr/lib/modules/[^/]+/(initramfs\.img|vmlinuz)")
_KERNEL = re.compile(r"/usr/lib/(modules|firmware)/")
_DROP_IN = re.compile(r"/usr/(?:lib|etc)/systemd/(?:system|user)/([^/]+)\.d/.+")
_MANAGER = re.compile(r"/usr/(lib|etc)/systemd/(system-generators|system-environment-generators|system\.conf\.d)/.+")
_LINKER = re.compile(r"/usr/etc/ld\.so\.conf\.d/.+")
_UNIT = re.compile(r"/usr/(?:lib|etc)/systemd/system/([^/@]+\.(?:service|socket|timer|path|mount))")


@dataclass(frozen=True, kw_only=True)
class LiveChanges:
    """``problems``: what needs a restart, one sentence each. ``files``: paths that appear, with those of databases and
    caches that change, parents first. ``etc``: of them, what ``/etc`` gets. ``units``: that are new, and not started.
    """

    problems: tuple[str, ...]
    files: tuple[str, ...] = ()
    etc: tuple[str, ...] = ()
    units: tuple[str, ...] = ()


def decide(
    paths: Difference,
    packages: PackageDifference,
    *,
    accounts: Collection[str] = (),
    boot_settings: Collection[str] = (),
    live: Mapping[str, str] | None = None,
) -> LiveChanges:
    """What of the difference between the running tree and the staged one can be had at once.

    ``accounts``: names that the staged tree adds to the account files of the running ``/etc``; ``boot_settings``: what
    else differs that only a boot reads; ``live``: packages that are in the running system since an earlier call.
    """
    problems = [f"the package {name} is removed" for name in sorted(packages.removed)]
    changed = {**packages.upgraded, **packages.downgraded}
    problems += [f"the package {name} changes from {old} to {new}" for name, (old, new) in sorted(changed.items())]
    gone = {name for name, version in (live or {}).items() if packages.added.get(name) != version}
    problems += [f"the package {name} is live, and is not staged as it is" for name in sorted(gone)]
    problems += [f"the system account {name} is new" for name in sorted(accounts)]
    problems += [f"{what}: only a boot reads it" for what in boot_settings]
    added = [path for path in paths.added if not _OF_THE_NEXT_BOOT.fullmatch(path)]
    modified = [path for path in paths.modified if not _OF_THE_NEXT_BOOT.fullmatch(path)]
    problems += [f"{path} goes" for path in paths.removed if not _CACHES.fullmatch(path)]
    problems += [f"{path} changes" for path in modified if not _CACHES.fullmatch(path)]
    problems += [reason for path in added if (reason := _reason(path, added=set(added)))]
    if problems:
        return LiveChanges(problems=tuple(problems))
    # The linker looks into its usual folders without its cache, and a copy in /etc would hide every later release's.
    caches = [path for path in modified if path != _LINKER_CACHE and not _ACCOUNT_FILES.fullmatch(path)]
    found = (_UNIT.fullmatch(path) for path in added)
    return LiveChanges(
        problems=(),
        files=tuple(sorted({*added, *caches})),
        etc=tuple(sorted(path for path in added if path.startswith("/usr/etc/"))),
        units=tuple(sorted({match[1] for match in found if match})),
    )


def _reason(path: str, *, added: Collection[str]) -> str:
    """Why a path that is new cannot simply appear; the empty string where it can."""
    if not path.startswith("/usr/"):
        return f"{path} is outside of /usr"
    if _KERNEL.match(path):
        return f"{path} is the kernel's"
    if _MANAGER.fullmatch(path):
        return f"{path} is read by systemd itself when it starts"
    if _LINKER.fullmatch(path):
        return f"{path} changes where programs find their libraries"
    if drop_in := _DROP_IN.fullmatch(path):
        unit = drop_in[1]
        own = {f"/usr/{place}/systemd/system/{unit}" for place in ("lib", "etc")}
        if not own & set(added):
            return f"{path} changes {unit}, which has to be restarted"
    return ""
