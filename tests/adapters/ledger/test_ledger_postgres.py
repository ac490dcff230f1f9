"""The ledger on PostgreSQL: writers that meet, and a server that fails. Waiting is seen in the server, never timed."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
import sqlalchemy as sa

from pipeline.adapters.ledger import connecting, schema
from pipeline.adapters.ledger.schema import prepare
from pipeline.adapters.ledger.sql import SqlLedger
from pipeline.adapters.ledger.tables import OUTCOMES, PROMOTIONS
from pipeline.core.errors import ConflictError, PipelineError, RefusedError, UnavailableError, UsageError
from tests.adapters.ledger.ledgers import PostgresPlace
from tests.adapters.ledger.lines import entry, outcome
from tests.adapters.ledger.test_ledger import Race
from tests.postgres import Postgres

pytestmark = pytest.mark.live


def wait(place: PostgresPlace, until: str) -> None:
    """Until the server says so."""
    end = time.monotonic() + 60
    while place.raw(f"SELECT {until}") != [(True,)]:
        assert time.monotonic() < end, f"never: {until}"
        time.sleep(0.02)


WAITING = "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = '{}')"


@contextmanager
def meanwhile(place: PostgresPlace, hold: Callable[[sa.Connection], object], act: Callable[[], object]) -> Iterator:
    """``hold`` in a transaction as the superuser; ``act`` begins, and waits for it; in the block the first commits."""
    engine = sa.create_engine(place.server.url(place.database), poolclass=sa.NullPool)
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            hold(connection)
            future: Future[object] = pool.submit(act)
            wait(place, WAITING.format(place.database))
        yield future


def lock(usecase: str) -> sa.TextClause:
    key = connecting._key(f"use case {usecase}")
    return sa.text(f"SELECT pg_advisory_xact_lock({key})")


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_of_two_that_conclude_a_day_at_once_the_second_sees_the_first(prepared: PostgresPlace, isolation: str) -> None:
    """Whatever is the database's default: a look that was taken before the wait would write the line twice."""
    prepared.raw(f"ALTER DATABASE {prepared.database} SET default_transaction_isolation = '{isolation}'")
    body = "SELECT body FROM outcomes WHERE day = '2020-01-04'"
    ledger = SqlLedger(prepared.url)
    ledger.conclude(outcome("2020-01-04"))
    made = prepared.raw(body)[0][0].replace("2020-01-04", "2020-01-05")

    def first(connection: sa.Connection) -> None:
        connection.execute(lock("small"))
        connection.execute(sa.insert(OUTCOMES).values(usecase="small", day="2020-01-05", body=made))

    with meanwhile(prepared, first, lambda: ledger.conclude(outcome("2020-01-05"))) as second:
        second.result(60)
    assert prepared.raw("SELECT count(*) FROM outcomes WHERE day = '2020-01-05'") == [(1,)]


def test_many_that_conclude_the_same_days_write_each_once(prepared: PostgresPlace) -> None:
    def act(_: int) -> None:
        for day in range(1, 10):
            SqlLedger(prepared.url).conclude(outcome(f"2020-01-0{day}"))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(act, range(6)))
    assert prepared.raw("SELECT count(*) FROM outcomes") == [(9,)]


@pytest.mark.parametrize("locked", [True, False], ids=["a ledger of ours", "somebody who asks for no lock"])
@pytest.mark.parametrize(
    ("line", "said"),
    [
        (entry(1, version=7, by="quicker"), "epoch 1 of small is taken: start of version 7 (linear) by quicker. Judge"),
        (entry(1, at="2020-02-02T00:00:00+00:00"), ""),
    ],
    ids=["another line", "the same line"],
)
def test_of_two_writers_of_an_epoch_the_second_is_told_what_sqlite_tells(
    prepared: PostgresPlace, line: object, said: str, locked: bool
) -> None:
    ledger = SqlLedger(prepared.url)
    assert ledger.entries("small") == []

    def first(connection: sa.Connection) -> None:
        if locked:
            connection.execute(lock("small"))
        connection.execute(sa.insert(PROMOTIONS).values(**line.to_dict()))  # type: ignore[attr-defined]

    with meanwhile(prepared, first, lambda: ledger.append(entry(1))) as second:
        if said:
            with pytest.raises(ConflictError) as caught:
                second.result(60)
            assert str(caught.value).startswith(said)
        else:
            second.result(60)
    assert ledger.entries("small") == [line]


