"""Everything put in its place at once: before, beside its place; then a few renames, the name in ``NAMES`` the last.

Whatever stops it, the catalogue names no use case that is not there whole, and nothing of a person's is lost.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from pipeline.core.errors import UsageError
from pipeline.onboarding.placing import catalogue as catalogues
from pipeline.onboarding.placing.deliveries import put_aside, write

#: A folder's place, and what fills the folder that will lie there.
Part = tuple[Path, Callable[[Path], None]]


def put_in_place(
    name: str, parts: Sequence[Part], held: Sequence[Path], replaced: Path, entry: Path
) -> tuple[Path, ...]:
    """Fill folders beside their places, put aside what is there, rename, and name the use case in the catalogue.

    Args:
        name: Of the use case.
        parts: The folders.
        held: What lies in places that are needed.
        replaced: Where that is put aside.
        entry: The catalogue's file.

    Returns:
        What was put aside.

    Raises:
        UsageError: Something can't be written; all is as it was.
    """
    before = catalogues.text_of(entry)
    after = catalogues.with_name(before, name)
    with ExitStack() as undone:
        try:
            made = [_filled(place, fill, undone) for place, fill in parts]
            # While nothing or half of it is there, the catalogue does not name it: it must be importable at any moment.
            if before == after and held:
                undone.callback(write, entry, before)
                write(entry, catalogues.without_name(before, name))
            aside = []
            for path in held:
                target = put_aside(path, replaced)
                if target is not None:
                    undone.callback(shutil.move, target, path)
                    aside.append(target)
            for folder, (place, _) in zip(made, parts, strict=True):
                folder.rename(place)
                undone.callback(shutil.rmtree, place, ignore_errors=True)
            write(entry, after)
        except OSError as error:
            where = f" at {error.filename}" if error.filename else ""
            raise UsageError(
                f"'{name}' can't be put in its place ({error.strerror or error}{where}); make room or give access, and "
                f"try again: all is as it was",
                "PLACE",
            ) from None
        undone.pop_all()
    return tuple(aside)


def _filled(place: Path, fill: Callable[[Path], None], undone: ExitStack) -> Path:
    folder = place.with_name(f".{place.name}.new")
    shutil.rmtree(folder, ignore_errors=True)  # left by one that was killed
    undone.callback(shutil.rmtree, folder, ignore_errors=True)
    folder.mkdir(parents=True)
    fill(folder)
    return folder
