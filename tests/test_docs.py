"""The documentation: it is built without a warning, every link in it leads somewhere, and what it advises is run."""

from __future__ import annotations

import dataclasses
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pytest

from pipeline.cli.main import parser
from pipeline.core.usecase import Usecase
from tests import small

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *PAGES]
TUTORIAL = DOCS / "tutorial" / "own-use-case.md"
CHAMPION = DOCS / "how-to" / "use-the-champion.md"


def examples(path: Path) -> list[str]:
    """The pieces of Python that a page says are run."""
    return re.findall(r"<!-- example[^>]*-->\n```python\n(.*?)```", path.read_text(), re.DOTALL)


# The site.


class Page(HTMLParser):
    """What a page can be linked to by, and what it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.names |= {name for name in (given.get("id"), given.get("name")) if name}
        self.links += [link for link in (given.get("href"), given.get("src")) if link]


def dead(site: Path) -> list[str]:
    """Links within the site that lead nowhere: to no file, or to no place in it. What is elsewhere is not asked."""
    pages = {path.resolve(): Page(path.read_text()) for path in site.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            lost = not there.exists() or (
                there in pages and parts.fragment and parts.fragment not in pages[there].names
            )
            # The theme's own: "back to the top".
            if lost and link != "#":
                broken.append(f"{path.relative_to(site.resolve())}: {link}")
    return broken


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-d", str(folder / "trees")]
    done = subprocess.run([*build, "docs", str(folder / "html")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.mark.xdist_group("docs")
def test_the_site_is_built_without_a_warning_and_no_link_in_it_is_dead(site: Path) -> None:
    assert dead(site) == []
    assert len(list(site.rglob("*.html"))) > len(PAGES)  # the index of names is one more


@pytest.mark.xdist_group("docs")
def test_the_reference_speaks_of_every_gate_kind_and_verb(site: Path) -> None:
    from pipeline.core import gates

    text = {name: (site / "reference" / f"{name}.html").read_text() for name in ("gates", "kinds", "command-line")}
    asked = [name for name in gates.__all__ if isinstance(getattr(gates, name), type)]
    assert [name for name in asked if f'id="pipeline.core.gates.{name}"' not in text["gates"]] == []
    for kind in ("Binary", "Multiclass", "Regression"):
        assert f'id="pipeline.core.kinds.{kind}"' in text["kinds"]
    for verb in verbs():
        assert f'<section id="{verb}">' in text["command-line"]


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="b.html#here">x</a><a href="b.html#gone">x</a><img src="c.png">')
    (tmp_path / "b.html").write_text(
        '<p id="here"><a href="https://example.org/never/asked">x</a><a href="#">x</a></p>'
    )
    assert dead(tmp_path) == ["a.html: b.html#gone", "a.html: c.png"]


# The same texts as they lie: a code host shows them without Sphinx.


def slugs(path: Path) -> set[str]:
    """The names by which a code host knows a page's headings."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_text_links_to_is_there(path: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()) if not urlsplit(link).scheme]
    for link in links:
        file, _, place = link.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), link
        assert not place or place in slugs(there), link


def test_the_glossary_explains_every_word_of_the_trade() -> None:
    known = set(re.findall(r"^(\S[^\n]*)\n  \S", (DOCS / "glossary.md").read_text(), re.M))
    asked = "use case, feed, reference table, data day, store, snapshot, recipe, candidate, champion, baseline, unit"
    asked += ", block, slice, score ledger, evidence, gate, finding, verdict, promotion, rollback, excuse, waiver"
    asked += ", holdout day, replay"
    assert set(asked.split(", ")) <= known


# What is advised.


def verbs() -> list[str]:
    return re.findall(r"^    ([a-z]+)\b", parser().format_help(), re.M)


def commands() -> list[tuple[str, str]]:
    """Every line of a text that calls the command, with its page."""
    found = []
    for path in TEXTS:
        text = path.read_text()
        text = text.replace("\\\n", " ")
        for line in re.findall(r"(?:\.venv/bin/retrain|exec airflow-worker retrain) ([^`#\n]+)", text):
            found.append((path.relative_to(ROOT).as_posix(), line.strip()))
    return found


def test_every_command_line_that_a_text_shows_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [(page, line) for page, line in commands() if line != "…"]
    assert len(lines) >= 10
    for page, line in lines:
        try:
            parser().parse_args(shlex.split(line))
        except SystemExit:
            pytest.fail(f"{page}: retrain {line}: {capsys.readouterr().err}")


def test_every_verb_and_target_that_the_texts_name_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for path in TEXTS:
        for target in set(re.findall(r"`make ([a-z-]+)", path.read_text())):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{path.name}: make {target}"
    table = (DOCS / "how-to" / "day-by-day.md").read_text()
    for verb in verbs():
        if verb != "reconcile":
            assert re.search(rf"`{verb} \w+", table), verb


def test_the_tutorials_example_is_a_use_case_that_runs_to_a_promotion(tmp_path: Path) -> None:
    (text,) = examples(TUTORIAL)
    found: dict[str, Any] = {}
    exec(compile(text, TUTORIAL.name, "exec"), found)
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


def test_the_tutorials_example_is_about_fifty_lines() -> None:
    (text,) = examples(TUTORIAL)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("import", "from"))]
    assert len(lines) <= 50, len(lines)


def test_the_champion_is_loaded_as_the_texts_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a real MLflow database; the use case has another name here, and MLflow another address."""
    import mlflow

    from pipeline import usecases
    from pipeline.adapters.world import world

    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    usecase = dataclasses.replace(small.SMALL, name="flight_delay")
    monkeypatch.setattr(usecases, "ALL", (usecase,))
    ports = dataclasses.replace(world(), checker=small.YesChecker())
    outcomes = []
    for day in small.days(12):
        small.deliver(tmp_path / "landing", day)
        if day >= small.days(6)[-1]:
            outcomes.append(small.run_day(usecase, day, ports).outcome)
        if outcomes[-1:] == ["promoted"]:
            break
    assert outcomes[-1] == "promoted"

    units = pd.DataFrame({"size": [2.0, -2.0], "area": [1.0, 3.0]})
    plain, request, checked = examples(CHAMPION)
    assert examples(ROOT / "README.md") == [plain]
    server = '"http://127.0.0.1:5000"'
    assert server in plain
    found: dict[str, Any] = {"units": units}
    try:
        exec(plain.replace(server, f'"sqlite:///{tmp_path}/mlflow/mlflow.db"'), found)
    finally:
        mlflow.set_tracking_uri(None)  # MLflow keeps it for the process, and in the environment
    assert found["chances"].shape == (2, 2)
    assert found["chances"][0, 1] > 0.5 > found["chances"][1, 1]

    held = {
        "visits": [
            {"visit": n, "shop": shop, "size": size} for n, (shop, size) in enumerate([("a", 2.0), ("b", -2.0)])
        ],
        "shops": [{"shop": "a", "area": 1.0}, {"shop": "b", "area": 3.0}],
    }
    asked: dict[str, Any] = {"held": held, "day": small.days(13)[-1]}
    exec(request, asked)
    assert asked["units"].reset_index(drop=True).equals(units)

    ours: dict[str, Any] = {}
    exec(checked, ours)
    assert np.array_equal(ours["model"].predict_proba(units), found["chances"])
