"""Great Expectations behind our port: what passes has found something to pass on, and pages stand alone."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.adapters import world as worlds
from pipeline.adapters.checker.suites import GxChecker
from pipeline.cli import main as cli
from pipeline.core.errors import RefusedError
from pipeline.core.verdict import Finding, Outcome
from tests import small

ROOT = Path(__file__).parents[2]
DAY = date(2013, 3, 8)

Suite = Callable[..., GxChecker]


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Writes the suite of one table and returns a checker for it."""

    def write(*expectations: Any, text: str | None = None) -> GxChecker:
        file = tmp_path / "u" / "t.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"name": "t", "expectations": expectations}) if text is None else text)
        return GxChecker(tmp_path)

    return write


def expect(what: str, why: str = "because", severity: str = "critical", meta: Any = None, **kwargs: Any) -> Any:
    return {"type": f"expect_{what}", "kwargs": kwargs, "meta": {"why": why, **(meta or {})}, "severity": severity}


def between(column: str, low: float, high: float, **more: Any) -> Any:
    return expect("column_values_to_be_between", column=column, min_value=low, max_value=high, **more)


ROWS = pa.table(
    {
        "n": pa.array([1.0, 2.0, 3.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0, None]),
        "word": ["a", "b", "a", "b", "a", "b", "a", "b", "a", None],
        "blank": pa.array([None] * 10, pa.float64()),
        "day": pa.array([DAY] * 10, pa.date32()),
    }
)


def check(checker: GxChecker, rows: Any = ROWS) -> tuple[Finding, ...]:
    return checker.check("u", "t", DAY, rows).findings


def only(findings: tuple[Finding, ...]) -> Finding:
    assert len(findings) == 1
    return findings[0]


def test_when_all_holds_there_is_one_finding_with_the_count(suite: Suite) -> None:
    found = only(
        check(suite(between("n", 0, 1000), expect("column_values_to_be_in_set", column="word", value_set=["a", "b"])))
    )
    assert (found.name, found.outcome, found.text) == ("t: expectations", Outcome.PASS, "2 expectations hold")
    assert found.about == "t"


def test_a_broken_expectation_says_what_was_wanted_how_much_came_a_few_examples_and_why(suite: Suite) -> None:
    found = only(check(suite(between("n", 0, 10, why="More would be too many."))))
    assert found.name == "t: n between"
    assert found.outcome is Outcome.FAIL
    assert re.fullmatch(
        r"wanted 'n' of 0 to 10; 6 of 9 are not, such as (\d00, ){4}\d00\. More would be too many\.", found.text
    )
    assert found.counts == {"element_count": 10, "unexpected_count": 6}


def test_a_number_of_the_table_is_told_with_its_bound(suite: Suite) -> None:
    found = only(check(suite(expect("column_mean_to_be_between", column="n", min_value=0, max_value=10))))
    assert found.value == pytest.approx(434)
    assert 434 not in (found.wanted or ())  # type: ignore[operator]
    assert found.text.startswith("wanted a mean of 'n' of 0 to 10; it is 434")


SOUND = between("n", 0, 1000)
BROKEN = {
    "empty": ("", "holds no expectation"),
    "cut": ("{", "is no valid JSON (Expecting property name"),
    "no object": ("[]", "holds no expectation"),
    "nothing": ("{}", "holds no expectation"),
    "none": ('{"name": "t", "expectations": []}', "holds no expectation"),
    "words": ('{"expectations": ["expect_magic"]}', "'type' and 'kwargs'"),
    "no kwargs": ('{"expectations": [{"type": "expect_column_to_exist"}]}', "'type' and 'kwargs'"),
    "unknown": (
        json.dumps({"expectations": [SOUND, expect("magic")]}),
        "holds expect_magic, which is no valid expectation (expect_magic not found)",
    ),
    "severity": (
        json.dumps({"expectations": [SOUND, between("n", 0, 9, severity="grave")]}),
        "holds expect_column_values_to_be_between, which is no valid expectation (Invalid severity 'grave'",
    ),
    "misspelt": (
        json.dumps({"expectations": [SOUND, expect("column_values_to_be_between", column="n", mn_value=0)]}),
        "holds expect_column_values_to_be_between, which is no valid expectation",
    ),
}


