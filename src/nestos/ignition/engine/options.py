"""The command lines of ``ignition-apply`` and ``ignition-rmcfg``, read as Go's ``pflag`` reads them.

Unlike the engine's own: two dashes, and options may stand anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nestos.base.errors import NestosError

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option: with a value, or a flag. ``default`` is only told."""

    help: str
    is_flag: bool = False
    default: str = ""


class UsageError(NestosError):
    """The command line cannot be understood; ``exit_code`` 0 means that help was asked for."""

    kind = "usage"
    exit_code = 2

    @staticmethod
    def text(usage: str, options: Mapping[str, Option]) -> str:
        """What help prints."""
        lines = [usage, "Options:"]
        width = max(len(name) for name in options) + len("  string")
        for name, option in sorted(options.items()):
            shape = name if option.is_flag else f"{name} string"
            default = f' (default "{option.default}")' if option.default else ""
            lines.append(f"      --{shape:<{width}}   {option.help}{default}")
        return "\n".join(lines)


def read(arguments: Sequence[str], options: Mapping[str, Option], *, usage: str) -> tuple[dict[str, str], list[str]]:
    """The options that are given (flags only if true) and the other words. Raises ``UsageError``."""

    def refuse(problem: str) -> UsageError:
        return UsageError(f"{problem}\n{UsageError.text(usage, options)}")

    given: dict[str, str] = {}
    words: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return given, [*words, *rest]
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        if word in ("-h", "--help"):
            help_ = UsageError(UsageError.text(usage, options), kind="help")
            help_.exit_code = 0
            raise help_
        option = options.get(name) if word.startswith("--") else None
        if option is None:
            kind = "unknown flag: " if word.startswith("--") else "unknown shorthand flag: "
            raise refuse(f"{kind}{word.partition('=')[0]}")
        if option.is_flag:
            if equals and value not in (*_TRUE, *_FALSE):
                raise refuse(f'invalid argument "{value}" for "--{name}" flag')
            if value not in _FALSE or not equals:
                given[name] = "true"
            else:
                given.pop(name, None)
            continue
        if not equals:
            if not rest:
                raise refuse(f"flag needs an argument: --{name}")
            value = rest.pop(0)
        given[name] = value
    return given, words
