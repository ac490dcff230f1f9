"""The demonstration's script: which days are run, what upstream does on them, what must have happened by the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from demo.upstream import Fault, deliver
from pipeline.core.records import DayOutcome

Outcomes = Mapping[str, Sequence[DayOutcome]]


@dataclass(frozen=True, slots=True)
class Story:
    """A stretch of 2013 under the daily run.

    Attributes:
        opens: The first day that upstream delivers; history for the first run.
        first, last: The data days that are run.
        fault: What upstream does wrong in between; it is mended once the product has refused it.
    """

    opens: date
    first: date
    last: date
    fault: Fault

    @property
    def days(self) -> int:
        """How many data days each use case runs."""
        return (self.last - self.first).days + 1

    def missing(self, outcomes: Outcomes) -> list[str]:
        """What should have happened and did not, a sentence each; empty when all went as promised."""
        lines = []
        for usecase, found in outcomes.items():
            if len(found) < self.days:
                lines.append(f"{usecase} ended {len(found)} of {self.days} days")
        flat = [outcome for found in outcomes.values() for outcome in found]
        if not any(outcome.outcome == "promoted" for outcome in flat):
            lines.append("no candidate was promoted on evidence")
        wrong = {day.isoformat() for day in _days(self.fault.first, self.fault.last)}
        for usecase, found in outcomes.items():
            if not any(outcome.outcome == "refused" and outcome.day in wrong for outcome in found):
                lines.append(f"{usecase} did not refuse the days of upstream's fault ({', '.join(sorted(wrong))})")
        return lines + [
            f"{outcome.usecase}: {outcome.day} was {outcome.outcome}, on which upstream was sound: {outcome.reason}"
            for outcome in flat
            if outcome.outcome in ("refused", "failed") and outcome.day not in wrong
        ]


#: A fortnight of history, then fifteen days. On two of them upstream sends the last sound table of planes again.
STORY = Story(
    opens=date(2013, 1, 1),
    first=date(2013, 1, 15),
    last=date(2013, 1, 29),
    fault=Fault("stale_planes", date(2013, 1, 23), date(2013, 1, 24)),
)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(n) for n in range((last - first).days + 1)]


class Upstream(threading.Thread):
    """Delivers day by day into the landing folder, a little ahead of every run, and mends its fault once it is refused.

    It begins anew at every start: the same day is the same bytes, so what was there already is not changed by it.
    """

    def __init__(self, landing: Path, story: Story, outcomes: Callable[[], Outcomes], ahead: int = 3) -> None:
        super().__init__(name="upstream", daemon=True)
        self.landing, self.story, self.outcomes, self.ahead = landing, story, outcomes, ahead
        self.stopping = threading.Event()
        self.delivered: date | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        """Deliver until the last day is there and the fault is mended, or until told to stop."""
        try:
            self._run()
        except Exception as error:  # noqa: BLE001 - shown by the main thread, which ends the demonstration with it
            self.error = error

    def _run(self) -> None:
        story, mended = self.story, False
        for day in _days(story.opens, story.last):
            while not self.stopping.is_set():
                mended = mended or self._mend()
                if day <= story.first + timedelta(self._furthest() + self.ahead):
                    break
                time.sleep(0.2)
            if self.stopping.is_set():
                return
            deliver(self.landing, day, () if mended else (story.fault,))
            self.delivered = day
        while not (mended or self.stopping.is_set()):
            mended = self._mend()
            time.sleep(0.2)

    def _furthest(self) -> int:
        """How many days the fastest use case has ended: a run that finds no file of its day tries again, then refuses.

        The slower ones just find more files than they need yet.
        """
        return max((len(found) for found in self.outcomes().values()), default=0)

    def _mend(self) -> bool:
        """Once every use case has met the fault's last day, send the right files for its days."""
        fault = self.story.fault
        ended = [{outcome.day for outcome in found} for found in self.outcomes().values()]
        if not ended or not all(fault.last.isoformat() in days for days in ended):
            return False
        for day in _days(fault.first, fault.last):
            deliver(self.landing, day)
        return True
