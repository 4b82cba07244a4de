"""``nestos bench``: measures the product beside the tools people know; prints a table and writes JSON."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nestos.base import durable
from nestos.base.errors import InputError
from nestos.base.log import Progress
from nestos.base.report import nearest
from nestos.cli.compose import checkout
from nestos.compose import tools
from nestos.compose.workspace import Workspace
from nestos.lab import accelerator

_EPILOG = """\
examples:
  nestos bench --list             what can be measured, and how long it takes
  nestos bench slot-write         one benchmark
  nestos bench boot --runs=1      measure once only; a first look
  nestos bench all                every one, in turn

The tables are Markdown. JSON is left in the cache, benchmarks/NAME.json. Figures of a busy machine are noisy: compare
the ratios, and look at least and most. What each benchmark compares, and figures: docs/benchmarks.md.
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-command."""
    parser = subparsers.add_parser(
        "bench",
        help="measure, beside the tools people know",
        description="Measure the product beside the tools people know, in one run; as a table and as JSON.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="benchmarks to run, or: all")
    parser.add_argument("--list", action="store_true", help="list the benchmarks and end")
    parser.add_argument("--runs", type=int, metavar="N", help="how often to measure; default: the benchmark's own")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Runs the benchmarks asked for, one after the other."""
    if not (checkout() / "benchmarks").is_dir():
        raise InputError("the benchmarks are in the project's checkout, and this is not one")
    sys.path.insert(0, str(checkout()))
    known = {item.name: item for item in importlib.import_module("benchmarks.catalogue").BENCHMARKS}
    if options.list:
        for item in known.values():
            print(f"{item.name:14} {item.minutes:4.0f} min, {item.runs} runs  {item.summary}")
        return 0
    for name in chosen(options.names, known=list(known)):
        _run(known[name], runs=_runs(options.runs, default=known[name].runs))
    return 0


def chosen(words: Sequence[str], *, known: Sequence[str]) -> list[str]:
    """The names that ``words`` ask for, in that order. Raises ``InputError`` for none and for an unknown one."""
    if not words:
        raise InputError("which benchmark?", hint=f"known: {', '.join(known)}, all")
    for word in words:
        if word not in (*known, "all"):
            raise InputError(f'no benchmark is called "{word}"{nearest(word, [*known, "all"])}')
    return list(known) if "all" in words else list(dict.fromkeys(words))


def _runs(given: int | None, *, default: int) -> int:
    if given is not None and given < 1:
        raise InputError(f"--runs={given}: at least one")
    return given or default


def _run(benchmark: Any, *, runs: int) -> None:
    bench, measure = importlib.import_module("benchmarks.bench"), importlib.import_module("benchmarks.measure")
    progress = Progress()
    workspace = Workspace.default()
    conditions = _conditions(workspace, progress=progress)
    with progress.stage(f"benchmark {benchmark.name}"):
        given = bench.Bench(
            workspace=workspace,
            folder=workspace.folder("benchmarks", benchmark.name),
            runs=runs,
            arch=platform.machine(),
            progress=progress,
        )
        result = benchmark.run(given)
    conditions |= {"load_at_end": os.getloadavg()[0]}
    command = f"./nestos bench {benchmark.name} --runs={runs}"
    found = measure.document(result, name=benchmark.name, command=command, conditions=conditions)
    file = workspace.folder("benchmarks") / f"{benchmark.name}.json"
    durable.write_text(file, json.dumps(found, indent=1) + "\n")
    print(f"\n{command}\n{describe(conditions)}\n\n{measure.render(result)}\n", flush=True)
    progress.say(f"also in {file}")


def describe(conditions: dict[str, Any]) -> str:
    """When and on what it was measured, in one line."""
    machine = f"{conditions['cores']} cores, {conditions['memory_gib']} GiB, {conditions['accelerator']}"
    load = f"load {conditions['load_at_start']:.1f} at the start, {conditions['load_at_end']:.1f} at the end"
    return f"{conditions['date']}; {machine}; {load}"


def _conditions(workspace: Workspace, *, progress: Progress) -> dict[str, Any]:
    box = tools.ensure(workspace.home, progress=progress)
    chosen_one = accelerator.choose(tools=box, cache=workspace.folder("lab") / "accelerator.json")
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "memory_gib": round(pages * size / 2**30),
        "processor": _processor(),
        "kernel": os.uname().release,
        "accelerator": chosen_one.name,
        "load_at_start": os.getloadavg()[0],
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
