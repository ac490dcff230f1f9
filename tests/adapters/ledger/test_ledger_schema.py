"""The ledger in PostgreSQL: who may do what there, and how it is made. Every refusal is a planted violation."""

from __future__ import annotations

import psycopg
import pytest

from pipeline.adapters.ledger.schema import prepare
from pipeline.adapters.ledger.sql import SqlLedger
from pipeline.core.errors import ConflictError, PipelineError, RefusedError, UsageError
from tests.adapters.ledger.ledgers import PostgresPlace
from tests.adapters.ledger.lines import entry, outcome
from tests.at_once import at_once
from tests.postgres import Postgres

pytestmark = pytest.mark.live

LINE = "usecase, {epoch}, action, version, model, recipe, trained_through, sha256, replaced, day, verdict, why, "
LINE += '"by", "at", held, held_until'


def fill(place: PostgresPlace) -> PostgresPlace:
    ledger = SqlLedger(place.url)
    ledger.append(entry(1))
    ledger.append(entry(2))
    ledger.conclude(outcome("2020-01-05"))
    ledger.take_turn("small", "run", lambda _: True)
    return place


@pytest.fixture
def filled(prepared: PostgresPlace) -> PostgresPlace:
    return fill(prepared)


@pytest.fixture(scope="module")
def unchanged(postgres: Postgres) -> PostgresPlace:
    """One for all who see that they can't change it."""
    return fill(PostgresPlace(postgres).prepared())


def kept(place: PostgresPlace) -> list[object]:
    return [place.raw(f"SELECT * FROM {table} ORDER BY 1, 2") for table in ("promotions", "outcomes", "turns")]


def made(place: PostgresPlace) -> list[object]:
    """Everything that a schema is made of."""
    return [
        place.raw(sql)
        for sql in (
            "SELECT oid, relname, relowner, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "ORDER BY 1",
            "SELECT oid, tgname, tgrelid, tgenabled, tgfoid FROM pg_trigger ORDER BY 1",
            "SELECT oid, proname, proowner, prosrc, proconfig::text FROM pg_proc "
            "WHERE proname LIKE 'ledger%' ORDER BY 1",
            "SELECT attrelid, attname, attacl::text FROM pg_attribute WHERE attacl IS NOT NULL ORDER BY 1, 2",
        )
    ]


@pytest.mark.parametrize(
    "sql",
    [
        *(
            f"{verb} {table}{rest}"
            for table in ("promotions", "outcomes")
            for verb, rest in (
                ("UPDATE", " SET day = '1999-01-01'"),
                ("DELETE FROM", ""),
                ("TRUNCATE", ""),
                ("DROP TABLE", ""),
                ("ALTER TABLE", " ADD COLUMN more int"),
                ("ALTER TABLE", " RENAME TO other"),
                ("ALTER TABLE", " DISABLE TRIGGER USER"),
                ("ALTER TABLE", " OWNER TO CURRENT_USER"),
                ("ALTER TABLE", " ENABLE ROW LEVEL SECURITY"),
            )
        ),
        "DROP TRIGGER promotions_next ON promotions",
        "CREATE TRIGGER mine BEFORE INSERT ON promotions FOR EACH ROW EXECUTE FUNCTION ledger_next_epoch()",
        "CREATE RULE mine AS ON INSERT TO promotions DO INSTEAD NOTHING",
        "CREATE OR REPLACE FUNCTION ledger_next_epoch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "DROP FUNCTION ledger_append_only() CASCADE",
        "DROP SCHEMA public CASCADE",
        "DROP INDEX outcomes_by_day",
        "CREATE TABLE public.mine (one int)",
        "SET session_replication_role = replica",
        "SET ROLE {owner}",
        "SELECT setval(pg_get_serial_sequence('outcomes', 'line'), 1)",
        "INSERT INTO outcomes (line, usecase, day, body) OVERRIDING SYSTEM VALUE VALUES (2000000000, 'small', '1', '')",
        f"INSERT INTO promotions SELECT {LINE.format(epoch=1)} FROM promotions WHERE epoch = 1 "
        "ON CONFLICT (usecase, epoch) DO UPDATE SET why = 'another'",
        "DELETE FROM turns",
        "TRUNCATE turns",
        "DROP TABLE turns",
    ],
)
def test_the_role_of_the_pipeline_can_add_lines_and_nothing_else(unchanged: PostgresPlace, sql: str) -> None:
    before = kept(unchanged), made(unchanged)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        unchanged.as_writer(sql.format(owner=unchanged.owner))
    assert (kept(unchanged), made(unchanged)) == before


