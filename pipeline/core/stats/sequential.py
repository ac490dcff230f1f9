"""Looking every day, for years: when does a run of daily differences say more than chance does in that time?

A test that is right once in twenty looks is wrong every month when somebody looks every day. What is used here keeps
its promise under any number of looks: an e-detector, whose *average run length* (the mean number of days until chance
alone sets it off) is at least its threshold.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.kinds import Floats

#: Differences, in standard errors a day, that the detector listens for, and each one's share of its capital: most for
#: what can be shown within a week, the rest for what is small and lasts. Any drifts and shares keep the promise. These
#: were set on the flights of 2013; ``ONLY=power python -m benchmarks decisions`` measures how soon they find a gain.
DRIFTS = ((0.3, 0.2), (1.2, 0.8))
#: No day counts for more than this many standard errors: one day alone crowns nobody.
CLIP = 4.0
#: The share of cases in which the noise may be thought smaller than it is. Set by simulation, with ``_DOUBT``: with
#: these, promotions by chance stay about one a year at most (``ONLY=promotions python -m benchmarks decisions``).
_SURE = 0.43
#: The fewest steps from one day to the next that tell how noisy days are: those of five days.
FEWEST = 4
#: So many days make a spell, in which a bad day may bring the next.
SPELL = 5
#: So many spells that add nothing are thought to be known beforehand.
_DOUBT = 50
#: Spells make no more than so many times the variance: what goes beyond is a change of level, which is to be heard. Set
#: on the flights of 2013.
_MOST = 1.75


def e_detector(scores: Floats, drifts: Sequence[tuple[float, float]] = DRIFTS, clip: float = CLIP) -> float:
    """Logarithm of the Shiryaev-Roberts e-detector at the last of these days.

    ``sum over starts s of exp(d * sum(scores[s:]) - n * d**2 / 2)``, the mean over the drifts ``d`` by their shares.
    Where each score, given the days before it, has a mean of at most 0 and tails no heavier than a standard normal's,
    the statistic first reaches ``c`` after ``c`` days or more on average, however often it is looked at (Shin, Ramdas &
    Rinaldo, E-detectors: a nonparametric framework for online changepoint detection, New England J. Statistics in Data
    Science 2, 2024; Roberts, Technometrics 8, 1966). With several drifts it is a mixture, which keeps the promise.

    Args:
        scores: One per day, oldest first, in standard errors: above 0 speaks for a change.
        drifts: Each above 0, and its share; the shares add up to 1.
        clip: Scores above are taken as this: it only makes the detector slower.

    Returns:
        Minus infinity for no days.
    """
    if not len(scores):
        return -math.inf
    clipped = np.minimum(scores, clip)
    parts = []
    for drift, share in drifts:
        steps = drift * clipped - drift * drift / 2
        before = np.concatenate([[0.0], np.cumsum(steps)])
        # exp(total - before[s]) for every start s, added up without overflow.
        parts.append(math.log(share) + before[-1] + _log_sum(-before[:-1]))
    return _log_sum(np.asarray(parts))


def _log_sum(values: Floats) -> float:
    top = float(values.max())
    return top if math.isinf(top) else top + math.log(float(np.exp(values - top).sum()))


def mixture(logs: Sequence[float], shares: Sequence[float]) -> float:
    """Logarithm of the weighted mean of statistics given by their logarithms.

    The mean of e-detectors, with shares fixed beforehand, is one; so evidence of several sorts shares one promise.
    """
    return _log_sum(np.asarray(logs) + np.log(shares))


def days_to_alarm(step: float, statistic: float, threshold: float) -> float:
    """How many more days, of ``step`` standard errors each, until the detector reaches ``threshold`` (logarithms).

    The better of the drifts decides. Infinity where it never would.
    """
    growth = max(drift * min(step, CLIP) - drift * drift / 2 for drift, _ in DRIFTS)
    if statistic >= threshold:
        return 0.0
    return math.inf if growth <= 0 else (threshold - max(statistic, 0.0)) / growth


@dataclass(frozen=True, slots=True)
class Steps:
    """How far a number moves from one day to the next.

    Blocks know how units of a day differ; they know nothing of what a whole day has in common. Half the mean squared
    step from one day to the next tells (von Neumann et al., Annals of Mathematical Statistics 12, 1941): unlike the
    variance it does not take a slow decay for noise.

    One bad day brings the next: then sums of days stray further than steps of one day tell. The same steps between
    neighbouring means of :data:`SPELL` days, in the size of one day, see that, and still no slow decay (the overlapping
    Allan variance; Howe, Allan & Barnes, Proc. 35th Annual Frequency Control Symposium, 1981).

    Attributes:
        squares: Sum of the halved squares of the steps.
        count: How many steps.
        far: The same of the steps between means of spells.
        spells: How many of those.
    """

    squares: float
    count: int
    far: float = 0.0
    spells: int = 0

    @classmethod
    def of(cls, values: Floats) -> Steps:
        """The steps of one run of days, oldest first."""
        near = float(np.sum(np.diff(values) ** 2)) / 2
        spells = max(len(values) - 2 * SPELL + 1, 0)
        far = 0.0
        if spells:
            sums = np.concatenate([[0.0], np.cumsum(values)])
            means = (sums[SPELL:] - sums[:-SPELL]) / SPELL
            far = SPELL * float(np.sum((means[SPELL:] - means[:-SPELL]) ** 2)) / 2
        return cls(near, max(len(values) - 1, 0), far, spells)

    @staticmethod
    def joint(runs: Iterable[Steps], spells: bool = True) -> tuple[float, int] | None:
        """The variance of a day, and the number of steps it was learnt from; None for fewer than ``FEWEST``.

        Few steps tell it badly, and noise that is thought too small promotes by chance. So it is the upper end of its
        interval, by the chi-squared law with two thirds of a degree of freedom a step. What spells add is drawn
        towards nothing by :data:`_DOUBT` spells, for a few tell it worse still, and bounded by :data:`_MOST`: where the
        world changes at a stroke, neighbouring spells differ for once by more than noise. Without ``spells`` steps of
        one day tell all.
        """
        from scipy.special import chdtri

        known = list(runs)
        squares, count = sum(run.squares for run in known), sum(run.count for run in known)
        if count < FEWEST or not math.isfinite(squares):
            return None
        df = 2 * count / 3
        near = squares / count
        far = (sum(run.far for run in known) + _DOUBT * near) / (sum(run.spells for run in known) + _DOUBT)
        variance = min(max(near, far), _MOST * near) if spells else near
        return variance * df / float(chdtri(df, 1 - _SURE)), count


def confidence_sequence(variance: float, confidence: float, tuned: float) -> float:
    """How far the mean of a sum lies, at any time, from what was seen: the half-width of a one-sided bound, in sums.

    The one-sided normal mixture (Howard, Ramdas, McAuliffe & Sekhon, Annals of Statistics 49, 2021),
    with the variance learnt as it goes (Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, Annals of Statistics 52, 2024):
    the bound holds for all days at once with probability ``confidence``, once there are days enough for the sum to be
    about normal.

    Args:
        variance: Of the sum so far.
        confidence: Of the bound.
        tuned: Above 0; the bound is tightest, beside the root of the variance, at about seven times this (at 95 %).
    """
    if not (variance >= 0 and tuned > 0):
        return math.inf
    both = variance + tuned
    return math.sqrt(2 * both * math.log(1 + math.sqrt(both / tuned) / (2 * (1 - confidence))))
