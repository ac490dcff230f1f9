"""What a model was made with, in words."""

from __future__ import annotations

from collections.abc import Mapping


def other_versions(then: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, str]:
    """The versions that differ, then and now, as lists of words; both empty where none does or nothing is known."""
    names = [name for name in sorted(then) if then[name] != now.get(name, "")]
    return listed({name: then[name] for name in names}), listed({name: now.get(name, "") or "none" for name in names})


def listed(versions: Mapping[str, str]) -> str:
    """``numpy 2.4.6, python 3.11.7``: libraries and their versions as words."""
    return ", ".join(f"{name} {versions[name]}" for name in sorted(versions))
