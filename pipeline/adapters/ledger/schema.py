"""What guards the promotion ledger inside its database: tables, and triggers that hold whoever connects.

A SQLite file is made on first use. On PostgreSQL there are two ways: a role that may create tables makes them on first
use, too; for a team, `prepare` is called once by the role that owns the ledger, and the pipeline's own role can then
add lines and do nothing else, not even switch a trigger off:

    python -c "from pipeline.adapters.ledger.schema import prepare; prepare('postgresql+psycopg://…', writer='name')"
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from pipeline.adapters.ledger.connecting import opened, transaction
from pipeline.adapters.ledger.errors import address_of, secrets_of, shown, sqlstate, translate, unprepared
from pipeline.adapters.ledger.tables import INDEX, META, PROMOTIONS
from pipeline.core.errors import UsageError

_SQLITE_TRIGGERS = (
    *(
        f"CREATE TRIGGER IF NOT EXISTS {table}_{verb} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        for table in ("promotions", "outcomes")
        for verb in ("UPDATE", "DELETE")
    ),
    # Also keeps INSERT OR REPLACE, which fires no trigger for the row that it deletes, from rewriting a line.
    """CREATE TRIGGER IF NOT EXISTS promotions_next BEFORE INSERT ON promotions
       WHEN NEW.epoch <> (SELECT coalesce(max(epoch), 0) + 1 FROM promotions WHERE usecase = NEW.usecase)
       BEGIN SELECT RAISE(ABORT, 'not the next epoch'); END""",
    """CREATE TRIGGER IF NOT EXISTS outcomes_new BEFORE INSERT ON outcomes
       WHEN NEW.line IN (SELECT line FROM outcomes)
       BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
)
# The path is fixed, so that nobody's temporary table stands in for the ledger's while a trigger looks.
_FUNCTION = """CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, {schema}, pg_temp AS $$ BEGIN {body} END $$"""
_FUNCTIONS = {
    "ledger_append_only": """
        RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'restrict_violation';""",
    "ledger_next_epoch": """
        IF NEW.epoch IS DISTINCT FROM
           (SELECT coalesce(max(epoch), 0) + 1 FROM promotions WHERE usecase = NEW.usecase) THEN
            RAISE EXCEPTION 'not the next epoch' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;""",
    # The newest line of a day is the one with the greatest number, so none may slip in below.
    "ledger_new_line": """
        IF EXISTS (SELECT FROM outcomes WHERE usecase = NEW.usecase AND day = NEW.day AND line >= NEW.line) THEN
            RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;""",
    # A day that is none, or far ahead, would bar every later promotion and rollback, and no line can be taken back.
    "ledger_day": """
        IF NEW.day !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' OR NEW.day::date > current_date + 400 THEN
            RAISE EXCEPTION 'no data day' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;""",
}
# Name to table, event and function. TRUNCATE fires no trigger of rows.
_TRIGGERS = {
    f"{table}_{verb.lower()}": (table, f"BEFORE {verb}", "STATEMENT", "ledger_append_only")
    for table in ("promotions", "outcomes")
    for verb in ("UPDATE", "DELETE", "TRUNCATE")
} | {
    "promotions_next": ("promotions", "BEFORE INSERT", "ROW", "ledger_next_epoch"),
    "outcomes_new": ("outcomes", "BEFORE INSERT", "ROW", "ledger_new_line"),
    "promotions_day": ("promotions", "BEFORE INSERT", "ROW", "ledger_day"),
    "outcomes_day": ("outcomes", "BEFORE INSERT", "ROW", "ledger_day"),
}
# 'A' for always: an ordinary trigger rests in a session that says it only replays another server's changes.
_ABSENT = sa.text(
    """SELECT name FROM unnest(CAST(:tables AS text[])) name WHERE to_regclass(quote_ident(name)) IS NULL
       UNION ALL
       SELECT name FROM unnest(CAST(:triggers AS text[])) name WHERE NOT EXISTS (
           SELECT FROM pg_trigger WHERE tgname = name AND tgenabled = 'A'
           AND tgrelid IN (to_regclass('promotions'), to_regclass('outcomes')))"""
)
_HOME = sa.text(
    """SELECT coalesce((SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
                        WHERE pg_class.oid = to_regclass('promotions')), current_schema())"""
)
_SEQUENCE = sa.text("SELECT pg_get_serial_sequence('outcomes', 'line')")
# What the role may, and every role that it could become. Before version 16, who may create roles may become any.
_EXCESS = sa.text(
    """WITH reach AS (SELECT oid, rolcreaterole FROM pg_roles WHERE pg_has_role(:writer, oid, 'MEMBER'))
       SELECT 'is the owner or a member of it' FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
       WHERE pg_class.oid IN (to_regclass('promotions'), to_regclass('outcomes'))
       AND (pg_has_role(:writer, relowner, 'MEMBER') OR pg_has_role(:writer, nspowner, 'MEMBER'))
       UNION
       SELECT 'may create roles' FROM reach WHERE rolcreaterole
       UNION
       SELECT 'may ' || verb || ' ' || name FROM reach,
           unnest(ARRAY['promotions', 'outcomes']) name, unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) verb
       WHERE has_table_privilege(oid, name, verb)
       OR verb = 'UPDATE' AND has_any_column_privilege(oid, name, verb)
       ORDER BY 1"""
)
_LOCK = "schema"  # no use case's: two that prepare at once come one after the other


