"""Validate: is the data day, and every older day in reach, fit to be used? What is not is invisible downstream.

Each day is judged as of itself: by its suites, its facts, and against the accepted days before it. A day is judged
once and its report kept under the digest of what it was judged on (the day's deliveries, the suites, the
declarations), so a delivery that was corrected, or a suite that changed, is judged anew. A refused day is also judged
anew when the accepted past before it changed, or the product did. What a run costs does not grow with history.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, timedelta
from typing import Any

from pipeline.core.checks.day import RULES, check_day, excuse_line, excused
from pipeline.core.checks.learned.question import Odd
from pipeline.core.checks.profiles import PROFILE_DAYS, KeyHistory, Profile
from pipeline.core.errors import ConflictError, RefusedError
from pipeline.core.facts import Columns
from pipeline.core.headlines import checks_told
from pipeline.core.ports import Files, World
from pipeline.core.records import Snapshot, Validated, digest
from pipeline.core.tables import Reference
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Finding, Outcome, joint, stopping
from pipeline.core.windows import Days
from pipeline.steps.kept import read_kept
from pipeline.steps.tables.columns import DayTables

#: So many past days are read and given to their suites at once.
_CHUNK = 28


@dataclass(frozen=True, slots=True)
class Report:
    """What was found about one day, as it lies in the file store.

    Attributes:
        name: Its file.
        day: The day.
        outcome: PASS, or the day is refused.
        findings: Everything that was asked, structural questions before expectations.
    """

    name: str
    day: date
    outcome: Outcome
    findings: tuple[Finding, ...]


def validate(usecase: Usecase, snapshot: Snapshot, world: World) -> Validated:
    """Judge the days in reach that were not judged yet, oldest first, and the data day last.

    Raises:
        RefusedError: The data day must not be used; its report and pages are written before. The sentence names the
            worst finding, ``findings`` holds all of them.
    """
    bench = _Bench(usecase, snapshot, world)
    without = bench.judge_past()
    report = bench.judge_data_day()
    if report.outcome is not Outcome.PASS:
        raise RefusedError(_sentence(report), _code(report), report.findings, report.name)
    return Validated(snapshot.to_dict(), tuple(day.isoformat() for day in without), report.name)


def accepted_profiles(usecase: Usecase, snapshot: Snapshot, world: World) -> list[Profile]:
    """What is kept of the last accepted days up to the snapshot's, oldest first; nothing is judged or written."""
    return _Bench(usecase, snapshot, world).kept_profiles()


def read_report(name: str, files: Files) -> Report:
    """A report by the name that :class:`Validated` carries."""
    document = read_kept(files, name, name.removesuffix("json"))
    findings = tuple(Finding.from_dict(finding) for finding in document["findings"])
    return Report(name, date.fromisoformat(document["day"]), Outcome(document["outcome"]), findings)


def pages(usecase: Usecase, report: str, files: Files) -> dict[str, str]:
    """Table to the name of its page of expectations, for those tables that have one."""
    folder = report.removesuffix(".json").split(".")[0]
    page_names = {table.name: f"{folder}/{table.name}.html" for table in usecase.tables}
    return {table: name for table, name in page_names.items() if files.exists(name)}


@dataclass(frozen=True, slots=True)
class _Accepted:
    """An accepted day, and the digest of what it was judged on."""

    day: date
    own: str


