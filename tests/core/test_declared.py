"""What a declaration can't say: nonsense is refused where it stands, in a sentence, before anything runs."""

from __future__ import annotations

import dataclasses
import math

import pytest

from pipeline.core.gates import Better, EverySlice, Sound
from pipeline.core.usecase import Promotion
from tests import small


def test_a_gate_that_needs_no_number_of_rows_is_refused() -> None:
    """With NaN as the fewest rows a gate would never say that there are too few."""
    gates = (Sound(), Better(), EverySlice(margin=0.1, at_least=math.nan))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="declares the gate 'every slice', whose at_least is no number"):
        dataclasses.replace(small.SMALL, gates=gates)


@pytest.mark.parametrize("approvers", ["ada", ("",), ("ada", " "), (3,)])
def test_approvers_are_names(approvers: tuple[str, ...]) -> None:
    """A name alone is a tuple of its letters, each of which might be somebody's name."""
    with pytest.raises(ValueError, match="approvers are names"):
        Promotion(approval="person", approvers=approvers)
    assert Promotion(approvers=("ada", "grace")).approvers == ("ada", "grace")