@pytest.mark.parametrize(
    "sql",
    [
        *(
            f"{verb} {table}{rest}"
            for table in ("promotions", "outcomes")
            for verb, rest in (
                ("UPDATE", " SET day = '1999-01-01'"),
                ("DELETE FROM", ""),
                ("TRUNCATE", ""),
                ("SET session_replication_role = replica; DELETE FROM", ""),
            )
        ),
        f"INSERT INTO promotions SELECT {LINE.format(epoch=4)} FROM promotions WHERE epoch = 1",
        f"INSERT INTO promotions SELECT {LINE.format(epoch=3)} FROM promotions",  # the second of the two is none
        f"INSERT INTO promotions SELECT {LINE.format(epoch=0)} FROM promotions WHERE epoch = 1",
        "CREATE TEMP TABLE promotions AS SELECT 'small' AS usecase, 8 AS epoch; "
        f"INSERT INTO public.promotions SELECT {LINE.format(epoch=9)} FROM public.promotions WHERE epoch = 1",
        "INSERT INTO outcomes (line, usecase, day, body) OVERRIDING SYSTEM VALUE "
        "VALUES (0, 'small', '2020-01-05', 'slipped in below')",
    ],
)
def test_the_triggers_hold_the_owner_and_the_superuser_too(unchanged: PostgresPlace, sql: str) -> None:
    before = kept(unchanged)
    with pytest.raises(psycopg.errors.RestrictViolation):
        unchanged.raw(sql)
    if "replica" not in sql:
        with pytest.raises(psycopg.errors.RestrictViolation):
            unchanged.as_owner(sql)
    assert kept(unchanged) == before


def test_the_role_of_the_pipeline_is_held_to_the_next_epoch_by_the_database_itself(filled: PostgresPlace) -> None:
    for table in ("promotions", "public.promotions"):
        shadow = "CREATE TEMP TABLE promotions AS SELECT 'small' AS usecase, 8 AS epoch; " if "." in table else ""
        with pytest.raises(psycopg.errors.RestrictViolation, match="not the next epoch"):
            filled.as_writer(f"{shadow}INSERT INTO {table} SELECT {LINE.format(epoch=9)} FROM {table} WHERE epoch = 1")


@pytest.mark.parametrize("day", ["9999-12-31", "zzz", "", "2013-1-1", "2013-02-30", "2013-01-01T00:00"])
def test_a_day_that_would_bar_all_later_ones_is_refused_by_the_database_itself(filled: PostgresPlace, day: str) -> None:
    before = kept(filled)
    columns = LINE.format(epoch=3).replace(" day,", f" '{day}',")
    with pytest.raises((psycopg.errors.RestrictViolation, psycopg.DataError)):
        filled.as_writer(f"INSERT INTO promotions SELECT {columns} FROM promotions WHERE epoch = 2")
    with pytest.raises((psycopg.errors.RestrictViolation, psycopg.DataError)):
        filled.as_writer(f"INSERT INTO outcomes (usecase, day, body) VALUES ('small', '{day}', '')")
    assert kept(filled) == before
    # The same lines with a day are taken.
    filled.as_writer(f"INSERT INTO promotions SELECT {LINE.format(epoch=3)} FROM promotions WHERE epoch = 2")
    filled.as_writer("INSERT INTO outcomes (usecase, day, body) VALUES ('small', '2020-01-06', '')")


def test_preparing_again_changes_nothing(filled: PostgresPlace) -> None:
    before = kept(filled), made(filled)
    prepare(filled.owner_url, filled.writer)
    prepare(filled.owner_url)
    assert (kept(filled), made(filled)) == before


def test_preparing_again_mends_what_is_off_missing_or_too_much(filled: PostgresPlace) -> None:
    rights = "SELECT relname, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    before = made(filled)[3], filled.raw(rights)
    filled.as_owner("ALTER TABLE promotions DISABLE TRIGGER promotions_update")
    filled.as_owner("DROP TRIGGER promotions_delete ON promotions")
    filled.as_owner(f"GRANT ALL ON promotions, outcomes, turns TO {filled.writer}")
    filled.as_owner(f"GRANT UPDATE (why) ON promotions TO {filled.writer}")
    prepare(filled.owner_url, filled.writer)
    filled.as_writer(f"GRANT UPDATE ON promotions TO {filled.writer}")  # a mere warning, and without effect
    assert (made(filled)[3], filled.raw(rights)) == before
    for sql in ("UPDATE promotions SET version = 9", "DELETE FROM promotions"):
        with pytest.raises(psycopg.errors.RestrictViolation):
            filled.as_owner(sql)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            filled.as_writer(sql)


def _prepare(url: str, writer: str) -> None:
    for _ in range(5):
        prepare(url, writer)