class _Bench:
    """Judges the days of one run; everything that does not depend on a day is read once."""

    def __init__(self, usecase: Usecase, snapshot: Snapshot, world: World) -> None:
        self.usecase, self.world, self.files = usecase, world, world.files
        self.day = date.fromisoformat(snapshot.day)
        self.reach = Days(self.day - timedelta(_reach(usecase)), self.day)
        # What the oldest day in reach is judged against lies before it.
        unchanged = max((reference.max_unchanged or 0 for reference in usecase.references), default=0) + 1
        self.tables = DayTables(usecase, snapshot.versions, world.store, self.reach.back(max(PROFILE_DAYS, unchanged)))
        self.marks = self.tables.marks
        suites = world.checker.digest(usecase.name, [table.name for table in usecase.tables])
        self.rules = digest([RULES, suites, [_plain(part) for part in (*usecase.tables, *usecase.all_facts)]])
        self.past: list[_Accepted] = []
        self._last_report: tuple[date, str] | None = None
        self._profiles: dict[date, Profile] = {}

    def judge_past(self) -> list[date]:
        """Judge what was not judged yet, oldest first; the refused days."""
        known = sorted({day for marks in self.marks.values() for day in marks if day < self.day})
        # Days before the reach count if they were accepted in their time; they are not judged now.
        for day in (day for day in known if day not in self.reach and self.files.exists(self._name(day))):
            self._remember(day)
        todo = [day for day in known if day in self.reach]
        refused: list[date] = []
        ahead: dict[date, list[Finding]] = {}
        with self.world.progress(f"validate {self.usecase.name} before {self.day}", len(todo)) as done:
            for n, day in enumerate(todo):
                if self.files.exists(self._name(day)):
                    self._remember(day)
                elif self.files.exists(self._refused_name(day)):
                    refused.append(day)
                    self._last_report = day, self._refused_name(day)
                else:
                    if day not in ahead:
                        ahead = self._expectations(todo[n : n + _CHUNK])
                    if self._judge(day, ahead.get(day, [])).outcome is not Outcome.PASS:
                        refused.append(day)
                done()
        return refused

    def kept_profiles(self) -> list[Profile]:
        """Profiles of the accepted days, as far as they were judged under the rules of now."""
        known = sorted({day for marks in self.marks.values() for day in marks if day <= self.day})
        accepted = [day for day in known if not self._absent(day) and self.files.exists(self._name(day))]
        return [self._profile(day) for day in accepted[-PROFILE_DAYS:]]

    def judge_data_day(self) -> Report:
        """Judge the data day, unless that is done; its pages are written in any case."""
        report_name = next(
            (n for n in (self._name(self.day), self._refused_name(self.day)) if self.files.exists(n)), None
        )
        expectations: list[Finding] = []
        if not self._absent(self.day):
            for table in self.usecase.tables:
                page = f"{self._stem(self.day)}/{table.name}.html"
                if report_name is None or not self.files.exists(page):
                    rows = self.tables.rows(table, self.day)
                    checked = self.world.checker.check(self.usecase.name, table.name, self.day, rows)
                    expectations += checked.findings
                    for html in checked.pages.values():
                        _put(self.files, page, html)
        return self._judge(self.day, expectations) if report_name is None else read_report(report_name, self.files)

    def _expectations(self, days: Sequence[date]) -> dict[date, list[Finding]]:
        """What the suites say of those of these days that may need it, asked for all of them at once."""
        fresh = [day for day in days if not self.files.exists(self._name(day)) and not self._absent(day)]
        findings_by_day: dict[date, list[Finding]] = {day: [] for day in fresh}
        self.tables.forget()
        for table in self.usecase.tables if fresh else ():
            self.tables.load(table, fresh)
            rows = {day: self.tables.rows(table, day) for day in fresh}
            for day, findings in self.world.checker.check_days(self.usecase.name, table.name, rows).items():
                findings_by_day[day] += findings
        return findings_by_day

    def _judge(self, day: date, expectations: Sequence[Finding]) -> Report:
        absent = self._absent(day)
        if absent:
            return self._keep(self._refused_name(day), day, absent)
        before = [accepted.day for accepted in self._accepted_before(day)]
        previous: Mapping[str, Columns] = {}
        key_histories: Mapping[str, KeyHistory] = {}
        if before:
            last = before[-1]
            previous = {r.name: self.tables.columns(r, last) for r in self.usecase.references}
            key_histories = {name: KeyHistory.from_dict(kept) for name, kept in self._unpack(last, "keys").items()}
        contents = {
            r.name: {then: str(mark["content"]) for then, mark in self.marks[r.name].items() if then <= day}
            for r in self.usecase.references
        }
        today = {table.name: self.tables.columns(table, day) for table in self.usecase.tables}
        profiles = [self._profile(then) for then in before]
        checked = check_day(
            self.usecase, day, today, previous, contents, profiles, key_histories, self._odd_before(day)
        )
        findings = (*checked.findings, *excused(self.usecase.excuses, day, expectations))
        if joint(findings) is not Outcome.PASS:
            return self._keep(self._refused_name(day), day, findings, checked.odd)
        # The report comes last: where it is, everything that later days ask of this one is, too.
        self._pack(day, "profile", checked.profile.bounded().to_dict())
        self._pack(day, "keys", {name: kept.bounded().to_dict() for name, kept in checked.key_histories.items()})
        report = self._keep(self._name(day), day, findings, checked.odd)
        self._remember(day)
        return report

    def _keep(self, name: str, day: date, findings: Sequence[Finding], odd: Mapping[str, Odd] | None = None) -> Report:
        document = {
            "usecase": self.usecase.name,
            "day": day.isoformat(),
            "outcome": str(joint(findings)),
            "findings": [finding.to_dict() for finding in findings],
            "rows": {table: marks[day]["rows"] for table, marks in self.marks.items() if day in marks},
            "odd": {table: dict(measures) for table, measures in (odd or {}).items() if measures},
        }
        _put(self.files, name, json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode())
        self._last_report = day, name
        return read_report(name, self.files)

    def _odd_before(self, day: date) -> Mapping[str, Odd]:
        """What was odd on the day judged last before this one, accepted or refused: a second odd day is no chance."""
        if self._last_report is None or self._last_report[0] >= day:
            return {}
        name = self._last_report[1]
        found: Mapping[str, Odd] = read_kept(self.files, name, name.removesuffix("json")).get("odd", {})
        return found

    def _remember(self, day: date) -> None:
        self.past.append(_Accepted(day, self._own(day)))
        self._last_report = day, self._name(day)

    def _profile(self, day: date) -> Profile:
        if day not in self._profiles:
            self._profiles[day] = Profile.from_dict(self._unpack(day, "profile", day))
        return self._profiles[day]

    def _pack(self, day: date, what: str, value: Any) -> None:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        _put(self.files, f"{self._stem(day)}.{what}.json.gz", gzip.compress(text.encode(), compresslevel=6, mtime=0))

    def _unpack(self, day: date, what: str, of: date | None = None) -> Any:
        return read_kept(self.files, f"{self._stem(day)}.{what}.json.gz", f"{self._stem(day)}.", of)

    def _own(self, day: date) -> str:
        """Names what the day was judged on, apart from its past."""
        deliveries = {table: marks[day]["sha256"] for table, marks in self.marks.items() if day in marks}
        excuses = [_plain(excuse) for excuse in self.usecase.excuses if excuse.first <= day <= excuse.last]
        return digest([self.rules, deliveries, excuses])[:32]

    def _accepted_before(self, day: date) -> list[_Accepted]:
        """The last accepted days, whatever their dates: an alarm would end by lasting if they were counted by dates."""
        return [accepted for accepted in self.past if accepted.day < day][-PROFILE_DAYS:]

    def _stem(self, day: date) -> str:
        return f"validations/{self.usecase.name}/{day}/{self._own(day)}"

    def _name(self, day: date) -> str:
        return f"{self._stem(day)}.json"

    def _refused_name(self, day: date) -> str:
        before = [accepted.own for accepted in self._accepted_before(day)]
        return f"{self._stem(day)}.{digest([before, self.world.code])[:16]}.json"

    def _absent(self, day: date) -> tuple[Finding, ...]:
        """One finding for each table that has nothing on that day."""
        return tuple(
            Finding(
                f"{table.name}: missing",
                Outcome.FAIL,
                f"the {'snapshot' if isinstance(table, Reference) else 'feed'} of {day} "
                f"{'is empty' if day in self.marks[table.name] else 'is not in the store'}; deliver it and run again",
                about=table.name,
            )
            for table in self.usecase.tables
            if not self.marks[table.name].get(day, {}).get("rows")
        )


