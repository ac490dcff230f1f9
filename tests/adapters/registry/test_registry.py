"""The registry on real MLflow: its SQLite file, its server, a server that loses replies, and none at all."""

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from fault_proxy import fault_proxy
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import Ridge

from pipeline.adapters.registry.mlflow_registry import MlflowRegistry
from pipeline.core.errors import ConflictError, PipelineError, RefusedError, UnavailableError, UsageError
from pipeline.core.ports import Data, Page

TREES = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def registry(home):
    return MlflowRegistry(f"sqlite:///{home}/mlflow.db", str(home / "artifacts"), TREES, pause=0.01)


@pytest.fixture(scope="module")
def inputs():
    return pd.DataFrame(np.random.default_rng(0).normal(size=(300, 3)), columns=["hour", "wind", "distance"])


def saved(folder, estimator):
    path = folder / "model.skops"
    skops.io.dump(estimator, path)
    data = path.read_bytes()
    return data, hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def boosted(inputs):
    return HistGradientBoostingClassifier(max_iter=5).fit(inputs, (inputs.hour > 0).astype(int))


@pytest.fixture(scope="module")
def model(tmp_path_factory, boosted):
    return saved(tmp_path_factory.mktemp("model"), boosted)


@pytest.fixture
def usecase(request):
    name = request.node.name
    return f"{name.split('[')[0][5:40]}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def page(usecase, **more):
    child = Page("boosted_60", f"{usecase}:boosted", {"recipe": "boosted_60"}, {"window": "60"}, {"log_loss": 0.4}, {})
    whole = Page(
        title=f"{usecase} 2013-03-08",
        key=f"{usecase}:day",
        tags={"data_day": "2013-03-08", "decision": "hold", "note": "**why**", "question": "Late?", "code": "abc123"},
        params={"snapshot.flights": "66"},
        metrics={"log_loss.champion": 0.42, "broken": float("nan")},
        files={"verdict.html": b"<h1>hold</h1>", "docs/index.html": b"docs"},
        children=(child,),
    )
    return replace(whole, **more)


def runs(registry, usecase, active=True):
    client = registry._client
    experiment = client.get_experiment_by_name(usecase).experiment_id
    found = client.search_runs([experiment], run_view_type=1 if active else 3)
    return {run.data.tags.get("retrain.key", run.info.run_name): run for run in found}


def versions(registry, usecase):
    return registry._client.search_model_versions(f"name = '{usecase}'")


def test_a_page_becomes_a_closed_run_with_a_nested_run_per_child(registry, usecase):
    run_id = registry.record(usecase, page(usecase))
    found = runs(registry, usecase)
    run, child = found[f"{usecase}:day"], found[f"{usecase}:boosted"]
    assert run.info.run_id == run_id
    assert (run.info.run_name, run.info.status, child.info.status) == (f"{usecase} 2013-03-08", "FINISHED", "FINISHED")
    assert child.data.tags["mlflow.parentRunId"] == run_id
    assert run.data.metrics == {"log_loss.champion": 0.42}
    assert run.data.params == {"snapshot.flights": "66"}
    assert run.data.tags["mlflow.note.content"] == "**why**"
    assert run.data.tags["mlflow.source.git.commit"] == "abc123"
    assert child.data.metrics == {"log_loss": 0.4}
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    assert (artifacts / "verdict.html").read_bytes() == b"<h1>hold</h1>"
    assert (artifacts / "docs" / "index.html").read_bytes() == b"docs"


def test_the_experiment_lies_where_a_server_would_put_it_and_says_what_it_is_for(registry, home, usecase):
    registry.record(usecase, page(usecase))
    experiment = registry._client.get_experiment_by_name(usecase)
    assert experiment.artifact_location.removeprefix("file://") == f"{home}/artifacts/{usecase}"
    assert "Late?" in experiment.tags["mlflow.note.content"]


def test_the_same_page_again_is_the_same_run_and_writes_nothing(registry, usecase, monkeypatch):
    first = registry.record(usecase, page(usecase))
    before = runs(registry, usecase)
    monkeypatch.setattr(type(registry._client), "log_batch", lambda *a, **k: pytest.fail("wrote again"))
    assert registry.record(usecase, page(usecase)) == first
    after = runs(registry, usecase)
    assert {key: run.info.run_id for key, run in before.items()} == {key: run.info.run_id for key, run in after.items()}


