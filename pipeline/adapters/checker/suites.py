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

from pipeline.adapters.checker.answers import Answer, findings_of, short, summary, unknown
from pipeline.adapters.checker.days import days_held, sameness, split
from pipeline.adapters.frames import in_pandas
from pipeline.core.errors import RefusedError
from pipeline.core.ports import Checked, Rows
from pipeline.core.verdict import Finding, Outcome

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
            return Checked((unknown(table, f"no rows on {day}, so the suite has nothing to judge"),), {})
        frame = _frame(rows)
        result = self._run(suite, frame)
        if isinstance(result, Finding):
            return Checked((replace(result, name=f"{table}: expectations", about=table),), {})
        from pipeline.adapters.checker.page import page

        answers = [Answer.of(part) for part in result.results]
        findings = findings_of(table, answers, suite["path"], frame)
        parts = [(answer.expectation, answer.shown, answer.part) for answer in answers]
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
                    findings_by_day[day] = (summary(table, held + len(by_table), blank),)
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
        answers = [Answer.of(part) for part in result.results]
        return days_held([(one.expectation, one.part) for one in answers], list(frames.values()), list(frames))

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
            raise _unusable(path, table, f"is no valid JSON ({short(error)})") from error
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
            return (unknown(table, f"no rows on {day}, so the suite has nothing to judge"),)
        result = self._run(suite, frame)
        if isinstance(result, Finding):
            return (replace(result, name=f"{table}: expectations", about=table),)
        return findings_of(table, [Answer.of(part) for part in result.results], suite["path"], frame)

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
            return unknown("", f"the suite {suite['name']} can't be run: {short(error)}")
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
    return RefusedError(text, "SUITE", (unknown(table, text),))


def _fault(expectations: Iterable[Mapping[str, Any]]) -> str:
    """The first that Great Expectations does not understand, and why."""
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    for expectation in expectations:
        try:
            ExpectationConfiguration(**expectation).to_domain_obj()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what we were looking for
            return f"holds {expectation['type']}, which is no valid expectation ({short(error)})"
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