def prepare(url: str, writer: str | None = None) -> None:
    """Make the ledger in a PostgreSQL database, and let one role add lines to it. As often as you like.

    What is there stays as it is: lines, tables, rights of others. A trigger that is missing or off is made anew.

    Args:
        url: The database, with the role that owns the ledger or shall own it: ``postgresql+psycopg://owner:…@host/name``.
        writer: The pipeline's own role, which must exist; it loses every right on the ledger but to read, to add lines,
            and to take turns.

    Raises:
        UsageError: It is another database, this role may not create there, or ``writer`` does not exist or could
            rewrite lines all the same, as a superuser, an owner or a member of one could; then nothing was changed.
        RefusedError: Other tables with these names are there.
        UnavailableError: The database does not answer, or somebody holds the tables; try again.
    """
    address = address_of(url)
    where = shown(address)
    if address.get_backend_name() != "postgresql":
        raise UsageError(f"only PostgreSQL must be prepared; a ledger such as {where} is made on first use", "LEDGER")
    try:
        with transaction(opened(address), _LOCK) as connection:
            _build(connection, where)
            if writer is not None:
                _admit(connection, where, writer)
    except DBAPIError as error:
        raise translate(where, error, secrets_of(address)) from error


def ensure(engine: sa.Engine, where: str) -> None:
    """Make what is not there, if anything; called before the first use.

    Raises:
        UsageError: Something is not there and this role may not make it.
    """
    if engine.dialect.name == "postgresql":
        with transaction(engine) as connection:
            if not _absent(connection):
                return
        with transaction(engine, _LOCK) as connection:
            # Anew, since somebody may have made it meanwhile, who is not us and owns it now.
            if _absent(connection):
                _build(connection, where)
        return
    with transaction(engine, _LOCK) as connection:
        for table in META.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
        if engine.dialect.name == "sqlite":
            for statement in (*_SQLITE_TRIGGERS, INDEX):
                connection.exec_driver_sql(statement)


def _absent(connection: sa.Connection) -> list[str]:
    """The tables and triggers that are not there."""
    wanted = {"tables": [table.name for table in META.sorted_tables], "triggers": list(_TRIGGERS)}
    return [str(name) for name in connection.scalars(_ABSENT, wanted)]


def _build(connection: sa.Connection, where: str) -> None:
    absent = _absent(connection)
    home = connection.scalar(_HOME)
    if home is None:
        raise unprepared(where, absent, "it has no schema to create in")
    encoding = connection.scalar(sa.text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise UsageError(
            f"the database of the promotion ledger at {where} holds text as {encoding}, which lacks letters that names "
            f"and reasons may hold; make it with ENCODING 'UTF8'",
            "LEDGER",
        )
    schema = connection.dialect.identifier_preparer.quote_identifier(str(home))
    try:
        # Where the promotions are, all the rest is: with another path, a second ledger would be begun beside the first.
        connection.exec_driver_sql(f"SET LOCAL search_path = {schema}, pg_temp")
        for table in META.sorted_tables:
            if table.name in absent:
                connection.execute(CreateTable(table, if_not_exists=True))
            # Somebody else's table of that name is refused by its columns, before it is given triggers.
            connection.execute(sa.select(table).limit(0))
        for name, body in _FUNCTIONS.items():
            connection.exec_driver_sql(_FUNCTION.format(name=name, schema=schema, body=body))
        for name, (table_name, event, each, function) in _TRIGGERS.items():
            if name in absent:
                connection.exec_driver_sql(
                    f"CREATE OR REPLACE TRIGGER {name} {event} ON {table_name} "
                    f"FOR EACH {each} EXECUTE FUNCTION {function}()"
                )
                connection.exec_driver_sql(f"ALTER TABLE {table_name} ENABLE ALWAYS TRIGGER {name}")
        connection.exec_driver_sql(INDEX)
    except DBAPIError as error:
        if sqlstate(error) == "42501" and absent:  # insufficient_privilege
            raise unprepared(where, absent, str(error.orig).splitlines()[0]) from error
        raise


def _admit(connection: sa.Connection, where: str, writer: str) -> None:
    """Give the writer its rights and take all others; the transaction is the caller's, so a refusal undoes both."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    if not connection.scalar(sa.text("SELECT true FROM pg_roles WHERE rolname = :writer"), {"writer": writer}):
        raise UsageError(f"there is no role '{writer}' at {where}; create it, then prepare the ledger again", "LEDGER")
    role, tables = quote(writer), ", ".join(table.name for table in META.sorted_tables)
    columns = ", ".join(column.name for column in META.tables["outcomes"].columns if column.name != "line")
    statements = [
        f"GRANT USAGE ON SCHEMA {quote(str(connection.scalar(_HOME)))} TO {role}",
        f"REVOKE ALL ON {tables} FROM {role}",
        f"GRANT SELECT, INSERT ON {PROMOTIONS.name} TO {role}",
        # Not the line's number, which the database gives.
        f"GRANT SELECT, INSERT ({columns}) ON outcomes TO {role}",
        f"GRANT SELECT, INSERT, UPDATE ON turns TO {role}",
    ]
    # An identity column needs no right on its sequence; one that was made as a serial number does.
    if sequence := connection.scalar(_SEQUENCE):
        # Quoted by the server, and the driver takes % for itself.
        sequence_name = f"SEQUENCE {sequence}".replace("%", "%%")
        statements += [f"REVOKE ALL ON {sequence_name} FROM {role}", f"GRANT USAGE ON {sequence_name} TO {role}"]
    for statement in statements:
        connection.exec_driver_sql(statement)
    excess = [str(line) for line in connection.scalars(_EXCESS, {"writer": writer})]
    if excess:
        raise UsageError(
            f"the role '{writer}' could rewrite the promotion ledger at {where} (it {', '.join(excess)}); name "
            f"one that is no superuser, creates no roles, owns neither ledger nor database, and is no member of such",
            "LEDGER",
        )
