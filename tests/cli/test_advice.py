"""Every command that the product tells people to type is one that it takes, wherever in the source the sentence stands.

Whether it does what the sentence says is the business of the tests beside the code that says it.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cli.parser import parser

ROOT = Path(__file__).parents[2]
#: What people fill in, by how it stands in a sentence: the last word of the expression, or a word in pointed brackets.
FILLED_IN = {
    "offered[0].version": "3",
    "usecase": "flight_delay",
    "use case": "flight_delay",
    "usecase.name": "flight_delay",
    "self.usecase.name": "flight_delay",
    "verdict.usecase": "flight_delay",
    "declared.name": "flight_delay",
    "name": "flight_delay",
    "%s": "flight_delay",
    "day": "2013-02-01",
    "verdict.day": "2013-02-01",
    "digest": "d" * 64,
    "verdict.digest": "d" * 64,
    "explained.digest": "d" * 64,
}
_COMMAND = re.compile(r"python -m pipeline((?: +(?:\"[^\"]*\"|[^'`\"\n;, ]+))+)")


def sentences(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each string, with what is put into it as ``{expression}``; documentation is left out."""
    tree = ast.parse(source)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [
                str(part.value)
                if isinstance(part, ast.Constant)
                else "{" + ast.unparse(part.value) + "}"
                if isinstance(part, ast.FormattedValue)
                else ""
                for part in node.values
            ]
            yield node.lineno, "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said | inside:
            yield node.lineno, node.value


def advice() -> Iterator[tuple[str, str]]:
    """Place and command of each piece of advice."""
    for folder in ("pipeline", "stack", "dags", "demo", "tools"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for line, text in sentences(path.read_text()):
                for match in _COMMAND.finditer(text):
                    command = match[1].strip().rstrip(".: ")
                    if not command.startswith("-") and command != "COMMAND":
                        yield f"{path.relative_to(ROOT)}:{line}", command


ADVICE = sorted(set(advice()))


def typed(command: str) -> str:
    """The command as a person would type it."""
    for pattern in (r"\{([^}]*)\}", r"<([^>]*)>", r"(%s)"):
        command = re.sub(pattern, lambda match: FILLED_IN.get(match[1], match[1]), command)
    return command.replace("…", "because").replace("YOUR_NAME", "ada")


def test_advice_is_found_where_it_is_given() -> None:
    given = " ".join(place for place, _ in ADVICE)
    assert len(ADVICE) >= 15
    for file in ("steps/rollback.py", "steps/reconcile.py", "steps/recompute.py", "steps/score.py", "steps/explain.py"):
        assert file in given, file
    found = [
        text for _, text in sentences('raise E(f"try \'python -m pipeline run {name} --day {day}\'", "no")\n"doc"\n')
    ]
    assert found == ["try 'python -m pipeline run {name} --day {day}'", "no"]


@pytest.mark.parametrize(("place", "command"), ADVICE, ids=[f"{place} {command}" for place, command in ADVICE])
def test_what_people_are_told_to_type_is_taken(place: str, command: str) -> None:
    words = shlex.split(typed(command))
    if len(words) == 1:
        words += {"new": shlex.split("mine --from sales.csv --target sold --time day"), "doctor": []}.get(
            words[0], ["flight_delay"]
        )
    assert "{" not in " ".join(words), f"{place}: say in FILLED_IN what stands for {words}"
    parser().parse_args(words)


@pytest.mark.parametrize(
    "wrong", ["roll_back {usecase} --to 3", "rollback {usecase}", "run {usecase} --date 2013-02-01"]
)
def test_a_command_that_is_none_is_found(wrong: str) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(shlex.split(typed(wrong)))
