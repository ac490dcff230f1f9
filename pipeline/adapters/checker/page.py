"""The page of a validation result: Great Expectations' own words and counts on a page that stands alone.

Its own site leans on half a dozen servers for style and script. Here is no network and no link to a page that is not
there: it opens from a folder and as an artifact alike. The same result is the same bytes, so it may be written twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from pipeline.adapters.checker.days import Expectation
from pipeline.adapters.checker.words import name_of, subject_of

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Line:
    """One expectation on the page: what was expected and what came are the vendor's rendered contents."""

    outcome: str
    expected: Any
    observed: Any
    why: str
    severity: str
    advice: str


def page(
    usecase: str, table: str, day: date, parts: Sequence[tuple[Expectation, str, Any]], advised: Mapping[str, str]
) -> bytes:
    """One HTML page of all expectations of a table's day, the broken ones first.

    Args:
        usecase: The use case.
        table: The table.
        day: Its day.
        parts: The expectation, its outcome, the vendor's result.
        advised: Name of a broken expectation to what to ask or do about it.
    """
    from great_expectations.render.renderer.content_block import ValidationResultsTableContentBlockRenderer

    groups: dict[str, list[Line]] = {}
    for expectation, outcome, part in sorted(parts, key=lambda p: (p[1] in ("PASS", "EMPTY"), subject_of(p[0]))):
        part.result = _plain(part.result or {})
        _forget_traces(part.exception_info)
        block = ValidationResultsTableContentBlockRenderer.render([part]).to_json_dict()
        _, expected, observed = block["table"][0]
        meta: Mapping[str, Any] = part.expectation_config.meta or {}
        severity, advice = str(expectation.get("severity", "critical")), advised.get(name_of(expectation), "")
        line = Line(outcome, _escaped(expected), _escaped(observed), str(meta.get("why", "")), severity, advice)
        groups.setdefault(subject_of(expectation) or "the table", []).append(line)
    outcomes = [outcome for _, outcome, _ in parts]
    html = (
        _view()
        .env.get_template("page.html.j2")
        .render(
            usecase=usecase,
            table=table,
            day=day,
            groups=groups,
            held=outcomes.count("PASS"),
            asked=len(outcomes),
            bad=sum(
                line.outcome not in ("PASS", "EMPTY") and line.severity == "critical"
                for lines in groups.values()
                for line in lines
            ),
        )
    )
    return str(html).encode()


def _forget_traces(info: Any) -> None:
    """A traceback helps nobody who reads the page, and names this machine's folders; the message stays."""
    for entry in [info, *info.values()] if isinstance(info, dict) else []:
        if isinstance(entry, dict) and entry.get("exception_traceback"):
            entry["exception_traceback"] = ""


def _escaped(block: Any) -> Any:
    """The vendor's templates escape what stands in sentences, and not what stands in cells: values of the data."""
    if isinstance(block, str):
        return escape(block)
    if isinstance(block, list):
        return [_escaped(item) for item in block]
    if isinstance(block, dict):
        cells = {name: _escaped(block[name]) for name in ("table", "header_row", "collapse") if name in block}
        return {**block, **cells}
    return block


def _plain(value: Any) -> Any:
    """The vendor's renderer stumbles over numpy's numbers, and spells out tuples of them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, tuple):
        return ", ".join(str(_plain(item)) for item in value)
    return value.item() if hasattr(value, "item") else value


@cache
def _view() -> Any:
    from great_expectations.render.view import DefaultJinjaPageView
    from jinja2 import ChoiceLoader, FileSystemLoader

    view = DefaultJinjaPageView()
    view.env.loader = ChoiceLoader([FileSystemLoader(_HERE), *view.env.loader.loaders])
    # Random names would make each writing of the same page another file; nothing here refers to them.
    view.env.filters["generate_html_element_uuid"] = lambda prefix="": f"{prefix}0"
    return view
