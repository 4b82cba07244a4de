"""A graph request's query string: read as the original reads it, refused in the protocol's form. Pure."""

from __future__ import annotations

from urllib.parse import unquote_plus

from nestos.updates.answers import Answer, refusal
from nestos.updates.graph import Query

_KNOWN = frozenset(
    ("basearch", "stream", "os_version", "os_checksum", "group", "node_uuid", "platform", "rollout_wariness", "oci")
)
_NEEDED = ("basearch", "stream")


def parse(text: str) -> Query | Answer:
    """The query, or the refusal to send. Unknown parameters are passed over; of one given twice the first counts."""
    found: dict[str, str] = {}
    # Only known names become keys: see IS_NATIVE in nestos.updates.wariness.
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        if name in _KNOWN and name not in found:
            found[name] = unquote_plus(value) if "%" in value or "+" in value else value
    missing = [name for name in _NEEDED if not found.get(name)]
    if missing:
        return refusal(400, "missing_params", f"mandatory parameters are missing: {', '.join(missing)}")
    oci = found.get("oci", "false")
    if oci not in ("true", "false"):
        return refusal(400, "invalid_params", "oci is true or false")
    return Query(
        stream=found["stream"],
        basearch=found["basearch"],
        is_oci=oci == "true",
        rollout_wariness=found.get("rollout_wariness"),
        node_uuid=found.get("node_uuid", ""),
        os_version=found.get("os_version", ""),
        os_checksum=found.get("os_checksum", ""),
        group=found.get("group", ""),
        platform=found.get("platform", ""),
    )