def test_writers_of_other_use_cases_do_not_wait(prepared: PostgresPlace) -> None:
    ledger = SqlLedger(prepared.url)
    ledger.append(entry(1))
    with sa.create_engine(prepared.server.url(prepared.database)).begin() as connection:
        connection.execute(lock("small"))
        ledger.append(entry(1, usecase="other"))
        assert len(ledger.entries("small")) == 1  # nor do readers


SCHEMA = sa.text(f"SELECT pg_advisory_xact_lock({connecting._key(schema._LOCK)})")


def test_a_ledger_that_is_there_is_used_while_somebody_prepares_it(prepared: PostgresPlace) -> None:
    with sa.create_engine(prepared.server.url(prepared.database)).begin() as connection:
        connection.execute(SCHEMA)
        SqlLedger(prepared.url).append(entry(1))


def test_a_ledger_that_is_prepared_while_its_first_user_looks_is_used(postgres: Postgres) -> None:
    place = PostgresPlace(postgres)

    def prepare_meanwhile(connection: sa.Connection) -> None:
        connection.execute(SCHEMA)
        connection.execute(sa.text(f"SET LOCAL ROLE {place.owner}"))
        schema._build(connection, "here")
        schema._admit(connection, "here", place.writer)

    with meanwhile(place, prepare_meanwhile, lambda: SqlLedger(place.url).append(entry(1))) as first_user:
        first_user.result(60)
    assert len(SqlLedger(place.url).entries("small")) == 1


