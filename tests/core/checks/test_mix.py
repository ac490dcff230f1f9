"""A product made on another machine changes with all that is the machine's: no fault, and no veil for one."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from pipeline.core.checks.learned.feed import feed_measures
from pipeline.core.checks.learned.mix import Mix
from pipeline.core.checks.learned.ordinary import Ordinary
from pipeline.core.checks.learned.question import Learned, check_usual
from pipeline.core.tables import Column, Feed
from pipeline.core.verdict import Outcome

FIRST = date(2023, 1, 2)
PARTS = Feed(
    name="parts",
    path="parts/{day}.csv",
    columns=(
        Column("day", "date"),
        Column("part", "integer"),
        Column("machine", "string"),
        Column("product", "string"),
        Column("vision", "number", empty=True),
        Column("scrap", "number"),
        Column("returned", "number", empty=True, outcome=True),
    ),
    key=("day", "part"),
    day="day",
)
MACHINES = ("one", "two", "three")
#: The part of a machine's parts that its camera sees, that are without scrap, and that come back.
SEEN, CLEAN, BACK = (1.0, 0.5, 0.0), (0.2, 0.5, 0.8), (0.1, 0.3, 0.6)
USUALLY, ELSEWHERE, MOVED = (0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8)


def parts(day: date, of_axles: tuple[float, ...] = USUALLY, blind: float = 0.0) -> dict[str, Any]:
    """A thousand parts; the axles are made where it says, all else everywhere; ``blind`` of the axles aren't seen."""
    rng, n = np.random.default_rng(day.toordinal()), 1000
    product = rng.choice(["axle", "bolt", "cap"], n, p=[0.4, 0.3, 0.3])
    axles = product == "axle"
    machine = np.where(axles, rng.choice(3, n, p=of_axles), rng.choice(3, n, p=[0.3, 0.4, 0.3]))
    vision = np.where(rng.random(n) < np.array(SEEN)[machine], rng.normal(5, 1, n), np.nan)
    vision[axles & (rng.random(n) < blind)] = np.nan
    return {
        "day": np.full(n, np.datetime64(day)),
        "part": np.arange(n, dtype=float),
        "machine": np.array(MACHINES, dtype=object)[machine],
        "product": product.astype(object),
        "vision": vision,
        "scrap": np.where(rng.random(n) < np.array(CLEAN)[machine], 0.0, np.round(rng.gamma(2, 1, n), 2)),
        "returned": np.where(rng.random(n) < np.array(BACK)[machine], 1.0, np.nan),
    }


def judged(days: int = 30, explained: bool = True, **today: Any) -> Learned:
    """What is said of the last of so many days and one more, which are as ever before it."""
    past, surprise = {}, []
    for n in range(days):
        day = FIRST + timedelta(n)
        now = feed_measures(PARTS, parts(day))
        surprise.append(check_usual("parts", day, now, past, surprise, {}).surprise)
        past[day] = now
    day = FIRST + timedelta(days)
    rows = parts(day, **today)
    known = [Mix(PARTS, parts(day - timedelta(n))).shares() for n in range(7, 0, -1)]
    mix = Mix(PARTS, rows, before=known) if explained else None
    return check_usual("parts", day, feed_measures(PARTS, rows), past, surprise, {}, ordinary=Ordinary(mix))


def refused(learned: Learned) -> set[str]:
    return {finding.name for finding in learned.findings if finding.outcome is not Outcome.PASS}


@pytest.mark.parametrize("measure", ["filled|vision", "single|scrap|zero", "against|scrap", "versus|any outcome"])
def test_a_slice_is_expected_to_move_as_the_mean_of_its_parts_does(measure: str) -> None:
    before, rows = parts(FIRST), parts(FIRST, MOVED)
    usual = {f"{measure}|machine={name}": 0.1 * (n + 1) for n, name in enumerate(MACHINES)}

    def mean(rows: dict[str, Any]) -> float:
        kept = np.isfinite(rows["returned"]) if measure.startswith("filled") else np.ones(1000, dtype=bool)
        axles = kept & (rows["product"] == "axle")
        shares = [np.mean(rows["machine"][axles] == name) for name in MACHINES]
        return float(0.1 * shares[0] + 0.2 * shares[1] + 0.3 * shares[2])

    usual[f"{measure}|product=axle"] = 0.7
    mix = Mix(PARTS, rows, before=[Mix(PARTS, before).shares()])
    ((title, expected),) = mix.expected(f"{measure}|product=axle", usual)
    assert title == "machine"
    assert expected == pytest.approx(0.7 + mean(rows) - mean(before))
    assert not list(Mix(PARTS, rows).expected(f"{measure}|product=axle", usual)), "nothing is known of its mix"


