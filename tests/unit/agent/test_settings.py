from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path

import pytest

from nestos.agent import settings
from nestos.agent.calendar import Blackout, Window
from nestos.agent.settings import Restart, Settings, Strategy
from nestos.base.errors import InputError
from nestos.base.paths import Root


def put(folder: Path, **files: str) -> Root:
    """``usr``, ``etc``, ``run`` for ``nestos/agent.d``, ``zetc`` and the like for zincati's, then the file's name."""
    tops = {"usr": "usr/lib", "etc": "etc", "run": "run"}
    for name, text in files.items():
        top, _, file = name.partition("_")
        place = "zincati/config.d" if top.startswith("z") else "nestos/agent.d"
        path = folder / tops[top.removeprefix("z")] / place / f"{file.replace('_', '-')}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Root(folder)


def read(folder: Path, text: str) -> Settings:
    return settings.load(put(folder, etc_50=text))


def findings(folder: Path, text: str) -> list[str]:
    loaded = settings.examine(put(folder, etc_50=text))
    return [f"{item.severity} {item.pointer}: {item.message}" for item in loaded.findings]


def test_without_files_the_agent_has_defaults_and_no_server(tmp_path: Path) -> None:
    assert settings.load(Root(tmp_path)) == Settings()


def test_a_configuration_of_zincatis_is_read_as_it_is(tmp_path: Path) -> None:
    text = """
    [agent.timing]
    steady_interval_secs = 60
    [identity]
    group = "workers"
    node_uuid = "27e3ac02af3946af995c9940e18b0cce"
    rollout_wariness = 0.5
    [cincinnati]
    base_url = "https://updates.example.org/${stream}/"
    [updates]
    enabled = true
    allow_downgrade = true
    strategy = "periodic"
    [updates.fleet_lock]
    base_url = "http://locks.example.org/"
    [updates.periodic]
    time_zone = "Europe/Berlin"
    [[updates.periodic.window]]
    days = ["Sat", "tuesday"]
    start_time = "23:30"
    length_minutes = 60
    """
    root = put(tmp_path, zetc_55_all=text)
    found = settings.load(root)
    assert list(settings.examine(root).findings) == []
    assert (found.steady_interval_seconds, found.group, found.rollout_wariness) == (60, "workers", 0.5)
    assert found.strategies == (Strategy.PERIODIC,)
    assert found.calendar.windows == tuple(Window(day=day, start=time(23, 30), length_minutes=60) for day in (1, 5))
    assert str(found.calendar.zone) == "Europe/Berlin"
    assert found.allow_downgrade


