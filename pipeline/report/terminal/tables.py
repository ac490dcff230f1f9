"""Tables for the command line: what happened day by day, who was champion, what the gates said."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from pipeline.core.headlines import day_headline, entry_headline, narrow
from pipeline.core.records import DayOutcome, Entry
from pipeline.core.verdict import UNABLE, Finding, Outcome

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
_PLAIN_WIDTH = 150
#: A window this wide has room for every column of the day-by-day table.
_WIDE = 140
#: A name longer than this may be folded, so that the headline keeps its place.
_LONG_CELL = 40
#: The same of the ledger's table, of which the reason is the most.
_WIDE_HISTORY = 140


def show(renderable: RenderableType, file: TextIO | None = None) -> None:
    """Print it: in colour and as wide as the window in a terminal, plain elsewhere, 150 columns wide or ``COLUMNS``."""
    target = file or sys.stdout
    # What is piped has no window to ask; COLUMNS says how wide its reader is.
    width = None if target.isatty() else shutil.get_terminal_size((_PLAIN_WIDTH, 25)).columns
    Console(file=target, width=width, soft_wrap=False).print(renderable)


def show_json(document: Mapping[str, Any], file: TextIO | None = None) -> None:
    """Print one JSON document and nothing else."""
    print(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False), file=file or sys.stdout)


class _Days:
    """The day-by-day table, as much of it as the window has room for: each day is one line from 80 columns on."""

    def __init__(self, outcomes: Sequence[DayOutcome], baseline: str) -> None:
        self.outcomes, self.baseline = outcomes, baseline

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _days(self.outcomes, self.baseline, options.max_width)


def days_table(outcomes: Sequence[DayOutcome], baseline: str = "") -> RenderableType:
    """What happened day by day: outcome, champion, losses, headline. A narrow window gets the champion's loss only.

    Args:
        outcomes: The days, in the order they are to be shown.
        baseline: The baseline's recipe name; gives its loss a column of its own.
    """
    return _Days(outcomes, baseline) if outcomes else Text("no day was run yet", style="dim")


def _days(outcomes: Sequence[DayOutcome], baseline: str, width: int) -> Table:
    wide = width >= _WIDE
    losses = [_loss(line.losses.get("champion")) for line in outcomes]
    columns: list[tuple[str, list[Text]]] = []
    if len({line.usecase for line in outcomes}) > 1:
        columns.append(("use case", [Text(line.usecase) for line in outcomes]))
    columns.append(("day", [Text(line.day) for line in outcomes]))
    columns.append(("outcome", [_look(line.outcome) for line in outcomes]))
    if wide:
        columns.append(("champion after it", [Text(_champion(line.champion, line.recipe)) for line in outcomes]))
        columns.append(("loss: champion", [Text(loss, justify="right") for loss in losses]))
        if baseline:
            columns.append(("baseline", [Text(_loss(line.losses.get(baseline)), justify="right") for line in outcomes]))
        columns.append(("best other", [Text(_best(line, baseline)) for line in outcomes]))
    else:
        columns.append(
            ("champ", [Text("none" if n is None else f"v{n}") for n in (line.champion for line in outcomes)])
        )
        columns.append(("loss", [Text(loss, justify="right") for loss in losses]))
    gap = 2 if wide else 1
    used = sum(max(len(name), *(cell.cell_len for cell in cells)) + gap for name, cells in columns)
    table = plain_table()
    table.padding, table.show_edge = (0, gap - 1, 0, 0), False
    for name, cells in columns:
        table.add_column(name, no_wrap=all(cell.cell_len <= _LONG_CELL for cell in cells), overflow="fold")
    table.add_column("what happened", ratio=1, overflow="fold", min_width=20)
    for n, line in enumerate(outcomes):
        headline = narrow(_happened(line), max(width - used, 20))
        table.add_row(*(cells[n] for _, cells in columns), Text(headline))
    return table


def headline_of(line: DayOutcome) -> str:
    """The day in one short line; of a line from before headlines were kept, from its exact words."""
    return line.headline or day_headline(line.outcome, line.reason)


def _happened(line: DayOutcome) -> str:
    """The headline without the outcome, which has a column of its own."""
    return headline_of(line).removeprefix(f"{line.outcome}: ").removeprefix("waiting for approval: ")


def outcome_line(line: DayOutcome) -> RenderableType:
    """One day in one line, to be shown as it ends."""
    sign, style = LOOKS.get(line.outcome, ("·", ""))
    champion = f"  [{_champion(line.champion, line.recipe)}]" if line.champion is not None else ""
    parts = ((f"{sign} {line.usecase} {line.day} {line.outcome}", style), (champion, "dim"), f"  {_happened(line)}")
    return Text.assemble(*parts, overflow="fold")


class _History:
    """The ledger's lines: a column for each thing where there is room, else with the small things beside the reason."""

    def __init__(self, entries: Sequence[Entry], recipes: Mapping[int, str]) -> None:
        self.entries, self.recipes = entries, recipes

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield (_wide_history if options.max_width >= _WIDE_HISTORY else _narrow_history)(self.entries, self.recipes)