def test_a_page_with_new_numbers_brings_the_same_run_up_to_date(registry, usecase):
    first = registry.record(usecase, page(usecase))
    tags = {"data_day": "2013-03-08", "decision": "promote"}
    newer = page(usecase, tags=tags, metrics={"log_loss.champion": 0.41, "more": 1.0}, files={"verdict.html": b"new"})
    assert registry.record(usecase, newer) == first
    run = runs(registry, usecase)[f"{usecase}:day"]
    assert run.data.metrics == {"log_loss.champion": 0.41, "more": 1.0}
    assert run.data.tags["decision"] == "promote"
    assert run.info.status == "FINISHED"
    assert Path(run.info.artifact_uri.removeprefix("file://"), "verdict.html").read_bytes() == b"new"
    assert len(runs(registry, usecase)) == 2


@pytest.mark.parametrize(
    "change", [{"params": {"snapshot.flights": "67"}}, {"metrics": {}}, {"params": {}}, {"children": ()}], ids=str
)
def test_what_mlflow_cannot_change_is_kept_as_replaced(registry, usecase, change):
    first = registry.record(usecase, page(usecase))
    second = registry.record(usecase, page(usecase, **change))
    assert second != first
    assert registry.record(usecase, page(usecase, **change)) == second
    old = registry._client.get_run(first)
    assert old.info.run_name.endswith("(replaced)")
    assert old.data.params == {"snapshot.flights": "66"}
    assert old.data.tags["retrain.replaced"] == f"{usecase}:day"
    assert runs(registry, usecase)[f"{usecase}:day"].info.run_id == second