def test_a_writer_that_waits_too_long_may_try_again(prepared: PostgresPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = SqlLedger(prepared.url)
    ledger.append(entry(1))
    monkeypatch.setattr(connecting, "BUSY_SECONDS", 1)
    with sa.create_engine(prepared.server.url(prepared.database)).begin() as connection:
        connection.execute(lock("small"))
        with pytest.raises(UnavailableError, match="lock timeout"):
            ledger.append(entry(2))
    ledger.append(entry(2))


def test_a_writer_that_was_stopped_in_its_transaction_gives_the_lock_back(
    prepared: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = SqlLedger(prepared.url)
    ledger.append(entry(1))
    monkeypatch.setattr(connecting, "BUSY_SECONDS", 1)

    def stopped() -> None:
        with ledger._transaction("small") as connection:
            pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
            wait(prepared, f"NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid})")
            connection.execute(sa.text("SELECT 1"))

    with pytest.raises(UnavailableError, match="idle-in-transaction"):
        stopped()
    ledger.append(entry(2))


def test_a_statement_that_takes_too_long_is_given_up(prepared: PostgresPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = SqlLedger(prepared.url)
    ledger.entries("small")
    monkeypatch.setattr(connecting, "BUSY_SECONDS", 1)
    with pytest.raises(UnavailableError, match="statement timeout"), ledger._transaction() as connection:
        connection.execute(sa.text("SELECT pg_sleep(600)"))


def test_racing_writers_survive_a_server_that_crashes(prepared: PostgresPlace) -> None:
    """Every line that was acknowledged is there, and who lost the answer alone may say the same line again."""
    race = Race(prepared.url, 3)
    draw, end, crashes = random.Random(2), time.monotonic() + 6, 0
    while time.monotonic() < end or len(race.told) <= 20 or crashes < 3:
        time.sleep(draw.uniform(0.5, 1.2))
        prepared.server.restart(signal.SIGQUIT)
        crashes += 1
        if crashes % 3 == 0:
            race.kill()
            race.start()
    race.end()
    race.check()


def test_a_line_is_on_the_disk_even_where_the_database_does_not_ask_for_it(prepared: PostgresPlace) -> None:
    for setting, counts in (("off", "on"), ("remote_apply", "remote_apply")):
        prepared.raw(f"ALTER DATABASE {prepared.database} SET synchronous_commit = {setting}")
        with SqlLedger(prepared.url)._transaction("small") as connection:
            assert connection.scalar(sa.text("SHOW synchronous_commit")) == counts


def test_what_the_address_says_goes_before_the_ledgers_own_settings(prepared: PostgresPlace) -> None:
    with SqlLedger(f"{prepared.url}?application_name=mine")._transaction() as connection:
        assert connection.scalar(sa.text("SHOW application_name")) == "mine"
    with SqlLedger(prepared.url)._transaction() as connection:
        assert connection.scalar(sa.text("SHOW application_name")) == "promotion ledger"
        told = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
        assert {name: told[name] for name in ("connect_timeout", "keepalives", "tcp_user_timeout")} == {
            "connect_timeout": "10",
            "keepalives": "1",
            "tcp_user_timeout": "60000",
        }


def _elsewhere(url: str, **changes: object) -> str:
    return sa.make_url(url).set(**changes).render_as_string(hide_password=False)  # type: ignore[arg-type]


ADDRESSES = {
    "wrong password": ({"password": "not/s3c@ret"}, UsageError, "DENIED", "password authentication failed"),
    "no password": ({"password": ""}, UsageError, "DENIED", "no password supplied"),
    "unknown user": ({"username": "nobody_knows"}, UsageError, "DENIED", "authentication failed"),
    "unknown database": ({"database": "nosuch"}, UsageError, "LEDGER", "make that database"),
    "no server": ({"port": 1}, UnavailableError, "LEDGER", "refused"),
    "unknown host": ({"host": "nosuch.invalid"}, UnavailableError, "LEDGER", "nosuch.invalid"),
    "unknown option": ({"query": {"nosuch": "s3c"}}, UsageError, "LEDGER", "correct PIPELINE_LEDGER"),
    "bad option": ({"query": {"connect_timeout": "soon"}}, UsageError, "LEDGER", "correct PIPELINE_LEDGER"),
}


@pytest.mark.parametrize(("changes", "kind", "code", "said"), ADDRESSES.values(), ids=ADDRESSES)
@pytest.mark.parametrize("prepares", [False, True])
def test_an_address_that_does_not_lead_to_a_ledger_is_one_sentence_without_password(
    prepared: PostgresPlace,
    changes: dict[str, object],
    kind: type[PipelineError],
    code: str,
    said: str,
    prepares: bool,
) -> None:
    url = _elsewhere(prepared.url, **changes)
    with pytest.raises(kind, match=said) as caught:
        prepare(url) if prepares else SqlLedger(url).entries("small")
    check(caught.value, prepared, code)


def check(error: PipelineError, place: PostgresPlace, code: str) -> None:
    said = str(error)
    assert error.code == code
    assert said.startswith("the promotion ledger at postgresql+psycopg://")
    assert "\n" not in said
    assert "sqlalche.me" not in said
    assert "s3c" not in said  # part of each password that these tests put into an address, however it is written
    assert place.server.password not in said


def fails(code: str) -> str:
    """A server that fails so, with its own code, once a line is written."""
    return (
        f"CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'it fails' USING "
        f"ERRCODE = '{code}'; END $$; CREATE TRIGGER a_fault BEFORE INSERT ON promotions FOR EACH ROW "
        f"EXECUTE FUNCTION fails()"
    )


HARMS = {
    "no disk": (fails("disk_full"), UnavailableError, "LEDGER", r"it fails.*has room"),
    "no memory": (fails("out_of_memory"), UnavailableError, "LEDGER", "it fails"),
    "a bad sector": (fails("io_error"), UnavailableError, "LEDGER", "it fails"),
    "damaged pages": (fails("data_corrupted"), RefusedError, "CORRUPT", "restore it from a backup"),
    "a deadlock": (fails("deadlock_detected"), UnavailableError, "LEDGER", "it fails"),
    "a standby": (
        "ALTER ROLE {writer} SET default_transaction_read_only = on",
        UnavailableError,
        "LEDGER",
        "read-only transaction",
    ),
    "too many": ("ALTER ROLE {writer} CONNECTION LIMIT 0", UnavailableError, "LEDGER", "too many connections"),
    "may not come in": ("ALTER ROLE {writer} NOLOGIN", UsageError, "DENIED", "correct user and password"),
    "may not come in here": (
        "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC",
        UsageError,
        "DENIED",
        "correct user and password",
    ),
    "may not write": ("REVOKE INSERT ON promotions FROM {writer}", UsageError, "DENIED", "let its owner call prepare"),
    "a column is gone": ("ALTER TABLE promotions DROP COLUMN why", RefusedError, "CORRUPT", "restore it"),
    "a table is gone": ("DROP TABLE promotions", RefusedError, "CORRUPT", "restore it"),
}


@pytest.mark.parametrize(("harm", "kind", "code", "said"), HARMS.values(), ids=HARMS)
def test_a_database_that_can_not_be_written_is_one_sentence_with_a_code(
    prepared: PostgresPlace, harm: str, kind: type[PipelineError], code: str, said: str
) -> None:
    ledger = SqlLedger(prepared.url)
    assert ledger.entries("small") == []
    prepared.raw(harm.format(writer=prepared.writer, database=prepared.database))
    with pytest.raises(kind, match=said) as caught:
        ledger.append(entry(1))
    check(caught.value, prepared, code)


def test_a_sequence_behind_its_lines_is_said_in_our_words(prepared: PostgresPlace) -> None:
    """As after a restore of the lines alone."""
    ledger = SqlLedger(prepared.url)
    ledger.conclude(outcome("2020-01-05"))
    prepared.as_owner("ALTER TABLE outcomes ALTER COLUMN line RESTART")
    with pytest.raises(RefusedError) as caught:
        ledger.conclude(outcome("2020-01-06"))
    check(caught.value, prepared, "CORRUPT")


def test_a_connection_that_dies_in_the_midst_is_told_and_the_next_one_works(prepared: PostgresPlace) -> None:
    ledger = SqlLedger(prepared.url)
    ledger.append(entry(1))

    def first(connection: sa.Connection) -> None:
        connection.execute(lock("small"))

    def kill(connection: sa.Connection) -> None:
        waiting = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        connection.execute(sa.text(f"SELECT pg_terminate_backend(pid) {waiting}"))

    engine = sa.create_engine(prepared.server.url(prepared.database), poolclass=sa.NullPool)
    with ThreadPoolExecutor(1) as pool, engine.begin() as connection:
        first(connection)
        future = pool.submit(ledger.append, entry(2))
        wait(prepared, WAITING.format(prepared.database))
        kill(connection)
        with pytest.raises(UnavailableError) as caught:
            future.result(60)
    check(caught.value, prepared, "LEDGER")
    ledger.append(entry(2))
    assert len(ledger.entries("small")) == 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_a_server_that_went_away_is_told_and_a_restarted_one_goes_on(
    prepared: PostgresPlace, how: signal.Signals
) -> None:
    ledger = SqlLedger(prepared.url)
    ledger.append(entry(1))
    prepared.server.stop(how)
    try:
        for use in (lambda: ledger.append(entry(2)), lambda: ledger.outcomes("small"), lambda: prepare(prepared.url)):
            with pytest.raises(UnavailableError) as caught:
                use()
            check(caught.value, prepared, "LEDGER")
    finally:
        prepared.server.start()
    ledger.append(entry(2))
    assert len(ledger.entries("small")) == 2


def test_without_binaries_a_test_is_skipped_but_not_where_they_must_be(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests import postgres

    monkeypatch.setattr(postgres, "binaries", lambda: None)
    for name in ("CI", "NEEDS_STACK"):
        monkeypatch.delenv(name, raising=False)
    for name, value, kind in (
        ("CI", "", pytest.skip.Exception),
        ("NEEDS_STACK", "0", pytest.skip.Exception),
        ("NEEDS_STACK", "1", pytest.fail.Exception),
        ("CI", "true", pytest.fail.Exception),
    ):
        monkeypatch.setenv(name, value)
        with pytest.raises(kind, match="apt-get install postgresql"), postgres.running():
            pass


def test_the_private_server_lets_nobody_in_without_its_password(postgres: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        postgres.sql("SELECT 1", password="another")
    port = postgres.port
    assert postgres.restart() == port
    assert postgres.sql("SELECT 1") == [(1,)]
