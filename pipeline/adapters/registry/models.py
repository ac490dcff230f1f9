"""A skops file as a model of MLflow's own kind. Part of the registry adapter."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from pipeline.core.errors import RefusedError

MODEL_FILE = "model.skops"
"""Where MLflow's scikit-learn flavour looks for the estimator."""


def pack(folder: Path, data: bytes, described: Any, example: Any, trusted: Collection[str]) -> None:
    """Make a model of MLflow's own kind from a skops file, whose bytes are kept exactly as they are.

    Args:
        folder: Where to; must not exist yet.
        data: The skops file.
        described: MLflow's ``Model`` to complete.
        example: A pandas frame of inputs, or None.
        trusted: Types the file may hold beyond those skops trusts by itself.

    Raises:
        RefusedError: The file holds a type that is not trusted; nothing of it was loaded.
    """
    import mlflow.sklearn
    import skops.io
    from mlflow.models import infer_signature

    foreign = skops.io.get_untrusted_types(data=data)
    unknown = sorted(set(foreign) - set(trusted))
    if unknown:
        raise RefusedError(
            f"the model file holds types that are not on the allow-list: {', '.join(unknown[:10])}; build the "
            f"recipe from listed types, or add these to the allow-list in code after reading what they do",
            "UNTRUSTED",
        )
    estimator = skops.io.loads(data, trusted=list(foreign))
    # A person who loads the model as a function gets what this package scores: the probability, where there is one.
    answer = "predict_proba" if hasattr(estimator, "predict_proba") else "predict"
    signature = None
    if example is not None:
        signature = infer_signature(example, getattr(estimator, answer)(example))
    mlflow.sklearn.save_model(
        estimator,
        str(folder),
        mlflow_model=described,
        serialization_format="skops",
        skops_trusted_types=list(foreign),
        # Given, because MLflow would otherwise find them out in subprocesses.
        pip_requirements=[f"{name}=={installed(name)}" for name in ("scikit-learn", "skops", "numpy", "pandas")],
        pyfunc_predict_fn=answer,
        signature=signature,
        input_example=None if example is None else example.head(3),
    )
    (folder / MODEL_FILE).write_bytes(data)  # a second dump has other time stamps, hence another digest
