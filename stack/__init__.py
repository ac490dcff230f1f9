"""The embedded stack: one person's Airflow and MLflow on loopback, as supervised processes, without Docker."""

from stack.embedded import Stack
from stack.errors import StackError
from stack.settings import Settings

__all__ = ["Settings", "Stack", "StackError"]
