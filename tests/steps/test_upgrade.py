"""An upgrade with two real scikit-learns in two environments: told before, survived in the night, said in the ledger.

The second environment is this one but for scikit-learn, whose wheel comes from the package index; or, without a
network, from the folder that PIPELINE_WHEELS names (``pip download --no-deps -d FOLDER scikit-learn==1.8.0``).
"""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import subprocess
import sys
import sysconfig
from datetime import date
from pathlib import Path

import pytest
import sklearn

from pipeline.adapters.code_digest import installed, product
from tests import small
from tests.steps.test_doctor import everything

ROOT = Path(__file__).resolve().parents[2]
OTHER = "1.8.0"
CANT = f"can't be opened with scikit-learn {sklearn.__version__}, it was made with {OTHER}"
NIGHTS = small.days(8)[2:]

pytestmark = pytest.mark.live


def build(home: Path) -> None:
    """A home whose champion was promoted on the eighth day; run in the other environment."""
    from pipeline.steps.judging import timing

    timing.SINGLE = timing.BATCH = 2
    world = dataclasses.replace(small.world_in(home), versions=installed(), compute_digest=product())
    for day in small.days(12):
        small.deliver(home / "landing", day)
    for day in NIGHTS:
        small.run_day(small.SMALL, day, world)
    (home / "registry").write_bytes(pickle.dumps(world.registry))


def night(home: Path, day: str) -> None:
    """One more night, with the libraries of whoever runs it."""
    registry = pickle.loads((home / "registry").read_bytes())
    world = dataclasses.replace(small.world_in(home, registry), versions=installed(), compute_digest=product())
    small.run_day(small.SMALL, date.fromisoformat(day), world)
    (home / "registry").write_bytes(pickle.dumps(registry))


def command(home: Path, *words: str) -> None:
    """The command line with the small use case alone in its catalogue."""
    from pipeline import usecases
    from pipeline.cli.main import main

    usecases.ALL = (small.SMALL,)
    os.environ["PIPELINE_HOME"] = str(home)
    sys.exit(main([*words]))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment like this one, with the other scikit-learn."""
    if sklearn.__version__ == OTHER:
        pytest.skip(f"this environment has scikit-learn {OTHER} itself")
    folder = tmp_path_factory.mktemp("other")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "this.pth").write_text(sysconfig.get_path("purelib") + "\n")
    wheels = os.environ.get("PIPELINE_WHEELS")
    source = ["--no-index", "--find-links", wheels] if wheels else []
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", *source, "--target", str(packages)]
    done = subprocess.run([*install, f"scikit-learn=={OTHER}"], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"scikit-learn {OTHER} can't be had: {done.stderr[-200:]}")
    return folder / "bin" / "python"


def run(python: Path | str, call: str, *words: object) -> subprocess.CompletedProcess[str]:
    first, *rest = (repr(str(word)) for word in words)
    called = f"t.{call}({', '.join([f'Path({first})', *rest])})"
    body = f"from pathlib import Path; from tests.steps import test_upgrade as t; {called}"
    return subprocess.run([str(python), "-c", body], cwd=ROOT, check=False, capture_output=True, text=True, timeout=600)


def test_a_home_survives_the_upgrade_of_scikit_learn(other: Path, tmp_path: Path) -> None:
    from pipeline.steps.recompute import recompute

    built = run(other, "build", tmp_path)
    assert built.returncode == 0, built.stderr[-2000:]
    before = everything(tmp_path)
    at_home = run(other, "command", tmp_path, "doctor", "small")
    assert (at_home.returncode, at_home.stdout.count("works")) == (0, 2), at_home.stdout + at_home.stderr
    here = run(sys.executable, "command", tmp_path, "doctor", "small")
    assert (here.returncode, here.stdout.count("does not")) == (1, 2), here.stdout + here.stderr
    (told,) = json.loads(run(sys.executable, "command", tmp_path, "doctor", "--json").stdout)["usecases"]
    assert {one["found"] for one in told["models"]} == {CANT}
    assert {one["made_with"] for one in told["models"]} == {f"scikit-learn {OTHER}"}
    assert everything(tmp_path) == before, "doctor writes nothing, here or there"

    refused = run(sys.executable, "command", tmp_path, "rollback", "small", "--to", "previous", "--why", "x")
    assert refused.returncode == 1
    assert (
        f"version 1 can't be opened with scikit-learn {sklearn.__version__}, it was made with {OTHER}" in refused.stderr
    )

    registry = pickle.loads((tmp_path / "registry").read_bytes())
    world = dataclasses.replace(small.world_in(tmp_path, registry), versions=installed(), compute_digest=product())
    day = small.days(9)[-1]
    line = small.run_day(small.SMALL, day, world)
    entry = world.ledger.entries("small")[-1]
    assert (line.outcome, line.champion, entry.replaced) == ("promoted", 3, 2)
    assert entry.why == f"champion version 2 {CANT}; its own recipe, linear_long, fitted anew, takes its place"
    assert recompute(small.SMALL, day.isoformat(), world).same
    assert f"scikit-learn {sklearn.__version__}" in registry.artifact("small", 3)[1]["made_with"]
    assert small.run_day(small.SMALL, small.days(10)[-1], world).outcome == "held"

    # The upgrade was the mistake: the old environment rolls back past the successor, which holds no recipe there.
    back = run(other, "command", tmp_path, "rollback", "small", "--to", "previous", "--why", "the upgrade")
    assert back.returncode == 0, back.stdout + back.stderr
    head = world.ledger.entries("small")[-1]
    assert (head.action, head.version, head.held) == ("rollback", 2, "")
    again = run(other, "night", tmp_path, small.days(11)[-1])
    assert again.returncode == 0, again.stderr[-2000:]
    assert [line.outcome for line in world.ledger.outcomes("small")][-1] == "held"
    assert world.ledger.entries("small")[-1] == head
