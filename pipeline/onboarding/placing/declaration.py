"""``__init__.py`` of a new use case: the declaration as a person would have written it after a day with the data.

Lines are laid out as the repository's formatter would, so that the files pass it and a later edit shows as itself.
"""

from __future__ import annotations

from dataclasses import fields

from pipeline.core.forms import PLAIN, Form, Written
from pipeline.core.usecase import Usecase
from pipeline.core.words import count
from pipeline.onboarding.history.columns import Field
from pipeline.onboarding.history.target import Target
from pipeline.onboarding.placing.plan import Plan
from pipeline.onboarding.placing.python_text import WIDTH, comment, documented, names, quoted, spread

_GOLDEN = '    golden=cases((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"), INPUTS),'


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
        *(["from pipeline.core.forms import Form"] if plan.form != PLAIN else []),
        spread("from pipeline.core.gates import ", gates, "", 0)
        if len(gates) < 9
        else spread("from pipeline.core.gates import (", gates, ")", 0),
        *(["from pipeline.core.golden import cases"] if golden else []),
        f"from pipeline.core.kinds import {kind.partition('(')[0]}",
        "from pipeline.core.tables import Column, Feed",
        "from pipeline.core.usecase import Schedule, Usecase",
        f"from pipeline.usecases.{request.name}.features import INPUTS, features{', known_at' if delayed else ''}",
        f"from pipeline.usecases.{request.name}.recipes import RECIPES, USUAL",
    ]
    feed = [
        f"    name={quoted(request.name)},",
        f"    path={quoted(request.name + '/{day}' + plan.suffix)},",
        "    columns=(",
        *(_column(field, plan.written.get(field.name, "plain")) for field in plan.columns.fields),
        "    ),",
        names((history.day, *history.unit), "key=", 4, ","),
        f"    day={quoted(history.day)},",
        *([f"    time={quoted(history.time)},"] if history.time else []),
        *(["    known_at=known_at,"] if delayed else []),
        *([f"    bytes={choices.size:_},"] if choices.size != 64_000_000 else []),
        *([f"    bad_rows={plan.bad_rows:g},"] if plan.bad_rows != 0.001 else []),
        *_form(plan.form),
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


def _form(form: Form) -> list[str]:
    """How the files are written, as far as that is not the plain way."""
    parts: list[str] = []
    for field in fields(Form):
        value = getattr(form, field.name)
        if value == getattr(PLAIN, field.name):
            continue
        if isinstance(value, str):
            parts.append(f"        {field.name}={quoted(value)},")
        elif field.name == "names":
            pairs = [f"({quoted(old)}, {quoted(new)})" for old, new in value]
            parts.append(spread("names=(", pairs, "),", 8) if len(pairs) > 1 else f"        names=({pairs[0]},),")
        else:
            parts.append(names(value, f"{field.name}=", 8, ","))
    return ["    form=Form(", *parts, "    ),"] if parts else []


def _column(field: Field, written: Written) -> str:
    parts = [quoted(field.name), quoted(field.type)]
    parts += ["empty=True"] if field.empty else []
    parts += ["outcome=True"] if field.role in ("target", "leak") else []
    parts += ["varies=True"] if field.varies else []
    parts += [f"written={quoted(written)}"] if written != "plain" else []
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
    for excuse in plan.excuses:
        first, last = excuse.first, excuse.last
        lines += [
            "        Excuse(",
            f"            {quoted(excuse.finding)},",
            f"            first=date({first.year}, {first.month}, {first.day}),",
            f"            last=date({last.year}, {last.month}, {last.day}),",
            f"            why={quoted(excuse.why)},",
            *([f"            column={quoted(excuse.column)},"] if excuse.column else []),
            *([f"            value={quoted(excuse.value)},"] if excuse.value else []),
            "        ),",
        ]
    return ["    excuses=(", *lines, "    ),"] if lines else []
