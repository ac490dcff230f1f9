"""All that a use case's folder is written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.core.facts import Excuse
from pipeline.core.forms import PLAIN, Form, Written
from pipeline.onboarding.declaring.choices import Choices
from pipeline.onboarding.history.columns import Columns
from pipeline.onboarding.history.request import Request
from pipeline.onboarding.history.rows import History
from pipeline.onboarding.history.target import Target


@dataclass(frozen=True)
class Plan:
    """All that the folder is written from.

    Attributes:
        request: What was asked for.
        history, target, columns, choices: What was found and chosen.
        excuses: What the history breaks time and again.
        form: How upstream's files are written.
        written: Column to how its cells are written, of those that are not plainly written.
        suffix: What the name of a day's file ends with.
        bad_rows: The share of a day's rows that may go to quarantine.
    """

    request: Request
    history: History
    target: Target
    columns: Columns
    choices: Choices
    excuses: tuple[Excuse, ...]
    form: Form = PLAIN
    written: Mapping[str, Written] = field(default_factory=dict)
    suffix: str = ".parquet"
    bad_rows: float = 0.001

    @property
    def constant(self) -> str:
        """The declaration's name in Python."""
        return self.request.name.upper()

    @property
    def who(self) -> str:
        """What a prediction is about, in a word or two."""
        return " and ".join(name.removesuffix("_id").replace("_", " ").strip() or name for name in self.history.unit)
