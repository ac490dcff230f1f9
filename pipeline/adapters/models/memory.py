"""How much memory a model needs: each is loaded and asked in a process of its own, and the kernel says its peak.

One fresh process loads the libraries, on one thread, and forks once for each model, as a server with workers does.
What is read is the fork's peak resident set: its model, its answers, and as much of the libraries as it touches. All of
them end with the process that asked, however it ends.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, BinaryIO

log = logging.getLogger(__name__)

#: How long all models together may take, in seconds, libraries included.
PATIENCE = 120.0
#: What most models need, loaded once and not once a fork.
_LIBRARIES = ("skops.io", "sklearn.compose", "sklearn.ensemble", "sklearn.linear_model", "sklearn.pipeline")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def weighed(models: Sequence[bytes], inputs: Any) -> list[float]:
    """Peak resident bytes for each model's file; NaN where it could not be loaded or asked, or not in time.

    Args:
        models: Bytes of skops files, whose digests were found right.
        inputs: The pandas frame that each is asked about.
    """
    import pyarrow as pa

    frame = io.BytesIO()
    rows = pa.Table.from_pandas(inputs)
    with pa.ipc.new_stream(frame, rows.schema) as out:
        out.write_table(rows)
    parts = (frame.getvalue(), *models)
    framed_parts = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    # Nothing of our own environment goes along: there may be secrets in it.
    surroundings = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **dict.fromkeys(_THREADS, "1")}
    command = [sys.executable, "-m", "pipeline.adapters.models.memory", str(os.getpid())]
    try:
        done = subprocess.run(
            command, input=framed_parts, capture_output=True, timeout=PATIENCE, env=surroundings, check=True
        )
        peaks = [math.nan if peak is None else float(peak) for peak in json.loads(done.stdout)]
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        stderr = getattr(error, "stderr", b"") or b""
        log.warning("the models' memory can't be measured: %s %s", error, stderr.decode(errors="replace")[-500:])
        return [math.nan] * len(models)
    return peaks if len(peaks) == len(models) else [math.nan] * len(models)


def _end_with(parent: int) -> None:
    """Ask the kernel to end this process when its parent ends; end now where it has ended already."""
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)  # 1: PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


def _parts(stream: BinaryIO) -> list[bytes]:
    parts = []
    while size := stream.read(8):
        parts.append(stream.read(int.from_bytes(size, "big")))
    return parts


def _ask(data: bytes, inputs: Any) -> None:
    from pipeline.adapters.models.opening import opened

    model = opened(data, "a model")
    # A champion may have been fitted on other inputs than are declared by now.
    names = getattr(model, "feature_names_in_", None)
    if names is not None and {*names} < {*inputs.columns}:
        inputs = inputs[list(names)]
    (getattr(model, "predict_proba", None) or model.predict)(inputs)


def _peak(data: bytes, inputs: Any) -> float | None:
    """Peak resident bytes of a fork that loads and asks the model; None where it fails."""
    me = os.getpid()
    child = os.fork()
    if not child:
        status = 1
        try:
            _end_with(me)
            _ask(data, inputs)
            status = 0
        except BaseException:
            logging.exception("a model can't be asked")
        finally:
            os._exit(status)
    _, status, usage = os.wait4(child, 0)
    return 1024.0 * usage.ru_maxrss if status == 0 else None


def _main() -> None:
    _end_with(int(sys.argv[1]))
    import pyarrow as pa

    for library in _LIBRARIES:
        importlib.import_module(library)
    frame, *models = _parts(sys.stdin.buffer)
    inputs = pa.ipc.open_stream(frame).read_all().to_pandas()
    print(json.dumps([_peak(data, inputs) for data in models]))


if __name__ == "__main__":
    _main()
