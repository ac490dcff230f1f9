"""What decides when a model is replaced: a use case's own gates, or one of the habits they are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from pipeline.core.gates.better import Better

if TYPE_CHECKING:
    from pipeline.core.gates import Gate

#: The most days that a recipe may be asked to learn from: ten years.
LONGEST_WINDOW = 3_653
#: The calendar habits, by their days: a month is four weeks.
HABITS = {"monthly": 28, "weekly": 7, "daily": 1}
#: What is shipped: the fit that was scored, or the one that has learnt from the holdout day too.
Ship = Literal["scored", "refit"]


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
        every: Judge on one day in this many: 7 is once a week.
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
    ship: Ship = "scored"
    holdout: int = 7

    def __post_init__(self) -> None:
        def refuse(why: str) -> None:
            raise ValueError(f"policy '{self.name}' {why}")

        if not self.recipes:
            refuse("names no recipe")
        if self.every < 1 or self.lag < 0 or self.holdout < 1:
            refuse(
                f"needs every and holdout of at least 1 day and a lag of at least 0, got {self.every}, "
                f"{self.holdout} and {self.lag}"
            )
        if (self.rule == "gates") != bool(self.gates):
            refuse("decides by gates, and names none" if self.rule == "gates" else "names gates it does not ask")


def reference_policies(recipes: Sequence[str], ship: Ship) -> tuple[Policy, ...]:
    """What teams do without gates: never, or each recipe every four weeks, weekly or daily; and a point gate."""
    return (
        Policy("never", "never", tuple(recipes[:1])),
        *(
            Policy(f"{name} {recipe}", "always", (recipe,), every=every, ship=ship)
            for name, every in HABITS.items()
            for recipe in recipes
        ),
        Policy("point gate", "point", tuple(recipes)),
    )


def parse_windows(text: str) -> dict[str, int]:
    """Recipe to the days that it learns from instead, as a policy's text asks: ``window.linear_60=30``.

    Raises:
        ValueError: It is no number of days.
    """
    parts = [part.strip().partition("=") for part in text.split(",") if part.strip().startswith("window.")]
    window_by_recipe = {name.removeprefix("window."): _whole(name, value, 1) for name, _, value in parts}
    for name, window in window_by_recipe.items():
        if window > LONGEST_WINDOW:
            raise ValueError(f"window.{name} is at most {LONGEST_WINDOW:,} days, got {window:,}")
    return window_by_recipe


def variant_name(recipe: str, days: int) -> str:
    """The name of a recipe that learns from another number of days."""
    return f"{recipe}_on_{days}"


def _parts(text: str) -> list[str]:
    """What a text says, one by one."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ValueError(f"a changed policy changes something: {_WAYS}")
    names = [part.partition("=")[0].strip() for part in parts]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise ValueError(f"'{text}' says {twice[0]} more than once: say it once")
    return parts


def with_changes(policy: Policy, text: str) -> Policy:
    """The policy with some of its numbers changed: ``price=0.05,ship=scored,recipes=linear_14+linear_60``.

    Args:
        policy: One that decides by gates.
        text: Of the gate that decides ``price``, ``switch_price``, ``switch_by``, ``by_chance``, ``first_by_chance``;
            of any other a number (``every_slice.margin=0.2``), or which gates there are (``gates=better+sound``); of
            the policy ``every``, ``lag``, ``ship``, ``recipes``; of a recipe its window (``window.linear_60=30``),
            whose fits are then those of the recipe :func:`variant_name` names.

    Raises:
        ValueError: In a sentence that says what there is.
    """
    parts = _parts(text)
    changes: dict[str, Any] = {}
    gates, window_by_recipe = policy.gates, parse_windows(text)
    for part in parts:
        name, _, value = part.partition("=")
        if name in ("price", "switch_price", "switch_by", "by_chance", "first_by_chance"):
            gates = tuple(replace(g, **{name: _number(name, value)}) if isinstance(g, Better) else g for g in gates)
        elif name in ("every", "lag"):
            changes[name] = _whole(name, value, int(name == "every"))
        elif name == "recipes":
            changes[name] = _chosen("recipe", value, policy.recipes)
        elif name == "gates":
            wanted = _chosen("gate", value, [_slug(gate) for gate in policy.gates])
            gates = tuple(gate for gate in gates if _slug(gate) in wanted)
            if not any(isinstance(gate, Better) for gate in gates):
                raise ValueError("without the gate better nothing decides: write gates=better and others with +")
        elif name == "ship" and value in ("scored", "refit"):
            changes[name] = value
        elif name.startswith("window."):
            _chosen("recipe", name.removeprefix("window."), policy.recipes)
        elif "." in name:
            gates = _set(gates, name, value)
        else:
            raise ValueError(f"'{part}' changes nothing that a policy has: {_WAYS}")
    recipes = changes.pop("recipes", policy.recipes)
    idle = [recipe for recipe in window_by_recipe if recipe not in recipes]
    if idle:
        raise ValueError(f"window.{idle[0]} changes a recipe that is not among recipes={'+'.join(recipes)}")
    varied_recipes = tuple(
        variant_name(recipe, window_by_recipe[recipe]) if recipe in window_by_recipe else recipe for recipe in recipes
    )
    return replace(policy, name=text.strip(), gates=gates, recipes=varied_recipes, **changes)


_WAYS = (
    "write price=0.05, switch_price=0.5, switch_by=0.01, by_chance=1, every=7, lag=1, ship=scored or ship=refit, "
    "recipes=a+b, window.a=30, gates=better+sound, every_slice.margin=0.2, several by comma"
)


def _slug(gate: Gate) -> str:
    return gate.name.replace(" ", "_")


def _chosen(what: str, value: str, known: Sequence[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(value.split("+")))
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"there is no {what} '{unknown[0]}' to replay; there are {', '.join(known)}")
    return wanted


def _set(gates: Sequence[Gate], name: str, value: str) -> tuple[Gate, ...]:
    """The gates with one number of one of them changed."""
    gate_slug, _, number = name.partition(".")
    if not any(_slug(gate) == gate_slug for gate in gates):
        raise ValueError(
            f"there is no gate '{gate_slug}' to replay; there are {', '.join(_slug(gate) for gate in gates)}"
        )
    changed_gates: list[Gate] = []
    for gate in gates:
        if _slug(gate) == gate_slug:
            numbers = [f.name for f in fields(gate) if type(getattr(gate, f.name)) in (int, float)]  # type: ignore[arg-type]
            if number not in numbers:
                raise ValueError(
                    f"the gate {gate_slug} has no number '{number}'; it has {', '.join(numbers) or 'none'}"
                )
            whole = isinstance(getattr(gate, number), int)
            gate = replace(gate, **{number: _whole(name, value, 0) if whole else _number(name, value)})  # type: ignore[type-var]  # noqa: PLW2901
        changed_gates.append(gate)
    return tuple(changed_gates)


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{name} is a number, got '{value}'") from None


def _whole(name: str, value: str, least: int) -> int:
    # More digits than a day's number has are no request, and Python itself reads no more than some thousands.
    if not value.isdecimal() or len(value) > 9 or int(value) < least:
        raise ValueError(
            f"{name} is a whole number of at least {least} and below a thousand million, got '{value[:40]}'"
        )
    return int(value)
