"""The shell's completion: what may come next on the command line, for argcomplete."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from pipeline.usecases import ALL, find


def complete() -> None:
    """Answer the shell and end, if it is the shell that asks; else do nothing. It asks by the variable _ARGCOMPLETE."""
    import argcomplete

    from pipeline.cli.main import parser

    argcomplete.autocomplete(proposing(parser()))


def proposing(top: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The same parser, whose arguments that name a use case or a recipe propose the names there are."""
    for action in _actions(top):
        if action.dest == "usecase":
            action.completer = _usecases  # type: ignore[attr-defined]
        elif action.dest in ("recipe", "recipes", "start"):
            action.completer = _recipes  # type: ignore[attr-defined]
    return top


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from _actions(one)


def _usecases(**_: object) -> list[str]:
    return [usecase.name for usecase in ALL]


def _recipes(parsed_args: argparse.Namespace, **_: object) -> list[str]:
    try:
        return [recipe.name for recipe in find(parsed_args.usecase).recipes]
    except (KeyError, AttributeError):
        return []
