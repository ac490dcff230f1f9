"""The README is short, and shows the folders there are. Its links, commands and example are held by test_docs.py."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def house() -> list[str]:
    block = re.search(r"<!-- map.*?```\n(.*?)```", README, re.DOTALL)
    assert block, "the README has no map of the house"
    return block.group(1).splitlines()


def test_it_is_one_for_a_first_visit() -> None:
    assert len(README.splitlines()) <= 130


def test_the_map_of_the_house_fits_one_screen() -> None:
    assert len(house()) <= 24
    assert max(map(len, house())) <= 100


def test_the_map_shows_the_folders_there_are() -> None:
    shown: set[str] = set()
    above = ""
    for line in house():
        names = re.match(r"\s*((?:[\w/]+/\s+)+)", line)
        assert names, line
        if not line.startswith(" "):
            above = names[1].split()[0]
        shown |= {(above if line.startswith(" ") else "") + name for name in names[1].split()}
    assert [name for name in sorted(shown) if not (ROOT / name).is_dir()] == []
    rooms = {f"{path.relative_to(ROOT)}/" for path in (ROOT / "pipeline").iterdir() if (path / "__init__.py").exists()}
    for room in ("pipeline/core", "pipeline/steps"):
        rooms |= {f"{path.relative_to(ROOT)}/" for path in (ROOT / room).iterdir() if (path / "__init__.py").exists()}
    tops = {"dags/", "expectations/", "stack/", "demo/", "benchmarks/", "tests/", "docs/"}
    assert rooms | tops <= shown
