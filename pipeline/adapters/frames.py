"""Arrow tables as pandas frames, in which a whole number stays the number it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.core.facts import MOST_EXACT

if TYPE_CHECKING:
    import pyarrow as pa


def in_pandas(table: pa.Table) -> Any:
    """The table as a frame.

    Whole numbers of which some are missing are floats, as everywhere in pandas, unless a float can't hold one of
    them: then the column is pandas' own type of whole numbers with blanks, so that no name is rounded to another.
    """
    frame = table.to_pandas(date_as_object=False)
    for name in table.column_names:
        cells = table[name]
        if cells.null_count and _beyond_floats(cells):
            import pandas as pd

            frame[name] = pd.array(cells.to_pylist(), dtype="Int64")
    return frame


def _beyond_floats(cells: pa.ChunkedArray) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_integer(cells.type):
        return False
    ends = pc.min_max(cells).as_py()
    return ends["min"] is not None and max(-ends["min"], ends["max"]) > MOST_EXACT
