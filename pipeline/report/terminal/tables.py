"""Tables for the command line: what happened day by day, who was champion, what the gates said."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pipeline.core.headline import shortened
from pipeline.core.records import DayOutcome, Entry
from pipeline.core.verdict import Finding, Outcome, Verdict

#: How a day or a step in the ledger is shown: a sign, so that colour is never the only carrier, and a colour.
LOOKS = {
    "promoted": ("▲", "bold green"),
    "promote": ("▲", "bold green"),
    "started": ("●", "cyan"),
    "start": ("●", "cyan"),
    "held": ("‖", "blue"),
    "hold": ("‖", "blue"),
    "waiting": ("…", "yellow"),
    "declined": ("–", "yellow"),
    "refused": ("✕", "bold red"),
    "failed": ("✕", "red"),
    "rollback": ("↶", "bold yellow"),
    "lift": ("○", "cyan"),
}
#: How an answer is shown.
ANSWERS = {Outcome.PASS: ("✓", "green"), Outcome.FAIL: ("✕", "bold red"), Outcome.UNKNOWN: ("?", "yellow")}
#: How wide what is piped is drawn, unless COLUMNS says otherwise.
_PLAIN_WIDTH = 150
#: A window this wide has room for every column of the day-by-day table.
_WIDE = 110
#: The same of the ledger's table, of which the reason is the most.
_WIDE_HISTORY = 140


def show(renderable: RenderableType, file: TextIO | None = None) -> None:
    """Print it: in colour and as wide as the window in a terminal, else plain and as wide as COLUMNS says (150)."""
    target = file or sys.stdout
    # rich knows COLUMNS; where nobody set it and nobody watches it would take 80.
    console = Console(file=target, soft_wrap=False)
    if not target.isatty() and "COLUMNS" not in console._environ:
        console = Console(file=target, width=_PLAIN_WIDTH, soft_wrap=False)
    console.print(renderable)


class _Days:
    """The day-by-day table, as much of it as the window has room for."""

    def __init__(self, outcomes: Sequence[DayOutcome], baseline: str) -> None:
        self.outcomes, self.baseline = outcomes, baseline

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _days(self.outcomes, self.baseline, wide=options.max_width >= _WIDE)


def days_table(outcomes: Sequence[DayOutcome], baseline: str = "") -> RenderableType:
    """What happened day by day: outcome, champion, losses, reason. A narrow window gets a headline a day.

    Args:
        outcomes: The days, in the order they are to be shown.
        baseline: The baseline's recipe name; gives its loss a column of its own.
    """
    return _Days(outcomes, baseline) if outcomes else Text("no day was run yet", style="dim")


def _days(outcomes: Sequence[DayOutcome], baseline: str, wide: bool) -> Table:
    several = len({line.usecase for line in outcomes}) > 1
    table = plain_table()
    if several:
        table.add_column("use case", no_wrap=True)
    table.add_column("day", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    if wide:
        table.add_column("champion after it", overflow="fold")
        table.add_column("loss: champion", justify="right", no_wrap=True)
        if baseline:
            table.add_column("baseline", justify="right", no_wrap=True)
        table.add_column("best other", overflow="fold")
        table.add_column("reason", ratio=1, overflow="fold", min_width=20)
    else:
        table.add_column("champion", no_wrap=True)
        table.add_column("loss", justify="right", no_wrap=True)
        table.add_column("what happened", ratio=1)
    for line in outcomes:
        cells: list[RenderableType] = [Text(line.usecase)] if several else []
        cells += [Text(line.day), _look(line.outcome)]
        loss = Text(_loss(line.losses.get("champion")))
        if wide:
            cells += [Text(_champion(line.champion, line.recipe)), loss]
            if baseline:
                cells.append(Text(_loss(line.losses.get(baseline))))
            cells += [Text(_best(line, baseline)), Text(line.reason)]
        else:
            cells += [Text(_champion(line.champion, "")), loss, _Headline(line)]
        table.add_row(*cells)
    return table


class _Headline:
    """A day's headline, as many of its parts as one line has room for."""

    def __init__(self, line: DayOutcome) -> None:
        self.text = line.headline or line.reason

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(20, options.max_width), options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(shortened(self.text, options.max_width), no_wrap=True)


def outcome_line(line: DayOutcome) -> RenderableType:
    """One day in one line, to be shown as it ends."""
    sign, style = LOOKS.get(line.outcome, ("·", ""))
    champion = f"  [{_champion(line.champion, line.recipe)}]" if line.champion is not None else ""
    parts = ((f"{sign} {line.usecase} {line.day} {line.outcome}", style), (champion, "dim"), f"  {line.reason}")
    return Text.assemble(*parts, overflow="fold")


