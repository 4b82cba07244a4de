"""``butane``: translates a config written for people to the Ignition config that a machine reads on first boot.

The command line, the exit codes and the form of messages are those of the original program. The result goes to
standard output or to a file only if it is usable; what was found in the source goes to standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nestos import __version__
from nestos.base import durable
from nestos.base.report import Report
from nestos.butane import VARIANTS, translate
from nestos.ignition.spec.parse import parse

_EXAMPLES = """\
examples:
  butane --pretty --strict node.bu                  print the Ignition config, refuse warnings
  butane --files-dir=. --output=node.ign node.bu    embed local files, write to a file
  butane --check < node.bu                          only look for mistakes

known variants:
"""


class _CommandError(Exception):
    """Reading or writing failed; the text says what."""


def parser() -> argparse.ArgumentParser:
    """The command line of ``butane``."""
    known = "".join(f"  {name:8}{', '.join(variant.versions)}\n" for name, variant in VARIANTS.items())
    described = argparse.ArgumentParser(
        prog="butane",
        description="Translate a Butane config to an Ignition config.",
        epilog=_EXAMPLES + known,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    described.add_argument("-V", "--version", action="version", version=f"Butane {__version__} (NestOS)")
    described.add_argument("-c", "--check", action="store_true", help="check config without producing output")
    described.add_argument("-d", "--files-dir", type=Path, metavar="DIR", help="allow embedding local files from DIR")
    described.add_argument("-o", "--output", type=Path, metavar="OUT", help="write to OUT instead of standard output")
    described.add_argument("-p", "--pretty", action="store_true", help="output formatted json")
    described.add_argument(
        "-r", "--raw", action="store_true", help="never wrap in a MachineConfig (no known variant does)"
    )
    described.add_argument("-s", "--strict", action="store_true", help="fail on any warning")
    described.add_argument("file", type=Path, nargs="?", metavar="FILE", help="the config (default: standard input)")
    return described


def program(arguments: Sequence[str] | None = None) -> int:
    """Runs ``butane``: 0, or 1 if the config is not usable or a file cannot be read or written, 2 for bad arguments."""
    options = parser().parse_args(arguments)
    try:
        return _run(options)
    except _CommandError as error:
        _say(str(error))
        return 1


def _run(options: argparse.Namespace) -> int:
    text = _read(options.file)
    translation = translate(text, files_dir=options.files_dir, strict=options.strict, validate=_validate)
    for finding in translation.report:
        _say(str(finding))
    if translation.report.is_fatal:
        _say("Error translating config: source config is invalid")
        return 1
    if translation.config is None:
        _say("Config produced warnings and --strict was specified")
        return 1
    if not options.check:
        _write(options.output, _render(translation.config, pretty=options.pretty))
    return 0


def _validate(config: dict[str, Any]) -> Report:
    """What Ignition itself will say about the result."""
    return parse(json.dumps(config).encode()).report


def _read(file: Path | None) -> str:
    name = "<stdin>" if file is None else str(file)
    try:
        return (sys.stdin.buffer.read() if file is None else file.read_bytes()).decode()
    except OSError as error:
        raise _CommandError(f"failed to read {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _CommandError(f"failed to read {name}: it is not UTF-8 text (byte {error.start})") from error


def _render(config: dict[str, Any], *, pretty: bool) -> str:
    if pretty:
        return json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    return json.dumps(config, separators=(",", ":"), ensure_ascii=False) + "\n"


def _write(output: Path | None, text: str) -> None:
    if output is None:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
        return
    try:
        # Replacing a pipe, a device or a link such as /dev/stdout would cut it off from whoever reads there.
        if output.is_symlink() or (output.exists() and not output.is_file()):
            output.write_text(text, encoding="utf-8")
        else:
            durable.write_text(output, text)
    except OSError as error:
        raise _CommandError(f"failed to write config to {output}: {error.strerror}") from error


def _say(line: str) -> None:
    """Prints a line on standard error, whatever characters it quotes from the config."""
    sys.stderr.write(line.encode(errors="backslashreplace").decode() + "\n")


if __name__ == "__main__":
    sys.exit(program())
