"""Where MLflow's rows of an embedded installation say that artifacts lie, and where the team's server keeps them.

At home a row holds an absolute path, `/home/ada/var/mlflow/artifacts/flight_delay/<run>/artifacts`. The team's server
hands artifacts out itself and judges who may have them by the experiment's number, with which the path must begin:
`mlflow-artifacts:/1/<run>/artifacts`. So a file's folder changes from the experiment's name to its number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from stack.errors import StackError

LOCATIONS = frozenset(
    {
        ("experiments", "artifact_location"),
        ("runs", "artifact_uri"),
        ("logged_models", "artifact_location"),
        ("model_versions", "source"),
        ("model_versions", "storage_location"),
    }
)
"""The columns that always hold a location; the tag `mlflow.artifactLocation` of a trace does, too."""

_OURS = re.compile(r"(?P<root>/.*/mlflow/artifacts)/(?P<folder>.+)")
_SERVED = ("mlflow-artifacts:/", "models:/", "runs:/")


@dataclass(frozen=True, slots=True)
class Places:
    """Each experiment's place at home and in the stack.

    Attributes:
        prefixes: As a row at home begins, to as it begins in the stack; longest first.
        folders: Folder below the home's `mlflow/artifacts` to folder in the stack; longest first.
    """

    prefixes: Mapping[str, str]
    folders: Mapping[str, str]

    def moved(self, text: str) -> str:
        """The same text, if it begins with a place of ours the place in the stack."""
        for old, new in self.prefixes.items():
            if text.startswith(old) and (len(text) == len(old) or text[len(old)] == "/"):
                return new + text[len(old) :]
        return text

    def files(self, artifacts: Path) -> tuple[dict[str, Path], int]:
        """Name in the stack to file at home; and how many files belong to no experiment."""
        found, left = {}, 0
        for path in sorted(artifacts.rglob("*")):
            if not path.is_file() or path.name.startswith(".part-"):
                continue
            name = path.relative_to(artifacts).as_posix()
            for old, new in self.folders.items():
                if name.startswith(f"{old}/"):
                    found[f"{new}/{name[len(old) + 1 :]}"] = path
                    break
            else:
                left += 1
        return found, left


def places(experiments: Iterable[Mapping[str, Any]], ids: Mapping[int, int]) -> Places:
    """The places of all experiments.

    Args:
        experiments: MLflow's rows at home.
        ids: Their numbers at home to their numbers in the stack.

    Raises:
        StackError: One keeps its artifacts outside the home, or they are of two homes.
    """
    prefixes, folders, roots = {}, {}, {}
    for row in experiments:
        location, number = str(row["artifact_location"] or ""), int(row["experiment_id"])
        found = _OURS.fullmatch(_path(location))
        if found is None:
            if number == 0:
                continue  # MLflow's own, whose place nobody chose; a run in it is refused by its own location
            raise outside("the experiment", str(row["name"]), location)
        prefixes[location.rstrip("/")] = f"mlflow-artifacts:/{ids[number]}"
        folders[found["folder"].rstrip("/")] = str(ids[number])
        roots[found["root"]] = str(row["name"])
    if len(roots) > 1:
        raise StackError(
            f"the home keeps artifacts in {len(roots)} places ({', '.join(sorted(roots))}), as after it was moved or "
            "copied; bring them together below its mlflow/artifacts, and MLflow's rows with them, before it is moved"
        )

    def longest(pairs: dict[str, str]) -> dict[str, str]:
        return dict(sorted(pairs.items(), key=lambda pair: -len(pair[0])))

    return Places(longest(prefixes), longest(folders))


def check(table: str, row: Mapping[str, Any]) -> None:
    """Refuse a row that, moved, still points to where the stack's server has nothing.

    Raises:
        StackError: It does.
    """
    told = {column: row[column] for of, column in LOCATIONS if of == table}
    if table == "trace_tags" and row["key"] == "mlflow.artifactLocation":
        told["value"] = row["value"]
    for value in told.values():
        if value and not str(value).startswith(_SERVED):
            name = row.get("name") or row.get("run_uuid") or row.get("request_id") or row.get("model_id")
            raise outside(f"a row of {table},", str(name), str(value))


def outside(what: str, name: str, location: str) -> StackError:
    """Of artifacts that aren't in the home."""
    return StackError(
        f"{what} '{name}' keeps its artifacts at {location}, which is not below the home's mlflow/artifacts, so they "
        "can't be moved; delete it for good (`mlflow gc`) or bring it there; nothing was written"
    )


def _path(location: str) -> str:
    return unquote(urlsplit(location).path) if location.startswith("file:") else location
