"""``nestos agent``: an operator's orders, and what stages a release in the agent's name."""

from __future__ import annotations

import argparse

from nestos.cli import agent, agent_staging


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-command."""
    agent_staging.register(agent.register(subparsers))
