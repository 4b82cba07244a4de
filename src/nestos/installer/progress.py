"""How far an installation is: share, rate, time left. On a terminal in one line, elsewhere a line per tenth."""

from __future__ import annotations

from typing import TextIO

from nestos.base.clock import Clock, SystemClock

_REDRAW_SECONDS = 0.5


class Meter:
    """Tells of ``total_bytes`` (0: unknown) on ``stream``."""

    def __init__(self, what: str, *, total_bytes: int, stream: TextIO, clock: Clock | None = None) -> None:
        self._what = what
        self.total_bytes = total_bytes
        self._stream = stream
        self._clock = clock or SystemClock()
        self._began = self._clock.monotonic()
        self._drawn = self._began
        self._tenth = 0
        self._is_terminal = stream.isatty()

    def __call__(self, done_bytes: int) -> None:
        """``done_bytes`` of the whole are done."""
        now = self._clock.monotonic()
        if self._is_terminal:
            if now - self._drawn < _REDRAW_SECONDS and done_bytes < self.total_bytes:
                return
            self._drawn = now
            print(f"\r{self.text(done_bytes, now=now)}\x1b[K", end="", file=self._stream, flush=True)
            return
        tenth = done_bytes * 10 // self.total_bytes if self.total_bytes else done_bytes >> 28
        if tenth > self._tenth:
            self._tenth = tenth
            print(self.text(done_bytes, now=now), file=self._stream, flush=True)

    def end(self) -> None:
        """What follows begins on a line of its own."""
        if self._is_terminal:
            print(file=self._stream)

    def text(self, done_bytes: int, *, now: float) -> str:
        """The line."""
        seconds = max(now - self._began, 1e-3)
        rate = done_bytes / seconds
        line = f"{self._what}: {done_bytes >> 20} MiB"
        if self.total_bytes:
            line += f" of {self.total_bytes >> 20} ({min(100, done_bytes * 100 // self.total_bytes)} %)"
        line += f", {rate / (1 << 20):.0f} MiB/s"
        if self.total_bytes and rate > 0:
            left = max(0.0, (self.total_bytes - done_bytes) / rate)
            line += f", {int(left) // 60}:{int(left) % 60:02d} left"
        return line
