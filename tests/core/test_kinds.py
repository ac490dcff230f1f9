"""What being wrong costs, against scikit-learn, and what never counts as right."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from pipeline.core.kinds import Binary, Multiclass, Regression

BINARY, REGRESSION = Binary("late", threshold=0.4), Regression("minutes", acts_at=15, tolerance=10)
KINDS = pytest.mark.parametrize("kind", [BINARY, REGRESSION], ids=["binary", "regression"])


def sample(kind, seed=0, n=500):
    rng = np.random.default_rng(seed)
    if kind is BINARY:
        return (rng.random(n) < 0.3).astype(float), rng.uniform(0.01, 0.99, n)
    return rng.normal(10, 30, n), rng.normal(10, 30, n)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None, database=None)
def test_losses_are_scikit_learns(seed):
    label, said = sample(BINARY, seed)
    assert BINARY.loss(label, said).mean() == pytest.approx(metrics.log_loss(label, said, labels=[0, 1]))
    label, said = sample(REGRESSION, seed)
    assert REGRESSION.loss(label, said).mean() == pytest.approx(metrics.mean_absolute_error(label, said))


@KINDS
def test_being_nearer_to_the_truth_never_costs_more(kind):
    label, said = sample(kind)
    nearer = said + 0.3 * (label - said)
    assert (kind.loss(label, nearer) <= kind.loss(label, said)).all()
    assert (kind.loss(label, said) >= 0).all()


@KINDS
def test_what_is_not_a_number_has_no_loss_and_is_never_right_or_valid(kind):
    label, said = np.array([np.nan, 1.0, np.nan]), np.array([0.5, np.nan, np.nan])
    assert np.isnan(kind.loss(label, said)).all()
    assert not kind.right(label, said).any()
    assert kind.valid(said).tolist() == [True, False, False]


def test_a_sure_error_is_dear_but_finite():
    loss = BINARY.loss(np.array([1.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]))
    assert loss == pytest.approx([13.8155, 13.8155, 1e-6], rel=1e-4)


def test_a_probability_lies_between_0_and_1():
    assert BINARY.valid(np.array([0, 1, -0.01, 1.01, np.inf])).tolist() == [True, True, False, False, False]
    assert REGRESSION.valid(np.array([-5.0, np.inf, np.nan])).tolist() == [True, False, False]


def test_decisions_begin_at_the_threshold():
    assert BINARY.decision(np.array([0.39, 0.4, 0.9])).tolist() == [0, 1, 1]
    assert REGRESSION.decision(np.array([14.9, 15.0])).tolist() == [0, 1]


def test_right_is_the_decision_that_the_label_calls_for():
    assert BINARY.right(np.array([1.0, 1, 0, 0]), np.array([0.4, 0.1, 0.4, 0.1])).tolist() == [True, False, False, True]
    assert REGRESSION.right(np.array([0.0, 0.0]), np.array([10.0, 10.1])).tolist() == [True, False]


def test_a_model_that_has_seen_one_class_only_still_predicts_a_probability():
    class Seen:
        def __init__(self, *classes):
            self.classes_ = np.array(classes)

        def predict_proba(self, inputs):
            return np.full((len(inputs), len(self.classes_)), 1 / len(self.classes_))

    assert BINARY.predict(Seen(0), [1, 2]).tolist() == [0, 0]
    assert BINARY.predict(Seen(1), [1, 2]).tolist() == [1, 1]
    assert BINARY.predict(Seen(0, 1), [1, 2]).tolist() == [0.5, 0.5]


@KINDS
def test_reliability_counts_every_labelled_unit_once_and_brackets_what_happened(kind):
    label, said = sample(kind)
    label[:20] = np.nan
    found = kind.reliability(label, said, np.arange(500) % 5)
    assert found.units.sum() == 480
    assert (found.low <= found.observed).all()
    assert (found.observed <= found.high).all()
    assert (np.diff(found.predicted) > 0).all()
    assert "late" in found.x + found.y or "minutes" in found.x + found.y


@KINDS
def test_reliability_of_nothing_and_of_a_constant_is_no_error(kind):
    nothing = kind.reliability(np.full(3, np.nan), np.full(3, 0.5), np.arange(3))
    assert len(nothing.units) == len(nothing.observed) == 0
    assert kind.reliability(np.zeros(9), np.full(9, 0.5), np.arange(9)).units.tolist() == [9]


@pytest.mark.parametrize(
    "nonsense",
    [
        lambda: Binary("late", threshold=0),
        lambda: Binary("late", threshold=float("nan")),
        lambda: Regression("minutes", acts_at=float("nan"), tolerance=1),
        lambda: Regression("minutes", acts_at=1, tolerance=0),
        lambda: Regression("minutes", acts_at=1, tolerance=float("nan")),
    ],
)
def test_a_kind_refuses_nonsense_with_its_target(nonsense):
    with pytest.raises(ValueError, match=r"target '(late|minutes)'"):
        nonsense()


def test_days_that_fail_together_widen_what_is_shown_of_a_probability():
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(10), 100)
    happened = (rng.random(1000) < np.where(day % 2, 0.5, 0.1)).astype(float)
    said = np.full(1000, 0.3)
    together = Binary("late").reliability(happened, said, day)
    apart = Binary("late").reliability(happened, said, np.arange(1000))
    assert together.observed == apart.observed
    assert together.high - together.low > 3 * (apart.high - apart.low)
    # A like interval: the share's mean over days, with the days as units.
    means = np.array([happened[day == n].mean() for n in range(10)])
    half = 2.262 * means.std(ddof=1) / np.sqrt(10)
    assert (together.high - together.low) / 2 == pytest.approx(half, rel=0.2)


STATUS = Multiclass("status", ("cancelled", "late", "on_time"))


def several(seed=0, n=500, k=3):
    rng = np.random.default_rng(seed)
    said = rng.dirichlet(np.ones(k), n)
    return (rng.random(n)[:, None] > said.cumsum(axis=1)).sum(axis=1).clip(0, k - 1).astype(float), said


@given(st.integers(0, 10**6), st.integers(2, 6))
@settings(max_examples=25, deadline=None, database=None)
def test_the_loss_of_several_classes_is_scikit_learns(seed, k):
    label, said = several(seed, k=k)
    kind = Multiclass("status", tuple("abcdef"[:k]))
    assert kind.loss(label, said).mean() == pytest.approx(metrics.log_loss(label, said, labels=list(range(k))))
    assert kind.right(label, said).mean() == pytest.approx(metrics.accuracy_score(label, kind.decision(said)))


def test_two_classes_of_several_are_a_binary():
    label, said = sample(BINARY)
    pair = np.stack([1 - said, said], axis=1)
    two = Multiclass("late", ("no", "yes"))
    assert two.loss(label, pair) == pytest.approx(BINARY.loss(label, said))
    assert two.decision(pair).tolist() == Binary("late").decision(said).tolist()


def test_a_row_of_probabilities_lies_between_0_and_1_and_sums_to_1():
    rows = [[0.2, 0.3, 0.5], [0, 0, 1], [0.2, 0.3, 0.4], [-0.1, 0.6, 0.5], [np.nan, 0.5, 0.5], [np.inf, 0, 0]]
    assert STATUS.valid(np.array(rows)).tolist() == [True, True, False, False, False, False]
    assert STATUS.valid(np.empty(0)).tolist() == []


def test_a_row_with_a_hole_has_no_loss_and_is_never_right():
    label, said = np.array([0.0, np.nan, 2]), np.array([[0.9, np.nan, 0.05], [0.8, 0.1, 0.1], [0, 0, 1]])
    assert np.isnan(STATUS.loss(label, said)).tolist() == [True, True, False]
    assert STATUS.right(label, said).tolist() == [False, False, True]


def test_a_class_is_a_whole_number_below_their_count():
    assert STATUS.possible(np.array([0, 1, 2, 3, -1, 0.5, np.nan])).tolist() == [True] * 3 + [False] * 4
    assert BINARY.possible(np.array([0, 1, 2, 0.5, np.nan])).tolist() == [True, True, False, False, False]
    assert REGRESSION.possible(np.array([-3.5, np.inf, np.nan])).tolist() == [True, False, False]


def test_the_decision_is_the_likeliest_class_or_the_cheapest():
    said = np.array([[0.3, 0.3, 0.4], [0.45, 0.1, 0.45]])
    assert STATUS.decision(said).tolist() == [2, 0]
    dear = Multiclass("status", STATUS.classes, costs=((0, 9, 9), (1, 0, 1), (1, 1, 0)))
    assert dear.decision(said).tolist() == [0, 0]
    assert dear.right(np.array([0.0, 2]), said).tolist() == [True, False]


def test_cases_are_sorted_by_the_first_class():
    label, said = several()
    assert np.array_equal(STATUS.rank(said), said[:, 0])
    assert np.array_equal(BINARY.rank(label), label)


def test_a_model_that_has_not_seen_every_class_gives_the_others_nothing():
    class Seen:
        classes_ = np.array([0.0, 2.0])

        def predict_proba(self, inputs):
            return np.tile([0.3, 0.7], (len(inputs), 1))

    assert STATUS.predict(Seen(), [1, 2]).tolist() == [[0.3, 0, 0.7]] * 2


def test_the_reliability_of_several_classes_is_that_of_the_likeliest():
    label, said = several(n=2000)
    label[:100] = np.nan
    found = STATUS.reliability(label, said, np.arange(2000) % 5)
    assert found.units.sum() == 1900
    assert found.predicted.min() >= 1 / 3
    assert (found.low <= found.observed).all()
    # The labels were drawn by these very probabilities.
    assert np.abs(found.observed - found.predicted).max() < 0.12
    assert len(STATUS.reliability(np.full(3, np.nan), said[:3], np.arange(3)).units) == 0


@pytest.mark.parametrize("kind", [BINARY, REGRESSION, STATUS], ids=["binary", "regression", "multiclass"])
def test_what_is_said_and_what_happens_agree_where_predictions_mean_what_they_say(kind):
    rng = np.random.default_rng(1)
    if kind is REGRESSION:
        said = rng.normal(10, 30, 5000)
        label = said + rng.normal(0, 9, 5000)
    elif kind is STATUS:
        label, said = several(n=5000)
    else:
        said = rng.random(5000)
        label = (rng.random(5000) < said).astype(float)
    told = kind.calibration_pairs(label, said)
    assert len(told.predicted) == len(told.happened) == len(told.order) == 5000 * told.per_unit
    assert told.happened.mean() == pytest.approx(told.predicted.mean(), abs=0.02)
    low = told.order < np.median(told.order)
    assert told.happened[low].mean() == pytest.approx(told.predicted[low].mean(), abs=0.03)
    assert set(kind.measures) >= {"loss", "accuracy"}


@pytest.mark.parametrize(
    "nonsense",
    [
        lambda: Multiclass("status", ("one",)),
        lambda: Multiclass("status", ("one", "one")),
        lambda: Multiclass("status", ("one", "")),
        lambda: Multiclass("status", ("a", "b"), costs=((0, 1),)),
        lambda: Multiclass("status", ("a", "b"), costs=((0, 1), (float("nan"), 0))),
        lambda: Multiclass("status", ("a", "b"), costs=((0, 1), (0, 0))),
    ],
)
def test_classes_that_are_nonsense_are_refused_with_the_target(nonsense):
    with pytest.raises(ValueError, match="multiclass target 'status'"):
        nonsense()