def test_a_run_that_died_half_written_is_finished(registry, usecase, monkeypatch):
    client = type(registry._client)
    with monkeypatch.context() as patch:
        patch.setattr(client, "set_terminated", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            registry.record(usecase, page(usecase))
    assert runs(registry, usecase)[f"{usecase}:day"].info.status == "RUNNING"
    registry.record(usecase, page(usecase))
    assert {run.info.status for run in runs(registry, usecase).values()} == {"FINISHED"}
    assert len(runs(registry, usecase)) == 2


def test_two_runs_of_one_key_become_one(registry, usecase):
    first = registry.record(usecase, page(usecase))
    known = registry._client.get_run(first)
    double = registry._client.create_run(known.info.experiment_id, tags=dict(known.data.tags)).info.run_id
    assert registry.record(usecase, page(usecase)) == first
    assert registry._client.get_run(double).info.lifecycle_stage == "deleted"


def test_a_refused_day_is_shown_as_failed(registry, usecase):
    registry.record(usecase, page(usecase, tags={"decision": "refused"}, children=()))
    assert runs(registry, usecase)[f"{usecase}:day"].info.status == "FAILED"


def test_long_texts_are_cut_and_many_parameters_fit(registry, usecase):
    params = {f"p{n}": "x" * 9_000 for n in range(130)}
    registry.record(usecase, page(usecase, params=params, tags={"note": "n" * 20_000}))
    run = runs(registry, usecase)[f"{usecase}:day"]
    assert len(run.data.params) == 130
    assert run.data.tags["mlflow.note.content"].endswith("…")


@pytest.mark.parametrize("name", ["../out.html", "/etc/out.html", "a/../../b", ""])
def test_an_artifact_stays_in_its_run(registry, usecase, name):
    with pytest.raises(UsageError, match="relative path"):
        registry.record(usecase, page(usecase, files={name: b"x"}))


def test_a_key_that_would_break_the_search_is_refused(registry, usecase):
    with pytest.raises(UsageError, match="without quotes"):
        registry.record(usecase, page(usecase, key="o'clock"))


def test_a_version_loads_by_its_alias_as_any_mlflow_model_does(registry, home, usecase, model, boosted, inputs):
    import mlflow

    run = registry.record(usecase, page(usecase))
    tags = {"recipe": "boosted_60", "note": "it won", "question": "Late?"}
    number = registry.register(usecase, "v", run, *model, tags, inputs.head(4))
    registry.set_alias(usecase, "champion", number)
    mlflow.set_tracking_uri(f"sqlite:///{home}/mlflow.db")
    loaded = mlflow.sklearn.load_model(f"models:/{usecase}@champion")
    assert np.array_equal(loaded.predict_proba(inputs), boosted.predict_proba(inputs))
    function = mlflow.pyfunc.load_model(f"models:/{usecase}@champion")
    assert np.array_equal(function.predict(inputs.head(4)), boosted.predict_proba(inputs.head(4)))
    assert [column.name for column in function.metadata.signature.inputs] == ["hour", "wind", "distance"]
    (version,) = versions(registry, usecase)
    assert (version.description, version.run_id, int(version.version)) == ("it won", run, number)
    assert "Late?" in registry._client.get_registered_model(usecase).description


def test_the_file_that_comes_back_is_the_file_that_went_in(registry, usecase, model):
    trained, sha256 = model
    run = registry.record(usecase, page(usecase))
    number = registry.register(usecase, "v", run, trained, sha256, {"recipe": "boosted_60"})
    data, tags = registry.artifact(usecase, number)
    assert data == trained
    assert (tags["sha256"], tags["recipe"], tags["retrain.key"]) == (sha256, "boosted_60", "v")


def test_a_file_that_was_swapped_is_put_back_in_its_place(registry, usecase, model):
    run = registry.record(usecase, page(usecase))
    number = registry.register(usecase, "v", run, *model, {})
    registry.restore(usecase, number, b"something else")
    assert registry.artifact(usecase, number)[0] == b"something else"
    registry.restore(usecase, number, model[0])
    assert registry.artifact(usecase, number)[0] == model[0]


def test_registering_again_is_the_same_version_and_another_key_another(registry, usecase, model):
    run = registry.record(usecase, page(usecase))
    numbers = [registry.register(usecase, key, run, *model, {}) for key in ("a", "a", "b", "a")]
    assert numbers == [1, 1, 2, 1]
    assert len(versions(registry, usecase)) == 2


def test_two_versions_of_one_key_become_the_first(registry, usecase, model):
    run = registry.record(usecase, page(usecase))
    registry.register(usecase, "a", run, *model, {})
    (known,) = versions(registry, usecase)
    registry._client.create_model_version(usecase, known.source, run, dict(known.tags))
    assert registry.register(usecase, "a", run, *model, {}) == 1
    assert len(versions(registry, usecase)) == 1


def test_one_key_never_names_two_files(registry, usecase, model, tmp_path, inputs):
    run = registry.record(usecase, page(usecase))
    registry.register(usecase, "a", run, *model, {})
    other = saved(tmp_path, Ridge().fit(inputs, inputs.hour))
    with pytest.raises(ConflictError, match="same key from another file"):
        registry.register(usecase, "a", run, *other, {})


def test_a_file_that_was_changed_is_not_registered(registry, usecase, model):
    run = registry.record(usecase, page(usecase))
    with pytest.raises(RefusedError, match="not the file that was trained") as caught:
        registry.register(usecase, "a", run, model[0][:-1] + b"?", model[1], {})
    assert caught.value.code == "TAMPERED"
    assert not versions(registry, usecase)


def test_a_type_that_is_not_on_the_allow_list_is_not_registered(home, usecase, model):
    strict = MlflowRegistry(f"sqlite:///{home}/mlflow.db", str(home / "artifacts"), (), pause=0.01)
    run = strict.record(usecase, page(usecase))
    with pytest.raises(RefusedError, match="TreePredictor") as caught:
        strict.register(usecase, "a", run, *model, {})
    assert caught.value.code == "UNTRUSTED"
    assert not versions(strict, usecase)


def test_aliases_are_set_moved_and_removed_and_each_may_be_repeated(registry, usecase, model):
    assert registry.aliases(usecase) == {}
    registry.set_alias(usecase, "champion", None)
    run = registry.record(usecase, page(usecase))
    one, two = (registry.register(usecase, key, run, *model, {}) for key in ("a", "b"))
    for _ in range(2):
        registry.set_alias(usecase, "champion", two)
        registry.set_alias(usecase, "previous", one)
    assert registry.aliases(usecase) == {"champion": two, "previous": one}
    for _ in range(2):
        registry.set_alias(usecase, "previous", None)
    assert registry.aliases(usecase) == {"champion": two}


def test_a_version_that_is_not_there_is_one_clear_sentence(registry, usecase, model):
    run = registry.record(usecase, page(usecase))
    number = registry.register(usecase, "a", run, *model, {})
    for call in (lambda: registry.set_alias(usecase, "champion", 9), lambda: registry.artifact(usecase, 9)):
        with pytest.raises(UsageError, match="knows no such thing"):
            call()
    location = registry._versions.place(registry._client.get_model_version(usecase, str(number)))
    Path(location.removeprefix("file://"), "model.skops").unlink()
    with pytest.raises(RefusedError, match="choose another version"):
        registry.artifact(usecase, number)


def test_without_a_server_somebody_must_say_where_artifacts_are():
    with pytest.raises(UsageError, match="artifacts"):
        MlflowRegistry("sqlite:///x.db")


def test_a_place_that_cannot_be_written_is_one_clear_sentence(registry, usecase, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UnavailableError, match="No space left") as caught:
        registry.record(usecase, page(usecase))
    assert caught.value.code == "STORAGE"


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_server_that_is_down_is_one_clear_sentence_in_bounded_time(usecase):
    absent = MlflowRegistry(f"http://127.0.0.1:{_free_port()}", "/nowhere", pause=0.05)
    began = time.monotonic()
    with pytest.raises(UnavailableError, match=r"does not answer.*connection refused") as caught:
        absent.record(usecase, page(usecase))
    assert time.monotonic() - began < 5
    assert caught.value.retry
    assert "\n" not in str(caught.value)


def test_no_error_shows_a_password(usecase):
    absent = MlflowRegistry(f"http://ada:s3cret@127.0.0.1:{_free_port()}", "/nowhere", pause=0.01)
    with pytest.raises(UnavailableError) as caught:
        absent.aliases(usecase)
    assert "s3cret" not in str(caught.value)


def test_a_server_that_never_answers_is_given_up(usecase, monkeypatch):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        registry = MlflowRegistry(f"http://127.0.0.1:{deaf.getsockname()[1]}", "/nowhere", pause=0.01)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="no answer"):
            registry.aliases(usecase)
        assert 2.5 < time.monotonic() - began < 8


