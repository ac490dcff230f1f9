"""Evidence that does not line up is refused; evidence with holes is kept, and never counts as good."""

from dataclasses import replace

import numpy as np
import pytest
from worlds import BINARY, world

from pipeline.core.evidence.candidate import Evidence, HoldoutDay
from pipeline.core.evidence.measurements import Timing


def test_arrays_that_do_not_line_up_are_refused_by_name():
    evidence = world()
    for field in ("labels", "champion", "candidate", "baseline", "blocks"):
        with pytest.raises(ValueError, match=field):
            replace(evidence.paired, **{field: getattr(evidence.paired, field)[:-1]})
    for field in ("champion", "candidate", "resampled", "blocks"):
        with pytest.raises(ValueError, match=field):
            replace(evidence.holdout, **{field: getattr(evidence.holdout, field)[:-1]})
    for part in (evidence.paired, evidence.holdout):
        with pytest.raises(ValueError, match="slice 'origin'"):
            replace(part, slices={"origin": part.slices["origin"][:-1]})


def test_a_missing_day_is_refused():
    paired = world().paired
    days = paired.days.copy()
    days[3] = np.datetime64("NaT")
    with pytest.raises(ValueError, match="one day per unit"):
        replace(paired, days=days)


def test_a_matrix_of_predictions_is_refused():
    holdout = world().holdout
    with pytest.raises(ValueError, match="holdout candidate"):
        replace(holdout, candidate=np.stack([holdout.candidate, holdout.candidate], axis=1))


def test_timings_come_in_pairs():
    with pytest.raises(ValueError, match="two columns"):
        Timing(np.ones(5), np.ones((5, 2)), 10)
    with pytest.raises(ValueError, match="at least one row"):
        Timing(np.ones((5, 2)), np.ones((5, 2)), 0)


def test_evidence_is_about_somebody():
    with pytest.raises(ValueError, match="at least one candidate"):
        Evidence(BINARY, "a", "b", candidates=0)


def test_a_prediction_that_cannot_be_has_no_loss():
    evidence = world()
    odd = evidence.paired.candidate.copy()
    odd[:4] = [np.nan, 1.5, -0.1, np.inf]
    losses = replace(evidence, paired=replace(evidence.paired, candidate=odd)).candidate_loss
    assert np.isnan(losses[:4]).all()
    assert np.isfinite(losses[4:]).all()


def test_losses_are_the_kinds():
    evidence = world()
    paired = evidence.paired
    for who in ("champion", "candidate"):
        wanted = BINARY.loss(paired.labels, getattr(paired, who))
        assert np.array_equal(getattr(evidence, f"{who}_loss"), wanted)


def test_evidence_without_pairs_has_no_losses():
    assert len(Evidence(BINARY, "a", "b").candidate_loss) == 0


def test_words_of_any_type_are_taken_as_text():
    none = np.zeros(3)
    holdout = HoldoutDay(none, np.array([1, 2, 3]), none, none, {"n": np.array(["a", "b", "c"], dtype=object)}, none)
    assert holdout.blocks.tolist() == ["1", "2", "3"]
    assert holdout.slices["n"].dtype.kind == "U"
