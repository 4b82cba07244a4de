"""Text of units and keys that lies in local files, and the check of modes: rules and hooks of their tables."""

from __future__ import annotations

import re

from nestos.butane.local_files import NO_FILES_DIR, LocalFileError
from nestos.butane.site import Check, Site

TOO_MANY_CONTENTS = "only one of the following can be set: contents, contents_local"
DECIMAL_MODE = "unreasonable mode would be reasonable if specified in octal; remember to add a leading zero"


def check_contents(check: Check) -> None:
    """Rule of a unit or drop-in: its text is written here or lies in a file."""
    if "contents_local" in check.values and "contents" in check.values:
        check.error(TOO_MANY_CONTENTS, "contents_local")


def embed_contents(site: Site) -> None:
    """Hook of a unit or drop-in: ``contents_local`` becomes ``contents``."""
    name = site.values.get("contents_local")
    if not name:
        return
    try:
        site.made("contents", site.run.files.read_text(name), by=("contents_local",))
    except LocalFileError as error:
        site.error(str(error), "contents_local")


def embed_keys(site: Site) -> None:
    """Hook of a user: each line of the files in ``ssh_authorized_keys_local`` is a key behind those written out."""
    names = site.values.get("ssh_authorized_keys_local", [])
    if not names:
        return
    site.run.origins[(*site.target, "sshAuthorizedKeys")] = (
        *site.source,
        "ssh_authorized_keys_local",
    )
    if not site.run.files.are_allowed:
        site.error(NO_FILES_DIR, "ssh_authorized_keys_local")
        return
    keys = list(site.values.get("ssh_authorized_keys", []))
    for index, name in enumerate(names):
        by = ("ssh_authorized_keys_local", index)
        try:
            lines = re.split(r"\r?\n", site.run.files.read_text(name))
        except LocalFileError as error:
            site.error(str(error), *by)
            continue
        for line in filter(None, lines):
            site.run.origins[(*site.target, "sshAuthorizedKeys", len(keys))] = (
                *site.source,
                *by,
            )
            keys.append(line)
    if keys:
        site.out["sshAuthorizedKeys"] = keys


def check_file_mode(check: Check) -> None:
    """Rule of a file: warns of a mode that was meant to be octal."""
    _check_mode(check, directory=False)


def check_directory_mode(check: Check) -> None:
    """Rule of a directory: warns of a mode that was meant to be octal."""
    _check_mode(check, directory=True)


def _check_mode(check: Check, *, directory: bool) -> None:
    mode = check.values.get("mode")
    if mode is None or not re.fullmatch(r"[0-7]{1,4}", str(mode)):
        return
    meant = int(str(mode), 8)
    if not _is_usual(mode, directory=directory) and _is_usual(meant, directory=directory):
        check.warning(DECIMAL_MODE, "mode")


def _is_usual(mode: int, *, directory: bool) -> bool:
    """True for a mode that nobody is surprised by. What the original calls typical; it decides when to warn."""
    if mode == 0:
        return True
    user, group, other = (mode >> 6) & 7, (mode >> 3) & 7, mode & 7
    if other & ~group or group & ~user:
        return False  # a narrower class lacks what a wider one may do
    for inner, outer in ((group, other), (user, group | other)):
        if inner & 1 and outer & 4 and not outer & 1:
            return False  # may read there, but run only here
    if any(bits & 3 and not bits & 4 for bits in (user, group, other)) or not user & 4:
        return False  # write or run without read
    writable, runnable, special = bool(user & 2), bool(user & 1), mode >> 9
    if directory:
        return runnable and not special & 4 and (writable or not special & 3)
    if special & 6 and (not runnable or other & 2):
        return False
    return not special & 1
