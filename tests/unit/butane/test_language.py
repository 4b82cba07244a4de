"""Every key of the base language, as a config and as what it becomes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.butane.source import config, nestos

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "an empty config": ("", {}),
    "empty sections leave nothing": ("storage: {files: [], links: }\npasswd: {}", {}),
    "users": (
        """
        passwd:
          users:
            - name: core
              gecos: Core User
              groups: [adm, sudo]
              home_dir: /home/core
              no_create_home: false
              no_log_init: true
              no_user_group: yes
              password_hash: $y$j9T$abc
              primary_group: core
              should_exist: true
              ssh_authorized_keys:
                - ssh-ed25519 AAAA one
                - ssh-ed25519 BBBB two
              shell: /bin/bash
              system: false
              uid: 1000
        """,
        {
            "passwd": {
                "users": [
                    {
                        "name": "core",
                        "gecos": "Core User",
                        "groups": ["adm", "sudo"],
                        "homeDir": "/home/core",
                        "noCreateHome": False,
                        "noLogInit": True,
                        "noUserGroup": True,
                        "passwordHash": "$y$j9T$abc",
                        "primaryGroup": "core",
                        "shouldExist": True,
                        "sshAuthorizedKeys": ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"],
                        "shell": "/bin/bash",
                        "system": False,
                        "uid": 1000,
                    }
                ]
            }
        },
    ),
    "groups": (
        "passwd: {groups: [{name: app, gid: 0x3e8, password_hash: '!', should_exist: no, system: on}]}",
        {
            "passwd": {
                "groups": [{"name": "app", "gid": 1000, "passwordHash": "!", "shouldExist": False, "system": True}]
            }
        },
    ),
    "files": (
        """
        storage:
          files:
            - path: /etc/motd
              overwrite: true
              mode: 0644
              user: {id: 0}
              group: {name: root}
              contents:
                inline: |
                  hello
              append:
                - inline: more
                - source: https://example.com/x
                  compression: gzip
                  http_headers: [{name: X-Token, value: abc}, {name: Gone}]
                  verification: {hash: sha256-00}
            - path: /etc/empty
        """,
        {
            "storage": {
                "files": [
                    {
                        "path": "/etc/motd",
                        "overwrite": True,
                        "mode": 420,
                        "user": {"id": 0},
                        "group": {"name": "root"},
                        "contents": {"source": "data:,hello%0A", "compression": ""},
                        "append": [
                            {"source": "data:,more", "compression": ""},
                            {
                                "source": "https://example.com/x",
                                "compression": "gzip",
                                "httpHeaders": [{"name": "X-Token", "value": "abc"}, {"name": "Gone"}],
                                "verification": {"hash": "sha256-00"},
                            },
                        ],
                    },
                    {"path": "/etc/empty"},
                ]
            }
        },
    ),
    "directories and links": (
        """
        storage:
          directories:
            - {path: /var/lib/app, mode: 0o750, overwrite: false, user: {name: app}, group: {id: 7}}
          links:
            - {path: /etc/localtime, target: ../usr/share/zoneinfo/UTC, overwrite: true}
            - {path: /var/twin, target: /var/one, hard: true}
        """,
        {
            "storage": {
                "directories": [
                    {
                        "path": "/var/lib/app",
                        "mode": 488,
                        "overwrite": False,
                        "user": {"name": "app"},
                        "group": {"id": 7},
                    }
                ],
                "links": [
                    {"path": "/etc/localtime", "target": "../usr/share/zoneinfo/UTC", "overwrite": True},
                    {"path": "/var/twin", "target": "/var/one", "hard": True},
                ],
            }
        },
    ),
    "units": (
        """
        systemd:
          units:
            - name: app.service
              enabled: true
              contents: |
                [Service]
                ExecStart=/bin/true
              dropins:
                - {name: 10-more.conf, contents: "[Service]"}
            - {name: bad.service, mask: true}
        """,
        {
            "systemd": {
                "units": [
                    {
                        "name": "app.service",
                        "enabled": True,
                        "contents": "[Service]\nExecStart=/bin/true\n",
                        "dropins": [{"name": "10-more.conf", "contents": "[Service]"}],
                    },
                    {"name": "bad.service", "mask": True},
                ]
            }
        },
    ),
    "merged and replacing configs": (
        """
        ignition:
          config:
            merge:
              - source: https://example.com/a.ign
                verification: {hash: sha512-ab}
              - inline: '{}'
            replace: {source: 's3://bucket/b.ign', compression: gzip}
        """,
        {
            "ignition": {
                "config": {
                    "merge": [
                        {"source": "https://example.com/a.ign", "verification": {"hash": "sha512-ab"}},
                        {"source": "data:,%7B%7D", "compression": ""},
                    ],
                    "replace": {"source": "s3://bucket/b.ign", "compression": "gzip"},
                }
            }
        },
    ),
    "timeouts, proxy and certificate authorities": (
        """
        ignition:
          timeouts: {http_response_headers: 20, http_total: 0}
          proxy: {http_proxy: http://p:1, https_proxy: https://p:2, no_proxy: [localhost]}
          security: {tls: {certificate_authorities: [{inline: cert}]}}
        """,
        {
            "ignition": {
                "timeouts": {"httpResponseHeaders": 20, "httpTotal": 0},
                "proxy": {"httpProxy": "http://p:1", "httpsProxy": "https://p:2", "noProxy": ["localhost"]},
                "security": {"tls": {"certificateAuthorities": [{"source": "data:,cert", "compression": ""}]}},
            }
        },
    ),
    "disks": (
        """
        storage:
          disks:
            - device: /dev/vda
              wipe_table: false
              partitions:
                - number: 6
                  label: var
                  start_mib: 0
                  size_mib: 10_000
                  type_guid: 4d21b016-b534-45c2-a9fb-5c16e091fd2d
                  guid: 00000000-0000-4000-a000-000000000001
                  resize: true
                  should_exist: true
                  wipe_partition_entry: false
        """,
        {
            "storage": {
                "disks": [
                    {
                        "device": "/dev/vda",
                        "wipeTable": False,
                        "partitions": [
                            {
                                "number": 6,
                                "label": "var",
                                "startMiB": 0,
                                "sizeMiB": 10000,
                                "typeGuid": "4d21b016-b534-45c2-a9fb-5c16e091fd2d",
                                "guid": "00000000-0000-4000-a000-000000000001",
                                "resize": True,
                                "shouldExist": True,
                                "wipePartitionEntry": False,
                            }
                        ],
                    }
                ]
            }
        },
    ),
    "raid": (
        """
        storage:
          raid: [{name: data, level: raid1, devices: [/dev/vdb, /dev/vdc], spares: 0, options: [--assume-clean]}]
        """,
        {
            "storage": {
                "raid": [
                    {
                        "name": "data",
                        "level": "raid1",
                        "devices": ["/dev/vdb", "/dev/vdc"],
                        "spares": 0,
                        "options": ["--assume-clean"],
                    }
                ]
            }
        },
    ),
    "luks": (
        """
        storage:
          luks:
            - name: data
              device: /dev/vdb
              label: luks-data
              uuid: 00000000-0000-4000-a000-000000000002
              discard: true
              open_options: [--perf-no_read_workqueue]
              options: [--cipher, aes]
              wipe_volume: true
              key_file: {inline: secret}
              clevis:
                tpm2: true
                threshold: 2
                tang: [{url: http://tang, thumbprint: abc, advertisement: '{}'}]
                custom: {pin: sss, config: '{}', needs_network: false}
        """,
        {
            "storage": {
                "luks": [
                    {
                        "name": "data",
                        "device": "/dev/vdb",
                        "label": "luks-data",
                        "uuid": "00000000-0000-4000-a000-000000000002",
                        "discard": True,
                        "openOptions": ["--perf-no_read_workqueue"],
                        "options": ["--cipher", "aes"],
                        "wipeVolume": True,
                        "keyFile": {"source": "data:,secret", "compression": ""},
                        "clevis": {
                            "tpm2": True,
                            "threshold": 2,
                            "tang": [{"url": "http://tang", "thumbprint": "abc", "advertisement": "{}"}],
                            "custom": {"pin": "sss", "config": "{}", "needsNetwork": False},
                        },
                    }
                ]
            }
        },
    ),
    "filesystems": (
        """
        storage:
          filesystems:
            - device: /dev/md/data
              path: /var/data
              format: xfs
              label: data
              uuid: 00000000-0000-4000-a000-000000000003
              wipe_filesystem: true
              options: [-i, size=512]
              mount_options: [noatime]
              with_mount_unit: false
        """,
        {
            "storage": {
                "filesystems": [
                    {
                        "device": "/dev/md/data",
                        "path": "/var/data",
                        "format": "xfs",
                        "label": "data",
                        "uuid": "00000000-0000-4000-a000-000000000003",
                        "wipeFilesystem": True,
                        "options": ["-i", "size=512"],
                        "mountOptions": ["noatime"],
                    }
                ]
            }
        },
    ),
    "kernel arguments": (
        "kernel_arguments: {should_exist: [quiet, 'panic=10'], should_not_exist: [nosmt]}",
        {"kernelArguments": {"shouldExist": ["quiet", "panic=10"], "shouldNotExist": ["nosmt"]}},
    ),
    "anchors": (
        "storage: {files: [{path: /a, user: &me {name: core}}, {path: /b, user: {id: 1}}], links: []}",
        {"storage": {"files": [{"path": "/a", "user": {"name": "core"}}, {"path": "/b", "user": {"id": 1}}]}},
    ),
}


@pytest.mark.parametrize(("body", "expected"), CASES.values(), ids=CASES.keys())
def test_a_config_becomes_ignition(body: str, expected: dict[str, Any]) -> None:
    assert config(body) == expected


def test_a_merge_key_lends_what_is_not_written_and_is_warned_of_as_the_original_does() -> None:
    translation = nestos("storage: {files: [&base {path: /a, mode: 0600}, {<<: *base, path: /b}]}")
    assert translation.require()["storage"]["files"] == [{"path": "/a", "mode": 384}, {"path": "/b", "mode": 384}]
    assert [finding.message for finding in translation.report] == ["unused key <<"]


def test_secure_execution_keys_come_with_ignition_3_5() -> None:
    body = "storage: {luks: [{name: data, cex: {enabled: true}}]}"
    assert config(body, variant="fcos", version="1.6.0") == {
        "storage": {"luks": [{"name": "data", "cex": {"enabled": True}}]}
    }


def test_the_result_does_not_depend_on_the_order_of_keys() -> None:
    forward = nestos("storage: {files: [{path: /a, mode: 0600}], links: [{path: /b, target: c}]}").require()
    backward = nestos("storage: {links: [{target: c, path: /b}], files: [{mode: 0600, path: /a}]}").require()
    assert repr(forward) == repr(backward)


@pytest.mark.parametrize(
    ("version", "body", "path"),
    [
        ("1.0.0", "storage: {trees: [{local: a}]}", "storage.trees"),
        ("1.0.0", "storage: {files: [{path: /a, contents: {local: a}}]}", "storage.files.0.contents.local"),
        ("1.0.0", "ignition: {config: {merge: [{inline: a}]}}", "ignition.config.merge.0.inline"),
        ("1.1.0", "storage: {luks: []}", "storage.luks"),
        ("1.3.0", "kernel_arguments: {}", "kernel_arguments"),
        ("1.4.0", "systemd: {units: [{name: a, contents_local: b}]}", "systemd.units.0.contents_local"),
    ],
)
def test_a_key_of_a_later_version_is_not_used_and_its_version_is_the_hint(version: str, body: str, path: str) -> None:
    (finding,) = nestos(body, variant="fcos", version=version).report
    assert finding.pointer == f"$.{path}"
    assert finding.message == f"unused key {path.rpartition('.')[2]}"
    assert finding.hint.startswith("it is known from version 1.")
