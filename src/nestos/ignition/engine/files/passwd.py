"""Groups, users, passwords and SSH keys, with the tools that keep account files in order.

The tools change their root to the target (``--root``), so they read its account files and its defaults. Passwords
are given to the runner as secrets and are never logged.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from nestos.base.errors import NestosError
from nestos.ignition.engine import parts
from nestos.ignition.engine.files.accounts import Account, find_group, find_user
from nestos.ignition.engine.files.place import Places
from nestos.ignition.engine.job import Job

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Group, Passwd, User

_LOCKED = "*"  # no password matches it: crypt(5)
_FRAGMENT_VARIABLE = "IGNITION_WRITE_AUTHORIZED_KEYS_FRAGMENT"
_KEY_FOLDER_MODE = 0o700
_KEY_FILE_MODE = 0o600


def write_passwd(job: Job, passwd: Passwd) -> None:
    """Makes, changes and removes groups, then users; then writes the keys of users."""
    for group in passwd.get("groups", []):
        _write_group(job, group)
    for user in passwd.get("users", []):
        _write_user(job, user)


def _tool(job: Job, name: str, *options: str, target: str, secrets: tuple[str, ...] = ()) -> None:
    # "--" keeps a name that begins with a dash from being taken for an option.
    job.machine.runner([name, f"--root={job.root.path}", *options, "--", target], secrets=secrets)


def _write_group(job: Job, group: Group) -> None:
    name = group["name"]
    exists = find_group(job.root, name) is not None
    if group.get("shouldExist", True) is False:
        if exists:
            with job.log.operation(f'deleting group "{name}"'):
                _tool(job, "groupdel", target=name)
        return
    options: list[str] = []
    secrets: tuple[str, ...] = ()
    if "gid" in group:
        options.append(f"--gid={group['gid']}")
    if group.get("passwordHash"):
        secrets = (group["passwordHash"],)
        options.append(f"--password={group['passwordHash']}")
    if exists:
        with job.log.operation(f'modifying group "{name}"'):
            if options:
                _tool(job, "groupmod", *options, target=name, secrets=secrets)
        return
    if group.get("system"):
        options.append("--system")
    with job.log.operation(f'adding group "{name}"'):
        _tool(job, "groupadd", *options, target=name, secrets=secrets)


def _write_user(job: Job, user: User) -> None:
    name = user["name"]
    exists = find_user(job.root, name) is not None
    if user.get("shouldExist", True) is False:
        if exists:
            with job.log.operation(f'deleting user "{name}"'):
                _tool(job, "userdel", "--remove", target=name)
        return
    with job.log.operation(f'creating or modifying user "{name}"'):
        if exists:
            _modify_user(job, user)
        else:
            _add_user(job, user)
    _give_home(job, user)
    for password in _password(user):
        with job.log.operation(f'setting password for "{name}"'):
            _tool(job, "usermod", f"--password={password}", target=name, secrets=(password,))
    if user.get("sshAuthorizedKeys"):
        with job.log.operation(f'adding ssh keys to user "{name}"'):
            _write_keys(job, user)


def _shared_options(user: User) -> list[str]:
    """The options that mean the same to useradd(8) and usermod(8)."""
    options = []
    if "uid" in user:
        options.append(f"--uid={user['uid']}")
    if "gecos" in user:
        options.append(f"--comment={user['gecos']}")
    if user.get("primaryGroup"):
        options.append(f"--gid={user['primaryGroup']}")
    if user.get("groups"):
        options.append(f"--groups={','.join(user['groups'])}")
    if user.get("shell"):
        options.append(f"--shell={user['shell']}")
    return options


def _password(user: User) -> tuple[str, ...]:
    """The password of a user, which is a secret, if the config says one."""
    return (user["passwordHash"] or _LOCKED,) if "passwordHash" in user else ()


def _modify_user(job: Job, user: User) -> None:
    password = _password(user)
    options = [*(f"--password={word}" for word in password), *_shared_options(user)]
    if user.get("homeDir"):
        options += [f"--home={user['homeDir']}", "--move-home"]
    if options:
        _tool(job, "usermod", *options, target=user["name"], secrets=password)


def _add_user(job: Job, user: User) -> None:
    password = _password(user)
    options = [f"--password={(*password, _LOCKED)[0]}", *_shared_options(user)]
    if user.get("homeDir"):
        options.append(f"--home-dir={user['homeDir']}")
    if user.get("noCreateHome"):
        options.append("--no-create-home")
    else:
        options.append("--create-home")
        _make_room_for_home(job, user)
    for field, option in (("noUserGroup", "--no-user-group"), ("system", "--system"), ("noLogInit", "--no-log-init")):
        if user.get(field):
            options.append(option)
    _tool(job, "useradd", *options, target=user["name"], secrets=password)


def _make_room_for_home(job: Job, user: User) -> None:
    """Makes the directory above the home: ``/home`` may lead to a place in ``/var`` that nothing has made yet."""
    Places(root=job.root, owners=job.machine.owners).prepare(str(home_of(job, user)))


def home_of(job: Job, user: User) -> Path:
    """The home that a user who is made gets."""
    return job.root.join(PurePosixPath(user.get("homeDir") or f"/home/{user['name']}"))


def _give_home(job: Job, user: User) -> None:
    """Gives the user the home, and what is in it, that the mount stage made for a file system to be mounted there."""
    noted = job.read_state().get("notatedDirectories") or []
    account = find_user(job.root, user["name"])
    if not noted or user.get("noCreateHome") or account is None:
        return
    home = job.root.join(account.home)  # /home may lead to /var/home, and mounts have no links in their paths
    for folder in noted:
        path = job.root.join(folder, follow_last=False)
        if path.is_relative_to(home) and home != job.root.path:
            with job.log.operation(f'giving {folder} to user "{account.name}"'):
                job.machine.owners.give(path, uid=account.uid, gid=account.gid)
                path.chmod(_KEY_FOLDER_MODE)


def _write_keys(job: Job, user: User) -> None:
    account = find_user(job.root, user["name"])
    if account is None:
        raise NestosError(f"the user {user['name']} was made, but is not in the account files of {job.root.path}")
    home = job.root.join(account.home)
    if job.machine.environment.get(_FRAGMENT_VARIABLE, "true") != "false":
        path = home / ".ssh" / "authorized_keys.d" / "ignition"
    else:
        path = home / ".ssh" / "authorized_keys"
    keys = "\n".join(user.get("sshAuthorizedKeys", [])).removesuffix("\n") + "\n"
    try:
        # As the user: whatever links are in that home lead only where that user may write.
        with job.machine.owners.acting_as(uid=account.uid, gid=account.gid):
            _write_key_file(home, path, keys)
    except OSError as error:
        raise NestosError(f"writing the ssh keys of {user['name']}: {error.strerror}: {error.filename}") from error
    _record(job, account, str(path))


def _write_key_file(home: Path, path: Path, keys: str) -> None:
    for folder in reversed([parent for parent in path.parents if parent.is_relative_to(home) and parent != home]):
        if not folder.is_dir():
            folder.mkdir(mode=_KEY_FOLDER_MODE)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, _KEY_FILE_MODE)
    with os.fdopen(descriptor, "w") as file:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != _KEY_FILE_MODE:
            os.fchmod(descriptor, _KEY_FILE_MODE)
        file.write(keys)


def _record(job: Job, account: Account, path: str) -> None:
    job.log.info(f"wrote ssh authorized keys file for user: {account.name}")
    if not job.machine.journal_socket.exists():
        return
    journal = parts.load(parts.JOURNAL)
    journal.send(
        job.machine.journal_socket,
        f"wrote ssh authorized keys file for user: {account.name}",
        message_id=journal.KEYS_WRITTEN,
        IGNITION_USER_NAME=account.name,
        IGNITION_PATH=path,
    )
