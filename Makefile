# make demo    the daily retraining run on real flights, under the real Airflow scheduler (make demo EXIT=1 ends by itself)
# make test    the whole test suite, lint and types included
# make up      the stack for a team, from docker-compose.yaml (needs Docker; `make secrets` first)
# make help    everything else

# The first Python that is new enough and really runs.
SUITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.12 python3.13 python3.11; do "$$p" -c "$(SUITS)" 2>/dev/null && { command -v "$$p"; break; }; done)
VENV := .venv/bin/python
PIPELINE_HOME ?= var
export PIPELINE_HOME

# A sentence instead of what Docker says where something is missing.
COMPOSE_READY = docker compose version >/dev/null 2>&1 || { echo "Docker with its compose plugin is needed and was not found: install it, or use the embedded stack (make start)" >&2; exit 2; }; \
	test -f .env || { echo "there are no passwords yet: run make secrets first" >&2; exit 2; }; \
	test -z "$$(find -L .env -perm /077)" || { echo ".env can be read by others: chmod 600 .env" >&2; exit 2; }

# The backup is the person's who asks for it, whatever users the containers have.
AS_ME = export BACKUP_UID="$$(id -u)" BACKUP_GID="$$(id -g)"
BACKUP = $(or $(TO),$(NEW_BACKUP))
NEW_BACKUP := backups/$(shell date -u +%Y-%m-%dT%H%M%SZ)
FOLDER = test -d "$(1)" || { echo "there is no folder '$(1)': $(2)" >&2; exit 2; }

# What the services read of this folder must be readable to others; whoever doesn't own it can't, and needn't, change it.
READABLE = mkdir -p landing; find landing -maxdepth 0 ! -perm -0005 -exec chmod a+rx {} +; find stack/team -name '*.sh' ! -perm -0004 -exec chmod a+r {} +

# A person's own keys of some storage are not the stack's: those stand in .env.
unexport AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_REGION AWS_ENDPOINT_URL

.PHONY: demo start secrets up down logs migrate-to-stack backup restore test quick lint bench docs lock clean environment help
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

environment: ## .venv from the pinned requirements; the targets that need it make it
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11, 3.12 or 3.13 is needed and none was found: install it (apt-get install python3), or name it: make PYTHON=/path/to/python3" >&2; exit 2; fi
	@"$(PYTHON)" tools/environment.py

demo: environment ## the daily run on real flights; Ctrl-C stops it, a second one goes on; EXIT=1 ends by itself
	@$(VENV) -m demo $(if $(EXIT),--exit)

start: environment ## Airflow and MLflow for your own use cases, on this machine only, until Ctrl-C
	@$(VENV) -m stack

secrets: ## passwords and keys for the team's stack, into .env, readable by you alone
	@"$(or $(PYTHON),python3)" tools/passwords.py

up: ## the stack for a team: PostgreSQL, Redis, Airflow with workers, MLflow, in containers
	@$(COMPOSE_READY)
	@$(READABLE)
	@docker compose build mlflow && docker compose up --detach --wait || { echo "not everything is up. What to do, by what is said above and by docker compose ps -a: docs/operations.md, At night" >&2; exit 2; }
	@echo "Airflow http://$$(docker compose port airflow-apiserver 8080)  MLflow http://$$(docker compose port mlflow 5000)/#/experiments?workflowType=machine_learning  users and passwords: .env"

down: ## stop it; its volumes stay
	@$(COMPOSE_READY)
	@docker compose down

logs: ## what it says, until Ctrl-C
	@$(COMPOSE_READY)
	@docker compose logs --follow --tail 100

migrate-to-stack: ## takes this machine's own installation into the running stack: FROM=var
	@$(COMPOSE_READY)
	@$(call FOLDER,$(or $(FROM),var),name the home of your installation: make migrate-to-stack FROM=var)
	@FROM="$(abspath $(or $(FROM),var))" docker compose run --rm moving

backup: ## databases, store and artifacts of the stack, at work or not: TO=backups/… (a new folder)
	@$(COMPOSE_READY)
	@umask 077; mkdir -p "$(BACKUP)" && test -z "$$(ls -A "$(BACKUP)")" || { echo "$(BACKUP) is not an empty folder: name another, make backup TO=backups/another" >&2; exit 2; }
	@$(AS_ME); export TO="$(abspath $(BACKUP))"; docker compose run --rm backup-databases && docker compose run --rm backup-files
	@echo "in $(BACKUP); keep a copy of .env with it, in a safe place"

restore: ## a backup into a new, empty stack, before its first `make up`: FROM=backups/…
	@$(COMPOSE_READY)
	@$(call FOLDER,$(FROM),name a backup: make restore FROM=backups/…)
	@$(READABLE)
	@docker compose build mlflow
	@$(AS_ME); export FROM="$(abspath $(FROM))"; docker compose run --rm restore-check && docker compose run --rm restore-databases && docker compose run --rm restore-files

# Whatever this shell says: hundreds of processes compile the same files else.
TESTS = env -u PYTHONDONTWRITEBYTECODE $(VENV) -m pytest

test: environment ## lint, types and every test
	@$(VENV) -m ruff check .
	@$(VENV) -m ruff format --check .
	@$(VENV) -m mypy
	@$(TESTS)

quick: environment ## the tests that start no server
	@$(TESTS) -m "not live"

lint: environment ## put the code in order
	@$(VENV) -m ruff check --fix .
	@$(VENV) -m ruff format .
	@$(VENV) -m mypy

bench: environment ## what a daily run costs, step by step, and what it costs to be slow
	@$(VENV) -m benchmarks

docs: environment ## the documentation as a site, into docs/_build
	@$(VENV) -m sphinx -q -W --keep-going -n -d docs/_build/.doctrees docs docs/_build
	@echo "docs/_build/index.html"

lock: environment ## requirements.txt anew from requirements.in
	@$(VENV) -m pip install --quiet uv
	@$(VENV) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--custom-compile-command "make lock" requirements.in -o requirements.txt

clean: ## forget everything: data, models, Airflow's and MLflow's databases (the environment stays; rm -r .venv)
	@$(PYTHON) tools/clean.py "$(PIPELINE_HOME)"