@pytest.fixture(scope="module")
def server(registry, home, tmp_path_factory):
    """A real server, started as the embedded stack starts it, on a copy of the fresh database."""
    registry._client.search_experiments()
    folder, port = tmp_path_factory.mktemp("server"), _free_port()
    shutil.copy(home / "mlflow.db", folder / "mlflow.db")
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--no-serve-artifacts"),
        *("--default-artifact-root", str(folder / "artifacts")),
    ]
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = (folder / "log").open("wb")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}", folder
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


CREATIONS = {
    "record": ["experiments/create", "runs/create", "runs/log-batch", "runs/update"],
    "register": ["registered-models/create", "mlflow/logged-models", "model-versions/create"],
    "point": ["registered-models/alias"],
}


@pytest.mark.live
@pytest.mark.parametrize("hang_up", [False, True], ids=["a 503 after the fact", "a closed connection after the fact"])
def test_replies_lost_after_the_fact_never_make_two_of_anything(server, usecase, model, hang_up):
    address, folder = server
    with fault_proxy(address) as (proxy, faults):
        registry = MlflowRegistry(proxy, str(folder / "artifacts"), TREES, pause=0.01)
        faults.hang_up = hang_up
        for losses in ([ending] for ending in CREATIONS["record"]):
            faults.endings = losses
            run = registry.record(usecase, page(usecase))
        assert len(runs(registry, usecase, active=False)) == 2
        for ending in CREATIONS["register"]:
            faults.endings = [ending]
            number = registry.register(usecase, f"key {ending}", run, *model, {})
            found = [v for v in versions(registry, usecase) if v.tags["retrain.key"] == f"key {ending}"]
            assert [int(v.version) for v in found] == [number]
        faults.endings = list(CREATIONS["point"])
        registry.set_alias(usecase, "champion", number)
        assert registry.aliases(usecase) == {"champion": number}
    assert set(faults.lost) >= {"experiments/create", "registered-models/create", "model-versions/create"}


@pytest.mark.live
def test_a_run_whose_creation_was_answered_with_an_error_is_made_once(server, usecase):
    address, folder = server
    with fault_proxy(address) as (proxy, faults):
        registry = MlflowRegistry(proxy, str(folder / "artifacts"), TREES, pause=0.01)
        faults.endings = ["runs/create", "runs/create"]
        run = registry.record(usecase, page(usecase))
        assert faults.lost == ["runs/create", "runs/create"]
        found = registry._client.search_runs([registry._client.get_run(run).info.experiment_id], run_view_type=3)
        assert len(found) == 2


