"""Great Expectations: suites held as data in ``expectations/<use case>/<table>.json``, run in this process.

A suite passes only if it found something to pass on. Great Expectations itself calls it a success when a suite is
empty, when a frame has no rows, and when a column has no values; here each of these refuses: the first as a fault of
the suite's file, since no delivery could mend it, the others as UNKNOWN. A column
that may rightly be blank for a day says so in the expectation's ``meta``: ``"may_be_empty": true``. An expectation
whose ``severity`` is not ``critical`` informs only.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.adapters.checker.days import days_held, sameness, split
from pipeline.adapters.checker.words import advice, name_of, new_words, sentence, subject_of
from pipeline.adapters.frames import in_pandas
from pipeline.core.errors import RefusedError
from pipeline.core.ports import Checked, Rows
from pipeline.core.verdict import Bound, Finding, Outcome, Part

_EXAMPLES = 5


class GxChecker:
    """Runs the suites below one folder. The first check imports Great Expectations, which takes seconds."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def check(self, usecase: str, table: str, day: date, rows: Rows) -> Checked:
        """Findings and the page of one day: one finding when all holds, else one more for each that does not.

        Raises:
            RefusedError: With code ``SUITE``: there is no suite that could be asked.
        """
        suite = self._suite(usecase, table)
        if not rows.num_rows:
            return Checked((_unknown(table, f"no rows on {day}, so the suite has nothing to judge"),), {})
        frame = _frame(rows)
        result = self._run(suite, frame)
        if isinstance(result, Finding):
            return Checked((replace(result, name=f"{table}: expectations", about=table),), {})
        from pipeline.adapters.checker.page import page

        findings = _findings(table, result, suite["path"], frame)
        parts = [(subject_of(_config(part)), _shown(part), part) for part in result.results]
        advised = {one.name.removeprefix(f"{table}: "): one.change for one in findings if one.change}
        return Checked(findings, {f"{table}.html": page(usecase, table, day, parts, advised)})

    def check_days(self, usecase: str, table: str, days: Mapping[date, Rows]) -> Mapping[date, tuple[Finding, ...]]:
        """The findings of many days, without pages, at a fraction of the cost of as many checks.

        What speaks of single rows is asked of all days' rows at once, and told apart by day; what speaks of a whole
        table is asked of each day, once for days that are alike in it. A day that breaks anything is checked by
        itself, so its findings are those of :meth:`check`.

        Raises:
            RefusedError: As :meth:`check`.
        """
        suite = self._suite(usecase, table)
        frames = {day: _frame(rows) for day, rows in days.items() if rows.num_rows}
        findings_by_day: dict[date, tuple[Finding, ...]] = {}
        if len(frames) > 1:
            by_row, by_table = split(suite["expectations"])
            known: dict[str, tuple[Finding, ...]] = {}
            for day, (held, blank) in self._days_held({**suite, "expectations": by_row}, frames).items():
                alike = sameness(by_table, frames[day])
                if by_table and alike not in known:
                    known[alike] = self._judged(table, {**suite, "expectations": by_table}, frames[day])
                if all(finding.outcome is Outcome.PASS for finding in known.get(alike, ())):
                    findings_by_day[day] = (_summary(table, held + len(by_table), blank),)
        return {
            day: findings_by_day[day] if day in findings_by_day else self._judged(table, suite, frames.get(day), day)
            for day in days
        }

    def _days_held(self, suite: Mapping[str, Any], frames: Mapping[date, Any]) -> dict[date, tuple[int, int]]:
        """The days on which all expectations of single rows hold: how many do, how many had nothing to judge."""
        if not suite["expectations"]:
            return dict.fromkeys(frames, (0, 0))
        import pandas as pd

        result = self._run(suite, pd.concat(frames.values(), ignore_index=True), "COMPLETE")
        if isinstance(result, Finding):
            return {}
        return days_held([(_config(part), part) for part in result.results], list(frames.values()), list(frames))

    def digest(self, usecase: str, tables: Iterable[str]) -> str:
        """Names the suites: a changed suite has another digest, an absent one has its own."""
        hasher = hashlib.sha256()
        for table in sorted(tables):
            hasher.update(f"{table}:".encode())
            try:
                data = self._path(usecase, table).read_bytes()
            except OSError:
                data = b""  # to be refused when it is asked
            hasher.update(hashlib.sha256(data).digest())
        return hasher.hexdigest()

    def _path(self, usecase: str, table: str) -> Path:
        return self._root / usecase / f"{table}.json"

    def _suite(self, usecase: str, table: str) -> dict[str, Any]:
        path = self._path(usecase, table)
        try:
            suite = json.loads(path.read_text(encoding="utf-8") or "{}")
        except FileNotFoundError:
            raise _unusable(path, table, "is missing") from None
        except ValueError as error:
            raise _unusable(path, table, f"is no valid JSON ({_short(error)})") from error
        except OSError as error:
            raise _unusable(path, table, f"can't be read ({error.strerror})") from error
        if not isinstance(suite, dict) or not suite.get("expectations"):
            raise _unusable(path, table, "holds no expectation")
        expectations = suite["expectations"]
        if not isinstance(expectations, list) or not all(_is_expectation(one) for one in expectations):
            raise _unusable(path, table, "holds something that is no expectation with a 'type' and 'kwargs'")
        return {"name": f"{usecase}.{table}", "expectations": expectations, "path": path, "table": table}

    def _judged(self, table: str, suite: Mapping[str, Any], frame: Any, day: date | None = None) -> tuple[Finding, ...]:
        if frame is None:
            return (_unknown(table, f"no rows on {day}, so the suite has nothing to judge"),)
        result = self._run(suite, frame)
        if isinstance(result, Finding):
            return (replace(result, name=f"{table}: expectations", about=table),)
        return _findings(table, result, suite["path"], frame)

    def _run(self, suite: Mapping[str, Any], frame: Any, detail: str = "SUMMARY") -> Any | Finding:
        """Great Expectations' result, or an UNKNOWN finding if the suite can't be asked of these rows."""
        gx, definition = self._definition
        try:
            gx_suite = gx.ExpectationSuite(name=suite["name"], expectations=[dict(e) for e in suite["expectations"]])
        except Exception as error:
            raise _unusable(suite["path"], suite["table"], _fault(suite["expectations"])) from error
        # It drops what it does not understand, and would then pass without it.
        if len(gx_suite.expectations) != len(suite["expectations"]):
            raise _unusable(suite["path"], suite["table"], _fault(suite["expectations"]))
        try:
            batch = definition.get_batch({"dataframe": frame})
            result = batch.validate(
                gx_suite, result_format={"result_format": detail, "partial_unexpected_count": _EXAMPLES}
            )
        except Exception as error:  # noqa: BLE001 - whatever a suite breaks on, it has not passed
            return _unknown("", f"the suite {suite['name']} can't be run: {_short(error)}")
        for part in result.results:
            part.result = _told(part.result)
        return result

    @cached_property
    def _definition(self) -> tuple[Any, Any]:
        # Read by the library when it is imported, in those of its versions that report on their use at all.
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        import great_expectations as gx

        # It logs a traceback of each expectation that it drops; here the refusal says which and why.
        logging.getLogger("great_expectations.core.expectation_suite").setLevel(logging.CRITICAL)
        # What it says of its own files would stand above a refusal in a task's log.
        for quiet in ("data_context", "datasource"):
            logging.getLogger(f"great_expectations.{quiet}").setLevel(logging.WARNING)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_pandas("memory").add_dataframe_asset("rows")
        return gx, asset.add_batch_definition_whole_dataframe("day")