def _use(url: str, _: str) -> None:
    SqlLedger(url).conclude(outcome("2020-01-05"))


def test_many_may_prepare_at_once_while_the_owner_uses_it(postgres: Postgres) -> None:
    place = PostgresPlace(postgres)
    at_once([(act, (place.owner_url, place.writer)) for act in (_prepare, _use) * 3], processes=4, seconds=120)
    assert place.raw("SELECT count(*) FROM outcomes") == [(1,)]
    SqlLedger(place.url).append(entry(1))


def test_a_role_that_owns_its_database_needs_no_preparation(postgres: Postgres) -> None:
    place = PostgresPlace(postgres)
    ledger = SqlLedger(place.owner_url)
    assert ledger.entries("small") == []
    ledger.append(entry(1))
    SqlLedger(place.owner_url).append(entry(2))
    with pytest.raises(place.refused):
        place.as_owner("TRUNCATE promotions")
    prepare(place.owner_url, place.writer)  # it may become a team's later
    assert len(SqlLedger(place.url).entries("small")) == 2


def test_a_ledger_that_nobody_prepared_says_what_to_do(postgres: Postgres) -> None:
    place = PostgresPlace(postgres)
    with pytest.raises(UsageError, match=r"has no .*promotions.* may not make that .*prepare\(url, writer\)") as caught:
        SqlLedger(place.url).entries("small")
    assert caught.value.code == "LEDGER"
    assert place.password not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert place.raw("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []


def test_a_ledger_whose_guards_are_off_is_not_used(filled: PostgresPlace) -> None:
    SqlLedger(filled.url).entries("small")
    filled.as_owner("ALTER TABLE outcomes DISABLE TRIGGER outcomes_truncate")
    with pytest.raises(UsageError, match="has no outcomes_truncate, and this user may not make that"):
        SqlLedger(filled.url).entries("small")
    SqlLedger(filled.owner_url).entries("small")  # its owner switches them on again
    SqlLedger(filled.url).entries("small")


def test_a_role_that_was_given_no_rights_is_told_who_can_give_them(postgres: Postgres) -> None:
    place = PostgresPlace(postgres)
    prepare(place.owner_url)
    with pytest.raises(
        UsageError, match=r"permission denied for table promotions.*let its owner call prepare"
    ) as caught:
        SqlLedger(place.url).entries("small")
    assert caught.value.code == "DENIED"


def test_names_of_roles_and_databases_are_names_and_no_sql(postgres: Postgres) -> None:
    writer = "O'Neil \"; DROP TABLE promotions; -- %s %(x)s $$ {0}"
    quoted = '"' + writer.replace('"', '""') + '"'
    place = PostgresPlace(postgres)
    place.raw(f"CREATE ROLE {quoted} LOGIN PASSWORD '{place.password}'")
    try:
        place.as_owner('CREATE SCHEMA "a %s $$ schema"')
        place.raw(f'ALTER ROLE {place.owner} SET search_path = "a %s $$ schema"')
        place.raw(f'ALTER ROLE {quoted} SET search_path = "a %s $$ schema"')
        prepare(place.owner_url, writer)
        prepare(place.owner_url, writer)
        ledger = SqlLedger(postgres.url(place.database, writer, place.password))
        ledger.append(entry(1))
        ledger.conclude(outcome("2020-01-05"))
        assert place.raw('SELECT count(*) FROM "a %s $$ schema".promotions') == [(1,)]
    finally:
        place.raw(f"DROP OWNED BY {quoted}")
        place.raw(f"DROP ROLE {quoted}")


def test_another_path_to_the_tables_begins_no_second_ledger(filled: PostgresPlace) -> None:
    filled.as_owner(f"CREATE SCHEMA {filled.owner}")  # where new tables of this role go first, by default
    filled.as_owner("DROP TRIGGER promotions_update ON promotions")
    prepare(filled.owner_url, filled.writer)
    assert filled.raw("SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'promotions'") == [
        ("public",)
    ]
    assert len(SqlLedger(filled.owner_url).entries("small")) == 2


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        ("", "there is no role"),
        ("CREATE ROLE {role} LOGIN SUPERUSER", "could rewrite the promotion ledger"),
        ("CREATE ROLE {role} LOGIN IN ROLE {owner}", "is the owner or a member of it"),
        ("CREATE ROLE {role} LOGIN NOINHERIT IN ROLE {owner}", "is the owner or a member of it"),
        ("CREATE ROLE {role} LOGIN; GRANT DELETE ON promotions TO PUBLIC", "may DELETE promotions"),
        ("CREATE ROLE {role} LOGIN; GRANT UPDATE (body) ON outcomes TO PUBLIC", "may UPDATE outcomes"),
        ("CREATE ROLE {role} LOGIN IN ROLE pg_write_all_data", "may DELETE outcomes"),
        ("CREATE ROLE {role} LOGIN NOINHERIT IN ROLE pg_write_all_data", "may DELETE outcomes"),
        ("CREATE ROLE {role} LOGIN CREATEROLE", "may create roles"),
        ("CREATE ROLE {role} LOGIN; ALTER DATABASE {database} OWNER TO {role}", "is the owner or a member of it"),
        ("CREATE ROLE {role} LOGIN; ALTER SCHEMA public OWNER TO {role}", "is the owner or a member of it"),
    ],
)
def test_a_role_that_could_rewrite_lines_is_not_admitted(filled: PostgresPlace, plant: str, said: str) -> None:
    role = f"rich_{filled.writer}"
    for sql in filter(None, plant.format(role=role, owner=filled.owner, database=filled.database).split("; ")):
        filled.raw(sql)
    before = kept(filled), made(filled)
    with pytest.raises(UsageError, match=said) as caught:
        prepare(filled.server.url(filled.database), role)  # as the superuser, whom nothing else holds back
    assert caught.value.code == "LEDGER"
    assert "\n" not in str(caught.value)
    assert (kept(filled), made(filled)) == before