@pytest.mark.live
def test_over_http_a_day_takes_few_calls(server, usecase):
    address, folder = server
    children = tuple(
        Page(f"recipe {n}", f"{usecase}:{n}", {}, {}, {f"m{i}": 0.1 * i for i in range(25)}, {}) for n in range(5)
    )
    with fault_proxy(address) as (proxy, faults):
        registry = MlflowRegistry(proxy, str(folder / "artifacts"), pause=0.01)
        registry.record(usecase, page(usecase, children=children))
        assert len(faults.calls) <= 2 + 1 + 3 * 6
        faults.calls.clear()
        registry.record(usecase, page(usecase, children=children))
        assert len(faults.calls) == 1


@pytest.mark.live
def test_server_and_file_see_the_same_runs_and_files(server, usecase, model):
    address, folder = server
    over_http = MlflowRegistry(address, str(folder / "artifacts"), TREES, pause=0.01)
    directly = MlflowRegistry(f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts"), TREES, pause=0.01)
    run = over_http.record(usecase, page(usecase))
    assert directly.record(usecase, page(usecase)) == run
    number = directly.register(usecase, "v", run, *model, {})
    assert over_http.register(usecase, "v", run, *model, {}) == number
    assert over_http.artifact(usecase, number)[0] == model[0]
    over_http.restore(usecase, number, b"other")
    assert directly.artifact(usecase, number)[0] == b"other"


def test_whatever_goes_wrong_is_an_error_of_ours(registry, usecase):
    with pytest.raises(PipelineError, match="MLflow"):
        registry.record(usecase, page(usecase, metrics={"a:b\x00*": 1.0}))


DAYS = [date(2013, 3, day) for day in (6, 7, 8)]


def drawn(registry, usecase):
    """Contestant to its line: day by MLflow's own time, and value."""
    client = registry._client
    experiment = client.get_experiment_by_name(usecase).experiment_id
    return {
        run.data.tags["contestant"]: [
            (date.fromtimestamp(point.timestamp / 1000), point.step, point.value)
            for point in client.get_metric_history(run.info.run_id, "log_loss by day")
        ]
        for run in client.search_runs([experiment], "tags.`retrain.chart` = 'log_loss'")
    }


def test_losses_by_day_are_a_line_per_contestant_with_a_point_a_day(registry, usecase):
    registry.record(usecase, page(usecase))
    lines = {"champion": dict(zip(DAYS[:2], (0.5, 0.4), strict=True)), "new": {DAYS[1]: 0.3}}
    for _ in ("once", "again"):  # the second writes nothing
        registry.chart(usecase, "log_loss", lines)
    assert drawn(registry, usecase) == {
        "champion": [(DAYS[0], 1, 0.5), (DAYS[1], 2, 0.4)],
        "new": [(DAYS[1], 2, 0.3)],
    }
    lines["champion"][DAYS[2]] = 0.6
    registry.chart(usecase, "log_loss", lines)
    assert [value for *_, value in drawn(registry, usecase)["champion"]] == [0.5, 0.4, 0.6]


def test_a_day_that_was_judged_anew_has_one_point(registry, usecase):
    registry.chart(usecase, "log_loss", {"champion": {DAYS[0]: 0.5, DAYS[1]: 0.4}})
    registry.chart(usecase, "log_loss", {"champion": {DAYS[0]: 0.45, DAYS[1]: 0.4}})
    assert [value for *_, value in drawn(registry, usecase)["champion"]] == [0.45, 0.4]


def test_what_a_run_has_read_is_named_and_not_copied(registry, usecase):
    import mlflow

    read = (Data("flights", "version 66", "evaluation", "flights", 66, {"rows": 900.0}),)
    run_id = registry.record(usecase, page(usecase, data=read))
    assert registry.record(usecase, page(usecase, data=read)) == run_id
    (found,) = registry._client.get_run(run_id).inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.digest, found.tags[0].value) == ("flights", "version 66", "evaluation")
    assert mlflow.data.get_source(found.dataset).delta_table_version == 66


def test_a_version_says_once_that_it_was_rolled_back_and_keeps_its_description(registry, usecase, model):
    run = registry.record(usecase, page(usecase))
    number = registry.register(usecase, "v", run, *model, {"note": "it won"})
    for why in ("first", "first", "second"):
        registry.annotate_version(usecase, number, "rolled_back", f"by ada: {why}")
    registry.register(usecase, "v", run, *model, {"note": "it won"})
    (version,) = versions(registry, usecase)
    assert version.description == "**Rolled back** by ada: second\n\nit won"
    assert version.tags["rolled_back"] == "by ada: second"


