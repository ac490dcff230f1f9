#!/bin/sh
# One database and one user each, made when PostgreSQL starts on an empty volume. Nobody connects to another's.
# Passwords come by the environment: a command's arguments can be read by every process beside it.
set -eu

sql() {
    psql -q -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" -d postgres "$@"
}

role() { # name, password, connections at most
    ROLE_PASSWORD="$2" sql -v name="$1" -v most="${3:--1}" <<'SQL'
\getenv password ROLE_PASSWORD
CREATE ROLE :"name" LOGIN PASSWORD :'password' CONNECTION LIMIT :most;
SQL
}

database() { # name, owner
    sql -v name="$1" -v owner="$2" <<'SQL'
CREATE DATABASE :"name" OWNER :"owner" ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
}

role airflow "$AIRFLOW_DB_PASSWORD"
# These two are the workers', who must not take all connections from the others (max_connections).
role celery "$CELERY_DB_PASSWORD" 90
role mlflow "$MLFLOW_DB_PASSWORD"
role ledger_owner "$LEDGER_OWNER_PASSWORD"
role ledger "$LEDGER_DB_PASSWORD" 90
database airflow airflow
database celery celery
database mlflow mlflow
# The pipeline may read its ledger and append to it; airflow-init makes the tables, as their owner.
database ledger ledger_owner
sql <<'SQL'
GRANT CONNECT ON DATABASE ledger TO ledger;
REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC;
SQL
