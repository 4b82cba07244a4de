"""What a program of the first boot does before it imports anything else: a stage runs for milliseconds.

``dataclasses`` imports ``inspect``, which brings the compiler's front end along (ast, dis, tokenize): a quarter of the
time that all imports of a stage take. It asks ``inspect`` for the annotations of a class (Python 3.13), and for the
signature of a class without a docstring, of which there are none here. The first is answered here. Whoever asks for
anything else gets the real module. This can go when ``dataclasses`` does without it, as from Python 3.14 on.
"""

from __future__ import annotations

import gc
import importlib
import sys
from types import ModuleType
from typing import Any

_NAME = "inspect"


class Later(ModuleType):
    """A module that is loaded when something is asked of it that is not here."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        value = getattr(importlib.import_module(self.__name__), name)
        setattr(self, name, value)
        return value


def get_annotations(owner: Any, /, **options: Any) -> dict[str, Any]:
    """As ``inspect.get_annotations``; without it for what ``dataclasses`` asks."""
    if options or not isinstance(owner, type):
        annotations: dict[str, Any] = importlib.import_module(_NAME).get_annotations(owner, **options)
        return annotations
    return dict(vars(owner).get("__annotations__", {}))


def lighten() -> None:
    """Puts ``inspect`` off, and switches garbage collection off: a stage ends before there is anything to collect."""
    gc.disable()
    if _NAME not in sys.modules:
        later = Later(_NAME)
        later.get_annotations = get_annotations  # type: ignore[attr-defined]
        sys.modules[_NAME] = later
