"""Who takes the place of a champion that can't answer any more: its own recipe fitted anew, or else the baseline.

A library was upgraded and the model's file opens no longer; an input that it wants left the declaration. Nobody can be
compared with such a champion, so nobody can be shown to be better: what succeeds it is the nearest to it that there is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date

from pipeline.core.promotion.decision import Decision
from pipeline.core.promotion.ledger import Barred
from pipeline.core.records import Candidate, Entry
from pipeline.core.verdict import Finding, Outcome, stopping
from pipeline.core.words import first_few, shorten

#: The longest reason, in characters: it names what changed, and who takes over on what grounds.
_LONGEST_REASON = 500


def succeed(
    unable: str,
    day: date,
    serving: Entry,
    candidates: Sequence[Candidate],
    findings: Sequence[Finding],
    barred: Barred,
    *,
    baseline: str,
    losses: Mapping[str, float],
    silent: Collection[str] = (),
    skipped: Mapping[str, str] | None = None,
    newest: date | None = None,
) -> Decision:
    """Decide who succeeds a champion that can't answer.

    Its recipe's fresh fit does, unless something speaks against that: the recipe is not declared any more or was not
    fitted, it is held by a rollback, it leaves units unanswered, a question that needs no champion is answered FAIL,
    or it lost more on the scored day than the baseline. Then the baseline begins anew, as on a use case's first day.
    UNKNOWN does not stop it, as it stops a challenger: it takes the place of a model that was promoted on evidence, and
    whoever stops it lets a plain rule serve. Its reason names what is not known.

    Args:
        unable: Why the champion can't answer, as a clause that names it.
        day: The data day.
        serving: The champion's line.
        candidates: The fresh fits, the baseline's among them.
        findings: What was found about the fresh fit of the champion's recipe; required is what can stop it.
        barred: What rollbacks hold back on this day.
        baseline: The baseline's recipe.
        losses: Contestant to its mean loss on the scored day.
        silent: Recipes whose fresh fit left a unit unanswered.
        skipped: Recipe to the reason why it was not fitted.
        newest: The newest data day that was judged so far: an older day than that promotes nobody.
    """
    fits = {candidate.recipe: candidate for candidate in candidates}
    recipe = serving.recipe
    speaks = _speaks_against(recipe, serving, fits, findings, barred, baseline, losses, silent, skipped or {})
    against = next(speaks, "")
    chosen = baseline if against else recipe
    if chosen not in fits or chosen in silent:
        why = (skipped or {}).get(baseline) or "it was not fitted, or leaves units unanswered"
        nobody = f"{unable}; {against}, and the baseline '{baseline}' can't take its place: {why}"
        return Decision("hold", Outcome.UNKNOWN, shorten(nobody, _LONGEST_REASON), None)
    if newest is not None and day < newest:
        late = f"{unable}; {newest} has been judged already and an older day promotes nobody"
        return Decision("hold", Outcome.FAIL, shorten(late, _LONGEST_REASON), chosen)
    if against:
        how = f"{against}, so the baseline '{baseline}' begins anew, and candidates must beat it"
    else:
        unknown = list(dict.fromkeys(f.name for f in findings if f.listed and f.outcome is Outcome.UNKNOWN))
        rest = f"; not known of it yet: {first_few(unknown)}" if unknown else ""
        how = f"its own recipe, {recipe}, fitted anew, takes its place{rest}"
    return Decision("promote", Outcome.PASS, shorten(f"{unable}; {how}", _LONGEST_REASON), chosen)


def _speaks_against(
    recipe: str,
    serving: Entry,
    fits: Mapping[str, Candidate],
    findings: Sequence[Finding],
    barred: Barred,
    baseline: str,
    losses: Mapping[str, float],
    silent: Collection[str],
    skipped: Mapping[str, str],
) -> Iterator[str]:
    """What speaks against the fresh fit of the champion's recipe, as clauses; none where nothing does."""
    if recipe in skipped:
        yield f"its recipe, {recipe}, was not fitted ({skipped[recipe]})"
    fit = fits.get(recipe)
    if fit is None:
        yield f"its recipe, {recipe}, is not declared or not fitted any more"
        return
    if fit.model == serving.model:
        yield f"its recipe, {recipe}, makes the very same model again"
    if recipe in silent:
        yield f"its recipe, {recipe}, fitted anew leaves units unanswered"
    if why := barred.why(fit):
        yield f"its recipe, {recipe}, may not be promoted ({why})"
    for finding in stopping(findings):
        if finding.outcome is Outcome.FAIL:
            yield f"its recipe, {recipe}, fitted anew fails '{finding.name}' ({finding.text})"
    mine, plain = losses.get(recipe), losses.get(baseline)
    if recipe != baseline and mine is not None and plain is not None and not mine <= plain:
        yield f"its recipe, {recipe}, fitted anew lost more than the baseline on the scored day"
