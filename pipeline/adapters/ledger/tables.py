"""The tables of the promotion ledger, the same in every database. Part of the ledger adapter."""

from __future__ import annotations

import sqlalchemy as sa


def _words(length: int) -> sa.types.TypeEngine[str]:
    """Text. Only what is neither SQLite nor PostgreSQL needs a length for a key, and would hold the line to it."""
    return sa.String(length).with_variant(sa.Text(), "postgresql")


META = sa.MetaData()
PROMOTIONS = sa.Table(
    "promotions",
    META,
    sa.Column("usecase", _words(80), primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("action", _words(20), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("model", _words(80), nullable=False),
    sa.Column("recipe", _words(80), nullable=False),
    sa.Column("trained_through", _words(10), nullable=False),
    sa.Column("sha256", _words(64), nullable=False),
    sa.Column("replaced", sa.Integer),
    sa.Column("day", _words(10), nullable=False),
    sa.Column("verdict", _words(64), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", _words(40), nullable=False),
    sa.Column("held", _words(80), nullable=False),
    sa.Column("held_until", _words(10), nullable=False),
)
OUTCOMES = sa.Table(
    "outcomes",
    META,
    # PostgreSQL alone reads `Identity`: whoever may insert can't choose the number, and needs no right on a sequence.
    sa.Column("line", sa.Integer, sa.Identity(always=True), primary_key=True, autoincrement=True),
    sa.Column("usecase", _words(80), nullable=False, index=False),
    sa.Column("day", _words(10), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
TURNS = sa.Table(
    "turns",
    META,
    sa.Column("usecase", _words(80), primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
)
# The newest line of a day is asked for again and again.
INDEX = "CREATE INDEX IF NOT EXISTS outcomes_by_day ON outcomes (usecase, day, line)"
