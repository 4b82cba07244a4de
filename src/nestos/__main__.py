"""``python -m nestos``: the host's command."""

from nestos.cli.main import program

raise SystemExit(program())
