"""Who may do what in Airflow: its FAB sign-in, and approvers by the name that a use case declares."""

from __future__ import annotations

from typing import Any

from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager


class TeamAuthManager(FabAuthManager):  # type: ignore[misc]
    """FAB's, but a task that waits for `approver` waits for the user of that name: FAB itself asks for a number."""

    def is_authorized_hitl_task(self, *, assigned_users: set[str], user: Any) -> bool:
        """Whether this user is among those whom the use case names as approvers."""
        return user.get_name() in assigned_users
