"""What decides when a model is replaced: a use case's own gates, or one of the habits they are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pipeline.core.better import Better

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


def habits(recipes: Sequence[str], ship: Ship) -> tuple[Policy, ...]:
    """What teams do without gates: the first recipe never or weekly retrained, each of them daily, and a point gate."""
    first = recipes[:1]
    return (
        Policy("never", "never", tuple(first)),
        Policy(f"weekly {first[0]}", "always", tuple(first), every=7, ship=ship),
        *(Policy(f"daily {recipe}", "always", (recipe,), ship=ship) for recipe in recipes),
        Policy("point gate", "point", tuple(recipes)),
    )


def changed(policy: Policy, text: str) -> Policy:
    """The policy with some of its numbers changed: ``price=0.05,ship=exam,recipes=linear_14+linear_60``.

    Args:
        policy: One that decides by gates.
        text: Of the gate that decides ``price``, ``switch_price``, ``switch_by``, ``by_chance``; of the policy
            ``every``, ``lag``, ``ship``, ``recipes``.

    Raises:
        ValueError: In a sentence that says what there is.
    """
    ours: dict[str, Any] = {}
    theirs: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        if name in ("price", "switch_price", "switch_by", "by_chance"):
            theirs[name] = _number(name, value)
        elif name in ("every", "lag"):
            ours[name] = int(_number(name, value))
        elif name == "recipes":
            wanted = tuple(value.split("+"))
            unknown = [recipe for recipe in wanted if recipe not in policy.recipes]
            if unknown:
                raise ValueError(f"there is no recipe '{unknown[0]}'; there are {', '.join(policy.recipes)}")
            ours[name] = wanted
        elif name == "ship" and value in ("exam", "refit"):
            ours[name] = value
        else:
            raise ValueError(
                f"'{part}' changes nothing that a policy has: write price=0.05, switch_price=0.5, switch_by=0.01, "
                f"by_chance=1, every=7, lag=1, ship=exam or ship=refit, recipes=a+b"
            )
    gates = tuple(replace(gate, **theirs) if isinstance(gate, Better) else gate for gate in policy.gates)
    return replace(policy, name=text, gates=gates, **ours)


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{name} is a number, got '{value}'") from None