def test_what_is_ours_is_read(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        [updates]
        strategy = ["marker_file", "manual"]
        pin = "13.2"
        soak_days = 1.5
        deny = ["13.1"]
        restart = "next"
        [[updates.blackout]]
        from = 2026-12-20
        to = 2026-12-31
        reason = "holidays"
        [updates.users]
        postponements = 3
        """,
    )
    assert found.strategies == (Strategy.MARKER_FILE, Strategy.MANUAL)
    assert (found.pin, found.soak_seconds, found.deny, found.restart) == ("13.2", 129600, ("13.1",), Restart.NEXT)
    last_day_too = Blackout(start=datetime(2026, 12, 20), end=datetime(2027, 1, 1), reason="holidays")
    assert found.calendar.blackouts == (last_day_too,)
    assert found.postponements == 3


def test_files_are_one_list_by_name_and_the_stronger_folder_hides_a_name(tmp_path: Path) -> None:
    root = put(
        tmp_path,
        usr_10="[identity]\ngroup = 'usr10'\n",
        usr_20="[identity]\ngroup = 'usr20'\nrollout_wariness = 0.1\n",
        etc_20="[identity]\ngroup = 'etc20'\n",
        zetc_15="[updates]\npin = 'z15'\n",
        run_05="[updates]\npin = 'run05'\n",
    )
    found = settings.load(root)
    assert (found.group, found.rollout_wariness, found.pin) == ("etc20", None, "z15")
    assert settings.load(put(tmp_path, zrun_20="[identity]\ngroup='zrun'")).group == "zrun"
    assert settings.load(put(tmp_path, run_20="[identity]\ngroup='run'")).group == "run"


def test_a_link_to_nothing_masks_and_other_names_do_not_count(tmp_path: Path) -> None:
    root = put(tmp_path, usr_10="[updates]\npin = 'x'\n", etc_20="")
    (tmp_path / "etc/nestos/agent.d/10.toml").symlink_to("/dev/null")
    (tmp_path / "etc/nestos/agent.d/.hidden.toml").write_text("wrong")
    (tmp_path / "etc/nestos/agent.d/30.toml.bak").write_text("wrong")
    assert settings.load(root).pin == ""


def test_windows_and_denials_grow_and_everything_else_is_replaced(tmp_path: Path) -> None:
    window = "[[updates.periodic.window]]\ndays = ['{}']\nstart_time = '1:00'\nlength_minutes = 5\n"
    root = put(
        tmp_path,
        usr_10="[updates]\ndeny = ['a']\npin = 'a'\n" + window.format("mon"),
        etc_20="[updates]\ndeny = ['b']\npin = 'b'\n" + window.format("tue"),
    )
    found = settings.load(root)
    assert [item.day for item in found.calendar.windows] == [0, 1]
    assert (found.deny, found.pin) == (("a", "b"), "b")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[updates]\nstrateggy = 'x'", '"updates.strateggy" is not known (did you mean "strategy"?)'),
        ("[update]\nstrategy = 'x'", '"update" is not known (did you mean "updates"?)'),
        ("[agent.timing]\nsteady = 3", '"agent.timing.steady" is not known'),
        ("[updates.fleet_lock]\nbase_ur = 'x'", '"updates.fleet_lock.base_ur" is not known (did you mean "base_url"?)'),
        ("[zzz.y]\nx = 1", '"zzz" is not known'),
    ],
)
def test_an_unknown_key_is_a_warning_that_names_the_nearest(tmp_path: Path, text: str, sentence: str) -> None:
    (found,) = findings(tmp_path, text)
    assert found.startswith("warning")
    assert found.endswith(sentence)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[updates]\nstrategy = 'imediate'", "no strategy 'imediate' (did you mean \"immediate\"?)"),
        ("[updates]\nstrategy = 'fleet_lock'", "needs a base_url"),
        ("[updates]\nstrategy = ['immediate', 'periodic']", "needs a window"),
        ("[updates]\nenabled = 'yes'", "neither true nor false"),
        ("[updates]\nsoak_days = -1", "no number of days"),
        ("[updates]\nrestart = 'later'", "none of now, next"),
        ("[identity]\ngroup = 'a b'", "letters, digits, dots"),
        ("[identity]\nnode_uuid = 'abc'", "32 hexadecimal"),
        ("[identity]\nrollout_wariness = nan", "from 0 to 1"),
        ("[identity]\nrollout_wariness = 1.5", "from 0 to 1"),
        ("[cincinnati]\nbase_url = 'ftp://x'", "no http or https URL"),
        ("[agent.timing]\nsteady_interval_secs = 0", "no whole number"),
        ("[updates.periodic]\ntime_zone = 'Europe/Nowhere'", "no time zone"),
        ("[[updates.periodic.window]]\ndays = ['x']\nstart_time='1:00'\nlength_minutes=1", "no day of the week"),
        ("[[updates.periodic.window]]\ndays = []\nstart_time='1:00'\nlength_minutes=1", "needs a day"),
        ("[[updates.periodic.window]]\ndays = ['mon']\nstart_time='24:00'\nlength_minutes=1", "no time from"),
        ("[[updates.periodic.window]]\ndays = ['mon']\nstart_time='1:00'\nlength_minutes=0", "from 1 to 10080"),
        ("[[updates.periodic.window]]\ndays = ['mon']\nstart_time='1:00'", '"length_minutes" is missing'),
        ("[[updates.periodic.window]]\ndays=['mon']\nstart_time='1:00'\nlength_minutes=1\nx=1", '"x" is not known'),
        ("[updates]\nblackout = 3", "no list of tables"),
        ("[[updates.blackout]]\nfrom = 2026-12-20\nto = 2026-12-19", "ends before it begins"),
        ("[[updates.blackout]]\nfrom = 2026-12-20T00:00:00Z\nto = 2026-12-21", "has a zone"),
        ("[[updates.blackout]]\nfrom = 'x'\nto = 2026-12-21", "no date"),
        ("updates = 3", '"updates" is not known'),
    ],
)
def test_what_is_wrong_is_found(tmp_path: Path, text: str, part: str) -> None:
    assert any(part in found for found in findings(tmp_path, text))


def test_everything_that_is_wrong_is_said_at_once_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, "[updates]\nenabled = 3\nrestart = 'x'\n")
    assert str(caught.value).count("50.toml: error at $.updates") == 2


def test_files_that_cannot_be_read_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        settings.load(put(tmp_path, etc_10="= 3", run_20="[a"))
    assert "10.toml" in str(caught.value)
    assert "20.toml" in str(caught.value)


def test_the_nodes_own_zone_is_found_by_its_link(tmp_path: Path) -> None:
    root = put(tmp_path, etc_50="[updates.periodic]\ntime_zone = 'localtime'\n")
    assert str(settings.load(root).calendar.zone) == "UTC"
    (tmp_path / "etc/localtime").symlink_to("../usr/share/zoneinfo/Asia/Tokyo")
    assert str(settings.load(root).calendar.zone) == "Asia/Tokyo"


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_a_black_out_for_ever_is_one(tmp_path: Path, zone: str) -> None:
    text = f"""
        [updates.periodic]
        time_zone = "{zone}"
        [[updates.blackout]]
        from = 0001-01-01
        to = 9999-12-31
    """
    assert read(tmp_path, text).calendar.blackout(datetime(2026, 11, 23, tzinfo=UTC)) is not None
