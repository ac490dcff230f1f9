"""Where the stack lives, which ports it takes, and the environment its processes run in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from stack import signin
from stack.errors import StackError

ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds `pipeline`, `dags` and `stack`."""

PRELOAD = (
    *("numpy", "scipy.stats", "pandas", "pyarrow", "narwhals", "polars", "deltalake"),
    *("sklearn.pipeline", "sklearn.ensemble", "sklearn.linear_model", "skops.io"),
    *("mlflow.sklearn", "great_expectations"),
)
"""Imported once by the scheduler before it forks its workers, so that no task pays for them again.

Only imported, never used: importing starts no thread that a fork cannot lose (measured), using would.
"""

CALENDAR = ("PIPELINE_FIRST_DAY", "PIPELINE_LAST_DAY")
"""The days that the schedule walks: they belong to the data of a home."""

_FOREIGN = ("AIRFLOW", "_AIRFLOW", "MLFLOW", "_MLFLOW")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything one stack needs to know; two stacks with different homes and ports do not meet."""

    home: Path
    airflow_port: int = 8080
    mlflow_port: int = 5000
    dags: Path = ROOT / "dags"
    users: Mapping[str, str] = field(default_factory=lambda: dict(signin.USERS))
    parallelism: int = 4
    preload: tuple[str, ...] = PRELOAD
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "home", _absolute("PIPELINE_HOME", self.home))
        object.__setattr__(self, "dags", _absolute("PIPELINE_DAGS", self.dags))
        ports = {"PIPELINE_AIRFLOW_PORT": self.airflow_port, "PIPELINE_MLFLOW_PORT": self.mlflow_port}
        for name, port in ports.items():
            if not 1 <= port <= 65535:
                raise StackError(f"{name}={port} is no port; choose one from 1024 to 65535")
        if self.airflow_port == self.mlflow_port:
            raise StackError(f"Airflow and MLflow cannot share port {self.airflow_port}; change PIPELINE_MLFLOW_PORT")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read PIPELINE_HOME, PIPELINE_AIRFLOW_PORT, PIPELINE_MLFLOW_PORT, PIPELINE_DAGS and PIPELINE_PRELOAD."""
        preload = environ.get("PIPELINE_PRELOAD")
        return cls(
            home=Path(environ.get("PIPELINE_HOME") or "var"),
            airflow_port=_port(environ, "PIPELINE_AIRFLOW_PORT", 8080),
            mlflow_port=_port(environ, "PIPELINE_MLFLOW_PORT", 5000),
            dags=Path(environ.get("PIPELINE_DAGS") or ROOT / "dags"),
            preload=PRELOAD if preload is None else tuple(preload.replace(",", " ").split()),
        )

    @classmethod
    def of_home(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Those with which the stack of PIPELINE_HOME was last started, whatever ports this shell knows of.

        Raises StackError when none ever was.
        """
        home = _absolute("PIPELINE_HOME", Path(environ.get("PIPELINE_HOME") or "var"))
        try:
            known = json.loads(_note(home).read_text())
        except (FileNotFoundError, NotADirectoryError):
            raise StackError(
                f"no stack was ever started on {home}; start one (`make demo`, `make start`), "
                "or set PIPELINE_HOME to the folder of one"
            ) from None
        except (OSError, ValueError) as error:
            raise StackError(
                f"{_note(home)} can't be read ({error}); start the stack again to have it written"
            ) from error
        try:
            if not all(isinstance(known[name], dict) for name in ("users", "extra")):
                raise TypeError
            return cls(**known | {"home": home, "dags": Path(known["dags"]), "preload": tuple(known["preload"])})
        except (TypeError, KeyError) as error:
            raise StackError(
                f"{_note(home)} doesn't say with what the stack was started; start the stack again to have it written"
            ) from error

    def with_calendar(self, environ: Mapping[str, str] = os.environ) -> Settings:
        """The same within the calendar that the home was last started with, unless the environment says another.

        A home of last year's data, such as the demonstration's, must not judge last night: there is no such data. An
        empty PIPELINE_FIRST_DAY or PIPELINE_LAST_DAY in the environment ends the home's.
        """
        try:
            known = json.loads(_note(self.home).read_text())["extra"]
            kept = {name: str(known[name]) for name in CALENDAR if known.get(name) and name not in environ}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return self  # no stack was started here yet, or nobody can say with what
        return replace(self, extra={**kept, **self.extra})

    def note(self) -> None:
        """Write down for `of_home` with what the stack was started."""
        self.folders()
        kept = {f.name: getattr(self, f.name) for f in fields(self)}
        kept |= {"home": str(self.home), "dags": str(self.dags), "users": dict(self.users), "extra": dict(self.extra)}
        signin.publish(_note(self.home), kept, replace=True)

    @property
    def airflow_home(self) -> Path:
        """Airflow's database, keys, passwords and task logs."""
        return self.home / "airflow"

    @property
    def mlflow_home(self) -> Path:
        """MLflow's database and artifacts."""
        return self.home / "mlflow"

    @property
    def artifacts(self) -> Path:
        """The artifact root; give it to `create_experiment` when working without the server."""
        return self.mlflow_home / "artifacts"

    @property
    def logs(self) -> Path:
        """One log file per supervised process."""
        return self.home / "logs"

    @property
    def airflow_url(self) -> str:
        """Where Airflow answers."""
        return f"http://127.0.0.1:{self.airflow_port}"

    @property
    def mlflow_url(self) -> str:
        """Where MLflow answers."""
        return f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def mlflow_store(self) -> str:
        """The same registry without the server."""
        return f"sqlite:///{self.mlflow_home / 'mlflow.db'}"

    def folders(self) -> None:
        """Make the folders below home, for their owner alone.

        Raises StackError when one cannot be made, or when a link leads out of the home: what it leads to is not ours
        to close to others, nor to write to.
        """
        made = (self.home, self.airflow_home, self.mlflow_home, self.artifacts, self.logs)
        try:
            for path in self._written():
                if path.is_symlink() and not path.resolve().is_relative_to(self.home):
                    raise StackError(
                        f"{path} is a link to {path.resolve()}, outside the stack's home; "
                        "remove the link, or set PIPELINE_HOME to another folder"
                    )
            for folder in made:
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o700)
        except (OSError, RuntimeError) as error:
            raise StackError(
                f"{self.home} can't be the stack's home ({error}); set PIPELINE_HOME to a folder of your own"
            ) from error

    def _written(self) -> Iterator[Path]:
        """What the stack writes to by name; data that lies elsewhere (`landing`, `store`) is not of it."""
        yield from (self.home / "stack.lock", self.airflow_home, self.mlflow_home, self.logs)
        for folder in (self.airflow_home, self.airflow_home / "config", self.mlflow_home, self.logs):
            if folder.is_dir():
                yield from folder.iterdir()

    def environment(self) -> dict[str, str]:
        """The environment of every process of the stack, and of commands that want to work beside it.

        Airflow and MLflow variables of the calling shell are left out: a stray setting of another project must
        not open this one. `extra` is the deliberate way to change a setting.
        """
        self.folders()
        keys = signin.keys(self.airflow_home)
        signin.passwords(self.airflow_home, self.users)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
        return inherited | _common(self) | _airflow(self, keys) | _mlflow(self) | dict(self.extra)


