"""The page and the table of a replay: everything that was found, nothing loaded, the same bytes for the same replay."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from benchmarks.replay import drawn_history
from pipeline.core.gates.better import Better
from pipeline.core.replay.cost import Yardstick, hindsight
from pipeline.core.replay.figures import loss_difference, policy_figures
from pipeline.core.replay.history import FitKey
from pipeline.core.replay.player import Replacement, Replayer
from pipeline.core.replay.policy import Policy, reference_policies, with_changes
from pipeline.core.replay.result import PolicyResult, Proposal, ReplayResult, days_of_loss, difference_clause
from pipeline.core.stats import Interval, NoInterval
from pipeline.core.waivers import Waiver
from pipeline.core.windows import Days
from pipeline.report.replay.page import replay_page
from pipeline.report.replay.table import as_text, remarks
from pipeline.usecases.flight_delay import FLIGHT_DELAY


@pytest.fixture(scope="module")
def made() -> ReplayResult:
    """Six weeks of a drawn history of four recipes under the real use case's name."""
    history = drawn_history(days=42, units=90, blocks=12)
    recipes = tuple(recipe for recipe in history.recipes if recipe != "usual")
    declared = Policy("declared", "gates", recipes, (Better(price=0.02, switch_price=0.05),))
    player = Replayer("flight_delay", history, FitKey("short", 0), 0, "usual")
    policies = [declared, with_changes(declared, "price=0.3,ship=scored"), *reference_policies(recipes, "refit")]
    timelines = [player.run(policy) for policy in policies]
    best = timelines[policies.index(next(one for one in policies if one.name == "daily short"))]
    price = Better(price=0.02).price
    yardstick = Yardstick.of(best, history, price)
    assert yardstick is not None
    played = tuple(
        PolicyResult(
            one,
            policy_figures(one, history, yardstick=yardstick),
            loss_difference(one, best, history),
        )
        for one in timelines
    )
    both = {ends: Yardstick.of(best, history, price, *ends) for ends in ((0, 25), (25, 42))}
    parts = [
        policy_figures(one, history, *ends, rule)
        for one in (timelines[1], timelines[0], best)
        for ends, rule in both.items()
    ]
    proposal = Proposal(
        "price=0.3,ship=scored",
        25,
        *parts[:4],
        "daily short",
        *parts[4:],
        loss_difference(timelines[1], best, history, 25),
        84,
    )
    usecase = replace(FLIGHT_DELAY, baseline=replace(FLIGHT_DELAY.baseline, name="usual"))
    return ReplayResult(
        usecase=usecase,
        days=Days(date(2013, 1, 1), date(2013, 2, 11)),
        history=history,
        played=played,
        asked=2,
        best=next(one for one in played if one.timeline is best),
        left_out=("latency", "churn"),
        without=(date(2013, 1, 9),),
        ageing={recipe: [0.0, *(0.01 * n for n in range(1, 20)), float("nan")] for recipe in recipes},
        searched=(("price=0.1", 0.6, 3), ("price=<b>", 0.61, 0)),
        proposal=proposal,
        price=price,
        hindsight=hindsight(history, yardstick, recipes, FitKey("short", 0)),
    )


def test_what_a_replay_leaves_out_and_what_it_waives_is_said(made: ReplayResult) -> None:
    waivers = (
        Waiver("every slice", "ada", "a new carrier", date(2013, 2, 1)),
        Waiver("latency", "ada", "new servers", date(2013, 2, 1)),
    )
    waiving = replace(made, usecase=replace(made.usecase, waivers=waivers))
    said = " ".join(remarks(waiving))
    assert "every slice is waived until 2013-02-01 by ada: a new carrier" in said
    assert "new servers" not in said  # that gate is not replayed at all
    assert "withheld" not in said  # both policies ship what sat the holdout day
    first = made.played[0]
    refits = replace(first, timeline=replace(first.timeline, policy=replace(first.timeline.policy, ship="refit")))
    page = replay_page(replace(waiving, played=(refits, *made.played[1:]))).decode()
    assert "a refit that changes too many decisions is withheld in earnest" in page
    assert "every slice is waived until" in page


def test_the_page_says_everything_that_was_found_and_loads_nothing(made: ReplayResult) -> None:
    page = replay_page(made).decode()
    for one in made.played:
        assert one.name in page
        assert f"{one.figures.loss:.4f}" in page
        assert math.isfinite(one.figures.cost)
        assert f">{one.figures.cost:.1f}<" in page
    assert made.hindsight is not None
    assert made.hindsight.cost <= min(one.figures.cost for one in made.played)
    assert f'best schedule, in hindsight</td><td class="num">{made.hindsight.cost:.1f}<' in page
    for change in made.played[0].timeline.changes:
        assert made.model(change.winner) in page
    assert made.played[0].timeline.changes, "a page of a policy that promotes nobody shows too little"
    for text in ("latency, churn", "2013-01-09", "2013-01-26", "How the recipes age", "Loss against promotions"):
        assert text in page
    assert difference_clause(made.proposal.difference if made.proposal else NoInterval("", few=True)) in page
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://(?!www\.w3\.org/2000/svg)", page)
    assert "price=&lt;b&gt;" in page
    assert "price=<b>" not in page


