"""MLflow's errors in our words, and which of them are worth another try. Part of the registry adapter."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TypeVar

from pipeline.core.errors import PipelineError, UnavailableError, UsageError

T = TypeVar("T")

_ATTEMPTS, _PATIENCE = 3, 20.0


def attempt(uri: str, pause: float, what: str, action: Callable[[], T]) -> T:
    """Carry out an action that may be repeated as a whole; every error becomes one of ours.

    Args:
        uri: Where MLflow is, for the sentence.
        pause: Seconds before the second attempt; twice as long before the third.
        what: What the action does, as the end of "could not …".
        action: Finds what it has done before, and goes on from there.
    """
    from mlflow.exceptions import MlflowException

    foreign: tuple[type[Exception], ...] = (MlflowException, OSError)
    if not uri.startswith("http"):
        from sqlalchemy.exc import SQLAlchemyError

        foreign = (*foreign, SQLAlchemyError)
    began = time.monotonic()
    tried = 1
    while True:
        try:
            return action()
        except foreign as error:
            ours = translate(uri, what, error)
            last = tried == _ATTEMPTS or time.monotonic() - began > _PATIENCE
            if last or not ours.retry:
                raise ours from error
        time.sleep(pause * tried)
        tried += 1


def translate(uri: str, what: str, error: Exception) -> PipelineError:
    """An error of ours for one of MLflow's, in one sentence; ``retry`` says whether to try again."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    uri, whole = (re.sub(r"//[^/@\s]*@", "//", words) for words in (uri, " ".join(str(error).split())))  # no password
    text = cut(whole, 300)
    code = error.error_code if isinstance(error, MlflowException) else ""
    lost = text.startswith("API request to ") and " failed with " in text
    if lost or isinstance(error, RequestException) or code in {"DEADLINE_EXCEEDED", "REQUEST_LIMIT_EXCEEDED"}:
        return UnavailableError(
            f"MLflow at {uri} does not answer, so I could not {what}; start it, or correct "
            f"MLFLOW_TRACKING_URI, and try again: nothing is lost ({_why(whole)})"
        )
    if code in {"TEMPORARILY_UNAVAILABLE", "RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"}:
        return UnavailableError(f"MLflow at {uri} is busy, so I could not {what}; try again ({text})", "BUSY")
    if code in {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}:
        return UsageError(f"could not {what}: MLflow at {uri} knows no such thing ({text})", "MISSING")
    if code in {"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"}:
        return UsageError(
            f"could not {what}: MLflow at {uri} wants another user; set MLFLOW_TRACKING_USERNAME and "
            f"MLFLOW_TRACKING_PASSWORD ({text})",
            "DENIED",
        )
    if isinstance(error, OSError):
        return UnavailableError(
            f"could not {what}: MLflow's artifacts cannot be read or written ({text}); make room or give access, "
            f"and try again",
            "STORAGE",
        )
    return PipelineError(f"could not {what}: MLflow at {uri} says: {text}", "REGISTRY")


def cut(text: str, limit: int) -> str:
    """The text, or as much of it as fits and an ellipsis."""
    return text if len(text) <= limit else text[: limit - 2] + " …"


def _why(text: str) -> str:
    """What went wrong with a request, without the layers it was wrapped in."""
    for sign, meaning in (
        ("Connection refused", "connection refused"),
        ("timed out", "no answer within 10 seconds"),
        ("timeout", "no answer within 10 seconds"),
        ("Name or service not known", "no such host"),
        ("too many", "it answers with server errors"),
        ("Remote end closed", "it hung up without an answer"),
        ("Connection aborted", "it hung up without an answer"),
    ):
        if sign in text:
            return meaning
    return cut(text, 300)
