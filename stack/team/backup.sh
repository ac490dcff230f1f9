#!/bin/sh
# The databases' part of a backup: `backup.sh dump FOLDER`, `backup.sh restore FOLDER`.
# Each database is dumped and restored by its own owner, with the password of this stack's .env; nobody is superuser.
# Airflow's first, then the ledger's, then MLflow's: whatever is referred to is dumped after what refers to it.
set -eu
umask 077
export HOME=/tmp PGCONNECT_TIMEOUT=10

say() {
    echo "$*" >&2
}

# as OWNER PASSWORD PROGRAM ... : by the environment, since arguments can be read by every process beside it.
as() {
    owner=$1
    password=$2
    shift 2
    PGHOST=postgres PGUSER=$owner PGPASSWORD=$password "$@"
}

each() { # verb
    "$1" airflow airflow "$AIRFLOW_DB_PASSWORD"
    "$1" celery celery "$CELERY_DB_PASSWORD"
    "$1" ledger ledger_owner "$LEDGER_OWNER_PASSWORD"
    "$1" mlflow mlflow "$MLFLOW_DB_PASSWORD"
}

dump() { # database, owner, password
    # No large objects: nobody here uses any, and one that a worker made its owner could not read.
    as "$2" "$3" pg_dump --no-blobs --format=custom --file="$folder/$1.part" "$1" || {
        say "the database $1 was not dumped, and the backup is worth nothing; see what PostgreSQL says above, and begin anew"
        exit 1
    }
    mv "$folder/$1.part" "$folder/$1.dump"
    echo "dumped $1 ($(wc -c < "$folder/$1.dump") bytes)"
}

there() { # database
    [ -r "$folder/$1.dump" ] || {
        say "$1.dump is not in the backup, or not yours to read; restore as the user who made the backup"
        exit 2
    }
}

restore() { # database, owner, password
    # Rights are the dump's; owners are this stack's, who have the same names.
    as "$2" "$3" pg_restore --no-owner --exit-on-error --single-transaction --dbname="$1" "$folder/$1.dump" || {
        say "the database $1 was not restored; remove this stack's volumes (docker compose down --volumes) and restore again"
        exit 1
    }
    echo "restored $1"
}

verb=$1
folder=$2
case $verb in
dump)
    if [ -e "$folder" ] || [ -e "$folder/../manifest.json" ]; then
        say "a backup is there already; name another folder: make backup TO=backups/another"
        exit 2
    fi
    mkdir -p "$folder" || { say "the backup's folder can't be written to; give access, or name another: TO=…"; exit 2; }
    each dump
    ;;
restore)
    each there
    each restore
    ;;
*)
    say "dump or restore, not $verb"
    exit 2
    ;;
esac
