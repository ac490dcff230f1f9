"""A headline is short, is made of whole words, and says what matters first."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core import headline
from pipeline.core.verdict import Bound, Contestant, Finding, Outcome, Verdict

WORDS = st.text(alphabet="abcdefgh %.;,():'é", max_size=400)


@given(WORDS, st.integers(20, 120))
@settings(max_examples=300, deadline=None, database=None)
def test_no_headline_is_too_long_or_cut_in_mid_word(text: str, longest: int) -> None:
    short = headline.shortened(text, longest)
    assert len(short) <= longest
    assert bool(short) == bool(text.split())
    if short != "see the reason":
        whole = [word.strip("(,:;—") for word in text.split()]
        assert all(word.strip("(,:;—") in whole for word in short.split())


def test_a_word_without_room_is_not_cut() -> None:
    assert headline.shortened("https://example.org/" + "a" * 90, 40) == "see the reason"


def test_whole_parts_come_before_parts_of_one() -> None:
    assert (
        headline.shortened("boosting_21 is champion now; its loss is 4.0 % lower", 30) == "boosting_21 is champion now"
    )


def verdict(decision: str, findings: list[Finding], reason: str = "so it is") -> Verdict:
    return Verdict(
        usecase="small", day="2020-01-05", decision=decision, outcome=Outcome.PASS, reason=reason,
        champion=Contestant("m", "linear", "2020-01-03", 2), epoch=2,
        challenger=Contestant("n", "forest", "2020-01-04"), findings={"forest": tuple(findings)}, losses={},
        loss_name="log loss", counts={}, snapshot={}, evidence=1, sums=1, validation="",
    )  # fmt: skip


def better(outcome: Outcome, value: float | None, change: str = "") -> Finding:
    return Finding("better", outcome, "exact words", value, Bound(high=0.0), change=change)


@pytest.mark.parametrize(
    ("made", "outcome", "wanted"),
    [
        (verdict("promote", [better(Outcome.PASS, -0.05)]), "promoted",
         "forest is champion now; its loss is 5.0 % lower"),
        (verdict("promote", [better(Outcome.PASS, -0.05)]), "waiting",
         "forest may become champion; a person decides; its loss is 5.0 % lower"),
        (verdict("hold", [better(Outcome.FAIL, -0.05, "about 3 more days with scores of both would tell it")]), "held",
         "forest loses 5.0 % less so far; about 3 more days of evidence needed"),
        (verdict("hold", [better(Outcome.FAIL, 0.12)]), "held", "forest loses 12 % more so far"),
        (verdict("hold", [Finding("beats the baseline", Outcome.UNKNOWN, "2 days of evidence, at least 5 are needed")]),
         "held", "forest can't be judged yet; 2 days of evidence, at least 5 are needed"),
        (verdict("hold", [Finding("latency", Outcome.FAIL, "slow", change="faster by 3 ms")]), "held",
         "forest fails 'latency'; faster by 3 ms"),
        (verdict("hold", [better(Outcome.PASS, -0.05)], "forest passed, but it is held back until 2020-01-09"), "held",
         "forest passed, and is not promoted; it is held back until 2020-01-09"),
        (verdict("promote", [better(Outcome.PASS, -0.05)], "x"), "declined", "not now (ada)"),
    ],
)  # fmt: skip
def test_what_a_judged_day_says(made: Verdict, outcome: str, wanted: str) -> None:
    reason = "not now (ada)" if outcome == "declined" else made.reason
    assert headline.judged(made, outcome, reason) == wanted


def test_a_refusal_names_what_stopped_the_day() -> None:
    stale = Finding("planes: age", Outcome.FAIL, "9 days old, at most 7 are allowed")
    assert headline.refused([stale], "…") == "planes: age; 9 days old, at most 7 are allowed"
    two = headline.refused([stale, Finding("weather: rows", Outcome.UNKNOWN, "none")], "…")
    assert two == "planes: age; 9 days old, at most 7 are allowed; 1 other question stopped it too"
