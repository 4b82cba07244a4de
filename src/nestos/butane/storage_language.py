"""The base language as tables: what is under ``storage``."""

from __future__ import annotations

from nestos.butane.embedded import check_directory_mode, check_file_mode
from nestos.butane.mounts import check_filesystem
from nestos.butane.resources import CONTENTS, KEY_FILE
from nestos.butane.schema import ALWAYS, ListOf, Scalar, Table, key
from nestos.butane.trees import check_tree

_TEXT, _NUMBER, _FLAG = Scalar.TEXT, Scalar.NUMBER, Scalar.FLAG

_BEFORE_NULLABLE = 3
"""The last version in which some texts could not be left to a parent config."""

_ID_AND_NAME = (
    key("id", _NUMBER, "The number."),
    key("name", _TEXT, "The name, looked up on the node."),
)
_GROUP = Table(name="NodeGroup", fields=_ID_AND_NAME)
_USER = Table(name="NodeUser", fields=_ID_AND_NAME)
_NODE = (
    key("group", _GROUP, "The group it belongs to; root if not set."),
    key(
        "overwrite",
        _FLAG,
        "Replace whatever is there already. Without it, something different there is a failure.",
    ),
    key("path", _TEXT, "The absolute path.", required_until=ALWAYS),
    key("user", _USER, "The user it belongs to; root if not set."),
)

_DIRECTORY = Table(
    name="Directory",
    fields=(
        *_NODE,
        key(
            "mode",
            _NUMBER,
            "Permissions, in octal with a leading zero; 0755 if not set.",
        ),
    ),
    rule=check_directory_mode,
)
_FILE = Table(
    name="File",
    fields=(
        *_NODE,
        key(
            "append",
            ListOf(item=CONTENTS),
            "Pieces that are put behind what the file has.",
        ),
        key("contents", CONTENTS, "What the file has."),
        key(
            "mode",
            _NUMBER,
            "Permissions, in octal with a leading zero; 0644 if not set.",
        ),
    ),
    rule=check_file_mode,
)
_LINK = Table(
    name="Link",
    fields=(
        *_NODE,
        key("hard", _FLAG, "A hard link instead of a symbolic one."),
        key("target", _TEXT, "What the link leads to.", required_until=_BEFORE_NULLABLE),
    ),
)

_PARTITION = Table(
    name="Partition",
    fields=(
        key("guid", _TEXT, "The partition's own GUID."),
        key("label", _TEXT, "The partition's label, at most 36 characters."),
        key(
            "number",
            _NUMBER,
            "The partition's number; 0 takes the next free one.",
            plain=True,
        ),
        key("resize", _FLAG, "Change the size of a partition that is there.", since=3),
        key("should_exist", _FLAG, "False removes the partition; true if not set."),
        key("size_mib", _NUMBER, "Size in MiB; 0 takes all that is free."),
        key(
            "start_mib",
            _NUMBER,
            "Where it begins in MiB; 0 takes the largest free block.",
        ),
        key("type_guid", _TEXT, "GUID of the partition's type; Linux data if not set."),
        key(
            "wipe_partition_entry",
            _FLAG,
            "Make the partition anew if one is there that does not match.",
        ),
    ),
)
_DISK = Table(
    name="Disk",
    fields=(
        key(
            "device",
            _TEXT,
            "The disk's device, best by /dev/disk/by-id.",
            required_until=ALWAYS,
        ),
        key(
            "partitions",
            ListOf(item=_PARTITION),
            "The partitions to have or not to have.",
        ),
        key("wipe_table", _FLAG, "Begin with an empty partition table."),
    ),
)

_RAID = Table(
    name="Raid",
    fields=(
        key("devices", ListOf(item=_TEXT, typed="Device"), "The devices of the array."),
        key(
            "level",
            _TEXT,
            "The level: linear, raid0, raid1 and so on.",
            required_until=_BEFORE_NULLABLE,
        ),
        key(
            "name",
            _TEXT,
            "The array's name; it becomes /dev/md/NAME.",
            required_until=ALWAYS,
        ),
        key(
            "options",
            ListOf(item=_TEXT, typed="RaidOption", typed_until=4),
            "More words for mdadm --create.",
        ),
        key("spares", _NUMBER, "How many of the devices are kept as spares."),
    ),
)

