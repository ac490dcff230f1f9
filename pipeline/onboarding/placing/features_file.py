"""``features.py`` of a new use case: its rows with what is known when a unit is predicted."""

from __future__ import annotations

from pipeline.core.words import count
from pipeline.onboarding.history.cells import RESERVED
from pipeline.onboarding.history.target import Target
from pipeline.onboarding.placing.plan import Plan
from pipeline.onboarding.placing.python_text import named, names, quoted


def features(plan: Plan) -> str:
    """``features.py``."""
    history, target, columns = plan.history, plan.target, plan.columns
    taken = [field.name for field in columns.fields]
    moments = {field.name: _fresh(f"{field.name}_age", taken) for field in columns.of("moment")}
    numbers = [*(field.name for field in columns.of("number")), "weekday", *(["hour_of_day"] if history.time else [])]
    numbers += moments.values()
    words = [field.name for field in columns.of("word")]
    delayed = target.delay > 0
    at = f"nw.col({quoted(history.time)})" if history.time else 'nw.col("day").cast(nw.Datetime("us"))'
    made: list[str] = []
    if words:
        made.append('*(nw.col(name).fill_null("missing") for name in WORDS),')
    made += [f"predicted_at={at},", 'weekday=nw.col("day").dt.weekday(),']
    made += [f"hour_of_day={at}.dt.hour(),"] if history.time else []
    for field in columns.of("moment"):
        made.append(named(moments[field.name], f"_days_since({quoted(field.name)})"))
    made += [named(target.column, label(target)), f"unlabelled=nw.when({missing(target)}).then(nw.lit(NO_LABEL)),"]
    # Positional arguments come before those with a name.
    made.sort(key=lambda line: not line.startswith(("*", "(")))
    moment = f"at its '{history.time}' (UTC, and so are hours)" if history.time else "at the beginning (UTC) of its day"
    lines = [
        f'"""Rows of ``{plan.request.name}`` to one row per {plan.who}, with what is known when it is predicted."""',
        "",
        "from __future__ import annotations",
        "",
        *(["from datetime import timedelta", ""] if delayed else []),
        "import narwhals as nw",
        "",
        "from pipeline.core.tables import Frame",
        "from pipeline.core.usecase import Tables",
        "",
        "#: Numbers reach the models as they are, missing ones too.",
        names(numbers, "NUMBERS = "),
        *(["#: Words; one that is missing is a word of its own.", names(words, "WORDS = ")] if words else []),
        "INPUTS = (*NUMBERS, *WORDS)" if words else "INPUTS = NUMBERS",
        f"#: Why a {plan.who} has no label, where it has none.",
        f"NO_LABEL = {quoted('pending' if delayed else 'unknown')}",
        "",
        "",
        *(_known_at(plan) if delayed else []),
        *(_days_since(at) if moments else []),
        "def features(tables: Tables) -> Frame:",
        f'    """One row per {plan.who} and day, predicted {moment}."""',
        f"    rows = tables[{quoted(plan.request.name)}]",
        "    return rows.with_columns(",
        *(f"        {line}" for line in made),
        "    )",
    ]
    return "\n".join(lines) + "\n"


def _days_since(at: str) -> list[str]:
    return [
        "def _days_since(column: str) -> nw.Expr:",
        '    """Days from a column\'s moment to that of the prediction."""',
        f'    return ({at} - nw.col(column).cast(nw.Datetime("us"))).dt.total_minutes() / 1440',
        "",
        "",
    ]


def label(target: Target) -> str:
    """The label as a number, null where there is none."""
    cell = f"nw.col({quoted(target.column)})"
    if target.kind == "regression" or target.classes == (0, 1):
        return f"{cell}.cast(nw.Float64)"
    if target.kind == "binary":
        yes = target.classes[1]
        told = quoted(yes) if isinstance(yes, str) else repr(yes)
        return f"nw.when(~{cell}.is_null()).then(({cell} == {told}).cast(nw.Float64))"
    # A class is told by its word.
    return cell if isinstance(target.classes[0], str) else f"{cell}.cast(nw.String)"


def missing(target: Target) -> str:
    """Whether there is no label."""
    return f"nw.col({quoted(target.column)}).is_null()"


def _fresh(name: str, taken: list[str]) -> str:
    while name.casefold() in {one.casefold() for one in (*taken, *RESERVED)}:
        name += "_"
    taken.append(name)
    return name


def _known_at(plan: Plan) -> list[str]:
    return [
        "def known_at(rows: Frame) -> Frame:",
        f'    """Add ``known_at``: a label is known {count(plan.target.delay, "day")} after its day has closed."""',
        "    # At noon UTC of the next day, the day before has closed everywhere on Earth.",
        f"    closed = timedelta(days={plan.target.delay}, hours=36)",
        '    return rows.with_columns(known_at=nw.col("day").cast(nw.Datetime("us")) + closed)',
        "",
        "",
    ]
