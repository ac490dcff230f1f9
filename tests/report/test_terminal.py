"""Tables of the command line, and progress."""

import io
import re

import pytest
import verdict_samples as samples
from rich.console import Console

from pipeline.core.records import DayOutcome, Entry
from pipeline.report.progress import bars, silent
from pipeline.report.terminal.explanation import refusal_explained
from pipeline.report.terminal.tables import (
    days_table,
    findings_table,
    history_table,
    outcome_line,
    show,
)

LONG = "boosted_60 is not shown to be no worse: 3 days of evidence, at least 5 are needed; " * 3


def day(number, outcome="held", **more):
    fields = {
        "usecase": "flight_delay",
        "day": f"2013-03-{number:02d}",
        "outcome": outcome,
        "champion": 2,
        "recipe": "boosted_60",
        "losses": {"champion": 0.41, "late_rate": 0.5, "boosted_60": 0.4, "broken": None},
        "reason": "no candidate passes every gate",
    }
    return DayOutcome(**(fields | more))


def entry(epoch, action, **more):
    fields = {
        "usecase": "flight_delay", "epoch": epoch, "action": action, "version": epoch, "model": "m",
        "recipe": "boosted_60", "trained_through": "2013-03-02", "sha256": "s", "replaced": epoch - 1 or None,
        "day": "2013-03-03", "verdict": "v", "why": "passes every gate", "by": "the gates",
        "at": "2013-03-04T06:00:12+00:00",
    }  # fmt: skip
    return Entry(**(fields | more))


def shown(renderable):
    out = io.StringIO()
    show(renderable, out)
    return out.getvalue()


def words(text):
    return " ".join(re.sub(r"[─\s]+", " ", text).split())


def test_days_say_what_happened_who_reigns_and_why():
    text = words(shown(days_table([day(1, "promoted"), day(2, "refused", champion=None, recipe="", losses={})])))
    assert "2013-03-01 ▲ promoted version 2 boosted_60 0.4100 0.4000 boosted_60 no candidate passes every gate" in text
    assert "2013-03-02 ✕ refused none – – no candidate" in text


def test_the_baseline_gets_a_column_and_is_no_candidate():
    losses = {"champion": 0.41, "late_rate": 0.3, "boosted_60": 0.4}
    text = words(shown(days_table([day(1, losses=losses)], baseline="late_rate")))
    assert "0.4100 0.3000 0.4000 boosted_60" in text


def test_a_long_reason_is_one_line_of_the_table_and_loses_no_word_where_the_day_is_explained():
    text = shown(days_table([day(1, reason=LONG)]))
    assert max(map(len, text.splitlines())) <= 150
    assert len(text.splitlines()) == 3
    assert words(text).endswith("boosted_60 is not shown to be no worse: 3 days of evidence")
    text = shown(refusal_explained(day(1, "refused", reason=LONG), (), ""))
    assert max(map(len, text.splitlines())) <= 150
    assert f"in full: {words(LONG)}" in words(text)


def test_several_use_cases_are_told_apart():
    assert "use case" not in shown(days_table([day(1)]))
    text = shown(days_table([day(1), day(1, usecase="flight_minutes")]))
    assert "use case" in text
    assert "flight_minutes" in text


@pytest.mark.parametrize("outcome", ["promoted", "started", "held", "waiting", "declined", "refused", "something new"])
def test_every_outcome_is_shown(outcome):
    assert outcome in shown(days_table([day(1, outcome)]))
    assert outcome in shown(outcome_line(day(1, outcome)))


def test_history_says_who_replaced_whom_why_and_by_whom():
    back = entry(3, "rollback", version=1, replaced=2, by="ada", why="complaints", held="boosted_60",
                 held_until="2013-03-17")  # fmt: skip
    text = words(shown(history_table([entry(1, "start"), entry(2, "promote"), back, entry(4, "lift", replaced=4)])))
    assert "1 2013-03-04 06:00 ● start 1 boosted_60" in text
    assert "▲ promote 1 → 2" in text
    assert "↶ rollback 2 → 1" in text
    assert "ada" in text
    assert "may not be promoted through 2013-03-17" in text.replace("- ", "-")


@pytest.mark.parametrize("width", [80, 100, 120, 139, 140, 200])
def test_no_window_of_80_columns_or_more_cuts_a_word_of_the_tables(width):
    back = entry(12, "rollback", version=11, replaced=12, by="ada.lovelace", why=LONG, held="boosted_60",
                 held_until="2013-03-17", usecase="flight_minutes")  # fmt: skip
    for table, wanted in (
        (
            history_table([entry(1, "start"), back]),
            ("12 → 11", "ada.lovelace", "2013-03-17", "2013-03-03", "↶ rollback"),
        ),
        (history_table([back]), ("12 → 11", "ada.lovelace", "2013-03-02", "boosted_60")),
        (
            days_table([day(1, "promoted", reason=LONG)]),
            ("2013-03-01", "▲ promoted", "version 2" if width >= 140 else "v2", "0.4100"),
        ),
    ):
        out = io.StringIO()
        Console(file=out, width=width).print(table)
        text = out.getvalue()
        assert "…" not in text, text
        assert all(word in text for word in wanted), text
        assert max(map(len, text.splitlines())) <= width
        assert len(text.splitlines()) < 60, "a column of single letters"


def test_nothing_yet_is_said_in_words():
    assert "no day was run yet" in shown(days_table([]))
    assert "no champion yet" in shown(history_table([]))


def test_findings_that_only_inform_are_listed_on_request():
    _, verdict, _, _ = samples.sample()
    found = verdict.findings["boosted_60"]
    assert "origin=JFK" not in shown(findings_table([f for f in found if f.name == "slice"]))
    assert "origin=JFK" in shown(findings_table(found, informing=True))


def test_colour_is_for_terminals_only_and_markup_in_a_text_stays_text():
    line = day(1, "refused", reason="[bold]not markup[/bold] [/] [red]")
    assert "\x1b" not in shown(days_table([line]))
    assert "[bold]not markup[/bold] [/] [red]" in words(shown(days_table([line])))
    assert "[bold]not markup[/bold] [/] [red]" in words(shown(outcome_line(line)))
    colourful = Console(file=io.StringIO(), force_terminal=True, width=150, color_system="standard")
    colourful.print(days_table([line]))
    assert "\x1b[1;31m" in colourful.file.getvalue()


def test_progress_is_silent_where_nobody_watches():
    out = io.StringIO()
    with bars(out) as progress, progress("score", 3) as done:
        done()
    assert out.getvalue() == ""
    with silent("score", 3) as done:
        done()


def test_progress_draws_bars_in_a_terminal_and_counts_the_parts(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    with bars(out) as progress:
        with progress("score", 2) as done:
            done()
            done()
        with pytest.raises(ValueError, match="broken"), progress("train", 1):
            raise ValueError("broken")
    assert "score" in out.getvalue()
    assert "2/2" in out.getvalue()
