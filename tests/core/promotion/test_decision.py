"""Who is champion, who may become it, and that what was rolled back stays away."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import ConflictError, UsageError
from pipeline.core.promotion.decision import (
    Barred,
    barred_on,
    choose,
    current_champion,
    lift,
    may_promote,
    previous,
    promotion,
    rollback,
    target,
)
from pipeline.core.promotion.ledger import previous_told
from pipeline.core.records import Candidate, Entry
from pipeline.core.verdict import Finding, Outcome

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
FIRST = date(2013, 3, 1)
BY = {"by": "ada", "at": "2026-01-01T00:00:00+00:00"}


def day(number: int) -> date:
    return FIRST + timedelta(number)


def candidate(recipe="boosting", model=None, through=FIRST):
    model = model or f"{recipe} of {through}"
    return Candidate(model, recipe, "2013-01-01", through.isoformat(), 9, "f", f"sha of {model}", 1.0)


def promoted(entries, number, recipe="boosting", version=None):
    entry = promotion(
        entries,
        "flights",
        candidate(recipe, through=day(number - 1)),
        version=version or len(entries) + 1,
        day=day(number),
        verdict=f"verdict {number}",
        why="better",
        **BY,
    )
    return [*entries, entry]


def ledger(*recipes):
    entries = []
    for number, recipe in enumerate(recipes):
        entries = promoted(entries, number, recipe)
    return entries


def rolled(entries, to="previous", number=None, hold_days=7, **more):
    when = date.fromisoformat(entries[-1].day) if number is None else day(number)
    return [*entries, rollback(entries, to, day=when, why="it was late", hold_days=hold_days, **BY, **more)]


def better(outcome=PASS, high=-0.01, value=-0.02, name="better"):
    return Finding(name, outcome, "loss lower", value, None, value - 0.01, high)


def decide(entries, candidates, findings, number=10, **more):
    holds = barred_on(entries, day(number))
    return choose(
        "flights", day(number), current_champion(entries), candidates, findings, holds, baseline="plain rule", **more
    )


# the ledger


def test_nobody_reigns_before_the_first_line():
    assert current_champion([]) is None
    assert previous([]) is None
    with pytest.raises(UsageError, match="no champion yet"):
        target([], "previous")


def test_the_first_line_starts_and_later_ones_promote():
    entries = ledger("plain rule", "boosting")
    assert [(e.epoch, e.action, e.version, e.replaced) for e in entries] == [
        (1, "start", 1, None),
        (2, "promote", 2, 1),
    ]
    assert current_champion(entries).recipe == "boosting"


def test_previous_is_the_champion_before_the_present_one():
    entries = ledger("plain rule", "boosting", "linear")
    assert previous(entries).version == 2
    assert target(entries, "previous").version == 2
    assert target(entries, "1").version == 1
    assert previous(entries[:1]) is None


def test_asking_for_previous_twice_does_not_bring_the_bad_model_back():
    once = rolled(ledger("plain rule", "boosting", "linear"))
    assert current_champion(once).version == 2
    assert previous(once).version == 1
    twice = rolled(once)
    assert current_champion(twice).version == 1
    assert previous(twice) is None
    with pytest.raises(UsageError, match="no predecessor"):
        rolled(twice)


def test_a_lift_does_not_change_who_reigned_before():
    entries = rolled(ledger("plain rule", "boosting", "linear"))
    lifted = [*entries, lift(entries, "linear", day=day(3), why="it was the data", **BY)]
    assert current_champion(lifted).version == current_champion(entries).version
    assert current_champion(lifted).action == "lift"
    assert previous(lifted) == previous(entries)


@pytest.mark.parametrize("to", ["7", "0", "-1", "latest", "", "²", "champion"])
def test_a_target_that_never_reigned_is_refused_with_those_that_did(to):
    with pytest.raises(UsageError, match=r"was champion \(1, 2\)"):
        target(ledger("plain rule", "boosting"), to)


def test_the_reigning_version_is_no_target():
    with pytest.raises(UsageError, match="champion already"):
        target(ledger("plain rule", "boosting"), "2")


def test_a_rollback_restores_the_very_model_and_says_what_it_replaced():
    entries = ledger("plain rule", "boosting", "linear")
    line = rolled(entries, "2", number=5, hold_days=7)[-1]
    then = entries[1]
    assert (line.model, line.sha256, line.trained_through) == (then.model, then.sha256, then.trained_through)
    assert (line.action, line.replaced, line.held, line.held_until) == ("rollback", 3, "linear", day(12).isoformat())


def test_a_line_without_a_reason_or_an_author_is_refused():
    entries = ledger("plain rule", "boosting")
    for who in ({**BY, "why": " "}, {"by": "", "at": "now", "why": "late"}):
        with pytest.raises(UsageError, match="reason"):
            rollback(entries, "previous", day=day(5), **who)


def test_a_rollback_asked_for_at_an_epoch_that_has_passed_is_refused():
    entries = ledger("plain rule", "boosting", "linear")
    once = rolled(entries, epoch=3)
    with pytest.raises(ConflictError, match="at epoch 4, not at 3"):
        rolled(once, epoch=3)


def test_a_hold_is_not_negative():
    with pytest.raises(UsageError, match="0 to 3650"):
        rolled(ledger("plain rule", "boosting"), hold_days=-1)


def test_a_line_about_the_past_is_refused():
    with pytest.raises(ConflictError, match="reached 2013-03-02"):
        promoted(ledger("plain rule", "boosting"), 0)


def test_a_version_does_not_replace_itself():
    with pytest.raises(UsageError, match="champion already"):
        promoted(ledger("plain rule", "boosting"), 4, version=2)


def test_whom_previous_names_is_told_also_where_it_is_nobody():
    assert "no champion yet" in previous_told([])
    assert previous_told(ledger("plain rule")) == "previous names nobody: no other version than 1 was champion"
    three = ledger("plain rule", "boosting", "linear")
    assert previous_told(three) == "previous is version 2 (boosting)"
    assert previous_told(rolled(three)) == "previous is version 1 (plain rule)"
    nobody = previous_told(rolled(rolled(three)))
    assert "rolled back: 2, 3" in nobody
    assert "--to 3" in nobody
    with pytest.raises(UsageError, match="--to 3"):
        target(rolled(rolled(three)), "previous")


def test_nothing_is_held_before_the_first_champion():
    with pytest.raises(UsageError, match="there is no champion yet, so recipe 'linear' is not held"):
        lift([], "linear", day=date.min, why="x", **BY)


@given(st.lists(st.tuples(st.sampled_from(["promote", "previous", "1", "2", "lift"]), st.integers(0, 3)), max_size=25))
@settings(max_examples=150, deadline=None, database=None)
def test_whatever_is_done_the_ledger_is_one_unbroken_line(actions):
    entries: list[Entry] = promoted([], 0, "plain rule")
    for step, (action, pause) in enumerate(actions):
        number = (date.fromisoformat(entries[-1].day) - FIRST).days + pause
        try:
            if action == "promote":
                entries = promoted(entries, number, ["boosting", "linear"][step % 2], version=100 + step)
            elif action == "lift":
                entries = [*entries, lift(entries, "boosting", day=day(number), why="fixed", **BY)]
            else:
                entries = rolled(entries, action, number)
        except UsageError:
            continue
    assert [entry.epoch for entry in entries] == list(range(1, len(entries) + 1))
    for before, line in pairwise(entries):
        assert line.replaced == before.version
        assert line.day >= before.day
        assert (line.version == before.version) == (line.action == "lift")
    by_version = {entry.version: entry.model for entry in entries if entry.action in ("start", "promote")}
    assert all(by_version[entry.version] == entry.model for entry in entries)
    back, told = previous(entries), previous_told(entries)
    assert (f"previous is version {back.version} (" in told) if back is not None else "names nobody" in told
    barred = barred_on(entries, day(0)).models
    assert current_champion(entries).model not in barred
    if back is not None:
        assert back.version != current_champion(entries).version
        assert back.model not in barred


# holds


def test_what_was_rolled_back_is_not_chosen_the_next_night():
    entries = rolled(ledger("plain rule", "boosting", "linear"), number=4, hold_days=7)
    tonight = candidate("linear", through=day(4))
    decision = decide(entries, [tonight], {"linear": [better()]}, number=5)
    assert (decision.decision, decision.outcome) == ("hold", FAIL)
    assert "held through 2013-03-12, since ada rolled it back on 2013-03-05: it was late" in decision.reason
    after = decide(entries, [tonight], {"linear": [better()]}, number=12)
    assert after.decision == "promote"


def test_the_last_day_of_a_hold_is_held():
    entries = rolled(ledger("plain rule", "boosting"), number=4, hold_days=7)
    assert "boosting" in barred_on(entries, day(11)).recipes
    assert "boosting" not in barred_on(entries, day(12)).recipes


def test_another_recipe_may_win_while_one_is_held():
    entries = rolled(ledger("plain rule", "boosting", "linear"), number=4)
    found = {"linear": [better(high=-0.5)], "boosting": [better(high=-0.01)]}
    decision = decide(entries, [candidate("linear", through=day(4)), candidate("boosting", through=day(4))], found, 5)
    assert (decision.decision, decision.recipe) == ("promote", "boosting")


def test_the_very_model_is_barred_for_ever_even_when_its_recipe_is_not():
    entries = rolled(ledger("plain rule", "boosting", "linear"), hold_days=0)
    assert barred_on(entries, day(3)).recipes == {}
    the_same = candidate("linear", model=entries[2].model)
    decision = decide(entries, [the_same], {"linear": [better()]}, number=900)
    assert decision.decision == "hold"
    assert "this very model was rolled back" in decision.reason


def test_a_person_may_bring_a_model_back_by_its_version_and_that_ends_its_bar():
    entries = rolled(ledger("plain rule", "boosting", "linear"))
    bad = entries[2].model
    assert bad in barred_on(entries, day(9)).models
    back = rolled(entries, "3")
    assert bad not in barred_on(back, day(9)).models
    assert current_champion(back).version == 3


def test_a_lift_ends_the_hold_of_a_recipe_and_a_later_rollback_begins_a_new_one():
    entries = rolled(ledger("plain rule", "boosting", "linear"), number=4)
    lifted = [*entries, lift(entries, "linear", day=day(5), why="it was the data", **BY)]
    assert barred_on(lifted, day(5)).recipes == {}
    again = rolled(promoted(lifted, 6, "linear"), number=7)
    assert "linear" in barred_on(again, day(8)).recipes


def test_a_later_shorter_hold_does_not_shorten_a_longer_one():
    entries = rolled(ledger("plain rule", "boosting", "linear"), number=4, hold_days=100)
    again = rolled(rolled(entries, "3", number=5, hold_days=0), "2", number=6, hold_days=1)
    assert "linear" in barred_on(again, day(50)).recipes


def test_only_what_is_held_can_be_lifted():
    entries = rolled(ledger("plain rule", "boosting", "linear"), number=4)
    with pytest.raises(UsageError, match="'boosting' is not held on 2013-03-06; held are: linear"):
        lift(entries, "boosting", day=day(5), why="please", **BY)


# the choice


def test_without_a_champion_the_baseline_starts():
    decision = decide([], [candidate("boosting"), candidate("plain rule")], {})
    assert (decision.decision, decision.outcome, decision.recipe) == ("start", PASS, "plain rule")


def test_without_a_champion_and_a_baseline_nobody_starts():
    decision = decide([], [candidate("boosting")], {}, skipped={"plain rule": "3 days of 7"})
    assert (decision.decision, decision.outcome, decision.recipe) == ("hold", UNKNOWN, None)
    assert "3 days of 7" in decision.reason


def test_no_candidate_is_a_hold_with_the_reasons():
    decision = decide(ledger("plain rule"), [candidate("plain rule", "x")], {}, skipped={"boosting": "3 days of 7"})
    assert (decision.decision, decision.outcome) == ("hold", UNKNOWN)
    assert "boosting: 3 days of 7" in decision.reason


def test_the_largest_shown_improvement_wins_not_the_largest_guess():
    found = {"linear": [better(value=-0.20, high=-0.01)], "boosting": [better(value=-0.05, high=-0.04)]}
    decision = decide(ledger("plain rule"), [candidate("linear"), candidate("boosting")], found)
    assert (decision.decision, decision.recipe) == ("promote", "boosting")
    assert decision.reason == (
        "boosting passed all it was asked; its loss is shown to be at least 4 % lower than the champion's, "
        "the largest improvement shown among 2 that passed"
    )


def test_better_decides_before_not_worse():
    found = {
        "linear": [better(high=0.001, name="not worse"), better(high=-0.03)],
        "boosting": [better(high=-0.02, name="not worse"), better(high=-0.02)],
    }
    assert decide(ledger("plain rule"), [candidate("boosting"), candidate("linear")], found).recipe == "linear"


def test_without_a_question_about_the_loss_the_first_declared_wins():
    found = {name: [Finding("sound", PASS, "fine")] for name in ("b", "a")}
    decision = decide(ledger("plain rule"), [candidate("b"), candidate("a")], found)
    assert decision.recipe == "b"
    assert "first declared" in decision.reason


@pytest.mark.parametrize(("stopper", "verb"), [(FAIL, "was refused"), (UNKNOWN, "is not known to be good enough")])
def test_one_open_or_failed_question_holds_and_is_named(stopper, verb):
    churn = Finding("churn", stopper, "changed 30 % of decisions")
    found = {"boosting": [better(), churn], "linear": [better(FAIL, 0.2), churn, churn]}
    decision = decide(ledger("plain rule"), [candidate("linear"), candidate("boosting")], found)
    assert (decision.decision, decision.outcome, decision.recipe) == ("hold", stopper, "boosting")
    assert decision.reason == (f"boosting came nearest and {verb}: churn: {stopper}  changed 30 % of decisions")


def test_where_one_thing_stops_all_candidates_nobody_is_said_to_have_come_nearest():
    few = Finding("better", UNKNOWN, "1 day of evidence, at least 5 are needed")
    names = ("linear", "boosting")
    decision = decide(ledger("plain rule"), [candidate(name) for name in names], {name: [few] for name in names})
    assert decision.reason == f"no candidate is known to be good enough: {few}"
    alone = decide(ledger("plain rule"), [candidate("linear")], {"linear": [few]})
    assert alone.reason == f"linear came nearest and is not known to be good enough: {few}"


def test_what_only_informs_stops_nobody():
    aside = Finding("slice", FAIL, "bad", about="carrier=OO", required=False)
    assert decide(ledger("plain rule"), [candidate()], {"boosting": [better(), aside]}).decision == "promote"


@pytest.mark.parametrize("findings", [{}, {"boosting": []}, {"boosting": [replace(better(), required=False)]}])
def test_a_candidate_that_nothing_was_asked_about_does_not_ship(findings):
    decision = decide(ledger("plain rule"), [candidate()], findings)
    assert (decision.decision, decision.outcome) == ("hold", UNKNOWN)
    assert "no gate answered" in decision.reason


def test_the_champion_does_not_replace_itself():
    entries = ledger("plain rule", "boosting")
    decision = decide(entries, [candidate(model=entries[-1].model)], {"boosting": [better()]})
    assert decision.decision == "hold"
    assert "champion already (version 2)" in decision.reason


def test_a_day_older_than_one_already_judged_promotes_nobody():
    found = {"boosting": [better()]}
    late = decide(ledger("plain rule"), [candidate()], found, newest=day(11))
    assert (late.decision, late.outcome) == ("hold", FAIL)
    assert "2013-03-12 has been judged already" in late.reason
    assert decide(ledger("plain rule"), [candidate()], found, newest=day(10)).decision == "promote"


@given(
    st.lists(
        st.tuples(st.sampled_from(list(Outcome)), st.floats(-0.5, 0.5), st.booleans(), st.booleans()),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=150, deadline=None, database=None)
def test_nothing_is_promoted_that_did_not_pass_or_is_held(cases):
    candidates = [candidate(f"recipe_{n}") for n in range(len(cases))]
    found = {
        f"recipe_{n}": [better(outcome, high, high - 0.01), Finding("note", FAIL, "x" * 900, required=aside)]
        for n, (outcome, high, aside, _) in enumerate(cases)
    }
    barred = {f"recipe_{n}": "y" * 300 for n, case in enumerate(cases) if case[3]}
    head = current_champion(ledger("plain rule"))
    decision = choose("flights", day(5), head, candidates, found, Barred(barred), baseline="plain rule")
    free = {
        f"recipe_{n}": high
        for n, (outcome, high, aside, hold) in enumerate(cases)
        if outcome is PASS and not aside and not hold
    }
    assert (decision.decision == "promote") == bool(free)
    assert (decision.outcome is PASS) == bool(free)
    assert len(decision.reason) <= 500
    if free:
        assert free[decision.recipe] == min(free.values())


# the last check before the crown moves


def test_a_verdict_against_a_champion_that_no_longer_reigns_is_stale():
    entries = ledger("plain rule", "boosting")
    may_promote(entries, 2, day(5), None)
    with pytest.raises(ConflictError, match="epoch 1 of the promotion ledger, which is at 2") as stale:
        may_promote(entries, 1, day(5), None)
    assert stale.value.code == "STALE"
    with pytest.raises(ConflictError):
        may_promote([], 1, day(5), None)
    may_promote([], 0, day(5), None)


def test_an_older_day_can_not_crown_the_past():
    entries = ledger("plain rule", "boosting")
    with pytest.raises(ConflictError, match="earlier 2013-03-01"):
        may_promote(entries, 2, day(0), None)
    with pytest.raises(ConflictError, match="2013-03-07 has been judged already"):
        may_promote(entries, 2, day(5), day(6))
    may_promote(entries, 2, day(6), day(6))


def test_a_rollback_makes_every_pending_verdict_stale():
    entries = ledger("plain rule", "boosting", "linear")
    with pytest.raises(ConflictError):
        may_promote(rolled(entries), 3, day(9), None)
