"""How a candidate's evidence is put together: one way, whoever judges.

The daily run reads its score ledger, a replay its history; each gives :class:`Scores`, and what is made of them is the
same.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Protocol

from pipeline.core.evidence.candidate import Evidence, HoldoutDay, Paired
from pipeline.core.evidence.paired_days import PairedDays
from pipeline.core.kinds import Kind


class Scores(Protocol):
    """What a champion and the candidates answered, through one holdout day. Whoever gives it knows the champion."""

    def paired(self, recipe: str) -> Paired | None:
        """The last days' labelled units that champion, the recipe's fresh fits and the baseline were scored on."""

    def fresh(self, recipe: str, other: str) -> Paired | None:
        """The fresh fits of two recipes over the whole window, ``other`` in the champion's place."""

    def holdout(self, recipe: str) -> HoldoutDay | None:
        """The holdout day with the champion and the recipe's fit, without a resampled refit."""

    def head_to_head(self, recipe: str) -> PairedDays:
        """The champion and the recipe's fresh fits, day by day since the champion was promoted."""

    def recipes_head_to_head(self, recipe: str) -> PairedDays:
        """The champion's recipe and this one, each by its older fits, day by day since the former took over."""

    def ageing(self, recipe: str) -> tuple[PairedDays, ...]:
        """Older fits of the recipe and its fresh ones, for each age."""


@dataclass(frozen=True, slots=True)
class Contest:
    """Who is judged against whom.

    Attributes:
        kind: What a prediction is and costs.
        champion: The champion's name for people.
        champion_recipe: Its recipe.
        recipes: All recipes that are declared, the simplest first, whether they were fitted or not: who tries one
            recipe after another must not get an easier test.
        baseline: The baseline's recipe.
        window: How many days of paired evidence the gates read.
    """

    kind: Kind
    champion: str
    champion_recipe: str
    recipes: tuple[str, ...]
    baseline: str
    window: int

    def decisive(self, recipe: str, scores: Scores) -> Evidence:
        """What the gate that decides reads first, without the ageing of the recipe."""
        refresh = recipe == self.champion_recipe
        declared = self.champion_recipe in self.recipes
        # A plain rule does not age as they do; their fresh fits are held against it.
        by_recipe = declared and not refresh
        return Evidence(
            kind=self.kind,
            champion=self.champion,
            candidate=recipe,
            head_to_head=scores.recipes_head_to_head(recipe) if by_recipe else scores.head_to_head(recipe),
            refresh=refresh,
            champion_is_recipe=declared,
            candidates=len(self.recipes),
            window=self.window,
        )

    def with_ageing(self, evidence: Evidence, scores: Scores) -> Evidence:
        """The evidence with how the recipe ages, where that says something about it: for a refresh."""
        return replace(evidence, ageing=scores.ageing(evidence.candidate)) if evidence.refresh else evidence

    def with_units(self, evidence: Evidence, scores: Scores, passed: Collection[str]) -> Evidence:
        """The evidence with what all other gates read of scores, unit by unit.

        Args:
            evidence: From :meth:`decisive`.
            scores: Who answered what.
            passed: Recipes judged before that passed and may ship; see
                :class:`~pipeline.core.gates.simplicity.SimplerPreferred`.
        """
        recipe = evidence.candidate
        paired = scores.paired(recipe)
        return replace(
            evidence,
            paired=paired,
            plain=scores.fresh(recipe, self.baseline),
            holdout=scores.holdout(recipe),
            simpler=self._simpler(recipe, scores, paired, passed),
        )

    def _simpler(
        self, recipe: str, scores: Scores, paired: Paired | None, passed: Collection[str]
    ) -> dict[str, Paired]:
        """What could ship instead and is simpler: recipes declared before, and a champion of such a recipe."""
        before = self.recipes[: self.recipes.index(recipe)]
        sides = {other: scores.fresh(recipe, other) for other in before if other in passed}
        if self.champion_recipe in before and paired is not None:
            sides[f"the champion, a {self.champion_recipe}"] = replace(paired, slices={})
        return {other: pair for other, pair in sides.items() if pair is not None}
