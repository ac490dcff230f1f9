"""Who takes the place of a champion that can't answer, and what speaks against its own recipe."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from pipeline.core.promotion.ledger import Barred, earlier_champions, rolled_back
from pipeline.core.promotion.succession import succeed
from pipeline.core.records import Candidate, Entry
from pipeline.core.verdict import Finding, Outcome

DAY = date(2020, 1, 9)
UNABLE = "champion version 7 wants the input 'x', which the declaration no longer has"


def fit(recipe: str, model: str = "") -> Candidate:
    return Candidate(model or f"m {recipe}", recipe, "2020-01-01", "2020-01-08", 9, "f", "s", 0.1)


def entry(version: int = 7, recipe: str = "trees", model: str = "old", **changes: Any) -> Entry:
    given = {"epoch": version, "action": "promote", "replaced": None, "why": "w", "by": "b", "at": "a"}
    return Entry(
        **{
            "usecase": "small",
            "version": version,
            "model": model,
            "recipe": recipe,
            "trained_through": "2020-01-01",
            "sha256": "s",
            "day": "2020-01-02",
            "verdict": "v",
            **given,
            **changes,
        }
    )


def decide(*findings: Finding, fits: Any = None, **changes: Any) -> Any:
    asked = {"baseline": "plain", "losses": {"trees": 0.2, "plain": 0.6}, **changes}
    fits = [fit("trees"), fit("linear"), fit("plain")] if fits is None else fits
    serving, barred = asked.pop("serving", entry()), asked.pop("barred", Barred())
    return succeed(UNABLE, DAY, serving, fits, findings, barred, **asked)


def test_its_own_recipe_fitted_anew_takes_its_place_and_what_is_not_known_is_named() -> None:
    made = decide(Finding("beats the baseline", Outcome.UNKNOWN, "1 day"), Finding("sound", Outcome.PASS, "30"))
    assert (made.decision, made.outcome, made.recipe) == ("promote", Outcome.PASS, "trees")
    assert made.reason == (
        f"{UNABLE}; its own recipe, trees, fitted anew, takes its place; not known of it yet: beats the baseline"
    )


@pytest.mark.parametrize(
    ("findings", "changes", "why"),
    [
        ([], {"fits": [fit("linear"), fit("plain")]}, "its recipe, trees, is not declared or not fitted any more"),
        ([], {"skipped": {"trees": "its fit failed: ValueError"}}, "was not fitted (its fit failed: ValueError)"),
        ([], {"silent": {"trees"}}, "fitted anew leaves units unanswered"),
        ([], {"barred": Barred({"trees": "held through Friday"})}, "may not be promoted (held through Friday)"),
        ([Finding("golden cases", Outcome.FAIL, "1 broken")], {}, "fitted anew fails 'golden cases' (1 broken)"),
        ([], {"losses": {"trees": 0.7, "plain": 0.6}}, "lost more than the baseline on the scored day"),
        ([], {"losses": {"trees": float("nan"), "plain": 0.6}}, "lost more than the baseline on the scored day"),
        ([], {"fits": [fit("trees", "old"), fit("plain")]}, "makes the very same model again"),
    ],
)
def test_whatever_speaks_against_it_lets_the_baseline_begin_anew(findings: Any, changes: Any, why: str) -> None:
    made = decide(*findings, **changes)
    assert (made.decision, made.recipe) == ("promote", "plain")
    assert made.reason.startswith(UNABLE)
    assert why in made.reason
    assert made.reason.endswith("so the baseline 'plain' begins anew, and candidates must beat it")


def test_what_only_informs_stops_nobody() -> None:
    assert decide(Finding("not worse", Outcome.FAIL, "worse", required=False)).recipe == "trees"


def test_where_nobody_can_take_over_the_day_is_held_and_says_so() -> None:
    made = decide(fits=[fit("linear")])
    assert (made.decision, made.outcome, made.recipe) == ("hold", Outcome.UNKNOWN, None)
    assert "the baseline 'plain' can't take its place" in made.reason
    assert decide(fits=[fit("plain")], silent={"plain"}).decision == "hold"


def test_an_older_day_promotes_nobody() -> None:
    made = decide(newest=date(2020, 1, 10))
    assert (made.decision, made.outcome) == ("hold", Outcome.FAIL)
    assert "2020-01-10 has been judged already" in made.reason
    assert decide(newest=DAY).decision == "promote"


def test_a_baseline_that_serves_is_succeeded_by_its_own_fresh_fit() -> None:
    made = decide(serving=entry(recipe="plain"))
    assert (made.decision, made.recipe) == ("promote", "plain")
    assert "its own recipe, plain" in made.reason


def test_earlier_champions_are_told_once_each_the_newest_reign_first() -> None:
    lines = [
        entry(1, "plain", "a", epoch=1, action="start"),
        entry(2, "trees", "b", epoch=2, replaced=1),
        entry(1, "plain", "a", epoch=3, action="rollback", replaced=2),
        entry(3, "linear", "c", epoch=4, replaced=1),
        entry(3, "linear", "c", epoch=5, action="lift", replaced=3),
    ]
    assert [(one.version, one.epoch) for one in earlier_champions(lines)] == [(1, 3), (2, 2)]
    assert rolled_back(lines) == {2}