_FILESYSTEM = Table(
    name="Filesystem",
    fields=(
        key(
            "device",
            _TEXT,
            "The device that the file system is on.",
            required_until=ALWAYS,
        ),
        key("format", _TEXT, "ext4, btrfs, xfs, vfat, swap, or none for no file system."),
        key("label", _TEXT, "The file system's label."),
        key("mount_options", ListOf(item=_TEXT), "Options for mounting.", since=2),
        key(
            "options",
            ListOf(item=_TEXT, typed="FilesystemOption", typed_until=1),
            "More words for mkfs.",
        ),
        key(
            "path",
            _TEXT,
            "Where it is mounted while files are written, and by the generated unit.",
        ),
        key("uuid", _TEXT, "The file system's UUID."),
        key(
            "wipe_filesystem",
            _FLAG,
            "Make it anew even if one is there. Without it, one that matches is kept.",
        ),
        key(
            "with_mount_unit",
            _FLAG,
            "Write and enable a systemd unit that mounts it (or turns the swap on) at every boot.",
            since=2,
            sugar=True,
        ),
    ),
    rule=check_filesystem,
)

_CUSTOM = Table(
    name="ClevisCustom",
    renamed={3: "Custom"},
    fields=(
        key(
            "config",
            _TEXT,
            "The pin's configuration in JSON.",
            required_until=_BEFORE_NULLABLE,
        ),
        key("needs_network", _FLAG, "The pin needs the network."),
        key("pin", _TEXT, "The pin's name.", required_until=_BEFORE_NULLABLE),
    ),
    kept_until=_BEFORE_NULLABLE,
)
TANG = ListOf(
    item=Table(
        name="Tang",
        fields=(
            key("thumbprint", _TEXT, "Thumbprint of the server's key."),
            key("url", _TEXT, "The server's URL.", plain=True),
            key(
                "advertisement",
                _TEXT,
                "The server's advertisement in JSON, for use without network.",
                since=5,
            ),
        ),
    )
)
"""Tang servers that can unlock a volume."""
_CLEVIS = Table(
    name="Clevis",
    fields=(
        key("custom", _CUSTOM, "Another clevis pin, configured by hand."),
        key("tang", TANG, "Servers that unlock the volume."),
        key("threshold", _NUMBER, "How many of the pins must agree; 1 if not set."),
        key("tpm2", _FLAG, "The machine's TPM unlocks the volume."),
    ),
    kept_until=_BEFORE_NULLABLE,
)
CEX = Table(
    name="Cex",
    fields=(key("enabled", _FLAG, "Use a secure key of the s390x CryptoExpress card."),),
)
"""Secure keys of s390x."""
_LUKS = Table(
    name="Luks",
    fields=(
        key("cex", CEX, "Unlock by a secure key of s390x.", since=6),
        key(
            "clevis",
            _CLEVIS,
            "Unlock by clevis: a TPM, Tang servers, or several of them.",
        ),
        key("device", _TEXT, "The device that is encrypted."),
        key("discard", _FLAG, "Pass discards on to the device.", since=5),
        key("key_file", KEY_FILE, "The key; a random one is made if not set."),
        key("label", _TEXT, "The volume's label, at most 47 characters."),
        key(
            "name",
            _TEXT,
            "The volume's name; it becomes /dev/mapper/NAME.",
            required_until=ALWAYS,
        ),
        key(
            "open_options",
            ListOf(item=_TEXT),
            "More words for cryptsetup luksOpen.",
            since=5,
        ),
        key(
            "options",
            ListOf(item=_TEXT, typed="LuksOption", typed_until=4),
            "More words for cryptsetup luksFormat.",
        ),
        key("uuid", _TEXT, "The volume's UUID."),
        key("wipe_volume", _FLAG, "Make it anew even if one is there."),
    ),
)

_TREE = Table(
    name="Tree",
    fields=(
        key(
            "group",
            _GROUP,
            "The group that everything in the tree belongs to.",
            since=7,
        ),
        key("local", _TEXT, "The local folder below the files directory."),
        key("path", _TEXT, "Where it goes; / if not set."),
        key("user", _USER, "The user that everything in the tree belongs to.", since=7),
        key(
            "file_mode",
            _NUMBER,
            "Permissions of the files; as executable as the local one if not set.",
            since=7,
        ),
        key("dir_mode", _NUMBER, "Permissions of the directories.", since=7),
    ),
    rule=check_tree,
)

STORAGE = Table(
    name="Storage",
    fields=(
        key("directories", ListOf(item=_DIRECTORY), "Directories to make."),
        key("disks", ListOf(item=_DISK), "Disks to partition."),
        key("files", ListOf(item=_FILE), "Files to write."),
        key("filesystems", ListOf(item=_FILESYSTEM), "File systems to make or to use."),
        key("links", ListOf(item=_LINK), "Symbolic and hard links to make."),
        key("luks", ListOf(item=_LUKS), "Encrypted volumes.", since=3),
        key("raid", ListOf(item=_RAID), "Arrays of several devices."),
        key(
            "trees",
            ListOf(item=_TREE),
            "Local folders to embed with all that is in them.",
            since=2,
            sugar=True,
        ),
    ),
)
"""Everything under ``storage``."""
