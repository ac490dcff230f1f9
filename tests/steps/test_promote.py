"""The crown: who gets it, who does not, and what a second try does."""

from __future__ import annotations

import dataclasses

import pytest

from pipeline.core.errors import ConflictError
from pipeline.core.ports import World
from pipeline.core.records import Registered
from pipeline.core.usecase import Promotion
from pipeline.steps.promote import approval_form, decline, needs_approval, promote, wait
from tests import small

NINTH, TENTH = small.days(10)[8:]


def registered_on(day: object, world: World) -> Registered:
    made = None
    for name, step in small.steps_of(small.SMALL, day, world):  # type: ignore[arg-type]
        if name == "promote":
            break
        made = step(made)
    assert isinstance(made, Registered)
    return made


def test_the_first_champion_is_the_baseline_and_the_second_won_on_evidence(promoted: World) -> None:
    first, second = promoted.ledger.entries("small")
    assert (first.action, first.recipe, first.replaced) == ("start", "constant", None)
    assert (second.action, second.replaced) == ("promote", first.version)
    assert "lower" in second.why
    assert promoted.registry.aliases("small") == {"champion": 2, "previous": 1}


def test_running_the_same_day_again_changes_nothing(promoted: World) -> None:
    before = (promoted.ledger.entries("small"), promoted.registry.aliases("small"), promoted.ledger.outcomes("small"))
    version = promoted.store.version("scores/small")
    again = small.run_day(small.SMALL, small.days(8)[-1], promoted)
    assert again.outcome == "promoted"
    after = (promoted.ledger.entries("small"), promoted.registry.aliases("small"), promoted.ledger.outcomes("small"))
    assert after == before
    assert promoted.store.version("scores/small") == version


def test_a_verdict_against_a_champion_that_no_longer_reigns_is_refused(promoted: World) -> None:
    from pipeline.steps.rollback import rollback

    world = promoted
    for day in small.days(12)[8:11]:
        small.run_day(small.SMALL, day, world)
    before = world.registry.aliases("small")["previous"]
    waiting = registered_on(small.days(12)[11], world)
    rollback(small.SMALL, world, "previous", "numbers look odd", "ada", small.AT)
    judged = {**waiting.judged, "decision": "promote", "candidate": waiting.judged["candidate"] or _any(world)}
    with pytest.raises(ConflictError, match="epoch"):
        promote(small.SMALL, Registered(judged, waiting.run, 3), world, small.AT)
    assert world.ledger.entries("small")[-1].action == "rollback"
    assert world.registry.aliases("small")["champion"] == before


def _any(world: World) -> dict[str, object]:
    head = world.ledger.entries("small")[-1]
    return {
        "model": "other", "recipe": "forest", "trained_first": "2020-01-01", "trained_through": "2020-01-08", "rows": 1,
        "file": "x", "sha256": head.sha256, "seconds": 0.1,
    }  # fmt: skip


def test_a_past_day_run_again_promotes_nobody_once_a_later_one_was_judged(promoted: World) -> None:
    small.run_day(small.SMALL, NINTH, promoted)
    entries = promoted.ledger.entries("small")
    past = small.run_day(small.SMALL, small.days(7)[-1], promoted)
    assert past.outcome == "held"
    assert promoted.ledger.entries("small") == entries


def test_judged_only_promotes_and_registers_nothing(world: World) -> None:
    from pipeline.core.records import Judged
    from pipeline.steps.register import register

    made = None
    for name, step in small.steps_of(small.SMALL, small.days(4)[-1], world):
        if name == "register":
            break
        made = step(made)
    assert isinstance(made, Judged)
    shown = register(small.SMALL, dataclasses.replace(made, allowed=False), world)
    outcome = promote(small.SMALL, shown, world, small.AT)
    assert shown.version is None
    assert outcome.outcome == "held"
    assert "judged only" in outcome.reason
    assert not world.ledger.entries("small")


def test_a_person_is_asked_about_a_winner_and_about_nothing_else(promoted: World) -> None:
    asked = dataclasses.replace(small.SMALL, promotion=Promotion(approval="person"))
    held = registered_on(NINTH, promoted)
    assert not needs_approval(asked, held)
    winner = Registered({**held.judged, "decision": "promote"}, held.run, 3)
    assert needs_approval(asked, winner)
    assert not needs_approval(small.SMALL, winner)
    assert not needs_approval(asked, Registered({**held.judged, "decision": "start"}, held.run, 3))


def test_the_question_names_both_sides_and_every_finding(promoted: World) -> None:
    last = small.days(8)[-1]
    decided = registered_on(last, promoted)
    subject, body = approval_form(decided, promoted)
    assert "small 2020-01-08" in subject
    assert "replace constant 1" in subject
    for asked in ("better: PASS", "beats the baseline: PASS", "sound: PASS"):
        assert asked in body


def test_a_declined_winner_leaves_the_champion_and_says_who(promoted: World) -> None:
    held = registered_on(NINTH, promoted)
    outcome = decline(small.SMALL, held, promoted, "not on a Friday", "grace")
    assert (outcome.outcome, outcome.champion) == ("declined", 2)
    assert "not on a Friday (grace)" in outcome.reason
    assert "candidate" not in promoted.registry.aliases("small")


def test_a_waiting_winner_is_shown_as_waiting(promoted: World) -> None:
    outcome = wait(small.SMALL, registered_on(NINTH, promoted), promoted)
    assert outcome.outcome == "waiting"
    assert promoted.ledger.outcomes("small")[-1].outcome == "waiting"


def test_a_first_day_with_no_history_is_held_and_says_how_much_is_missing(world: World) -> None:
    outcome = small.run_day(small.SMALL, small.FIRST, world)
    assert outcome.outcome == "held"
    assert outcome.champion is None
    assert "0 of at least 2 labelled days" in outcome.reason
    assert [small.run_day(small.SMALL, day, world).outcome for day in small.days(3)[1:]] == ["held", "started"]


def test_a_day_that_failed_has_a_line_does_not_count_as_judged_and_never_hides_a_verdict(promoted: World) -> None:
    from pipeline.steps.models.champion_model import newest_judged
    from pipeline.steps.refuse import fail

    newest, before = newest_judged(small.SMALL, promoted), promoted.ledger.outcomes("small")
    later = small.days(40)[-1]
    fail(small.SMALL, later, "register failed: the alias is not ours", promoted)
    fail(small.SMALL, newest, "register failed: a second look", promoted)
    *lines, last = promoted.ledger.outcomes("small")
    assert lines == list(before)
    assert (last.day, last.outcome, last.champion) == (later.isoformat(), "failed", before[-1].champion)
    assert newest_judged(small.SMALL, promoted) == newest
