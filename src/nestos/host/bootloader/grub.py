"""GRUB's texts: the static ``grub.cfg`` that chooses a slot, and the ``slot.cfg`` of each slot.

Pure: settings in, text out. The rules of the choice are those of ``nestos.slots.bootstate.choose``; they are written
twice, in Python and in GRUB's language, and ``tests/scenarios/grub_choice.py`` compares the two over every state by
running the real GRUB. The kernel command line is made here and only here.

GRUB's language has no arithmetic and no indirect variables: hence the chains of ``if`` and the ``eval``. A command that
fails does not end a script, so a boot goes on when the environment cannot be saved.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nestos.base.errors import InputError

ROOT_A_PARTITION = 4
ROOT_B_PARTITION = 5
VAR_PARTITION = 6

_PLAIN_WORD = re.compile(r"[A-Za-z0-9_./:=,@%+-]+")
_HEX = re.compile(r"[0-9a-f]{64}")
_PLATFORM = re.compile(r"[a-z0-9-]+")

_HEAD = """\
# NestOS boot configuration. Static: what changes is in grubenv (states and tries) and in slot-a/, slot-b/.
# It is loaded from the disk that GRUB itself was loaded from; $root is that disk's boot partition.

load_env boot a_state a_tries b_state b_tries booted
"""

# What decides. Kept apart from the rest so that the real GRUB can be asked about every state in one run.
CHOICE = """\
# Takes slot $1 if its state lets it boot and a try is left, and spends that try.
function examine {
  if [ -n "$slot" ]; then return; fi
  eval "set state=\\$${1}_state; set tries=\\$${1}_tries; set failed=\\$${1}_failed"
  if [ "$state" != trying -a "$state" != good ]; then return; fi
  if [ -z "$failed" -a "$tries" = 3 ]; then
    set slot=$1; eval "set ${1}_tries=2"
  elif [ -z "$failed" -a "$tries" = 2 ]; then
    set slot=$1; eval "set ${1}_tries=1"
  elif [ -z "$failed" -a "$tries" = 1 ]; then
    set slot=$1; eval "set ${1}_tries=0"
  elif [ "$state" = trying ]; then
    eval "set ${1}_state=bad"
  fi
}

# Takes a good slot although its tries are spent, and gives them back: better than what is not good.
function revive {
  if [ -n "$slot" ]; then return; fi
  eval "set state=\\$${1}_state; set failed=\\$${1}_failed"
  if [ "$state" = good -a -z "$failed" ]; then set slot=$1; eval "set ${1}_tries=3"; fi
}

# Takes slot $1 as it is.
function accept {
  if [ -n "$slot" ]; then return; fi
  eval "set failed=\\$${1}_failed"
  if [ -z "$failed" ]; then set slot=$1; fi
}

# Sets $slot: the pointer's slot before the other, in falling order of trust. Empty if neither could be loaded.
function choose {
  if [ "$boot" = b ]; then set pointer=b; set other=a; else set pointer=a; set other=b; fi
  set slot=
  examine $pointer
  examine $other
  revive $pointer
  revive $other
  accept $pointer
  accept $other
  if [ -n "$slot" ]; then set booted=$slot; fi
}
"""

_START = """\
# Boots slot $slot; comes back only if its files cannot be loaded.
function start {
  set roothash=; set hash_offset=; set kargs=
  source /slot-$slot/slot.cfg
  if [ -z "$roothash" -o -z "$hash_offset" ]; then return 1; fi
  if [ $slot = a ]; then set own=$a_uuid; set passive=$b_uuid; else set own=$b_uuid; set passive=$a_uuid; fi
  set first=
  if [ -e /ignition.firstboot ]; then
    set ignition_network_kcmdline=
    source /ignition.firstboot
    set first="ignition.firstboot $ignition_network_kcmdline"
  fi
  set device=/dev/disk/by-partuuid/$own
  echo "NestOS: starting slot $slot"
  if eval "linux /slot-$slot/vmlinuz \\
      root=/dev/mapper/root rootfstype=erofs ro roothash=$roothash \\
      systemd.verity_root_data=$device systemd.verity_root_hash=$device \\
      systemd.verity_root_options=superblock=true,hash-offset=$hash_offset,panic-on-corruption \\
      nestos.slot=$slot nestos.boot=$boot_uuid nestos.var=$var_uuid nestos.passive=$passive \\
      panic=10 $kargs ignition.platform.id=$platform $first"; then
    if initrd /slot-$slot/initramfs.img; then boot; fi
  fi
}

# A slot that could not be loaded has no tries left: the running system then records it as bad.
function give_up {
  echo "NestOS: slot $slot cannot be loaded"
  eval "set ${slot}_failed=1; set ${slot}_tries=0"
}

