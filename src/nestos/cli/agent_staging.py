"""``nestos agent stage`` and ``drop``: root's part of what the agent asks for, started by units of their own."""

from __future__ import annotations

import argparse

from nestos.agent import memory, settings, staging
from nestos.agent.memory import MemoryFile
from nestos.agent.staging import Judgement
from nestos.agent.vouching import Keepers
from nestos.base.log import Progress
from nestos.cli.agent import identify
from nestos.deploy.node import Node
from nestos.deploy.upgrade import Upgrade
from nestos.trust import releases
from nestos.trust.http import HttpTransport


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds them to the sub-commands of ``nestos agent``."""
    for name, act, text in (
        ("stage", _stage, "take the release that the agent asks for (a unit does this)"),
        ("drop", _drop, "give up a staged release before it boots (a unit does this)"),
    ):
        parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        parser.set_defaults(act=act)


def _stage(node: Node, _options: argparse.Namespace) -> int:
    upgrade = Upgrade(node, progress=Progress())
    file = MemoryFile(node.root.join(memory.FOLDER))
    chosen, transport = settings.load(node.root), HttpTransport()
    judgement = Judgement(
        settings=chosen,
        voucher=Keepers(
            node.root,
            url=chosen.trust_url,
            refresh=lambda wanted: releases.refresh(wanted, transport=transport),
        ),
        who=lambda ref: identify(node.root, chosen, ref=ref),
    )
    outcome = staging.stage(node, upgrade=upgrade, judgement=judgement, file=file)
    print(f"{outcome.version or 'no release'}: {outcome.problem or 'is in its slot'}")
    return 1 if outcome.problem else 0


def _drop(node: Node, _options: argparse.Namespace) -> int:
    version = staging.drop(node, upgrade=Upgrade(node, progress=Progress()))
    print(f"{version} does not boot" if version else "nothing is staged")
    return 0
