"""What ostree 2025.2 really printed, recorded by hand from small repositories served by ``python -m http.server``."""

COMMIT = "e5e7272ee3a708c0c59f38a0d8f957a2cebe9a325858d4274a5821b662bb2b9c"
PARENT = "d7c438b33ba1918eab59a69997b590b04c1ba98b2f564df0fb15b33a24950c47"
OBJECT = "0792104787d632dc05a2692fa154aafc341e49e516123e5c1fc85f7893be01c0"
OTHER = "de259062bc1bcb6a701bb0c31fc943c25542bdcec138b22073a6f4054c9ad242"

LOG = f"""\
commit {COMMIT}
Parent:  {PARENT}
ContentChecksum:  5088d2b9ea80eb88327661284cd233b916f89c7d879755645fb38a081797703a
Date:  2023-11-14 22:15:00 +0000
Version: 2

    v2

commit {PARENT}
ContentChecksum:  13181eb8c8b9c4aea17b68e369be24547c7c28b11e6e6d67c95fee6bf8e7eee2
Date:  2023-11-14 22:13:20 +0000
Version: 1

    v1

"""

LOG_CUT_SHORT = f"""\
commit {COMMIT}
Parent:  {PARENT}
ContentChecksum:  cbd0cb9c749c7c20f6ac13a6f6e1118ac5e6ada118b193041c503662b963b347
Date:  2023-11-14 22:18:20 +0000

    (no subject)

<< History beyond this commit not fetched >>
"""

SIGNED_SHOW = f"""\
commit {COMMIT}
Parent:  {PARENT}
ContentChecksum:  5088d2b9ea80eb88327661284cd233b916f89c7d879755645fb38a081797703a
Date:  2023-11-14 22:15:00 +0000
Version: 2

    v2

Found 1 signature:

  Signature made Mon Nov 23 12:53:04 2026 using RSA key ID DEE0CEBD1CBC8A79
  Good signature from "Test 1 <t1@example.com>"
"""

RAW_LOG = f"""\
commit {COMMIT}
({{'version': <'2'>, 'ostree.ref-binding': <['nestos/x86_64/stable']>, 'q': <"[\\"it's\\"]">, \
'ostree.sizes': <[[byte 0x07, 0x92], [0x38, 0x0d]]>, 'nested': <<'a>b'>>, 'ostree.linux': <'6.12 <x>'>}}, \
[byte 0xd7, 0xc4], @a(say) [], 'v2', '', uint64 1700000100, [byte 0x50], [0x44])

commit {PARENT}
({{'version': <'1'>, 'only-here': <'x'>}}, @ay [], @a(say) [], 'v1', '', uint64 1700000000, [byte 0x50], [0x44])
"""

SIZES = """\
Compressed size (needed/total): 200.5\u00a0kB/200.5\u00a0kB
Unpacked size (needed/total): 1.2\u00a0GB/1.2\u00a0GB
Number of objects (needed/total): 8/8
"""

NO_SIZES = "error: No metadata key ostree.sizes in commit"
NO_REF = "error: Refspec 'nope' not found"

UNSIGNED = (
    f"error: Commit {COMMIT}: GPG verification enabled, but no signatures found "
    "(use gpg-verify=false in remote config to disable)"
)
UNSIGNED_SUMMARY = (
    "error: GPG verification enabled, but no summary.sig found (use gpg-verify-summary=false in remote config "
    "to disable)"
)
UNKNOWN_KEY = (
    f"error: Commit {COMMIT}: Signature made Mon Nov 23 12:54:56 2026 using RSA key ID 39DBCE822C94B3CC\n"
    "Can't check signature: public key not found"
)
UNKNOWN_SUMMARY_KEY = (
    "error: Signature made Mon Nov 23 12:53:04 2026 using RSA key ID DEE0CEBD1CBC8A79\n"
    "Can't check signature: public key not found"
)
BAD_SIGNATURE = (
    f"error: Commit {COMMIT}: Signature made Thu Jan  1 00:00:00 1970 using [unknown name] key ID DEE0CEBD1CBC8A79\n"
    'BAD signature from "Test 1 <t1@example.com>"\n'
    "Primary key ID DEE0CEBD1CBC8A79"
)
CORRUPT_FILE = f"error: Writing content object: Corrupted file object; checksum expected='{OBJECT}' actual='{OTHER}'"
CORRUPT_COMMIT = f"error: Corrupted commit object; checksum expected='{COMMIT}' actual='{OTHER}'"
TRUNCATED = "error: Writing content object: Need more input"
EMPTY_OBJECT = f"error: Parsing {OBJECT}.file: File header size is zero"
LOST_OBJECT = f"error: Opening content object {OBJECT}: Couldn't find file object '{OBJECT}'"
FSCK = (
    f"In commits {COMMIT}: fsck content object {OBJECT}: Corrupted file object; checksum expected='{OBJECT}' "
    f"actual='{OTHER}'\nMarking commit as partial: {COMMIT}\nerror: Repository corruption encountered"
)
NOT_FOUND = (
    f"error: While fetching http://127.0.0.1:8765/objects/{OBJECT[:2]}/{OBJECT[2:]}.filez: Server returned HTTP 404"
)
REFUSED = "error: While fetching http://127.0.0.1:8765/summary.sig: [7] Could not connect to server"
NO_HOST = "error: While fetching http://no-such-host.invalid/summary.sig: [6] Could not resolve hostname"
MIN_FREE_SPACE = "error: Writing content object: min-free-space-size 1MB would be exceeded, at least 200.7 kB requested"
DISK_FULL = "error: Writing content object: fallocate: No space left on device"
NO_BRANCH = "error: No such branch 'nope' in repository summary"
NO_REMOTE = 'error: Remote "other" not found'
NO_REPOSITORY = "error: opening repo: opendir(/srv/nothing): No such file or directory"
NO_SECRET_KEY = "error: Unable to lookup key ID nobody: GPGME: Invalid value"

VERBOSE_TRUNCATED = f"""\
OT: starting fetch of {OTHER}.file
OT: starting fetch of {OBJECT}.file
OT: fetch of {OTHER}.file complete
OT: _ostree_fetcher_should_retry_request: error: unset, n_retries_remaining: 5
OT: fetch of {OBJECT}.file complete
OT: write of {OTHER}.file complete
OT: Request caught error: Writing content object: Need more input
error: Writing content object: Need more input
"""

PULLED = "7 metadata, 3 content objects fetched; 196 KiB transferred in 0 seconds; 200.0 kB content written\n"
DIFF = "M    /usr/etc/a\nA    /usr/bin/new tool\nD    /usr/bin/old\n"
REFS = f"nestos:nestos/x86_64/stable\t{COMMIT}\ndeployed/a\t{PARENT}\n"
