"""The README's example is run as it stands, and its claims about the repository are held against it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.usecase import Usecase
from tests import small

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def example() -> str:
    block = re.search(r"<!-- example.*?```python\n(.*?)```", README, re.DOTALL)
    assert block, "the README has no example"
    return block.group(1)


def test_the_example_is_a_use_case_that_runs_to_a_promotion(tmp_path: Path) -> None:
    found: dict[str, Any] = {}
    exec(compile(example(), "README.md", "exec"), found)
    buys = found["BUYS"]
    assert isinstance(buys, Usecase)
    world = small.world_in(tmp_path)
    outcomes = []
    for day in small.days(14):
        small.deliver(tmp_path / "landing", day)
        if day >= small.days(8)[-1]:
            outcomes.append(small.run_day(buys, day, world).outcome)
    assert outcomes[0] == "started"
    assert "promoted" in outcomes


def test_the_example_is_about_fifty_lines() -> None:
    lines = [line for line in example().splitlines() if line.strip() and not line.startswith(("import", "from"))]
    assert len(lines) <= 50, len(lines)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([\w./-]+)\)", README))))
def test_what_the_readme_links_to_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_command_of_the_readme_exists() -> None:
    from pipeline.cli.main import parser

    known = parser().format_help()
    for command in ("run", "days", "history", "rollback", "lift", "new"):
        assert re.search(rf"^\s+{command}\b", known, re.MULTILINE), command
    makefile = (ROOT / "Makefile").read_text()
    for target in sorted(set(re.findall(r"`make ([a-z]+)", README))):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
