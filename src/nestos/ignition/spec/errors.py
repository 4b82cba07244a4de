"""What is raised where a config cannot be used. Apart from ``parse``, which is slow to load, for the stages that only
read a config that was parsed before."""

from __future__ import annotations

from nestos.base.errors import InputError
from nestos.base.report import Report


class ConfigError(InputError):
    """A config cannot be used. ``report`` has every finding."""

    kind = "config"

    def __init__(self, sentence: str, *, report: Report, hint: str = "") -> None:
        super().__init__(sentence, hint=hint)
        self.report = report
