"""The team's roles in Airflow: who may look, trigger, approve, administer."""

from __future__ import annotations

from typing import Any

from airflow.providers.fab.auth_manager.security_manager.override import FabAirflowSecurityManagerOverride as Fab
from airflow.providers.fab.www.security import permissions as may

OPERATOR = (
    # Whoever starts a run must be allowed to change the DAG it belongs to: Airflow asks for both.
    (may.ACTION_CAN_EDIT, may.RESOURCE_DAG),
    (may.ACTION_CAN_CREATE, may.RESOURCE_DAG_RUN),
    (may.ACTION_CAN_EDIT, may.RESOURCE_DAG_RUN),
    (may.ACTION_CAN_EDIT, may.RESOURCE_TASK_INSTANCE),
    (may.ACTION_CAN_CREATE, may.RESOURCE_BACKFILL),
    (may.ACTION_CAN_EDIT, may.RESOURCE_BACKFILL),
)
APPROVER = (
    (may.ACTION_CAN_EDIT, may.RESOURCE_DAG),
    (may.ACTION_CAN_EDIT, may.RESOURCE_HITL_DETAIL),
    (may.ACTION_CAN_ACCESS_MENU, may.RESOURCE_HITL_DETAIL),
)
ROLES: tuple[dict[str, Any], ...] = (
    {"role": "Operator", "perms": [*Fab.VIEWER_PERMISSIONS, *OPERATOR]},
    {"role": "Approver", "perms": [*Fab.VIEWER_PERMISSIONS, *APPROVER]},
)
"""Beside Airflow's own Viewer and Admin."""

USERS = {"admin": "Admin", "operator": "Operator", "approver": "Approver", "viewer": "Viewer"}
"""The first users, and the role each has; their passwords come from `.env`.

One more goes into tools/passwords.py, backup_databases.py, and airflow-init and restore-files of the compose file, too.
"""
