"""The groups of like predictions that people look at."""

import numpy as np
import pytest

from pipeline.core.kinds import Binary


@pytest.mark.parametrize("many", [0.1, 0.9])
def test_a_few_doubts_are_not_hidden_among_many_equal_predictions(many):
    said = np.concatenate([np.linspace(0.3, 0.7, 5), np.full(95, many)])
    found = Binary("late").reliability(np.ones(100), said, np.arange(100) % 5)
    assert 95 in found.units
    assert found.units.sum() == 100
