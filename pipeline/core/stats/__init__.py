"""Numbers with honest intervals, each with its paper. An opinion about a number is made in the gates, not here.

intervals: what an interval is · losses, means, shares, shift, top, timings: one number each · single_column: what one
column tells alone · bootstrap: a second opinion on the jackknife · sequential: what holds under daily looks, for years.
The last is imported by its own name: its numbers are of a run of days, and not of one window.
"""

from pipeline.core.stats.bootstrap import bootstrap_difference
from pipeline.core.stats.intervals import (
    MINIMUM,
    SPREAD_ROUNDING,
    Clusters,
    Interval,
    NoInterval,
    dense_codes,
    t_quantile,
)
from pipeline.core.stats.losses import relative_difference
from pipeline.core.stats.means import mean_difference, statistic_interval
from pipeline.core.stats.shares import mean_interval
from pipeline.core.stats.shift import shift_excess, wasserstein
from pipeline.core.stats.single_column import binomial_upper_tail, explained_by_one_column
from pipeline.core.stats.timings import quantile_ratio
from pipeline.core.stats.top import changed_top, on_top, top_excess

__all__ = [
    "MINIMUM",
    "SPREAD_ROUNDING",
    "Clusters",
    "Interval",
    "NoInterval",
    "binomial_upper_tail",
    "bootstrap_difference",
    "changed_top",
    "dense_codes",
    "explained_by_one_column",
    "mean_difference",
    "mean_interval",
    "on_top",
    "quantile_ratio",
    "relative_difference",
    "shift_excess",
    "statistic_interval",
    "t_quantile",
    "top_excess",
    "wasserstein",
]
