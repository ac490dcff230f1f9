"""What decides when a model is replaced: a use case's own gates, or one of the habits they are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pipeline.core.gates import Gate

#: What is shipped: the fit that sat the exam, or the one that has learnt from the exam day too.
Ship = Literal["exam", "refit"]


@dataclass(frozen=True, slots=True)
class Policy:
    """A way to decide, as it can be replayed.

    Attributes:
        name: For tables and plots.
        rule: ``"gates"``: the gates decide. ``"always"``: every judged day ships. ``"never"``: the first model stays.
            ``"point"``: the usual gate; a fit that has not seen the last ``holdout`` days ships if its mean loss on
            them is at most the champion's.
        gates: For ``"gates"``.
        recipes: The recipes that compete.
        every: Judge on every so manieth day only.
        lag: Days from a verdict until the winner serves: how long a person takes to approve.
        ship: What is shipped.
        holdout: Days, for ``"point"``.
    """

    name: str
    rule: Literal["gates", "always", "never", "point"]
    recipes: tuple[str, ...]
    gates: tuple[Gate, ...] = ()
    every: int = 1
    lag: int = 0
    ship: Ship = "exam"
    holdout: int = 7

    def __post_init__(self) -> None:
        def refuse(why: str) -> None:
            raise ValueError(f"policy '{self.name}' {why}")

        if not self.recipes:
            refuse("names no recipe")
        if self.every < 1 or self.lag < 0 or self.holdout < 1:
            refuse(
                f"needs every and holdout of at least 1 day and a lag of at least 0, got {self.every}, {self.holdout} "
                f"and {self.lag}"
            )
        if (self.rule == "gates") != bool(self.gates):
            refuse("decides by gates, and names none" if self.rule == "gates" else "names gates it does not ask")