def unusable(checker: GxChecker) -> list[RefusedError]:
    """What is said of one day, and of several at once."""
    said = []
    for ask in (
        lambda: checker.check("u", "t", DAY, ROWS),
        lambda: checker.check_days("u", "t", {DAY: ROWS, date(2013, 3, 9): ROWS}),
    ):
        with pytest.raises(RefusedError) as caught:
            ask()
        said.append(caught.value)
    return said


@pytest.mark.parametrize(("text", "what"), BROKEN.values(), ids=BROKEN)
def test_an_empty_or_broken_suite_is_the_fault_of_its_file_and_not_of_the_data(
    suite: Suite, tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, what: str
) -> None:
    errors = unusable(suite(text=text))
    assert not [record for record in caplog.records if record.exc_info], "no traceback in the task's log"
    for error in errors:
        assert error.code == "SUITE"
        said = str(error)
        assert said.startswith(f"the expectation suite {tmp_path.name}/u/t.json ")
        assert what in said
        assert "restore that file or write it" in said
        assert "\n" not in said
        assert "://" not in said
        assert [(finding.outcome, finding.required) for finding in error.findings] == [(Outcome.UNKNOWN, True)]


def test_an_absent_suite_names_the_file_to_restore(tmp_path: Path) -> None:
    for error in unusable(GxChecker(tmp_path / "expectations")):
        assert str(error).startswith("the expectation suite expectations/u/t.json is missing, ")


def test_a_suite_that_cannot_be_read_is_the_fault_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "u" / "t.json").mkdir(parents=True)
    checker = GxChecker(tmp_path)
    assert checker.digest("u", ["t"])
    for error in unusable(checker):
        assert "can't be read (Is a directory)" in str(error)


@pytest.mark.parametrize("text", [None, "", "{"], ids=["missing", "empty", "cut"])
def test_a_run_without_a_suite_blames_the_file_and_goes_on_once_it_is_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    for day in small.days(4):
        small.deliver(tmp_path / "landing", day)
    folder = tmp_path / "expectations" / "small"
    folder.mkdir(parents=True)
    for table in ("visits", "shops"):
        rows = expect("table_row_count_to_be_between", min_value=1, max_value=100)
        (folder / f"{table}.json").write_text(json.dumps({"expectations": [rows]}))
    kept = (folder / "visits.json").read_bytes()
    (folder / "visits.json").unlink() if text is None else (folder / "visits.json").write_text(text)
    ports = small.world_in(tmp_path, checker=GxChecker(tmp_path / "expectations"))
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.setattr(worlds, "world", lambda progress=None: ports)
    monkeypatch.setattr(cli, "find", lambda name: small.SMALL)
    run = ["run", "small", "--day", "2020-01-04", "--judge-only"]
    assert cli.main(run) == 1
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "expectation suite" in line]
    assert "the expectation suite expectations/small/visits.json" in said
    assert "Deliver it corrected" not in said
    assert said.count("small") == 2  # whose run, and in the file's path
    assert ports.ledger.outcomes("small")[-1].outcome == "refused"
    (folder / "visits.json").write_bytes(kept)
    assert cli.main(run) != 1
    assert ports.ledger.outcomes("small")[-1].outcome != "refused"


def test_a_frame_without_rows_is_unknown_although_great_expectations_would_call_it_a_success(suite: Suite) -> None:
    checker = suite(expect("column_values_to_not_be_null", column="n"))
    found = only(check(checker, ROWS.slice(0, 0)))
    assert found.outcome is Outcome.UNKNOWN
    assert found.required


def test_a_column_without_values_is_unknown_unless_the_suite_says_it_may_be_empty(suite: Suite) -> None:
    found = only(check(suite(between("blank", 0, 1))))
    assert (found.outcome, found.text, found.required) == (Outcome.UNKNOWN, "it found no value to judge", True)
    allowed = between("blank", 0, 1, meta={"may_be_empty": True})
    assert only(check(suite(allowed, between("n", 0, 1000)))).outcome is Outcome.PASS
    assert only(check(suite(allowed))).outcome is Outcome.UNKNOWN


def test_an_expectation_that_raises_is_unknown_and_refuses(suite: Suite) -> None:
    found = only(check(suite(between("nowhere", 0, 1), between("n", 0, 1000))))
    assert found.outcome is Outcome.UNKNOWN
    assert found.required
    assert "nowhere" in found.text


