"""`python -m tests.rehearsal [FOLDER]`: the team's stack on this machine without a container engine, until Ctrl-C."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from tests.rehearsal.client import ROOT, Rehearsal
from tests.rehearsal.composefile import ComposeError, dotenv


def main(arguments: list[str]) -> int:
    """0 after Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    began = time.monotonic()
    try:
        variables = dotenv(ROOT / ".env") if (ROOT / ".env").exists() else {}
        folder = Path(arguments[0]).resolve() if arguments else None
        with Rehearsal(variables, scale={"airflow-worker": 2}, folder=folder) as stack:
            stack.up(lambda line: print(f"{time.monotonic() - began:6.1f} s  {line}", flush=True))
            airflow, mlflow = variables.get("AIRFLOW_PORT", "8080"), variables.get("MLFLOW_PORT", "5000")
            print(f"Airflow http://127.0.0.1:{airflow}  MLflow http://127.0.0.1:{mlflow}", flush=True)
            print("users and passwords: .env  Ctrl-C stops it", flush=True)
            while True:
                time.sleep(3600)
    except ComposeError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
