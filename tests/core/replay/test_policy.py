"""Policies as people write them: what a text changes, and what it is told when it changes nothing that there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.gates import EverySlice, Sound
from pipeline.core.gates.better import Better
from pipeline.core.replay.policy import Policy, parse_windows, reference_policies, with_changes

DECLARED = Policy("declared", "gates", ("short", "long"), (Sound(), Better(), EverySlice(margin=0.1)), ship="refit")


def better(policy: Policy) -> Better:
    return next(gate for gate in policy.gates if isinstance(gate, Better))


@given(price=st.floats(0, 99, allow_nan=False), every=st.integers(1, 400), lag=st.integers(0, 30))
def test_a_changed_number_is_the_only_thing_that_changes(price: float, every: int, lag: int) -> None:
    made = with_changes(DECLARED, f"price={price!r}, every={every},lag={lag}")
    assert (better(made).price, made.every, made.lag) == (price, every, lag)
    assert better(made).switch_price == better(DECLARED).switch_price
    assert (made.recipes, made.ship, made.gates[0], made.gates[2]) == (
        DECLARED.recipes,
        DECLARED.ship,
        DECLARED.gates[0],
        DECLARED.gates[2],
    )


def test_gates_recipes_windows_and_what_ships_can_change_too() -> None:
    made = with_changes(DECLARED, "recipes=long,ship=scored,window.long=30,every_slice.margin=0.2,first_by_chance=2")
    assert (made.recipes, made.ship) == (("long_on_30",), "scored")
    assert made.gates == (Sound(), Better(first_by_chance=2), EverySlice(margin=0.2))
    assert parse_windows("price=1, window.long=30,window.short=7") == {"long": 30, "short": 7}
    assert [gate.name for gate in with_changes(DECLARED, "gates=better+sound").gates] == ["sound", "better"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a changed policy changes something"),
        ("cost=1", "'cost=1' changes nothing that a policy has"),
        ("price=cheap", "price is a number"),
        ("price=-1", "price must be at least 0"),
        ("price=nan", "price must be at least 0"),
        ("by_chance=0", "by_chance must be above 0"),
        ("every=0", "every is a whole number of at least 1"),
        ("every=2.5", "every is a whole number"),
        ("lag=-1", "lag is a whole number of at least 0"),
        ("ship=old", "'ship=old' changes nothing"),
        ("recipes=tall", "no recipe 'tall' to replay; there are short, long"),
        ("recipes=", "no recipe ''"),
        ("window.tall=3", "no recipe 'tall'"),
        ("window.long=0", "whole number of at least 1"),
        ("window.long=3654", "window.long is at most 3,653 days, got 3,654"),
        ("window.long=" + "9" * 5000, "below a thousand million, got '9{40}'"),
        ("recipes=short,window.long=3", "window.long changes a recipe that is not among recipes=short"),
        ("gates=sound", "without the gate better nothing decides"),
        ("gates=latency+better", "no gate 'latency' to replay; there are sound, better, every_slice"),
        ("latency.p95_ratio=1", "no gate 'latency' to replay"),
        ("every_slice.size=1", "has no number 'size'; it has margin"),
        ("price=0.1,ship=scored,price=0.2", "says price more than once"),
        ("every_slice.margin=wide", "every_slice.margin is a number"),
    ],
)
def test_a_text_that_changes_nothing_is_refused_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("'", ".")):
        with_changes(DECLARED, text)


def test_the_habits_are_never_monthly_weekly_daily_and_a_point_gate() -> None:
    assert [policy.name for policy in reference_policies(("a", "b"), "refit")] == [
        "never",
        "monthly a",
        "monthly b",
        "weekly a",
        "weekly b",
        "daily a",
        "daily b",
        "point gate",
    ]
