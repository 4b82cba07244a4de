"""Changes to a list of kernel arguments, as ``iso kargs modify`` tells them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from nestos.base.errors import InputError


def modified(
    kargs: Sequence[str], *, append: Sequence[str] = (), delete: Sequence[str] = (), replace: Sequence[str] = ()
) -> list[str]:
    """``kargs`` with what is appended, less what is deleted (each must be there), and others in the place of some.

    ``replace`` holds ``KEY=OLD=NEW``. Raises ``InputError`` for what is not there, and for what is no argument.
    """
    found = list(kargs)
    for word in delete:
        _take(found, word)
    for text in replace:
        key, _, rest = text.partition("=")
        old, separator, new = rest.partition("=")
        if not key or not separator:
            raise InputError(f"{text}: expected KEY=OLD=NEW")
        found[_place(found, f"{key}={old}")] = f"{key}={new}"
    for word in append:
        if not word or word.split() != [word]:
            raise InputError(f"{word!r} is not one kernel argument")
        found.append(word)
    return found


def _take(kargs: list[str], word: str) -> None:
    del kargs[_place(kargs, word)]


def _place(kargs: Sequence[str], word: str) -> int:
    if word not in kargs:
        raise InputError(f"there is no kernel argument {word}", hint=f"there are: {' '.join(kargs)}")
    return kargs.index(word)
