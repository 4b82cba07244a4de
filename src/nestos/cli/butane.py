"""``butane``: translates a config written for people to the Ignition config that a machine reads on first boot.

The command line, the exit codes and the form of messages are those of the original program. The result goes to
standard output or to a file only if it is usable; what was found in the source goes to standard error.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nestos import __version__
from nestos.base import durable
from nestos.base.report import Report
from nestos.butane import VARIANTS, explain, json_schema, rendering, translate
from nestos.butane.translation import STRICT
from nestos.cli.butane_inspection import inspect, validate

_EXAMPLES = """\
examples:
  butane --pretty --strict node.bu                  print the Ignition config, refuse warnings
  butane --files-dir=. --output=node.ign node.bu    embed local files, write to a file
  butane --check < node.bu                          only look for mistakes

known variants:
"""
_SWITCHES = "check|debug|help|pretty|raw|raw-errors|strict|version"


class _CommandError(Exception):
    """Reading or writing failed; the text says what."""


def parser() -> argparse.ArgumentParser:
    """The command line of ``butane``."""
    known = "".join(f"  {name:10}{', '.join(variant.versions)}\n" for name, variant in VARIANTS.items())
    described = argparse.ArgumentParser(
        prog="butane",
        usage="%(prog)s [options] [input-file]",
        description="Translate a Butane config to an Ignition config.",
        epilog=_EXAMPLES + known,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    described.add_argument("-V", "--version", action="version", version=f"Butane {__version__} (NestOS)")
    described.add_argument(
        "-c",
        "--check",
        action="store_true",
        help="check config without producing output",
    )
    described.add_argument(
        "--color",
        "--colour",
        default="auto",
        metavar="WHEN",
        help='control color output: "auto", "always", or "never" (default auto; always without a value)',
    )
    described.add_argument(
        "-d",
        "--files-dir",
        type=Path,
        metavar="DIR",
        help="allow embedding local files from DIR",
    )
    described.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT",
        help="write to OUT instead of standard output",
    )
    described.add_argument("-p", "--pretty", action="store_true", help="output formatted json")
    described.add_argument(
        "-r",
        "--raw",
        action="store_true",
        help="never wrap in a MachineConfig; force Ignition output",
    )
    described.add_argument("--raw-errors", action="store_true", help="show findings in one line each")
    described.add_argument("-s", "--strict", action="store_true", help="fail on any warning")
    described.add_argument("--explain", metavar="PATH", help="say what a key does, such as storage.files.mode")
    described.add_argument("--schema", action="store_true", help="print a JSON Schema of the language for editors")
    described.add_argument(
        "--variant", choices=VARIANTS, help="the variant for --explain (default nestos) and --schema (default all)"
    )
    described.add_argument(
        "--of-version", metavar="X", help="the version for --explain and --schema (there, also --version=X)"
    )
    described.add_argument("-D", "--debug", action="store_true", help=argparse.SUPPRESS)
    described.add_argument("--input", type=Path, help=argparse.SUPPRESS)
    described.add_argument(
        "file",
        type=Path,
        nargs="?",
        metavar="FILE",
        help="the config (default: standard input)",
    )
    return described


def program(arguments: Sequence[str] | None = None) -> int:
    """Runs ``butane``: 0, or 1 if the config is not usable or a file cannot be read or written, 2 for bad arguments."""
    options = parser().parse_args(_with_values(sys.argv[1:] if arguments is None else arguments))
    if options.input is not None:
        _say("Flag --input has been deprecated, specify filename directly on command line")
        if options.file is not None:
            parser().error("the input file is given twice")
        options.file = options.input
    try:
        return _tell(options) if options.explain is not None or options.schema else _run(options)
    except _CommandError as error:
        _say(str(error))
        return 1


def _with_values(arguments: Sequence[str]) -> list[str]:
    """The arguments as argparse wants them: Go's flags may stand without or with a value."""
    changed: list[str] = []
    about_language = any(argument.split("=")[0] in ("--explain", "--schema") for argument in arguments)
    rest = iter(arguments)
    for argument in rest:
        if about_language and argument.split("=")[0] == "--version":  # of the language then, not of this program
            argument = argument.replace("--version", "--of-version", 1)  # noqa: PLW2901
        switch = re.fullmatch(
            f"(--(?:{_SWITCHES}))=(true|false|1|0|t|f|T|F|TRUE|FALSE|True|False)",
            argument,
        )
        if argument == "--":
            return [*changed, argument, *rest]
        if argument in ("--color", "--colour"):
            changed.append(f"{argument}=always")
        elif switch is None:
            changed.append(argument)
        elif switch[2] in ("true", "1", "t", "T", "TRUE", "True"):
            changed.append(switch[1])
    return changed


def _tell(options: argparse.Namespace) -> int:
    """Prints what is asked about the language itself."""
    variant, version = options.variant, options.of_version
    if version is not None and version not in VARIANTS[variant or "nestos"].versions:
        raise _CommandError(f"No translator exists for variant {variant or 'nestos'} with version {version}")
    if options.explain is not None:
        try:
            text = explain.explain(options.explain, variant=variant or "nestos", version=version or "")
        except explain.UnknownKeyError as error:
            raise _CommandError(str(error)) from error
    elif version is not None:
        text = rendering.as_json(json_schema.of_version(variant or "nestos", version), indented=True)
    else:
        text = rendering.as_json(json_schema.of_variants([variant] if variant else ()), indented=True)
    _write(options.output, text)
    return 0


def _run(options: argparse.Namespace) -> int:
    data = _read(options.file)
    translation = translate(
        data,
        files_dir=options.files_dir,
        strict=options.strict,
        raw=options.raw,
        validate=validate,
        inspect=inspect,
    )
    _report(translation.report, data, options)
    if translation.config is None:
        if translation.problem == STRICT:
            _say("Config produced warnings and --strict was specified")
        else:
            _say(f"Error translating config: {translation.problem}")
            if translation.hint and sys.stderr.isatty():
                _say(translation.hint)
        return 1
    if not options.check:
        _write(
            options.output,
            _render(translation.config, wrapped=translation.is_wrapped, options=options),
        )
    return 0


def _report(report: Report, data: bytes, options: argparse.Namespace) -> None:
    if options.raw_errors:
        for finding in report:
            _say(rendering.short(finding))
        return
    name = "<stdin>" if options.file is None else str(options.file)
    style = rendering.Style(colored=_is_colored(options.color), hinted=sys.stderr.isatty())
    text = rendering.pretty(report, name=name, source=data, style=style)
    sys.stderr.write(_printable(text))


def _is_colored(wanted: str) -> bool:
    if wanted == "auto":
        return "NO_COLOR" not in os.environ and sys.stderr.isatty()
    return wanted in ("always", "yes")


def _read(file: Path | None) -> bytes:
    try:
        return sys.stdin.buffer.read() if file is None else file.read_bytes()
    except IsADirectoryError as error:
        raise _CommandError(f"failed to read {file}: read {file}: is a directory") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _CommandError(f"failed to open {file}: open {file}: {reason}") from error


def _render(config: dict[str, Any], *, wrapped: bool, options: argparse.Namespace) -> str:
    return rendering.as_yaml(config) if wrapped else rendering.as_json(config, indented=options.pretty)


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
        reason = (error.strerror or str(error)).lower()
        raise _CommandError(f"failed to open {output}: open {output}: {reason}") from error


def _say(line: str) -> None:
    """Prints a line on standard error, whatever characters it quotes from the config."""
    sys.stderr.write(_printable(line) + "\n")


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


if __name__ == "__main__":
    sys.exit(program())
