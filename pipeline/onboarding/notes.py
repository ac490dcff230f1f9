"""What was assumed and what a person should look at: said at the terminal and kept in the use case's ``REVIEW.md``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """One assumption, or one thing to review.

    Attributes:
        about: The column or the topic, in a word or two.
        text: One sentence.
        review: Whether a person must look at it before the model is trusted; else it is an assumption that was safe.
    """

    about: str
    text: str
    review: bool = False
