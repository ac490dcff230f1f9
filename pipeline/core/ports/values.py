"""The values that go through the ports: what an adapter hands to a step, or a step to an adapter. Frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.kinds import Floats
from pipeline.core.verdict import Finding

#: A pyarrow table. Adapters look inside one, and so do the steps below ``steps/tables``; nobody else does.
Rows = Any


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file that was read in full and found sound.

    Attributes:
        rows: The typed rows, as declared.
        sha256: Digest of the file's bytes.
        content: Digest of the rows without their date of refreshing: equal content, equal digest.
        rejects: ``(line, reason, text)`` of rows that broke the declared types, at most the declared share.
        file: Where it came from.
    """

    rows: Rows
    sha256: str
    content: str
    rejects: Sequence[tuple[int, str, str]]
    file: str


@dataclass(frozen=True, slots=True)
class Commit:
    """What a write did: the table's version after it, and whether it changed anything."""

    version: int
    changed: bool


@dataclass(frozen=True, slots=True)
class Units:
    """One row per unit of some days, aligned: what recipes learn from and what is scored.

    Attributes:
        inputs: A pandas frame of the use case's inputs.
        labels: Floats; NaN where the unit has no label.
        unlabelled: Why there is no label, as a word; empty where there is one.
        days: ``datetime64[D]``.
        predicted_at: The moment of the prediction, ``datetime64[us]``, UTC.
        keys: The unit's name, one string.
        blocks: The block's name within its day.
        slices: Slice column to its value per unit, strings.
        named: Key column (:attr:`Usecase.keys`) to its value per unit, strings; empty where there is none.
    """

    inputs: Any
    labels: Floats
    unlabelled: NDArray[np.str_]
    days: NDArray[np.datetime64]
    predicted_at: NDArray[np.datetime64]
    keys: NDArray[np.str_]
    blocks: NDArray[np.str_]
    slices: Mapping[str, NDArray[np.str_]]
    named: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, mask: NDArray[np.bool_]) -> Units:
        """The units for which ``mask`` is true, in the same order."""
        return Units(
            inputs=self.inputs[mask].reset_index(drop=True),
            labels=self.labels[mask],
            unlabelled=self.unlabelled[mask],
            days=self.days[mask],
            predicted_at=self.predicted_at[mask],
            keys=self.keys[mask],
            blocks=self.blocks[mask],
            slices={name: values[mask] for name, values in self.slices.items()},
            named={name: values[mask] for name, values in self.named.items()},
        )


@dataclass(frozen=True, slots=True)
class Data:
    """What a run has read, by name: never the rows themselves.

    Attributes:
        name: What people call it, such as the table's name.
        digest: Tells this state of it from another one; 36 characters at most.
        role: What it was for, such as ``training`` or ``evaluation``.
        table, version: The store's table, and its version.
        profile: A few figures of it, such as its rows.
    """

    name: str
    digest: str
    role: str
    table: str
    version: int
    profile: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """What a person should see of one run in the registry.

    Attributes:
        title: The run's name, such as ``2013-03-08 ‖ held``: lists cut the end off.
        key: Idempotency key: the same key is the same run.
        tags, params: Text.
        metrics: Numbers; not-a-number is left out.
        files: Name of the artifact to its bytes.
        children: Nested runs, one per recipe.
        data: What it has read.
    """

    title: str
    key: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    files: Mapping[str, bytes]
    children: Sequence[Page] = ()
    data: Sequence[Data] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """What a suite said of a table: its findings and the pages (name to HTML bytes) for people."""

    findings: tuple[Finding, ...]
    pages: Mapping[str, bytes]
