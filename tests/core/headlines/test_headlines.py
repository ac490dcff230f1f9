"""Headlines: one for every kind of outcome, never too long, never empty, never cut within a word."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.headlines import (
    LONGEST_HEADLINE,
    checks_told,
    clip,
    day_headline,
    entry_headline,
    narrow,
    refusal_why,
    verdict_headline,
    why_in_one_line,
)
from pipeline.core.headlines.days import JUDGED_ONLY
from pipeline.core.headlines.shortening import LONGEST_WHY, plain
from pipeline.core.records import Entry
from pipeline.core.verdict import Bound, Contestant, Finding, Outcome, Verdict

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
UNTOLD = re.compile(r"and \d[\d,.]* more\b", re.IGNORECASE)
CHANGE = "about 3 more days like the last ones would settle it"
BETTER = Finding("better", UNKNOWN, "loss 5 % lower", -0.05, Bound(high=0), -0.1, 0.01, gate="better", change=CHANGE)
OUTCOMES = ("promoted", "started", "held", "waiting", "declined", "refused", "failed")


def verdict(decision="hold", findings=(BETTER,), recipe="linear_14", champion="boosting_21", reason="long words"):
    return Verdict(
        usecase="flights",
        day="2013-01-20",
        decision=decision,
        outcome=PASS if decision != "hold" else UNKNOWN,
        reason=reason,
        champion=None if champion is None else Contestant("c", champion, "2013-01-10", 2),
        epoch=2,
        challenger=None if recipe is None else Contestant("d", recipe, "2013-01-19"),
        findings={} if recipe is None else {recipe: tuple(findings)},
        losses={},
        loss_name="log_loss",
        counts={},
        snapshot={},
        evidence=1,
        asked={"better": "Has the champion cost more than its replacement would?"},
    )


WON = verdict("promote", [replace(BETTER, outcome=PASS, value=-0.04)], "boosting_21", "linear_14")
FRESH = verdict("promote", [replace(BETTER, outcome=PASS, value=-0.004)], "linear_14", "linear_14")
FIRST = verdict("start", [], "constant", None)


def stopped(**more):
    return verdict(findings=[replace(BETTER, **more)])


@pytest.mark.parametrize(
    ("outcome", "reason", "decided", "headline"),
    [
        ("started", "words", FIRST, "started: constant is the first champion; candidates must beat it"),
        ("promoted", "words", WON, "promoted: boosting_21 in place of linear_14; its loss is 4 % lower"),
        ("promoted", "words", FRESH, "promoted: a fresh linear_14 in place of version 2; its loss is 0.4 % lower"),
        (
            "held",
            "words",
            verdict(),
            "held: linear_14 loses 5 % less so far; about 3 more days of evidence needed",
        ),
        (
            "held",
            "words",
            stopped(change="more days like the last ones would not show it to be better"),
            "held: linear_14 loses 5 % less so far; more days like the last ones would not settle it",
        ),
        ("held", "words", stopped(value=0.03), "held: linear_14 loses 3 % more so far; the champion serves on"),
        (
            "held",
            "words",
            stopped(value=0.03, outcome=FAIL),
            "held: linear_14 is shown to be worse; it loses 3 % more",
        ),
        (
            "held",
            "words",
            stopped(value=None, text="no day since the champion was promoted has scores of both", change="later"),
            "held: too early to judge linear_14; no day since the champion was promoted has scores of both",
        ),
        (
            "held",
            "words",
            stopped(value=None, change="about 1 more day with scores of both would tell it"),
            "held: too early to judge linear_14; about 1 more day of evidence needed",
        ),
        (
            "held",
            "words",
            verdict(findings=[replace(BETTER, outcome=PASS), Finding("latency: p95", FAIL, "slow", gate="latency")]),
            "held: linear_14 loses 5 % less, but fails 'latency: p95'",
        ),
        (
            "held",
            "words",
            verdict(findings=[Finding("calibration", UNKNOWN, "few", change="about 1,200 more days like these")]),
            "held: linear_14 needs about 1,200 more days of evidence; 'calibration' is not known yet",
        ),
        (
            "held",
            "words",
            verdict(findings=[], reason="linear_14 passed, but it is the champion already (version 2)"),
            "held: linear_14 passed, but it is the champion already",
        ),
        (
            "held",
            "words",
            verdict(recipe=None, reason="no candidate was fitted: linear_14: 3 days, at least 7 are needed"),
            "held: no candidate was fitted: linear_14: 3 days, at least 7 are needed",
        ),
        (
            "held",
            "the ledger is at 4",
            WON,
            "held: boosting_21 passed too late to replace linear_14; a newer decision stands",
        ),
        (
            "waiting",
            "a person decides",
            WON,
            "waiting for approval: boosting_21 in place of linear_14; its loss is 4 % lower",
        ),
        ("declined", "not now (ada)", WON, "declined: boosting_21 does not replace linear_14; not now (ada)"),
        ("held", JUDGED_ONLY + "x", WON, "judged only: boosting_21 would replace linear_14; its loss is 4 % lower"),
        (
            "held",
            JUDGED_ONLY + "x",
            verdict(),
            "judged only: linear_14 loses 5 % less so far; about 3 more days of evidence needed",
        ),
        (
            "held",
            JUDGED_ONLY + "x",
            FIRST,
            "judged only: constant would be the first champion; candidates must beat it",
        ),
        (
            "failed",
            "score failed: linear_14 answered NaN; see the log",
            None,
            "failed: score failed: linear_14 answered NaN",
        ),
        (
            "refused",
            "visits of 2020-01-05: the file 'visits/2020-01-05.csv' is not there; run again once it is",
            None,
            "refused: visits: '2020-01-05.csv' is not there",
        ),
        (
            "held",
            "older words: that nobody can derive from; and 3 more",
            None,
            "held: older words: that nobody can derive from",
        ),
    ],
)
def test_every_outcome_has_a_headline_that_anybody_understands(outcome, reason, decided, headline):
    assert day_headline(outcome, reason, decided) == headline


def check(question, value, wanted, outcome=FAIL, text="exact words (allowed: 7)"):
    return Finding(f"planes: {question}", outcome, text, value, wanted, about="planes")


@pytest.mark.parametrize(
    ("finding", "told"),
    [
        (check("age", 9, Bound(0, 7)), "planes is 9 days old, at most 7 allowed"),
        (check("age", -1, Bound(0, 7)), "planes says it was refreshed 1 day after this day"),
        (check("unchanged", 30, Bound(0, 28)), "planes has not changed for 30 days, at most 28 allowed"),
        (check("missing", None, None), "planes has nothing for this day"),
        (check("rows", 0.4, Bound(0.5, 2)), "planes has 40 % of its usual rows, at least 50 % allowed"),
        (check("matched", 0.4, Bound(0.5, 1)), "40 % of the units find their row in planes, at least 50 % wanted"),
        (check("dates", 1, Bound(0, 0)), "1 row of planes are of another day"),
        (check("keys", 12, Bound(0, 0)), "12 rows of planes repeat a key or have none"),
        (check("duplicate keys", 2, Bound(0, 0)), "2 keys of planes are doubled or empty"),
        (
            check("frozen hours", 0.4, Bound(0, 0.1)),
            "40 % of the rows of planes repeat another of the day, at most 10 % allowed",
        ),
        (check("sent before", 0.4, Bound(0, 0.2)), "40 % of the rows of planes were sent before, at most 20 % allowed"),
        (check("shrinkage", 0.4, Bound(0, 0.2)), "40 % of the keys of planes have vanished, at most 20 % allowed"),
        (check("rewritten", 0.4, Bound(0, 0.2)), "40 % of the rows of planes say something else, at most 20 % allowed"),
        (check("matched drop", 0.4, Bound(0, 0.2)), "40 points fewer units than usual find their row in planes"),
        (check("lost keys", 0.4, Bound(0, 0.2)), "40 % of the keys that matched in planes before match no longer"),
        (check("new keys", 0.0, Bound(1e-6, 1)), "keys that are new since two weeks hardly match in planes"),
        (check("stuck columns", 3, Bound(0, 0)), "planes: stuck columns: exact words"),
        (check("age", None, None, UNKNOWN, "no row says when"), "planes: age: no row says when"),
    ],
)
def test_a_refusal_says_what_was_wrong_with_the_data(finding, told):
    sound = Finding("flights: rows", PASS, "fine")
    informs = Finding("flights: new", UNKNOWN, "early", required=False)
    assert day_headline("refused", "exact", findings=[sound, finding, informs]) == f"refused: {told}"
    two = day_headline("refused", "exact", findings=[sound, replace(finding, name="x", about=""), finding])
    assert "2 of 3 checks did not pass" in two
    assert checks_told([sound, finding, informs]) == "1 of 2 checks did not pass"
    assert refusal_why([sound, finding], "linear_14").startswith("1 of 2 checks did not pass; linear_14 serves on")


def entry(action, **more):
    fields = {
        "usecase": "flights", "epoch": 3, "action": action, "version": 3, "model": "m", "recipe": "boosting_21",
        "trained_through": "", "sha256": "", "replaced": 2, "day": "2013-01-20", "verdict": "", "why": "complaints",
        "by": "ada", "at": "", "held": "", "held_until": "",
    }  # fmt: skip
    return Entry(**(fields | more))


PRAISE = (
    "boosting_21 passed all it was asked; its loss is shown to be at least 1.2 % lower than the champion's, the best"
)


@pytest.mark.parametrize(
    ("line", "replaced", "told"),
    [
        (entry("start", replaced=None), "", "started: boosting_21 is the first champion"),
        (
            entry("promote", why=PRAISE),
            "linear_14",
            "promoted: boosting_21 in place of linear_14; its loss is at least 1.2 % lower",
        ),
        (
            entry("promote", why=PRAISE.replace("lower", "higher")),
            "boosting_21",
            "promoted: a fresh boosting_21 in place of version 2",
        ),
        (entry("promote"), "", "promoted: boosting_21 in place of version 2"),
        (
            entry("rollback", version=1, replaced=3),
            "",
            "rolled back: version 1 (boosting_21) serves again in place of version 3; complaints",
        ),
        (entry("lift", held="linear_14"), "", "hold lifted: linear_14 may be promoted again; complaints"),
    ],
)
def test_a_line_of_the_ledger_has_a_headline(line, replaced, told):
    assert entry_headline(line, replaced) == told


def test_what_was_decided_and_why_is_one_line_each():
    assert verdict_headline(WON) == "Promote boosting_21 in place of linear_14; its loss is 4 % lower"
    assert verdict_headline(FIRST) == "Start with constant as the first champion"
    assert verdict_headline(verdict()).startswith("Hold: linear_14 loses 5 % less so far")
    assert why_in_one_line(verdict()) == (
        "'better' asks: Has the champion cost more than its replacement would? Not known yet."
    )
    assert why_in_one_line(WON) == "long words"


def test_a_narrow_column_does_without_the_least_first():
    line = "linear_14 loses 5 % less so far; about 3 more days of evidence needed"
    assert narrow(line, 100) == line
    assert narrow(line, 45) == "linear_14 loses 5 % less; 3 more days needed"
    assert narrow(line.replace("linear_14", "linear_short_14"), 45) == "linear_short_14 loses 5 % less; 3 more days"
    assert narrow("linear_14 needs about 3 more days of evidence", 42) == "linear_14 needs 3 more days of evidence"
    assert narrow(line, 30) == "linear_14 loses 5 % less"
    assert narrow("one_word_that_is_longer_than_the_column", 20) == "see explain"
    assert clip("the file of this day is not there", 27) == "the file of this day …"


# the law ----------------------------------------------------------------------------------------------------------

TEXT = st.text(max_size=400) | st.lists(
    st.sampled_from(["word", "(a", "b)", "c;", "d:", "e,", "and 3 more", "… and 12 more", "long" * 30, "cut…", "f."]),
    max_size=60,
).map(" ".join)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,130}", fullmatch=True)
NUMBERS = st.none() | st.floats()
FINDINGS = st.builds(
    Finding,
    st.sampled_from(["better", "not worse", "latency: p95", "planes: age", "planes: rows", "delivery"]) | TEXT,
    st.sampled_from(list(Outcome)),
    TEXT,
    NUMBERS,
    st.none() | st.just(Bound(0, 7)),
    required=st.booleans(),
    about=st.sampled_from(["", "planes"]) | TEXT,
    change=st.just(CHANGE) | TEXT,
)


def sound(headline, most=LONGEST_HEADLINE):
    assert headline.strip() == headline != ""
    assert len(headline) <= most
    assert not UNTOLD.search(headline), headline
    assert "\n" not in headline


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(OUTCOMES),
    TEXT,
    st.sampled_from(["promote", "start", "hold"]),
    st.lists(FINDINGS, max_size=4),
    NAMES,
    st.none() | NAMES,
    st.booleans(),
    st.booleans(),
)
def test_no_headline_is_too_long_or_empty_or_counts_what_it_does_not_tell(
    outcome, reason, decision, findings, recipe, champion, judged_only, known
):
    made = verdict(decision, findings, recipe if decision != "hold" or known else None, champion, reason)
    words = f"{JUDGED_ONLY}{reason}" if judged_only else reason
    sound(day_headline(outcome, words, made if known else None, findings))
    sound(verdict_headline(made))
    sound(why_in_one_line(made), LONGEST_WHY)
    sound(refusal_why(findings, recipe), LONGEST_WHY)
    for action in ("start", "promote", "rollback", "lift"):
        sound(entry_headline(entry(action, recipe=recipe, why=reason, held=recipe), champion or ""))


@settings(max_examples=500, deadline=None)
@given(TEXT, st.integers(1, 160))
def test_a_text_is_cut_between_words_only(text, most):
    cut = clip(text, most)
    assert len(cut) <= most
    whole, kept = plain(text), cut.removesuffix(" …")
    assert whole.startswith(kept)
    rest = whole[len(kept) :]
    assert not (kept and rest) or not (kept[-1].isalnum() and rest[0].isalnum()), (kept, rest)
    sound(narrow(text, 20) if plain(text) else "x", 20)