def test_the_owner_is_no_writer(filled: PostgresPlace) -> None:
    with pytest.raises(UsageError, match="is the owner or a member of it"):
        prepare(filled.owner_url, filled.owner)
    SqlLedger(filled.owner_url).append(entry(3))  # and has kept its own rights


def test_tables_of_somebody_else_are_given_no_triggers(postgres: Postgres) -> None:
    place = PostgresPlace(postgres)
    place.as_owner("CREATE TABLE outcomes (usecase text, day text, line int)")
    for use in (lambda: prepare(place.owner_url), lambda: SqlLedger(place.owner_url).entries("small")):
        with pytest.raises(RefusedError, match=r"body does not exist"):
            use()
    assert place.raw("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace") == [
        ("outcomes",)
    ]
    assert place.raw("SELECT * FROM pg_trigger") == []


def test_a_ledger_of_before_goes_on(postgres: Postgres) -> None:
    """Tables as an earlier release made them: no triggers, a serial number, lengths."""
    place = PostgresPlace(postgres)
    columns = "action version model recipe trained_through sha256 replaced day verdict why by at held held_until"
    typed = ", ".join(f'"{name}" {"int" if name in ("version", "replaced") else "text"}' for name in columns.split())
    place.as_owner(f"CREATE TABLE promotions (usecase varchar(80), epoch int, {typed}, PRIMARY KEY (usecase, epoch))")
    place.as_owner("CREATE TABLE outcomes (line serial PRIMARY KEY, usecase varchar(80), day varchar(10), body text)")
    place.as_owner("CREATE TABLE turns (usecase varchar(80) PRIMARY KEY, holder text)")
    prepare(place.owner_url, place.writer)
    ledger = SqlLedger(place.url)
    ledger.append(entry(1))
    ledger.conclude(outcome("2020-01-05"))
    with pytest.raises(place.refused):
        place.raw("UPDATE outcomes SET body = ''")


@pytest.mark.parametrize(
    ("url", "said"), [("sqlite:////data/ledger.db", "only PostgreSQL must be prepared"), ("nonsense", "no address")]
)
def test_what_is_not_postgresql_is_not_prepared(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        prepare(url, "anybody")


def test_a_database_that_lacks_letters_is_refused_when_it_is_prepared(postgres: Postgres) -> None:
    place = PostgresPlace(postgres, "ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(UsageError, match=r"LATIN1.*make it with ENCODING 'UTF8'"):
        prepare(place.owner_url, place.writer)


def test_only_the_owner_can_prepare(filled: PostgresPlace) -> None:
    before = kept(filled), made(filled)
    with pytest.raises(PipelineError, match="let its owner call prepare") as caught:
        prepare(filled.url, filled.writer)
    assert caught.value.code == "DENIED"
    assert (kept(filled), made(filled)) == before


def test_text_of_any_length_and_letter_is_kept(prepared: PostgresPlace) -> None:
    ledger = SqlLedger(prepared.url)
    line = entry(1, recipe="r" * 500, why="späte … 航班 % %s \\ ' \" 🛫", by="ø")
    ledger.append(line)
    assert ledger.entries("small") == [line]
    with pytest.raises(UsageError, match="can't hold that line") as caught:
        ledger.append(entry(2, why="a\0b"))
    assert caught.value.code == "LINE"
    with pytest.raises(ConflictError):
        ledger.append(entry(1, version=9))