class _History:
    """The ledger's lines: a column for each thing where there is room, else with the small things beside the reason."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield (_wide_history if options.max_width >= _WIDE_HISTORY else _narrow_history)(self.entries)


def history_table(entries: Sequence[Entry]) -> RenderableType:
    """Who was champion when, in place of whom, why and by whom."""
    if not entries:
        return Text("no champion yet: the first day that is judged starts with the baseline", style="dim")
    return _History(entries)


def _wide_history(entries: Sequence[Entry]) -> Table:
    several = len({entry.usecase for entry in entries}) > 1
    table = plain_table()
    if several:
        table.add_column("use case", no_wrap=True)
    for name, justify in (("epoch", "right"), ("when (UTC)", "left"), ("what", "left"), ("version", "left")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("recipe", overflow="fold")
    table.add_column("trained through", no_wrap=True)
    table.add_column("data day", no_wrap=True)
    table.add_column("by", overflow="fold")
    table.add_column("why", ratio=1, overflow="fold")
    for entry in entries:
        cells: list[RenderableType] = [Text(entry.usecase)] if several else []
        cells += [Text(str(entry.epoch)), Text(_when(entry)), _look(entry.action), Text(_came(entry))]
        cells += [Text(entry.recipe), Text(entry.trained_through), Text(entry.day), Text(entry.by), Text(_why(entry))]
        table.add_row(*cells)
    return table


def _narrow_history(entries: Sequence[Entry]) -> Table:
    several = len({entry.usecase for entry in entries}) > 1
    table = plain_table()
    table.add_column("epoch", justify="right", no_wrap=True)
    table.add_column("when (UTC)", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("champion", overflow="fold", max_width=14)
    table.add_column("why, and by whom", ratio=1, overflow="fold", min_width=20)
    for entry in entries:
        when = _when(entry).replace(" ", "\n")
        why = f"{_why(entry)}\nby {entry.by}; data day {entry.day}, trained through {entry.trained_through or '–'}"
        champion = f"{_came(entry)}\n{entry.recipe}"
        if several:
            champion = f"{entry.usecase}\n{champion}"
        table.add_row(str(entry.epoch), when, _look(entry.action), Text(champion), Text(why))
    return table


def _when(entry: Entry) -> str:
    return entry.at[:16].replace("T", " ")


def _came(entry: Entry) -> str:
    """The version, and which one it replaced."""
    return f"{entry.replaced} → {entry.version}" if entry.replaced not in (None, entry.version) else str(entry.version)


def _why(entry: Entry) -> str:
    if not entry.held:
        return entry.why
    if entry.action == "lift":
        return f"{entry.why} ({entry.held} may be promoted again)"
    return f"{entry.why} ({entry.held} may not be promoted through {entry.held_until})"


def findings_table(findings: Iterable[Finding], informing: bool = False) -> RenderableType:
    """Questions and answers.

    Args:
        findings: What was found.
        informing: Whether to list those too that can stop nothing.
    """
    table = plain_table()
    table.add_column("question", overflow="fold")
    table.add_column("answer", no_wrap=True)
    table.add_column("found, and what was wanted", ratio=1, overflow="fold")
    for finding in findings:
        if not (finding.told or informing):
            continue
        sign, style = ANSWERS[finding.outcome]
        answer = f"{sign} {finding.outcome}"
        table.add_row(Text(finding.name), Text(answer, style if finding.required else "dim"), Text(finding.sentence))
    return table


def verdict_view(verdict: Verdict) -> RenderableType:
    """The verdict's sentence, then its findings, the challenger's first."""
    champion, challenger = verdict.champion, verdict.challenger
    sign, style = LOOKS[verdict.decision]
    head = Text.assemble(
        (f"{sign} {verdict.usecase} {verdict.day}: {verdict.decision}", style), "  ", verdict.reason, overflow="fold"
    )
    champion_name = "no champion yet" if champion is None else f"version {champion.version} ({champion.recipe})"
    sides = Text(f"champion: {champion_name}; challenger: {'none' if challenger is None else challenger.recipe}", "dim")
    first = challenger.recipe if challenger is not None else ""
    parts: list[RenderableType] = [head, sides]
    for recipe in sorted(verdict.findings, key=lambda name: name != first):
        parts += [Text(f"\n{recipe}", "bold"), findings_table(verdict.findings[recipe])]
    return Group(*parts)


def plain_table() -> Table:
    """An empty table in the style of all of them."""
    return Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, padding=(0, 1), header_style="bold")


def _look(outcome: str) -> Text:
    sign, style = LOOKS.get(outcome, ("·", ""))
    return Text(f"{sign} {outcome}", style)


def _champion(version: int | None, recipe: str) -> str:
    return "none" if version is None else f"version {version} {recipe}".strip()


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _best(line: DayOutcome, baseline: str) -> str:
    others = {who: loss for who, loss in line.losses.items() if loss is not None and who not in ("champion", baseline)}
    if not others:
        return "–"
    best = min(others, key=lambda who: (others[who], who))
    return f"{_loss(others[best])} {best}"
