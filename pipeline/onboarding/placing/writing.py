"""The use case's folder as text: what a person would have written after a day with the data, comments included.

Lines are laid out as the repository's formatter would, so that the files pass it and a later edit shows as itself.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.core.usecase import Usecase
from pipeline.core.words import count
from pipeline.onboarding.declaring.choices import Choices
from pipeline.onboarding.declaring.daily_checks import until
from pipeline.onboarding.history.columns import Columns, Field
from pipeline.onboarding.history.rows import RESERVED, History, KindName, Request
from pipeline.onboarding.history.target import Target

WIDTH = 120
_GOLDEN = '    golden=cases((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"), INPUTS),'


@dataclass(frozen=True)
class Plan:
    """All that the folder is written from.

    Attributes:
        request: What was asked for.
        history, target, columns, choices: What was found and chosen.
        excuses: Finding to the reason why it is no fault here.
    """

    request: Request
    history: History
    target: Target
    columns: Columns
    choices: Choices
    excuses: Mapping[str, str]

    @property
    def constant(self) -> str:
        """The declaration's name in Python."""
        return self.request.name.upper()

    @property
    def who(self) -> str:
        """What a prediction is about, in a word or two."""
        return " and ".join(name.removesuffix("_id").replace("_", " ").strip() or name for name in self.history.unit)


def quoted(text: str) -> str:
    """A string literal as the formatter writes it."""
    made = repr(text)
    return f'"{made[1:-1]}"' if made[0] == "'" and '"' not in made else made


def documented(text: str) -> str:
    """A text as a docstring holds it: whatever words the data holds, none of them ends it or is read as an escape."""
    return repr(text)[1:-1].replace("\\'", "'").replace('"', '\\"')


def spread(head: str, items: Sequence[str], tail: str, indent: int) -> str:
    """``head`` items ``tail`` on one line if they fit, else an item a line."""
    line = f"{head}{', '.join(items)}{tail}"
    if indent + len(line) <= WIDTH and "\n" not in line and not any("#" in item for item in items):
        return " " * indent + line
    pad = " " * (indent + 4)
    return "\n".join([" " * indent + head, *(f"{pad}{item}," for item in items), " " * indent + tail])


def names(values: Sequence[str], head: str, indent: int = 0, tail: str = "") -> str:
    """A tuple of strings after ``head``."""
    if len(values) == 1:
        return f"{' ' * indent}{head}({quoted(values[0])},){tail}"
    return spread(f"{head}(", [quoted(value) for value in values], f"){tail}", indent)


def comment(text: str, indent: int) -> str:
    """The text as comment lines."""
    pad = " " * indent + "# "
    return "\n".join(textwrap.wrap(text, WIDTH, initial_indent=pad, subsequent_indent=pad, break_long_words=False))


def declaration(plan: Plan) -> str:
    """``__init__.py``."""
    history, choices, request = plan.history, plan.choices, plan.request
    gates = ["BeatsBaseline", "Better", *(["Churn"] if choices.daily else [])]
    gates += [*(["EverySlice"] if choices.slices else []), "Latency", "Sound"]
    kind, days = _kind(plan), count(len(history.calendar), "day")
    delayed = plan.target.delay > 0
    golden = "golden" in Usecase.__dataclass_fields__
    imports = [
        *(["from datetime import date"] if plan.excuses else []),
        *(["from pathlib import Path"] if golden else []),
        *([""] if plan.excuses or golden else []),
        *(["from pipeline.core.facts import Excuse"] if plan.excuses else []),
        spread("from pipeline.core.gates import ", gates, "", 0)
        if len(gates) < 9
        else spread("from pipeline.core.gates import (", gates, ")", 0),
        *(["from pipeline.core.golden import cases"] if golden else []),
        f"from pipeline.core.kinds import {kind.partition('(')[0]}",
        "from pipeline.core.tables import Column, Feed",
        "from pipeline.core.usecase import Schedule, Usecase",
        "from pipeline.core.verdict import Bound",
        f"from pipeline.usecases.{request.name}.features import INPUTS, features{', known_at' if delayed else ''}",
        f"from pipeline.usecases.{request.name}.recipes import RECIPES, USUAL",
    ]
    feed = [
        f"    name={quoted(request.name)},",
        f"    path={quoted(request.name + '/{day}.parquet')},",
        "    columns=(",
        *(_column(field) for field in plan.columns.fields),
        "    ),",
        names((history.day, *history.unit), "key=", 4, ","),
        f"    day={quoted(history.day)},",
        *([f"    time={quoted(history.time)},"] if history.time else []),
        *(["    known_at=known_at,"] if delayed else []),
        comment("The least and the most rows of a day against the usual of its weekday, with a margin.", 4),
        f"    rows=Bound({float(choices.rows[0])!r}, {float(choices.rows[1])!r}),",
        *([f"    bytes={choices.size:_},"] if choices.size != 64_000_000 else []),
    ]
    case = [
        f"    name={quoted(request.name)},",
        f"    question={quoted(question(plan))},",
        *_kind_comment(plan),
        f"    kind={kind},",
        names(history.unit, "unit=", 4, ","),
        f"    feeds=({request.name.upper()}_ROWS,),",
        "    references=(),",
        "    features=features,",
        "    inputs=INPUTS,",
        comment("Every input stands in the unit's own row, so no earlier day is looked at.", 4),
        "    history=0,",
        "    recipes=RECIPES,",
        "    baseline=USUAL,",
        *_block_comment(plan),
        names(choices.block, "block=", 4, ","),
        names(choices.slices, "slices=", 4, ",") if choices.slices else "    slices=(),",
        *_gates(plan),
        *_schedule(plan),
        *_delay(plan),
        *([f"    evidence={choices.evidence},"] if choices.evidence != 14 else []),
        *([f"    lookback={choices.lookback},"] if choices.lookback != 14 else []),
        *_excuses(plan),
        *([_GOLDEN] if golden else []),
    ]
    lines = [
        f'"""{documented(question(plan))}',
        "",
        f"Begun from {days} of history; what was assumed stands in REVIEW.md beside this.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        *imports,
        "",
        f"{plan.constant}_ROWS = Feed(",
        *feed,
        ")",
        "",
        f"{plan.constant} = Usecase(",
        *case,
        ")",
    ]
    return "\n".join(lines) + "\n"


