"""What counts as evidence: days after the crowning, and fits of the recipe as it is declared now."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from pipeline.steps.scores import Ledger


def ledger() -> Ledger:
    """Three days, one unit: champion, recipe and baseline sat each; on the first the recipe was declared otherwise."""
    who = ["champion", "recipe", "baseline"] * 3
    days = np.repeat(np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "datetime64[D]"), 3)
    made = np.array(["", "old", "", "", "new", "", "", "new", ""])
    words = np.array(who)
    return Ledger(
        days=days,
        units=np.array(["u"] * 9),
        contestants=words,
        definitions=made,
        models=np.array(["m"] * 9),
        blocks=np.array(["b"] * 9),
        predictions=np.full(9, 0.5),
        labels=np.ones(9),
        slices={},
    )


@pytest.mark.parametrize(
    ("since", "definition", "days"),
    [(date(2019, 12, 31), "new", 2), (date(2019, 12, 31), "old", 1), (date(2020, 1, 2), "new", 1)],
)
def test_only_later_days_and_the_present_declaration_are_evidence(since: date, definition: str, days: int) -> None:
    assert len(ledger().pair("m", since, "recipe", definition, "baseline")) == days