def test_the_same_replay_gives_the_same_bytes_and_another_does_not(made: ReplayResult) -> None:
    assert replay_page(made) == replay_page(made)
    assert replay_page(replace(made, without=())) != replay_page(made)


def changes(**more: object) -> Callable[[ReplayResult], ReplayResult]:
    return lambda made: replace(made, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bare",
    [
        changes(proposal=None, searched=()),
        changes(left_out=(), without=()),
        changes(ageing={}),
        changes(ageing={"short": [0.0, float("nan")]}),
        lambda made: replace(made, played=tuple(replace(p, difference=NoInterval("x", few=True)) for p in made.played)),
    ],
)
def test_a_replay_that_lacks_a_part_has_its_page_all_the_same(
    made: ReplayResult, bare: Callable[[ReplayResult], ReplayResult]
) -> None:
    page = replay_page(bare(made)).decode()
    assert made.played[0].name in page
    assert "nan" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL).replace("finance", "").split()


def test_a_promotion_that_did_harm_is_marked_on_the_page(made: ReplayResult) -> None:
    harmless = [change for change in made.played[0].timeline.changes if not made.harm_relative(change) > 0]
    first = made.played[0].timeline
    bad = Replacement(10, 11, FitKey("usual", 11), FitKey("deep", 10))
    assert made.harm_relative(bad) > 0
    timeline = replace(first, changes=(*harmless, bad))
    without, with_it = (
        replay_page(replace(made, played=(replace(made.played[0], timeline=line), *made.played[1:]), asked=1)).decode()
        for line in (replace(first, changes=tuple(harmless)), timeline)
    )
    assert "did harm" in with_it
    assert 'class="cross"' in with_it
    assert 'class="cross"' not in without


def test_the_table_names_every_policy_with_its_figures_and_what_was_left_out(made: ReplayResult) -> None:
    text = " ".join(as_text(made).split())
    for one in made.played:
        assert f"{one.name} {one.figures.cost:.1f} {one.figures.loss:.4f}" in text
    assert "not replayed: latency, churn" in text
    assert "refused days, from which nobody learns and on which nobody is judged: 2013-01-09" in text
    assert made.proposal is not None
    for part in (made.proposal.judged, made.proposal.chosen):
        assert f"{days_of_loss(part.cost)} with {part.promotions}" in text


def test_a_window_of_eighty_columns_shows_the_policies_without_breaking_a_figure(
    made: ReplayResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = as_text(made).splitlines()
    assert max(len(line) for line in lines) <= 80
    for one in made.played:
        loss = f"{one.figures.loss:.4f}"
        assert any(f" {one.figures.cost:.1f} " in line and f" {loss} " in line for line in lines), one.name
    assert len(lines) < 4 * len(made.played) + 30, "no column is a letter wide"


def test_a_search_proposes_only_what_cost_less_on_both_parts(made: ReplayResult) -> None:
    proposal = made.proposal
    assert proposal is not None
    for chosen, judged in itertools.product((1.0, 3.0), repeat=2):
        costs = {
            "chosen": replace(proposal.chosen, cost=chosen),
            "declared_chosen": replace(proposal.declared_chosen, cost=2.0),
            "judged": replace(proposal.judged, cost=judged),
            "declared_judged": replace(proposal.declared_judged, cost=2.0),
        }
        one = replace(made, proposal=replace(proposal, **costs))  # type: ignore[arg-type]
        holds = chosen < 2 and judged < 2
        assert one.proposed().startswith("nothing better than the declared policy") is not holds
        page = replay_page(one).decode()
        assert ("What the search proposes" in page) is holds
        assert ("The search found nothing better than the declared policy" in page) is not holds


def test_the_sentence_speaks_of_an_unknown_difference_as_unknown() -> None:
    assert (
        difference_clause(NoInterval("too few weeks", few=True))
        == "of which it is not known how it compares (too few weeks) with"
    )
    same = Interval(0.0, 0.0, 0.0, 0.95, one_sided=False, clustered_by="day", clusters=3)
    assert difference_clause(same) == "the same as"
    higher = replace(same, estimate=0.02, low=-0.01, high=0.05)
    assert difference_clause(higher) == "2 % higher (95 %: at most 1 % lower, at most 5 % higher) than"


def test_plain_values_hold_no_number_that_is_none(made: ReplayResult) -> None:
    import json

    text = json.dumps(made.to_dict(), allow_nan=False)
    assert json.loads(text)["policies"][0]["promotions"] == made.played[0].figures.promotions
    assert np.isfinite(made.played[0].figures.loss)