def test_a_number_is_read_with_its_models_digest_and_can_be_left_unused(registry, usecase, model):
    run = registry.record(usecase, page(usecase))
    registry.use_up(usecase, 1)
    assert registry.register(usecase, "v", run, *model, {}) == 2
    with pytest.raises(ConflictError, match="somebody else registers there"):
        registry.use_up(usecase, 2)
    assert registry.digests(usecase, [1, 2, 3, 9]) == {2: model[1]}
    assert registry.digests("nobody", [1]) == {}
    assert [version.version for version in versions(registry, usecase)] in ([2], ["2"])


def test_after_a_registered_model_was_deleted_numbers_begin_anew(registry, usecase, model):
    """What the guard against it rests on: should MLflow ever go on counting, it may go."""
    run = registry.record(usecase, page(usecase))
    assert registry.register(usecase, "v", run, *model, {}) == 1
    registry._client.delete_registered_model(usecase)
    assert registry.digests(usecase, [1]) == {}
    assert registry.register(usecase, "w", run, *model, {}) == 1


def test_a_long_description_keeps_to_what_the_tables_of_mlflow_have_room_for(registry, usecase, model):
    """SQLite takes more; PostgreSQL refuses it, and with it the promotion or the rollback."""
    from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlRegisteredModel

    room = min(table.description.type.length for table in (SqlModelVersion, SqlRegisteredModel))
    run = registry.record(usecase, page(usecase))
    note = "\n".join(f"| gate {number} | PASS | {'found ' * 12}|" for number in range(200))
    number = registry.register(usecase, "v", run, *model, {"note": note, "question": "why? " * 2_000})
    for name in ("rolled_back", "released"):
        registry.annotate_version(usecase, number, name, "by ada: " + "because " * 1_500)
    for _ in range(2):
        registry.register(usecase, "v", run, *model, {"note": note})
        (version,) = versions(registry, usecase)
        assert len(version.description) <= room
        assert version.description.startswith("**Released** by ada: because")
        assert "**Rolled back** by ada: because" in version.description
        assert version.description.endswith("found |\n\n…"), "a row is whole or not there"
    assert len(registry._client.get_registered_model(usecase).description) <= room


def test_a_run_ends_under_another_name_and_repeated_ones_are_told_apart(registry, usecase):
    first = registry.record(usecase, page(usecase, title="2013-03-08 … waiting"))
    registry.rename(first, "2013-03-08 – declined")
    assert registry._client.get_run(first).info.run_name == "2013-03-08 – declined"
    registry.record(usecase, page(usecase, params={"snapshot.flights": "67"}))
    told = registry._client.get_run(first).info.run_name
    assert re.fullmatch(r"2013-03-08 – declined · of \d{4}-\d\d-\d\d [\d:]{8} \(replaced\)", told)


def test_a_page_is_opened_in_a_browser_where_a_server_shows_it(registry, usecase):
    run = registry.record(usecase, page(usecase))
    assert registry.address(usecase, run, "verdict.html") == ""  # a file shows nothing
    registry._shown = "http://127.0.0.1:5000"
    try:
        number = registry._client.get_experiment_by_name(usecase).experiment_id
        assert registry.address(usecase, run, "verdict.html") == (
            f"http://127.0.0.1:5000/#/experiments/{number}/runs/{run}/artifacts/verdict.html"
            "?workflowType=machine_learning"
        )
    finally:
        registry._shown = ""


def test_what_an_earlier_version_of_the_product_made_is_found_and_brought_up_to_date(registry, usecase, model):
    """Runs were named after day and use case, and versions had a digest a tag."""
    client = registry._client
    old = registry.record(usecase, page(usecase, title=f"2013-03-08 {usecase}"))
    tags = {"recipe": "boosted_60", "verdict": "v" * 64, "code": "c" * 64, "note": "it won"}
    number = registry.register(usecase, "v", old, *model, tags)
    read = (Data("flights", "version 66", "evaluation", "flights", 66),)
    assert registry.record(usecase, page(usecase, title="2013-03-08 ▲ boosted_60", data=read)) == old
    assert client.get_run(old).info.run_name == "2013-03-08 ▲ boosted_60"
    assert registry.register(usecase, "v", old, *model, {"recipe": "boosted_60", "note": "it won"}) == number
    registry.annotate_version(usecase, number, "rolled_back", "by ada: no")
    data, found = registry.artifact(usecase, number)
    assert (data, found["verdict"]) == (model[0], "v" * 64)