# GRUB 2.12's linux frees the new command line with the old one if a kernel is loaded already, and passes on what it
# finds at address 0 (grub-core/loader/i386/linux.c). A multiboot without a file complains, but first unloads.
function forget {
  if [ "$grub_platform" = pc ]; then multiboot; fi
}

function automatic {
  choose
  while [ -n "$slot" ]; do
    save_env a_state a_tries b_state b_tries booted
    start
    give_up
    forget
    choose
  done
  echo "NestOS: neither slot can be loaded; trying again in 30 seconds"
  sleep 30
  reboot
}

# A person's own choice spends no try and asks for no state.
function by_hand {
  set slot=$1
  set booted=$1
  save_env booted
  start
  give_up
  forget
  automatic
}
"""

_DEVICES = """\
regexp --set=1:disk '^(.*),gpt[0-9]+$' "$root"
probe --set=boot_uuid --part-uuid ($root)
probe --set=a_uuid --part-uuid ($disk,gpt{a})
probe --set=b_uuid --part-uuid ($disk,gpt{b})
probe --set=var_uuid --part-uuid ($disk,gpt{var})
set platform={platform}
"""

_CONSOLE = """\
# UEFI firmware shows its console on the serial line by itself; a BIOS does not.
if [ "$grub_platform" = pc ]; then
  if serial --unit=0 --speed={speed}; then
    terminal_input --append serial
    terminal_output --append serial
  fi
fi
"""

_MENU = """\
# Only the escape key stops the countdown: noise on a serial line must not leave a machine in a menu.
# On the serial line of UEFI firmware press it twice: it holds a single one back for longer than this waits.
set timeout_style=countdown
set timeout={timeout}
set default=automatic
for name in a b; do
  set version=none
  eval "set state=\\$${{name}}_state"
  if [ "$state" = good -o "$state" = trying -o "$state" = bad ]; then source /slot-$name/slot.cfg; fi
  eval "set ${{name}}_title=\\"\\$version, \\$state\\""
done
# Who may do more than let the node boot by itself; a config writes it on first boot. Without it, everyone may.
if [ -f /grub/user.cfg ]; then source /grub/user.cfg; fi
menuentry "NestOS" --unrestricted --id automatic {{
  automatic
}}
menuentry "slot A ($a_title)" --id a {{
  by_hand a
}}
menuentry "slot B ($b_title)" --id b {{
  by_hand b
}}
"""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What may differ between two ``grub.cfg``."""

    platform: str
    """Ignition's name of the platform the image is for: ``qemu``, ``metal``, ..."""

    timeout_seconds: int = 1
    """How long the escape key is waited for. Short, because every boot of every node pays it."""

    serial_speed: int = 115200
    """Of the first serial port, on a BIOS."""


def configuration(settings: Settings) -> str:
    """The ``grub.cfg`` of the boot partition. Raises ``InputError`` for a platform that is no plain word."""
    if not _PLATFORM.fullmatch(settings.platform):
        raise InputError(f"a platform is named by small letters, digits and dashes, not {settings.platform!r}")
    return "\n".join(
        [
            _HEAD,
            _DEVICES.format(a=ROOT_A_PARTITION, b=ROOT_B_PARTITION, var=VAR_PARTITION, platform=settings.platform),
            CHOICE,
            _START,
            _CONSOLE.format(speed=settings.serial_speed),
            _MENU.format(timeout=settings.timeout_seconds),
        ]
    )


def slot_configuration(*, root_hash: str, hash_offset: int, version: str, kargs: Sequence[str]) -> str:
    """The ``slot.cfg`` of one slot.

    Each of ``kargs`` is one kernel argument. Double quotes in it only group words, for the kernel as for people, and
    are dropped: GRUB puts them around the whole argument, which the kernel reads the same.
    Raises ``InputError`` for a root hash that is not SHA-256 in hexadecimal and for arguments of several lines.
    """
    if not _HEX.fullmatch(root_hash):
        raise InputError(f"not a dm-verity root hash: {root_hash!r}")
    words = []
    for karg in kargs:
        if not karg or "\n" in karg or "\0" in karg:
            raise InputError(f"not a kernel argument: {karg!r}")
        words.append(quoted(karg.replace('"', "")))
    return (
        f"set roothash={root_hash}\n"
        f"set hash_offset={hash_offset}\n"
        f"set kargs={quoted(' '.join(words))}\n"
        f"set version={quoted(version)}\n"
    )


def quoted(text: str) -> str:
    """``text`` as one word of GRUB's language."""
    if _PLAIN_WORD.fullmatch(text):
        return text
    return "'" + text.replace("'", "'\\''") + "'"
