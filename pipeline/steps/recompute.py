"""Recompute: a day's verdict reached again from what was kept, without a model; or the first thing that differs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.core.errors import PipelineError, RefusedError, UsageError
from pipeline.core.ports import World
from pipeline.core.records import DayOutcome, Trained
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Verdict
from pipeline.steps.judging.judge import DayJudge
from pipeline.steps.judging.recorded import RecordedEvidence, recorded_file
from pipeline.steps.register import verdict_file

#: In this order differences are told: what a change did is clearer from what the gates found than from a digest.
_FIRST = ("decision", "findings", "losses", "intervals", "reason")


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What came of it.

    Attributes:
        digest: The verdict's digest, as it was named.
        verdict: As it was written; None where it can't be read.
        same: Whether the same bytes came out.
        differs: A sentence for each difference, the most telling first; empty where there is none.
        words: Whether nothing but words differs: a later source may say the same otherwise.
        missing: What is missing, as a sentence; empty where nothing is.
        code: Digest of the source that judged then; empty where the verdict does not say.
        now: Digest of the source that judged now.
    """

    digest: str
    verdict: Verdict | None
    same: bool
    differs: tuple[str, ...]
    missing: str
    code: str
    now: str
    words: bool = False

    @property
    def sentence(self) -> str:
        """What came of it, in one sentence."""
        subject = f"verdict {self.digest[:12]}"
        if self.missing:
            return f"{subject} can't be reached again: {self.missing}"
        if self.same:
            return f"the same bytes: {subject} was reached again from what is kept" + self._source_note()
        more = f" (and {len(self.differs) - 1} more)" if len(self.differs) > 1 else ""
        if self.words:
            only_words_differ = "each answer and number is the same, but not each word"
            return f"{subject}: {only_words_differ}: {self.differs[0]}{more}{self._source_note()}"
        return f"{subject} comes out otherwise: {self.differs[0]}{more}{self._source_note()}"

    def _source_note(self) -> str:
        if self.code == self.now:
            return ""
        then = f"the source {self.code[:12]}" if self.code else "a source that it does not name"
        return f"; it was judged by {then}, which has changed since (now {self.now[:12]})"


def newest_verdict(usecase: Usecase, day: str, world: World) -> tuple[str, DayOutcome | None]:
    """Digest of the day's newest verdict, empty where it has none; and the day's newest line.

    The day's line names it; for a line from before lines did, the promotion ledger, if the day made a champion.
    """
    line = next((line for line in world.ledger.outcomes(usecase.name) if line.day == day), None)
    if line is not None and line.verdict:
        return line.verdict, line
    promoted = [entry.verdict for entry in world.ledger.entries(usecase.name) if entry.day == day and entry.verdict]
    return (promoted[-1] if promoted else ""), line


def _without_verdict(usecase: Usecase, day: str, line: DayOutcome | None) -> UsageError:
    """Why there is nothing to reach again."""
    if line is None:
        why = f"was never run, so it has no verdict; 'python -m pipeline run {usecase.name} --day {day}' runs it"
    elif line.outcome in ("refused", "failed"):
        why = (
            f"{'was refused' if line.outcome == 'refused' else 'failed'} and has no verdict, so there is nothing to "
            f"recompute; 'python -m pipeline explain {usecase.name} {day}' says why"
        )
    else:
        why = (
            f"no verdict is named for this day; 'python -m pipeline days {usecase.name}' lists how each day ended, "
            "and --digest names a verdict of an older installation"
        )
    return UsageError(f"{usecase.name} {day}{': ' if why.startswith('no ') else ' '}{why}", "NO_VERDICT")


def no_such_verdict(usecase: Usecase, day: str, digest: str, known: str) -> UsageError:
    """The error of a digest that names no verdict of the day, which is mistyped sooner than lost."""
    newest = f"its newest is {known}" if known else "no verdict is named for this day"
    return UsageError(
        f"{usecase.name} {day} has no verdict '{digest}': a digest is given in full, all 64 characters; {newest}",
        "NO_VERDICT",
    )


