"""A replay in the terminal: the policies beside each other, and what a search proposes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import StringIO

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from pipeline.core.replay.result import PolicyResult, ReplayResult, days_of_loss
from pipeline.core.stats import Interval, NoInterval
from pipeline.core.words import first_few
from pipeline.report.terminal.tables import plain_table, show

HEAD = (
    "policy",
    "total cost",
    "loss",
    "against the best daily",
    "promotions",
    "harmful",
    "days of harm",
    "churn",
    "age",
    "fits",
)
#: From how many columns of a window on all of them are shown; which are in a narrower one, and which never break.
_WIDE, _NARROW, _UNBROKEN = 120, (0, 1, 2, 3, 4), (1, 2, 3, 4, 8, 9)


def replay_view(made: ReplayResult) -> RenderableType:
    """The sentence, the table, what was left out, and the proposal."""
    parts: list[RenderableType] = [
        Text(f"{made.usecase.name}, {made.days}: {made.sentence()}", "bold", overflow="fold"),
        _Policies(made),
        Text(
            f"total cost: days of loss above the best daily, and {days_of_loss(made.price)} for each promotion; "
            "against the best daily: served loss relative to that of the recipe that shipped daily was best, with its "
            "95 % interval, in which weeks fail together, or eighths of the days where that is wider. harmful: worse "
            "than what it replaced over the next seven days. churn: share of decisions changed by promotions, added "
            "up. age: of what served, mean and oldest, in days",
            "dim",
        ),
    ]
    parts += [Text(line, "dim") for line in remarks(made)]
    if made.proposal is not None:
        parts.append(Text(f"\nthe search: {made.proposed()}", "bold", overflow="fold"))
    return Group(*parts)


def as_text(made: ReplayResult) -> str:
    """The same as plain text, for a log."""
    written = StringIO()
    show(replay_view(made), written)
    return written.getvalue()


def remarks(made: ReplayResult) -> list[str]:
    """What the figures leave out."""
    lines = []
    if made.left_out:
        lines.append(
            f"not replayed: {', '.join(made.left_out)}; they judge what is measured on the day, of which history "
            f"keeps nothing, so fewer may be promoted in earnest"
        )
    policies = [one.timeline.policy for one in made.played[: made.asked]]
    if any(policy.rule == "gates" and policy.ship == "refit" for policy in policies):
        lines.append(
            "not replayed either: with ship=refit a refit that changes too many decisions is withheld in earnest, and "
            "the fit that was scored ships in its place; here every refit ships"
        )
    given = [f"{one.gate} is {one}" for one in made.usecase.waivers if one.gate not in made.left_out]
    if given:
        lines.append(f"waived in the replay too, on the days it covers: {first_few(given)}")
    if made.without:
        days = first_few([day.isoformat() for day in made.without], 7)
        lines.append(f"refused days, from which nobody learns and on which nobody is judged: {days}")
    return lines


class _Policies:
    """The policies beside each other, as many of their figures as the window has room for."""

    def __init__(self, made: ReplayResult) -> None:
        self.made = made

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _table(self.made, range(len(HEAD)) if options.max_width >= _WIDE else _NARROW)


def _table(made: ReplayResult, columns: Sequence[int]) -> RenderableType:
    shown = plain_table()
    for n in columns:
        shown.add_column(HEAD[n], justify="right" if n else "left", overflow="fold", no_wrap=n in _UNBROKEN)
    for one in made.played:
        row, is_asked = cells(one, made.best), one in made.played[: made.asked]
        shown.add_row(*(row[n] for n in columns), style="bold" if is_asked else "")
    if made.hindsight is not None:
        known = {0: "best schedule, in hindsight", 1: cost(made.hindsight.cost), 4: f"{made.hindsight.promotions:,}"}
        shown.add_row(*(known.get(n, "") for n in columns), style="dim")
    return shown


def cells(one: PolicyResult, best: PolicyResult) -> tuple[str, ...]:
    """A policy's row, in the order of :data:`HEAD`."""
    figures = one.figures
    return (
        one.name,
        cost(figures.cost),
        f"{figures.loss:.4f}",
        "the best daily" if one is best else difference(one.difference),
        f"{figures.promotions:,}",
        f"{figures.harmful:,}",
        f"{figures.harm_days:,}",
        f"{figures.churn:.2f}",
        f"{figures.age:.1f}, {figures.oldest}",
        f"{figures.fits:,}",
    )


def cost(days: float) -> str:
    """A total cost, short."""
    return f"{days:.1f}" if math.isfinite(days) else "not known"


def difference(found: Interval | NoInterval) -> str:
    """A relative difference with its ends, short."""
    if isinstance(found, NoInterval):
        return "not known"
    return f"{100 * found.estimate:+.1f} % ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