def test_a_warning_informs_and_stops_nothing(suite: Suite) -> None:
    summary, warning = check(suite(between("n", 0, 10, severity="warning"), between("n", 0, 1000)))
    assert (summary.outcome, summary.text) == (Outcome.PASS, "1 expectations hold")
    assert (warning.outcome, warning.required) == (Outcome.FAIL, False)


def test_many_days_at_once_get_the_findings_that_each_would_get_alone(suite: Suite) -> None:
    checker = suite(
        between("n", 0, 1000),
        expect("column_values_to_be_in_set", column="word", value_set=["a", "b"]),
        expect("column_values_to_not_be_null", column="n", mostly=0.5),
        expect("table_row_count_to_be_between", min_value=5, max_value=20),
        between("blank", 0, 1, meta={"may_be_empty": True}),
        expect("column_values_to_be_unique", column="n"),
        expect(
            "column_pair_values_a_to_be_greater_than_b",
            column_A="n",
            column_B="n",
            or_equal=True,
            ignore_row_if="either_value_is_missing",
        ),
    )
    sound = {date(2013, 3, n): ROWS for n in range(1, 5)}
    apart = {day: checker.check("u", "t", day, rows).findings for day, rows in sound.items()}
    together = checker.check_days("u", "t", sound)
    assert {day: [f.text for f in found] for day, found in together.items()} == {
        day: [f.text for f in found] for day, found in apart.items()
    }
    emptied = ROWS.set_column(0, "n", pa.array([None] * 10, pa.float64()))
    days = {**sound, date(2013, 3, 5): ROWS.slice(0, 3), date(2013, 3, 6): ROWS.slice(0, 0), date(2013, 3, 7): emptied}
    for day, found in checker.check_days("u", "t", days).items():
        assert found == checker.check("u", "t", day, days[day]).findings
    doubled = ROWS.set_column(0, "n", pa.array([1.0] * 10))  # as many rows, and another answer
    odd = {**sound, date(2013, 3, 5): doubled}
    for strange in (
        between("nowhere", 0, 1),
        between("word", 0, 1),
        between("n", 2, 1000, meta={"may_be_empty": True}),
        expect("column_mean_to_be_between", column="n", min_value=100, max_value=1000),
    ):
        checker = suite(strange, between("n", 0, 1000))
        for day, found in checker.check_days("u", "t", odd).items():
            assert found == checker.check("u", "t", day, odd[day]).findings
    checker = suite(expect("column_values_to_be_in_set", column="word", value_set=["a", "b"]))
    wrong = ROWS.set_column(1, "word", pa.array(["z"] * 10))
    found = checker.check_days("u", "t", {DAY: ROWS, date(2013, 3, 9): wrong})
    assert only(found[DAY]).outcome is Outcome.PASS
    assert only(found[date(2013, 3, 9)]).name == "t: word in set"


def test_the_digest_changes_with_the_suites_and_only_with_them(suite: Suite) -> None:
    one = suite(between("n", 0, 1)).digest("u", ["t"])
    assert suite(between("n", 0, 1)).digest("u", ["t"]) == one
    assert suite(between("n", 0, 2)).digest("u", ["t"]) != one
    assert suite(between("n", 0, 1)).digest("u", ["t", "absent"]) != one


def test_a_page_stands_alone_names_every_expectation_and_is_the_same_each_time(suite: Suite) -> None:
    checker = suite(between("n", 0, 10, why="More would be too many."), between("nowhere", 0, 1), between("n", 0, 1000))
    page = checker.check("u", "t", DAY, ROWS).pages["t.html"]
    html = page.decode()
    assert not re.findall(r"https?://|<script|<link|<img|url\(|@import", html)
    assert "2 of 3 expectations are not met" in html
    assert "More would be too many." in html
    assert "Traceback" not in html
    assert str(ROOT) not in html
    assert page == checker.check("u", "t", DAY, ROWS).pages["t.html"]


def test_a_page_calls_no_day_refused_for_a_column_that_may_be_empty(suite: Suite) -> None:
    checker = suite(between("n", 0, 1000), between("blank", 0, 1, meta={"may_be_empty": True}))
    html = checker.check("u", "t", DAY, ROWS).pages["t.html"].decode()
    assert "1 of 2 expectations are met" in html
    assert "refused" not in html


