"""What the agent counts, as Prometheus text: zincati's names where they exist, ``nestos_agent_`` for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_HELP: Mapping[str, tuple[str, str]] = {
    "zincati_identity_os_info": ("gauge", "Information about the underlying booted OS"),
    "zincati_identity_rollout_wariness": ("gauge", "Static wariness for rollout"),
    "zincati_cincinnati_booted_release_is_deadend": ("gauge", "Whether the booted OS release is a dead-end"),
    "zincati_cincinnati_graph_nodes_count": ("gauge", "Number of nodes in the update graph"),
    "zincati_cincinnati_graph_edges_count": ("gauge", "Number of edges in the update graph"),
    "zincati_cincinnati_ignored_update_targets": ("gauge", "Number of update targets that were left out"),
    "zincati_cincinnati_update_checks_total": ("counter", "Total number of checks for updates"),
    "zincati_cincinnati_update_checks_errors_total": ("counter", "Total number of errors while checking"),
    "zincati_rpm_ostree_deploy_attempts_total": ("counter", "Total number of attempts to stage a release"),
    "zincati_rpm_ostree_deploy_failures_total": ("counter", "Total number of failed attempts to stage a release"),
    "zincati_update_agent_last_refresh_timestamp": ("gauge", "UTC timestamp of the last step"),
    "zincati_update_agent_latest_state_change_timestamp": ("gauge", "UTC timestamp of the last change of state"),
    "zincati_update_agent_updates_enabled": ("gauge", "Whether updates are enabled"),
    "zincati_update_agent_updates_allow_downgrade": ("gauge", "Whether downgrades are allowed"),
    "zincati_update_agent_postponed_finalizations_total": ("counter", "Restarts put off because of people"),
    "zincati_update_agent_finalization_detected_active_users": ("gauge", "People who are logged in"),
    "zincati_update_agent_finalization_attempts": ("counter", "Total number of attempts to restart"),
    "zincati_update_agent_finalization_blocked_count": ("counter", "Total number of attempts that were held up"),
    "zincati_update_agent_finalization_successes": ("counter", "Total number of restarts that were asked for"),
    "zincati_updates_strategy_mode": ("gauge", "Strategy in use"),
    "zincati_updates_strategy_periodic_schedule_length_minutes": ("gauge", "Length of all windows in a week"),
    "zincati_updates_strategy_can_finalize_responses": ("counter", "Answers to the question for a restart"),
    "zincati_strategy_fleet_lock_requests_total": ("counter", "Total number of questions to the lock server"),
    "zincati_strategy_fleet_lock_errors_total": ("counter", "Total number of errors and refusals of the lock server"),
    "process_start_time_seconds": ("gauge", "Start time of the process since unix epoch"),
    "nestos_agent_state": ("gauge", "1 for the state that the agent is in"),
    "nestos_agent_waiting": ("gauge", "1 for each thing that is waited for"),
    "nestos_agent_failures": ("gauge", "Failures in a row"),
    "nestos_agent_abandoned_releases": ("gauge", "Releases that are left alone after failures"),
}


class Metrics:
    """Values by name and labels. A name that is not in the list is a bug."""

    def __init__(self) -> None:
        self._values: dict[str, dict[tuple[tuple[str, str], ...], float]] = {name: {} for name in _HELP}

    def count(self, name: str, **labels: str) -> None:
        """One more."""
        key = tuple(sorted(labels.items()))
        self._values[name][key] = self._values[name].get(key, 0) + 1

    def set(self, name: str, value: float, **labels: str) -> None:
        """This much."""
        self._values[name][tuple(sorted(labels.items()))] = value

    def set_only(self, name: str, label: str, words: Iterable[str]) -> None:
        """1 for each of ``words``, and nothing else."""
        self._values[name] = {((label, word),): 1 for word in words}

    def value(self, name: str, **labels: str) -> float:
        """The value, 0 if there is none."""
        return self._values[name].get(tuple(sorted(labels.items())), 0)

    def text(self) -> str:
        """The whole in Prometheus' text format, version 0.0.4."""
        lines = []
        for name, (kind, sentence) in _HELP.items():
            values = self._values[name]
            if values:
                lines += [f"# HELP {name} {sentence}.", f"# TYPE {name} {kind}"]
                lines += [f"{name}{_labels(labels)} {value:.15g}" for labels, value in values.items()]
        return "\n".join(lines) + "\n"


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    if not labels:
        return ""
    escaped = ((name, value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")) for name, value in labels)
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}"