def _reach(usecase: Usecase) -> int:
    """How many days before the data day anything downstream may look."""
    return usecase.longest_window + usecase.history + usecase.evidence + usecase.label_delay


def _sentence(report: Report) -> str:
    worst = stopping(report.findings)[0]
    ask = f"{worst.change[0].upper()}{worst.change[1:]}, and deliver" if worst.change else "Deliver"
    way_out = f"{ask} it corrected; if the world has changed, add to the use case's excuses: "
    # Whom nothing was delivered by, nothing excuses.
    if worst.name.endswith(": missing"):
        way_out = f"{ask} it corrected"
    else:
        way_out += excuse_line(worst, report.day)
    return f"{worst.name}: {worst.text} ({checks_told(report.findings)}). {way_out}"


def _code(report: Report) -> str:
    if any(finding.name.endswith(": missing") and finding.required for finding in report.findings):
        return "MISSING"
    return "REFUSED" if report.outcome is Outcome.FAIL else "UNKNOWN"


def _put(files: Files, name: str, data: bytes) -> None:
    """Write once. Another try that was first judged the same data: what it wrote stands."""
    try:
        files.put(name, data)
    except ConflictError:
        return


def _plain(value: Any) -> Any:
    """A declaration as plain values, so that a changed one has another digest."""
    if is_dataclass(value) and not isinstance(value, type):
        # How a column is called in the files changes nothing of what is asked about it.
        said = [field.name for field in fields(value) if not field.metadata.get("of the delivery")]
        return [type(value).__name__, *(_plain(getattr(value, name)) for name in said)]
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, str | int | bool) or value is None:
        return value
    return getattr(value, "__qualname__", None) or str(value)