def question(plan: Plan) -> str:
    """The question a prediction answers, as well as names can tell."""
    target = plan.target.column
    if plan.target.kind == "regression":
        return f"How much is '{target}' for this {plan.who}?"
    if plan.target.kind == "multiclass":
        return f"Which '{target}' does this {plan.who} have?"
    yes = plan.target.classes[1]
    return f"Is '{target}' {'true' if yes == 1 else yes} for this {plan.who}?"


def _column(field: Field) -> str:
    parts = [quoted(field.name), quoted(field.type)]
    parts += ["empty=True"] if field.empty else []
    parts += ["outcome=True"] if field.role in ("target", "leak") else []
    parts += ["varies=True"] if field.varies else []
    reasons = {"leak": "Suspected to know the future, so no input", "identifier": "No input", "constant": "No input"}
    lines = [comment(f"{reasons[field.role]}: {field.why}.", 8)] if field.role in reasons else []
    return "\n".join([*lines, spread("Column(", parts, "),", 8)])


def _kind(plan: Plan) -> str:
    target, choices = plan.target, plan.choices
    if target.kind == "binary":
        return f"Binary(target={quoted(target.column)}, threshold={choices.threshold:g})"
    if target.kind == "regression":
        numbers = f"acts_at={float(choices.acts_at)!r}, tolerance={float(choices.tolerance)!r}"
        return f"Regression(target={quoted(target.column)}, {numbers})"
    return multiclass(target)


def multiclass(target: Target) -> str:
    """The kind of a target with several classes, as :mod:`pipeline.core.kinds` builds it."""
    words = [quoted(str(word)) for word in target.classes]
    line = f"Multiclass(target={quoted(target.column)}, classes=({', '.join(words)}))"
    if len(line) <= WIDTH - len("    kind=,"):
        return line
    listed = "".join(f"            {word},\n" for word in words)
    return f"Multiclass(\n        target={quoted(target.column)},\n        classes=(\n{listed}        ),\n    )"


def _kind_comment(plan: Plan) -> list[str]:
    if plan.target.kind == "binary":
        return [comment("Assumed: about as many are acted on as come true. Ask who acts, and on how many.", 4)]
    if plan.target.kind == "regression":
        text = "Assumed: somebody acts from the upper quartile on, and a quarter of the middle half is no miss."
        return [comment(text, 4)]
    return [comment("Assumed: the rarest class is the one whose cases somebody works through.", 4)]


def _block_comment(plan: Plan) -> list[str]:
    if plan.choices.block == plan.history.unit:
        return [comment("No unit comes twice a day, so each row of a day is taken to fail by itself.", 4)]
    return [comment(f"Rows of one {' and '.join(plan.choices.block)} on one day are taken to fail together.", 4)]


def _gates(plan: Plan) -> list[str]:
    choices = plan.choices
    lines = ["Sound(),", "Better(),", "BeatsBaseline(),"]
    lines += ["EverySlice(margin=0.10),"] if choices.slices else []
    lines += ["Latency(p95_ratio=2.0, always_fine_ms=100),"]
    if choices.daily:
        lines += [
            comment("Wide enough for the first model to take over from the plain rule; tighten it then.", 8).lstrip()
        ]
        lines += [f"Churn(limit={choices.changes:.2f}),"]
    return ["    gates=(", *(f"        {line}" for line in lines), "    ),"]


def _schedule(plan: Plan) -> list[str]:
    line = f"    schedule=Schedule(cron={quoted(plan.choices.cron)}, timezone={quoted(plan.history.zone)}),"
    if plan.choices.cron.endswith("* *"):
        return [line]
    return [comment("The mornings after the weekdays that have rows; 0 is Sunday.", 4), line]


def _delay(plan: Plan) -> list[str]:
    if not plan.target.delay:
        return [comment("Assumed: a label is known when its day has closed.", 4), "    label_delay=0,"]
    return [f"    label_delay={plan.target.delay},"]


def _excuses(plan: Plan) -> list[str]:
    lines: list[str] = []
    first, last = plan.history.calendar[0], until(plan.history)
    for finding, why in plan.excuses.items():
        lines += [
            "        Excuse(",
            f"            {quoted(finding)},",
            f"            first=date({first.year}, {first.month}, {first.day}),",
            f"            last=date({last.year}, {last.month}, {last.day}),",
            f"            why={quoted(why)},",
            "        ),",
        ]
    return ["    excuses=(", *lines, "    ),"] if lines else []


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


def named(name: str, value: str) -> str:
    """An argument of ``with_columns``, by keyword where the name can be one."""
    import keyword
    import unicodedata

    # Python reads a ligature in a keyword as its letters, and a column is called as it is written.
    plain = unicodedata.normalize("NFKC", name) == name
    if name.isidentifier() and plain and not keyword.iskeyword(name):
        line = f"{name}={value},"
        return line if len(line) <= WIDTH - 8 else f"{name}=(\n            {value}\n        ),"
    return f"({value}).alias({quoted(name)}),"


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
