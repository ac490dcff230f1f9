"""The words of ``python -m pipeline new``. Light: the command line is built with them before anything else is known."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add them to the command."""
    parser.add_argument("name", help="of the use case: lower case letters, digits and '_'")
    parser.add_argument(
        "--from", dest="file", type=Path, required=True, help="the history: .csv, .parquet, .jsonl or a folder of parts"
    )
    parser.add_argument("--target", required=True, help="the column to predict")
    parser.add_argument("--time", required=True, help="the column that says when: a date, or a timestamp")
    parser.add_argument(
        "--unit", type=columns, default=(), help="the column that names what a prediction is about; several by comma"
    )
    parser.add_argument(
        "--drop", type=columns, action="extend", default=[], metavar="COLUMN[,COLUMN]", help="columns to leave out"
    )
    parser.add_argument(
        "--date-format",
        dest="date_formats",
        action="append",
        default=[],
        metavar="FORMAT",
        help="how dates or times are written, such as %%d.%%m.%%Y; once for each of the two",
    )
    parser.add_argument("--decimal", choices=(".", ","), help="the sign before a fraction; default: as the file looks")
    parser.add_argument("--kind", choices=("binary", "multiclass", "regression"), help="default: as the target looks")
    parser.add_argument("--label-delay", type=int, metavar="DAYS", help="after how many days a label is known")
    parser.add_argument("--zone", help="time zone of the days, such as Europe/Berlin; default: UTC, or the file's own")
    parser.add_argument("--window", type=int, metavar="DAYS", help="the most days that a recipe learns from")
    parser.add_argument("--overwrite", action="store_true", help="put a use case of that name aside and begin anew")


def columns(text: str) -> tuple[str, ...]:
    """Names by comma."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
