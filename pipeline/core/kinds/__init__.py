"""Kinds of use case: what a prediction is, what it costs to be wrong, and when two predictions differ.

The rest of the core never asks which kind it has; it calls the methods of :class:`Kind`. A new kind is one more module.
"""

from pipeline.core.kinds.base import Bools, CalibrationPairs, Floats, Ints, Kind, Measure, Reliability
from pipeline.core.kinds.binary import Binary
from pipeline.core.kinds.multiclass import Multiclass
from pipeline.core.kinds.regression import Regression

__all__ = [
    "Binary",
    "Bools",
    "CalibrationPairs",
    "Floats",
    "Ints",
    "Kind",
    "Measure",
    "Multiclass",
    "Regression",
    "Reliability",
]