def _unusable(path: Path, table: str, what: str) -> RefusedError:
    """For a suite that could say nothing about any data; what was delivered is not at fault."""
    name = Path(*path.parts[-3:])
    text = (
        f"the expectation suite {name} {what}, so nothing says what sound '{table}' are; "
        f"restore that file or write it, and run the day again (nothing is said against the data)"
    )
    return RefusedError(text, "SUITE", (_unknown(table, text),))


def _fault(expectations: Iterable[Mapping[str, Any]]) -> str:
    """The first that Great Expectations does not understand, and why."""
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    for expectation in expectations:
        try:
            ExpectationConfiguration(**expectation).to_domain_obj()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what we were looking for
            return f"holds {expectation['type']}, which is no valid expectation ({_short(error)})"
    return "holds something that is no valid expectation"


def _is_expectation(one: Any) -> bool:
    return isinstance(one, dict) and isinstance(one.get("type"), str) and isinstance(one.get("kwargs"), dict)


def _frame(rows: Rows) -> Any:
    return in_pandas(rows)


def _told(value: Any) -> Any:
    """The same with None for a whole number that is missing: of pandas' own word for it no page can be made."""
    if isinstance(value, Mapping):
        return {key: _told(held) for key, held in value.items()}
    if isinstance(value, list):
        return [_told(held) for held in value]
    return None if type(value).__name__ == "NAType" else value


