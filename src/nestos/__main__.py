"""``python -m nestos``: the host's command."""

import sys

from nestos.cli.main import program

sys.exit(program())
