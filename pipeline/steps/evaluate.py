"""Evaluate: every candidate before every gate, on the score ledger's last days and on the fresh artifact itself."""

from __future__ import annotations

from pipeline.core.errors import ConflictError
from pipeline.core.ports import World
from pipeline.core.promotion import decision
from pipeline.core.records import Judged, Scored, Trained
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Verdict
from pipeline.steps.judging.fresh import FreshEvidence
from pipeline.steps.judging.judge import DayJudge
from pipeline.steps.judging.recorded import recorded_file
from pipeline.steps.models import champion_model
from pipeline.steps.models.run_training import candidate_by_identity
from pipeline.steps.register import read_verdict, verdict_file


def evaluate(usecase: Usecase, scored: Scored, world: World, allowed: bool = True) -> Judged:
    """Judge the fresh candidates against the champion; the verdict and its page go to the file store.

    A day whose verdict has already made a champion is not judged anew: its verdict stands.

    Args:
        usecase: The use case.
        scored: The day, in the score ledger.
        world: The ports.
        allowed: False to judge without promoting.

    Raises:
        ConflictError: The champion changed since the day was scored.
    """
    trained = Trained.from_dict(scored.trained)
    entries = world.ledger.entries(usecase.name)
    settled = champion_model.already_promoted_today(usecase, entries, trained, world)
    if settled is not None:
        verdict = read_verdict(usecase.name, settled.day, settled.verdict, world)
        return _judged(verdict, trained, allowed, scored, world)
    head = decision.current_champion(entries)
    if (0 if head is None else head.epoch) != scored.epoch:
        raise ConflictError(
            f"{usecase.name} {trained.day}: the champion changed after the day was scored (epoch {scored.epoch}, "
            f"now {head.epoch if head else 0}); run the day again from its score task"
        )
    live = FreshEvidence(usecase, trained, scored, world, head)
    day_judge = DayJudge(usecase, trained, scored, world, head, live)
    verdict = day_judge.verdict()
    # What it was made from comes first: a verdict whose evidence is lost could not be reached again.
    world.files.put(recorded_file(usecase.name, verdict.day, verdict.measured), live.kept())
    file = verdict_file(usecase.name, verdict.day, verdict.digest)
    world.files.put(file, verdict.to_json().encode())
    shown = verdict_file(usecase.name, verdict.day, verdict.digest, "html")
    if not world.files.exists(shown):  # the same verdict again, perhaps by a later version that draws it otherwise
        world.files.put(shown, day_judge.page(verdict))
    return _judged(verdict, trained, allowed, scored, world)


def _judged(verdict: Verdict, trained: Trained, allowed: bool, scored: Scored, world: World) -> Judged:
    winner = None
    if verdict.challenger is not None and verdict.decision != "hold":
        models = {candidate.model: candidate for candidate in trained.models}
        winner = models.get(verdict.challenger.model) or candidate_by_identity(
            verdict.usecase, verdict.challenger.model, world
        )
    return Judged(
        usecase=verdict.usecase,
        day=verdict.day,
        decision=verdict.decision,
        reason=verdict.reason,
        verdict=verdict.digest,
        epoch=verdict.epoch,
        candidate=None if winner is None else winner.to_dict(),
        allowed=allowed,
        repairs=scored.repairs,
    )