def _findings(table: str, result: Any, path: Path, frame: Any) -> tuple[Finding, ...]:
    """One finding per broken expectation; one in all when none is."""
    file = str(Path(*path.parts[-3:]))
    broken: list[Finding] = []
    blank = 0
    for part in result.results:
        expectation = _config(part)
        outcome, why_not = _outcome(part)
        if _may_be_blank(part):
            blank += 1
        elif outcome is not Outcome.PASS:
            counted = part.result or {}
            words = new_words(expectation, frame)
            text = why_not or sentence(expectation, counted, words)
            broken.append(
                Finding(
                    name=f"{table}: {name_of(expectation)}",
                    outcome=outcome,
                    text=text,
                    value=_number(counted.get("observed_value", counted.get("unexpected_count"))),
                    wanted=_bound(expectation["kwargs"]) if "observed_value" in counted else None,
                    counts={key: counted[key] for key in ("element_count", "unexpected_count") if key in counted},
                    about=table,
                    required=str(expectation.get("severity", "critical")) == "critical",
                    change=advice(expectation, table, file, words),
                    parts=(Part(text, subject_of(expectation)),),
                )
            )
    judged = len(result.results) - blank
    if not judged:
        return (_unknown(table, "not one expectation found a value to judge"),)
    if any(finding.required for finding in broken):
        return tuple(broken)
    return (_summary(table, judged - len(broken), blank), *broken)


def _may_be_blank(part: Any) -> bool:
    """Whether it found no value to judge, and says itself that this is no fault."""
    return _outcome(part)[1] == _BLANK and bool((_config(part).get("meta") or {}).get("may_be_empty"))


def _shown(part: Any) -> str:
    """The outcome as the page shows it."""
    return "EMPTY" if _may_be_blank(part) else str(_outcome(part)[0])


def _config(part: Any) -> dict[str, Any]:
    config: dict[str, Any] = part.expectation_config.to_json_dict()
    return config


_BLANK = "it found no value to judge"


def _outcome(part: Any) -> tuple[Outcome, str]:
    """The outcome of one expectation, and in a few words why it is unknown."""
    info = part.exception_info or {}
    # One exception, or one for each of several metrics by name.
    entries = [info] if "raised_exception" in info else list(info.values())
    raised = [entry for entry in entries if entry.get("raised_exception")]
    expectation = _config(part)
    if raised:
        text = f"{name_of(expectation)} could not be asked: {_short(raised[0].get('exception_message'))}"
        return Outcome.UNKNOWN, text
    counted = part.result or {}
    rows, absent = counted.get("element_count"), counted.get("missing_count")
    if rows is not None and absent == rows and "null" not in expectation["type"]:
        return Outcome.UNKNOWN, _BLANK
    return (Outcome.PASS if part.success is True else Outcome.FAIL), ""


def _summary(table: str, held: int, blank: int) -> Finding:
    text = f"{held} expectations hold" + (f", {blank} had no value to judge and may have none" if blank else "")
    return Finding(f"{table}: expectations", Outcome.PASS, text, counts={"expectations": held}, about=table)


def _unknown(table: str, text: str) -> Finding:
    return Finding(f"{table}: expectations", Outcome.UNKNOWN, text, about=table)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _bound(kwargs: Mapping[str, Any]) -> Bound | None:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if low is None and high is None:
        return None
    infinity = float("inf")
    return Bound(-infinity if low is None else float(low), infinity if high is None else float(high))


def _short(error: object, most: int = 200) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= most else f"{text[:most]} …"
