"""``recipes.py`` of a new use case, from the template of its kind."""

from __future__ import annotations

from typing import Any

from pipeline.onboarding.history.request import KindName
from pipeline.onboarding.placing.plan import Plan
from pipeline.onboarding.placing.python_text import quoted


def recipes(plan: Plan) -> str:
    """``recipes.py``, from the template of its kind."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    kind: KindName = plan.target.kind
    environment = Environment(  # noqa: S701 - it writes Python, and nothing of the history but names through `quoted`
        loader=PackageLoader("pipeline.onboarding", "placing"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    choices = plan.choices
    values: dict[str, Any] = {
        "name": plan.request.name,
        "words": bool(plan.columns.of("word")),
        "rule": quoted(choices.rule) if choices.rule else "",
        "rule_name": choices.rule,
        "target": plan.target.column,
        "choices": choices,
        "usual": max(28, choices.middle) if choices.long >= 28 else choices.long,
        "regression": kind == "regression",
    }
    return environment.get_template("recipes.py.j2").render(values)
