"""The page of a validation result: Great Expectations' own words and counts on a page that stands alone.

Its own site leans on half a dozen servers for style and script. Here is no network and no link to a page that is not
there: it opens from a folder and as an artifact alike. The same result is the same bytes, so it may be written twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Line:
    """One expectation on the page: what was expected and what came are the vendor's rendered contents."""

    outcome: str
    expected: Any
    observed: Any
    why: str
    severity: str


def page(usecase: str, table: str, day: date, parts: list[tuple[str, str, Any]]) -> bytes:
    """One HTML page of all expectations of a table's day, the broken ones first.

    Args:
        usecase: The use case.
        table: The table.
        day: Its day.
        parts: The expectation's subject (a column, or empty for the table), its outcome, the vendor's result.
    """
    from great_expectations.render.renderer.content_block import ValidationResultsTableContentBlockRenderer
    from great_expectations.render.view import DefaultJinjaPageView
    from jinja2 import ChoiceLoader, FileSystemLoader

    view = DefaultJinjaPageView()
    view.env.loader = ChoiceLoader([FileSystemLoader(_HERE), *view.env.loader.loaders])
    # Random names would make each writing of the same page another file.
    numbers = itertools.count(1)
    view.env.filters["generate_html_element_uuid"] = lambda prefix="": f"{prefix}{next(numbers)}"
    groups: dict[str, list[Line]] = {}
    for subject, outcome, part in sorted(parts, key=lambda p: (p[1] == "PASS", p[0])):
        if "observed_value" in (part.result or {}):
            part.result["observed_value"] = _plain(part.result["observed_value"])
        _forget_traces(part.exception_info)
        block = ValidationResultsTableContentBlockRenderer.render([part]).to_json_dict()
        _, expected, observed = block["table"][0]
        meta: Mapping[str, Any] = part.expectation_config.meta or {}
        severity = str(part.expectation_config.to_json_dict().get("severity", "critical"))
        line = Line(outcome, expected, observed, str(meta.get("why", "")), severity)
        groups.setdefault(subject or "the table", []).append(line)
    outcomes = [outcome for _, outcome, _ in parts]
    html = view.env.get_template("data_docs.html.j2").render(
        usecase=usecase,
        table=table,
        day=day,
        groups=groups,
        held=outcomes.count("PASS"),
        asked=len(outcomes),
        bad=sum(line.outcome != "PASS" and line.severity == "critical" for lines in groups.values() for line in lines),
    )
    return str(html).encode()


def _forget_traces(info: Any) -> None:
    """A traceback helps nobody who reads the page, and names this machine's folders; the message stays."""
    for entry in [info, *info.values()] if isinstance(info, dict) else []:
        if isinstance(entry, dict) and entry.get("exception_traceback"):
            entry["exception_traceback"] = ""


def _plain(value: Any) -> Any:
    """The vendor's renderer stumbles over numpy's numbers."""
    return value.item() if hasattr(value, "item") else value