def test_a_slice_that_becomes_like_all_others_has_no_other_mix() -> None:
    """One machine's camera saw all and now sees as many parts as the others' do; products are made everywhere."""

    def even(day: date, seen: float = 1.0) -> dict[str, Any]:
        rng, n = np.random.default_rng(day.toordinal()), 1000
        rows = parts(day)
        rows["machine"] = rng.choice(MACHINES, n).astype(object)
        often = np.where(rows["machine"] == "one", seen, 0.6)
        rows["vision"] = np.where(rng.random(n) < often, rng.normal(5, 1, n), np.nan)
        return rows

    past: dict[date, Any] = {}
    surprise: list[Any] = []
    mixes = []
    for n in range(31):
        day = FIRST + timedelta(n)
        rows = even(day, 0.7 if n == 30 else 1.0)
        now, mix = feed_measures(PARTS, rows), Mix(PARTS, rows, before=mixes[-7:])
        learned = check_usual("parts", day, now, past, surprise, {}, ordinary=Ordinary(mix))
        surprise.append(learned.surprise)
        mixes.append(mix.shares())
        past[day] = now
    assert "parts: blanks" in refused(learned)


def test_what_is_no_mean_over_rows_is_not_explained() -> None:
    rows = parts(FIRST, MOVED)
    usual = {f"single|scrap|commonest|machine={name}": 0.5 for name in MACHINES}
    assert not list(Mix(PARTS, rows).expected("single|scrap|commonest", usual))


def test_what_is_expected_of_a_whole_day_is_so_too() -> None:
    rows = parts(FIRST, MOVED)
    usual = {f"versus|any outcome|machine={name}": 0.1 * n for n, name in enumerate(MACHINES)}
    usual["happened|any outcome"] = 0.4
    shares = [np.mean(rows["machine"] == name) for name in MACHINES]
    ((_, expected),) = Mix(PARTS, rows).expected("happened|any outcome", usual)
    assert expected == pytest.approx(0.4 + 0.1 * shares[1] + 0.2 * shares[2])


def test_nothing_is_expected_where_too_few_rows_have_a_word_that_is_known_or_where_no_mean_is_asked() -> None:
    mix = Mix(PARTS, parts(FIRST, MOVED))
    usual = {"filled|vision|machine=one": 1.0, "filled|vision|machine=two": 0.5}
    assert not list(mix.expected("filled|vision|product=axle", usual))
    assert not list(mix.expected("filled|vision|product=wheel", usual | {"filled|vision|machine=three": 0.0}))
    assert not list(mix.expected("level|vision|median", {"level|vision|median|machine=one": 1.0}))


def test_a_product_that_moves_to_another_machine_is_no_fault_of_its_columns() -> None:
    assert {"parts: blanks", "parts: slices"} & refused(judged(of_axles=MOVED, explained=False)), "it is odd by itself"
    learned = judged(of_axles=MOVED)
    assert not {"parts: blanks", "parts: slices", "parts: single values", "parts: outcomes"} & refused(learned)
    (blanks,) = (finding for finding in learned.findings if finding.name == "parts: blanks")
    assert "the rows' 'machine' explain that" in blanks.text


@pytest.mark.parametrize("where", [USUALLY, ELSEWHERE], ids=["where they always were", "on another machine"])
def test_a_product_that_its_cameras_lose_is_one_wherever_it_is_made(where: tuple[float, ...]) -> None:
    assert "parts: blanks" in refused(judged(of_axles=where, blind=0.9))


def test_a_machine_that_is_away_is_no_fault_of_the_products_it_mostly_makes() -> None:
    """What it usually has of them counts, though no row of the day is its own."""
    before = parts(FIRST)
    kept = before["machine"] != "one"
    today = {name: values[kept] for name, values in before.items()}
    usual = {f"single|scrap|zero|machine={name}": 0.1 * (n + 1) for n, name in enumerate(MACHINES)}
    usual["single|scrap|zero|product=axle"] = 0.2
    mix = Mix(PARTS, today, before=[Mix(PARTS, before).shares()])
    ((title, expected),) = mix.expected("single|scrap|zero|product=axle", usual)

    def mean(rows: dict[str, Any]) -> float:
        axles = rows["product"] == "axle"
        return float(sum(0.1 * (n + 1) * np.mean(rows["machine"][axles] == name) for n, name in enumerate(MACHINES)))

    assert title == "machine"
    assert expected == pytest.approx(0.2 + mean(today) - mean(before))
    assert expected > 0.2
