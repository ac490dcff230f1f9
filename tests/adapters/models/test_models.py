"""Model files: the same fit is the same file, and a file that is not ours never gets to run anything."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import subprocess
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from pipeline.adapters.models.opening import TRUSTED
from pipeline.adapters.models.skops_models import SkopsModels
from pipeline.core.errors import RefusedError
from pipeline.usecases import ALL
from tests.fakes import MemoryFiles
from tests.flights import fitted, labelled

RECIPES = [(usecase, recipe) for usecase in ALL for recipe in (*usecase.recipes, usecase.baseline)]


class Own:
    """A type that nobody has reviewed."""

    def predict(self, inputs: Any) -> Any:
        return np.zeros(len(inputs))


def line() -> LinearRegression:
    return LinearRegression().fit(np.arange(6.0).reshape(3, 2), [1.0, 2.0, 4.0])


@pytest.fixture
def files() -> MemoryFiles:
    return MemoryFiles()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("usecase", "recipe"), RECIPES, ids=[f"{u.name} {r.name}" for u, r in RECIPES])
def test_every_recipe_comes_back_with_the_same_predictions_and_a_second_fit_is_the_same_file(
    files: MemoryFiles, usecase: Any, recipe: Any
) -> None:
    units = labelled(usecase.name, date(2013, 1, 12), date(2013, 1, 13))
    models = SkopsModels(files)
    first = fitted(recipe, units)
    name, sha256 = models.save("models/x", first)
    assert name == f"models/x/{sha256}.skops"
    assert hashlib.sha256(files.kept[name]).hexdigest() == sha256
    loaded = models.load(name, sha256)
    np.testing.assert_array_equal(usecase.kind.predict(loaded, units.inputs), usecase.kind.predict(first, units.inputs))
    assert models.save("models/x", fitted(recipe, units)) == (name, sha256)


def test_what_lies_between_the_fields_of_a_tree_is_not_part_of_the_file(files: MemoryFiles) -> None:
    usecase = ALL[0]
    units = labelled(usecase.name, date(2013, 1, 10), date(2013, 1, 11))
    models = SkopsModels(files)
    tree = fitted(usecase.baseline, units)
    saved = models.save("m", tree)
    nodes = tree[-1].tree_.__getstate__()["nodes"]
    state = tree[-1].tree_.__getstate__()
    # Not a copy of records: that need not take what lies between the fields along.
    dirty = np.full(nodes.nbytes, 0xFF, np.uint8).view(nodes.dtype)
    for field in nodes.dtype.names:
        dirty[field] = nodes[field]
    assert dirty.tobytes() != nodes.tobytes()
    tree[-1].tree_.__setstate__({**state, "nodes": dirty})
    assert models.save("m", tree) == saved


def test_another_fit_is_another_file(files: MemoryFiles) -> None:
    models = SkopsModels(files)
    assert models.save("m", line())[1] != models.save("m", line().fit([[0.0, 1.0], [1.0, 0.0]], [1.0, 2.0]))[1]


def refusal(files: MemoryFiles, data: bytes, sha256: str | None = None) -> RefusedError:
    files.kept["m/evil.skops"] = data
    with pytest.raises(RefusedError) as caught:
        SkopsModels(files).load("m/evil.skops", sha256 or hashlib.sha256(data).hexdigest())
    return caught.value


def test_a_flipped_byte_or_a_swapped_file_is_refused_before_it_is_opened(
    files: MemoryFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = SkopsModels(files)
    name, sha256 = models.save("m", line())
    other, _ = models.save("m", make_pipeline(line()))
    flipped = bytearray(files.kept[name])
    flipped[len(flipped) // 2] ^= 1

    def opened(*_: Any, **__: Any) -> None:
        raise AssertionError("the file was opened")

    monkeypatch.setattr(zipfile, "ZipFile", opened)
    monkeypatch.setattr(skops.io, "loads", opened)
    monkeypatch.setattr(skops.io, "get_untrusted_types", opened)
    for data in (bytes(flipped), files.kept[other], b""):
        assert refusal(files, data, sha256).code == "TAMPERED"
    with pytest.raises(RefusedError, match="not in the file store"):
        models.load("m/none.skops", sha256)


def test_a_type_that_is_not_on_the_list_is_refused_though_the_digest_is_right(files: MemoryFiles) -> None:
    found = refusal(files, skops.io.dumps(make_pipeline(Own())))
    assert found.code == "UNTRUSTED"
    assert "test_models.Own" in str(found)


def test_a_function_is_refused_and_never_called(files: MemoryFiles, tmp_path: Path) -> None:
    shell = FunctionTransformer(subprocess.check_output, kw_args={"shell": True})
    found = refusal(files, skops.io.dumps(make_pipeline(shell, line())))
    assert found.code == "UNTRUSTED"
    assert "subprocess.check_output" in str(found)


def crafted(data: bytes, module: str, name: str) -> bytes:
    """The file with its outermost object claimed to be of another type."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {entry: archive.read(entry) for entry in archive.namelist()}
    schema = json.loads(parts["schema.json"])
    schema["__module__"], schema["__class__"] = module, name
    parts["schema.json"] = json.dumps(schema).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for entry, content in parts.items():
            archive.writestr(entry, content)
    return out.getvalue()


def test_a_file_that_claims_to_be_a_process_starts_none(files: MemoryFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    found = refusal(files, crafted(skops.io.dumps(line()), "subprocess", "Popen"))
    assert found.code == "UNTRUSTED"
    assert "subprocess.Popen" in str(found)


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return (pytest.fail, ("a pickle was run",))


def test_a_pickle_or_half_a_file_is_refused_as_unreadable(files: MemoryFiles) -> None:
    whole = skops.io.dumps(line())
    for data in (pickle.dumps(Bomb()), whole[: len(whole) // 2], b"PK", b""):
        assert refusal(files, data).code == "UNREADABLE"


def test_a_pickle_inside_the_archive_is_not_run(files: MemoryFiles) -> None:
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(line()))) as archive:
        parts = {entry: archive.read(entry) for entry in archive.namelist()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for entry, content in parts.items():
            archive.writestr(entry, content if entry == "schema.json" else pickle.dumps(Bomb()))
    assert len(parts) > 1
    assert refusal(files, out.getvalue()).code == "UNREADABLE"


def test_an_estimator_that_could_not_be_loaded_again_is_not_saved(files: MemoryFiles) -> None:
    with pytest.raises(RefusedError, match="holds types that are not on the list") as caught:
        SkopsModels(files).save("m", make_pipeline(Own()))
    assert caught.value.code == "UNTRUSTED"
    assert files.kept == {}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_list_of_trusted_types_names_only_what_the_recipes_need() -> None:
    needed: set[str] = set()
    for usecase, recipe in RECIPES:
        units = labelled(usecase.name, date(2013, 1, 12), date(2013, 1, 13))
        needed |= set(skops.io.get_untrusted_types(data=skops.io.dumps(fitted(recipe, units))))
    assert needed == TRUSTED


def test_a_model_of_another_release_of_scikit_learn_is_refused(files: MemoryFiles) -> None:
    data = skops.io.dumps(line())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {entry: archive.read(entry) for entry in archive.namelist()}
    import sklearn

    now, then = sklearn.__version__.encode(), b"1.2.3"
    assert now in parts["schema.json"]
    parts["schema.json"] = parts["schema.json"].replace(now, then)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for entry, content in parts.items():
            archive.writestr(entry, content)
    found = refusal(files, out.getvalue())
    assert found.code == "UNREADABLE"
    assert "1.2.3" in str(found)
