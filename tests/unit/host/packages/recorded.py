"""What apt 3.0 printed in real runs, against mirrors with faults; the mirror's name is changed."""

from __future__ import annotations

MISSING = """\
Reading package lists...
Building dependency tree...
Package mail-transport-agent is a virtual package provided by:
  ssmtp 2.64-12
  postfix 3.10.13-0+deb13u1

E: Unable to locate package nosuch1
E: Package 'mail-transport-agent' has no installation candidate
E: Unable to locate package nosuch2
"""

NO_SUCH_VERSION = """\
Package jq is not available, but is referred to by another package.
E: Version '9' for 'jq' was not found
"""

EXCLUDED_NEEDED = """\
Reading package lists...
Solving dependencies...
Some packages could not be installed. This may mean that you have
requested an impossible situation or if you are using the unstable
distribution that some required packages have not yet been created
or been moved out of Incoming.
The following information may help to resolve the situation:

The following packages have unmet dependencies:
 jq : Depends: libjq1 (= 1.7.1-6+deb13u4) but it is not installable
 less : PreDepends: libjq1
E: Unable to correct problems, you have held broken packages.
E: The following information from --solver 3.0 may provide additional context:
   Unable to satisfy dependencies. Reached two conflicting decisions:
   1. libjq1:amd64=1.7.1-6+deb13u4 is not selected for install
"""

CONFLICT = """\
The following packages have unmet dependencies:
 openrc : Depends: insserv but it is not installable
 systemd-sysv : Conflicts: sysvinit-core but 3.14-4 is to be installed
 sysvinit-core : Depends: initscripts but it is not installable
                 Conflicts: systemd-sysv but 257.13-1~deb13u1 is to be installed
E: Unable to correct problems, you have held broken packages.
"""

NO_HOST = """\
Err:1 http://no.such.host.invalid/debian trixie InRelease
  Could not resolve 'no.such.host.invalid'
E: Failed to fetch http://no.such.host.invalid/debian/dists/trixie/InRelease  Could not resolve 'no.such.host.invalid'
E: Some index files failed to download. They have been ignored, or old ones used instead.
"""

REFUSED = """\
E: Failed to fetch http://127.0.0.1:9/debian/dists/trixie/InRelease  Unable to connect to 127.0.0.1:9:
E: Some index files failed to download. They have been ignored, or old ones used instead.
"""

NO_RELEASE = """\
Ign:1 http://mirror.example/debian trixie InRelease
Err:2 http://mirror.example/debian trixie Release
  404  Not Found [IP: 127.0.0.1 8901]
Reading package lists...
E: The repository 'http://mirror.example/debian trixie Release' does not have a Release file.
"""

UNSIGNED = """\
E: Failed to fetch http://mirror.example/debian/dists/trixie/InRelease  Clearsigned file isn't valid, got 'NOSPLIT'
E: The repository 'http://mirror.example/debian trixie InRelease' is not signed.
"""

DEB_404 = """\
Get:2 http://mirror.example/debian trixie/main amd64 libjq1 amd64 1.7.1-6+deb13u4 [168 kB]
Fetched 329 kB in 0s (12.7 MB/s)
E: Failed to fetch http://mirror.example/debian/pool/main/j/jq/jq_1.7.1_amd64.deb  404  Not Found [IP: 127.0.0.1 8911]
"""

DEB_BROKEN_OFF = """\
Fetched 240 kB in 7s (34.1 kB/s)
E: Failed to fetch http://mirror.example/debian/pool/main/j/jq/libjq1_1.7.1_amd64.deb  Undetermined Error [IP: ::1 80]
"""

DEB_GARBLED = """\
E: Failed to fetch http://mirror.example/debian/pool/main/j/jq/jq_1.7.1-6_amd64.deb  Hash Sum mismatch
   Hashes of expected file:
    - SHA256:7350392f700e20e46b7ae174a57f54e4ea106dd559753646d629b4e618bf2bff
   Hashes of received file:
    - SHA256:51fe2162adb5283b4a166d379e998210ad5be7367d2cdf3a88e068a6f18f5820
"""

FULL = """\
E: Failed to fetch http://mirror.example/pool/main/j/jq/jq_1.7.1-6_amd64.deb  Error writing to file - write (28: No space left on device)
"""  # noqa: E501 - apt's own line

PRINTED_URIS = """\
Reading package lists...
Building dependency tree...
The following NEW packages will be installed:
'http://mirror.example/pool/main/l/less/less_668-1_amd64.deb' less_668-1_amd64.deb 161148 SHA256:{less}
'http://mirror.example/pool/main/d/dash/dash_1%3a0.5_all.deb' dash_1%3a0.5_all.deb 100 SHA256:{dash}
"""

STANZAS = """\
Package: less
Version: 668-1
Installed-Size: 325
Architecture: amd64
Description: pager
Filename: pool/main/l/less/less_668-1_amd64.deb
Size: 161148
SHA256: {less}

Package: dash
Version: 1:0.5
Architecture: all
Filename: pool/main/d/dash/dash_1%3a0.5_all.deb
Size: 100
SHA256: {dash}
"""