def test_hostile_text_in_the_data_is_text_on_the_page(suite: Suite) -> None:
    rows = ROWS.set_column(1, "word", pa.array(["<script>alert(1)</script>"] * 10))
    html = suite(expect("column_values_to_be_in_set", column="word", value_set=["a"], why="<b>x")).check(
        "u", "t", DAY, rows
    )
    assert b"<script" not in html.pages["t.html"]
    assert b"<b>x" not in html.pages["t.html"]


def test_nothing_leaves_the_machine(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert only(check(suite(between("n", 0, 1000)))).outcome is Outcome.PASS


SUITES = sorted((ROOT / "expectations").rglob("*.json"))


@pytest.mark.parametrize("file", SUITES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_every_expectation_of_the_catalogue_says_why_it_is_there(file: Path) -> None:
    suite = json.loads(file.read_text())
    assert suite["name"] == f"{file.parent.name}.{file.stem}"
    assert all(len(expectation["meta"]["why"]) > 3 for expectation in suite["expectations"])


def test_the_catalogue_has_a_suite_for_every_table_and_each_passes_a_sound_day() -> None:
    from demo.upstream import tables_for
    from pipeline.usecases import ALL
    from tests import fakes

    checker, delivered = GxChecker(ROOT / "expectations"), tables_for(DAY)
    for usecase in ALL:
        for table in usecase.tables:
            found = checker.check(usecase.name, table.name, DAY, fakes.typed(table, delivered[table.name])).findings
            assert only(found).outcome is Outcome.PASS, found
    assert len(SUITES) == sum(len(usecase.tables) for usecase in ALL)


def words(*known: str) -> Any:
    return expect("column_values_to_be_in_set", column="word", value_set=list(known), severity="warning")


def follow(advice: str, folder: Path) -> None:
    """Do what the finding says: add the line to the file where it says."""
    said = re.fullmatch(r".*, add this line below (\S+ \[) of \"(.+)\" in expectations/(\S+): (.+)", advice)
    assert said, advice
    file = folder / said[3]
    before, found, after = file.read_text().partition(f'"column": "{said[2]}"')
    assert found
    head, found, tail = after.partition(said[1])
    assert found
    file.write_text(f'{before}"column": "{said[2]}"{head}{said[1]}\n{said[4]}{tail}')


def test_a_new_word_is_a_warning_that_is_seen_and_the_line_it_tells_accepts_it(tmp_path: Path) -> None:
    folder = tmp_path / "expectations"
    file = folder / "u" / "t.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"name": "t", "expectations": [SOUND, words("a")]}, indent=2))
    rows = ROWS.set_column(1, "word", pa.array(["a", "b", 'n"é', "b", "a", "b", "a", 'n"é', "a", None]))
    checked = GxChecker(folder).check("u", "t", DAY, rows)
    summary, warning = checked.findings
    assert (summary.outcome, warning.outcome, warning.required) == (Outcome.PASS, Outcome.FAIL, False)
    assert "wanted 'word' among a; 5 of 9 are not: b (3 rows), n\"é (2 rows)" in warning.text
    assert warning.change.startswith("ask whoever delivers 't' whether these are words of 'word'; to accept them")
    page = checked.pages["t.html"].decode()
    assert "informs only" in page
    assert "add this line below" in page
    follow(warning.change, folder)
    assert only(GxChecker(folder).check("u", "t", DAY, rows).findings).outcome is Outcome.PASS


def test_every_broken_expectation_names_its_table_and_what_to_ask_or_change(suite: Suite) -> None:
    checker = suite(
        between("n", 0, 10),
        words("a"),
        expect("column_mean_to_be_between", column="n", min_value=0, max_value=10),
        expect("table_row_count_to_be_between", min_value=50, max_value=60),
        expect("column_values_to_not_be_null", column="word"),
        expect("column_values_to_match_regex", column="word", regex="^x"),
        expect("column_values_to_be_unique", column="word"),
    )
    findings = check(checker)
    assert len(findings) == 7
    for finding in findings:
        subject = finding.parts[0].column
        assert f"'{subject}'" in finding.text or not subject
        assert finding.sentence.count("ask whoever delivers 't'") == 1
        assert re.search(r"(change that expectation in|add this line below .* in) \S+/u/t\.json", finding.change)