def history_table(entries: Sequence[Entry], every: Sequence[Entry] = ()) -> RenderableType:
    """Who was champion when, in place of whom, why and by whom.

    Args:
        entries: The lines to be shown.
        every: The whole promotion ledger, where that is more: tells the recipe of what was replaced.
    """
    if not entries:
        return Text("no champion yet: the first day that is judged starts with the baseline", style="dim")
    return _History(entries, recipes_of(every or entries))


def recipes_of(entries: Sequence[Entry]) -> dict[int, str]:
    """Version to its recipe."""
    return {entry.version: entry.recipe for entry in entries}


def _wide_history(entries: Sequence[Entry], recipes: Mapping[int, str]) -> Table:
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
    table.add_column("what happened", ratio=1, overflow="fold")
    for entry in entries:
        cells: list[RenderableType] = [Text(entry.usecase)] if several else []
        cells += [Text(str(entry.epoch)), Text(_when(entry)), _look(entry.action), Text(_came(entry))]
        cells += [Text(entry.recipe), Text(entry.trained_through), Text(entry.day), Text(entry.by)]
        table.add_row(*cells, Text(_why(entry, recipes)))
    return table


def _narrow_history(entries: Sequence[Entry], recipes: Mapping[int, str]) -> Table:
    several = len({entry.usecase for entry in entries}) > 1
    table = plain_table()
    table.add_column("epoch", justify="right", no_wrap=True)
    table.add_column("when (UTC)", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("champion", overflow="fold", max_width=14)
    table.add_column("what happened, and by whom", ratio=1, overflow="fold", min_width=20)
    for entry in entries:
        when = _when(entry).replace(" ", "\n")
        by = f"by {entry.by}; data day {entry.day}, trained through {entry.trained_through or '–'}"
        champion = f"{_came(entry)}\n{entry.recipe}"
        if several:
            champion = f"{entry.usecase}\n{champion}"
        table.add_row(
            str(entry.epoch), when, _look(entry.action), Text(champion), Text(f"{_why(entry, recipes)}\n{by}")
        )
    return table


def _when(entry: Entry) -> str:
    return entry.at[:16].replace("T", " ")


def _came(entry: Entry) -> str:
    """The version, and which one it replaced."""
    return f"{entry.replaced} → {entry.version}" if entry.replaced not in (None, entry.version) else str(entry.version)


def _why(entry: Entry, recipes: Mapping[int, str]) -> str:
    """The headline; of what a person did also their own words in full, which stand nowhere else, and the hold.

    Where a champion could not answer any more, also the whole reason: nobody was shown to be better then.
    """
    headline = ledger_headline(entry, recipes)
    told = entry.action in ("rollback", "lift") or entry.why.startswith(UNABLE)
    words = told and entry.why not in headline
    parts = [headline.partition(": ")[2] or headline, f"reason: {entry.why}" if words else ""]
    if entry.held and entry.action != "lift":
        parts.append(f"{entry.held} may not be promoted through {entry.held_until}")
    return "\n".join(part for part in parts if part)


def ledger_headline(entry: Entry, recipes: Mapping[int, str]) -> str:
    """The line of the ledger in one short line; ``recipes`` tells the recipe of the version that was replaced."""
    return entry_headline(entry, recipes.get(entry.replaced or 0, ""))


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
        if not (finding.listed or informing):
            continue
        sign, style = ANSWERS[finding.outcome]
        answer = f"{sign} {finding.outcome}"
        table.add_row(Text(finding.name), Text(answer, style if finding.required else "dim"), Text(finding.sentence))
    return table


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