def recompute(usecase: Usecase, day: str, world: World, digest: str = "") -> Recomputed:
    """Judge a day again from what is kept, and compare to the byte. Nothing is written, no model is read.

    Args:
        usecase: The use case.
        day: The data day, ISO format.
        world: The ports; only the store, the files and the promotion ledger are read.
        digest: Which of the day's verdicts, in full; empty: the newest.

    Raises:
        UsageError: The day has no verdict.
    """
    known, line = newest_verdict(usecase, day, world)
    wanted_digest = digest or known
    if not wanted_digest:
        raise _without_verdict(usecase, day, line)

    if digest and not world.files.exists(verdict_file(usecase.name, day, digest)) and digest != known:
        raise no_such_verdict(usecase, day, digest, known)

    def end(
        verdict: Verdict | None = None, differs: Sequence[str] = (), missing: str = "", code: str = ""
    ) -> Recomputed:
        same = verdict is not None and not differs and not missing
        words = bool(differs) and all(map(_of_words, differs))
        return Recomputed(wanted_digest, verdict, same, tuple(differs), missing, code, world.code, words)

    try:
        text = world.files.get(verdict_file(usecase.name, day, wanted_digest), wanted_digest)
        verdict = Verdict.from_dict(json.loads(text))
    except RefusedError as lost:
        return end(differs=[str(lost)]) if lost.code == "TAMPERED" else end(missing=str(lost))
    except (ValueError, TypeError, KeyError) as strange:
        return end(missing=f"its file is of another format ({type(strange).__name__}: {strange})")
    differs, missing = _compared(usecase, verdict, text, world)
    return end(verdict, differs, missing, verdict.code)


def _compared(usecase: Usecase, verdict: Verdict, text: bytes, world: World) -> tuple[Sequence[str], str]:
    """What differs, and what is missing."""
    if not verdict.measured:
        return (), "it is from before what was measured was kept beside a verdict"
    file = recorded_file(usecase.name, verdict.day, verdict.measured)
    try:
        data = world.files.get(file)
    except PipelineError as lost:
        return (), str(lost)
    # It is judged even if it is not what was kept: a number that was changed in it is found by what it changes.
    changed = "" if hashlib.sha256(data).hexdigest() == verdict.measured else _CHANGED.format(file)
    try:
        anew = _anew(usecase, verdict, data, world)
        same = anew.to_json().encode() == text
    except Exception as error:
        if changed:  # then it may hold anything
            return [f"{changed}: {_error_text(error)}"], ""
        if not isinstance(error, PipelineError | ValueError):
            raise
        return (), str(error) if isinstance(error, PipelineError) else (
            "what was kept of it does not fit this version of the product, the promotion ledger or the store "
            f"({error}): check out the source that judged ({verdict.code[:12]}), or restore the backup"
        )
    differences = [] if same else _differences(json.loads(text), anew.to_dict())
    return [f"{line}: {changed}" if changed and line.startswith("measured was ") else line for line in differences], ""


_CHANGED = "the file '{}' was changed after it was written"


def _error_text(error: Exception) -> str:
    return str(error) if isinstance(error, PipelineError | ValueError) else f"{type(error).__name__} {error}"


def _anew(usecase: Usecase, verdict: Verdict, data: bytes, world: World) -> Verdict:
    """The verdict from what is kept.

    Raises:
        ValueError: What was kept is no such file.
        PipelineError: Something is gone.
    """
    entries = world.ledger.entries(usecase.name)
    if len(entries) < verdict.epoch:
        raise RefusedError(
            f"the promotion ledger stands at epoch {len(entries)}, and this was judged at {verdict.epoch}: restore "
            "its newest backup",
            "MISSING",
        )
    recorded = RecordedEvidence(usecase, data, entries)
    trained = Trained.from_dict(recorded.scored.trained)
    strange = sorted({c.recipe for c in trained.models} - {r.name for r in (*usecase.recipes, usecase.baseline)})
    if strange:
        raise RefusedError(
            f"the use case does not declare {', '.join(strange)} any more: check out the source that judged "
            f"({verdict.code[:12]})",
            "MISSING",
        )
    head = recorded.entries[-1] if recorded.entries else None
    return DayJudge(usecase, trained, recorded.scored, world, head, recorded).verdict()


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A sentence for each value that differs, the most telling first; never empty."""
    order = [name for name in _FIRST if name in {*then, *now}]
    order += [name for name in {**then, **now} if name not in _FIRST]
    differences = [line for name in order for line in _walk(name, then.get(name), now.get(name))]
    differences.sort(key=_of_words)  # what was found comes before how it is said
    return differences or ["its file is not written as it would be now, though each value is the same"]


def _of_words(line: str) -> bool:
    path = line.partition(" was ")[0]
    return path.endswith((".text", ".change")) or path == "reason" or path.startswith("asked.")


def _walk(path: str, then: Any, now: Any) -> list[str]:
    if type(then) is type(now) and then == now:
        return []
    if isinstance(then, dict) and isinstance(now, dict):
        keys = {**then, **now}
        return [line for key in keys for line in _walk(f"{path}.{key}", then.get(key), now.get(key))]
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        pairs = enumerate(zip(then, now, strict=True))
        return [line for n, (one, other) in pairs for line in _walk(_at(path, n, one), one, other)]
    return [f"{path} was {_short(then)}, is {_short(now)}"]


def _at(path: str, place: int, value: Any) -> str:
    name = value.get("name") if isinstance(value, dict) else None
    return f"{path}[{name or place}]"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:159]}…"