def without_airflow(environment: Mapping[str, str]) -> dict[str, str]:
    """The same without Airflow's settings, its keys among them: they are no business of MLflow's processes."""
    return {name: value for name, value in environment.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}


def _absolute(name: str, path: Path) -> Path:
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError) as error:
        raise StackError(f"{name}={path} leads nowhere ({error}); set it to a folder of your own") from error


def _note(home: Path) -> Path:
    return home / "airflow" / "stack.json"


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdecimal():
        raise StackError(f"{name}={text!r} is no port; choose a number from 1024 to 65535")
    return int(text)


def _common(settings: Settings) -> dict[str, str]:
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
    return {
        "PIPELINE_HOME": str(settings.home),
        "PIPELINE_AIRFLOW_PORT": str(settings.airflow_port),
        "PIPELINE_MLFLOW_PORT": str(settings.mlflow_port),
        "PYTHONPATH": path,
        "PYTHONUNBUFFERED": "1",
        # Tasks are forked from a process that has loaded OpenMP already, so what they use is settled here.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # Read when the library is imported, which the scheduler does before a task could say so.
        "POLARS_MAX_THREADS": "2",
        "DO_NOT_TRACK": "1",
    }


def _airflow(settings: Settings, keys: signin.Keys) -> dict[str, str]:
    home, off = settings.airflow_home, "False"
    sections: dict[str, dict[str, str]] = {
        "core": {
            "executor": "LocalExecutor",
            "dags_folder": str(settings.dags),
            # Makes a run's note; the project's own, whatever folder the DAGs are read from.
            "plugins_folder": str(ROOT / "dags" / "plugins"),
            "load_examples": off,
            "parallelism": str(settings.parallelism),
            "fernet_key": keys.fernet,
            "test_connection": "Disabled",
            "simple_auth_manager_all_admins": off,
            "simple_auth_manager_users": ",".join(f"{name}:{role}" for name, role in settings.users.items()),
            "simple_auth_manager_passwords_file": str(signin.password_file(home)),
            "execution_api_server_url": f"{settings.airflow_url}/execution/",
            "min_serialized_dag_update_interval": "5",
            "hostname_callable": "socket.gethostname",
        },
        "database": {
            "sql_alchemy_conn": f"sqlite:///{home / 'airflow.db'}",
            "check_migrations": off,
        },
        "scheduler": {
            "scheduler_idle_sleep_time": "0.2",
            "scheduler_health_check_threshold": "30",
            "orphaned_tasks_check_interval": "30",
            "task_instance_heartbeat_timeout": "90",
            "enable_health_check": off,
            "scheduler_health_check_server_host": "127.0.0.1",
        },
        "dag_processor": {
            "refresh_interval": "10",
            "min_file_process_interval": "30",
            "parsing_processes": "1",
        },
        "api": {
            "host": "127.0.0.1",
            "port": str(settings.airflow_port),
            "base_url": settings.airflow_url,
            "workers": "1",
            "secret_key": keys.api,
            "enable_swagger_ui": off,
            "expose_config": off,
            "expose_stacktrace": off,
            "default_wrap": "True",  # a refusal is one long sentence, to be read to its end
        },
        "api_auth": {"jwt_secret": keys.jwt, "jwt_issuer": "pipeline-embedded"},
        "logging": {
            "base_log_folder": str(home / "logs"),
            "dag_processor_child_process_log_directory": str(home / "logs" / "dag_processor"),
            "file_task_handler_new_folder_permissions": "0o700",
            "file_task_handler_new_file_permissions": "0o600",
            "colored_console_log": off,
        },
        # A worker looks this often whether its task has ended; at the default of 5 s it lingers.
        "workers": {"min_heartbeat_interval": "1"},
        "usage_data_collection": {"enabled": off},
    }
    options = {
        f"AIRFLOW__{section}__{option}".upper(): value
        for section, values in sections.items()
        for option, value in values.items()
    }
    return {"AIRFLOW_HOME": str(home), "SCARF_ANALYTICS": "false"} | options


def _mlflow(settings: Settings) -> dict[str, str]:
    return {
        "MLFLOW_TRACKING_URI": settings.mlflow_url,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    }
