"""MLflow's users: the pipeline, which makes experiments and models and may change those, and people, who look."""

from __future__ import annotations

import os

ROLES = {
    "pipeline": ("EDIT", "Makes experiments and models, and may change them"),
    # Give it to each person who reviews (docs/operations.md says how).
    "reviewer": ("READ", "May read every experiment and model"),
}
"""Role to what it may do with every experiment and registered model; the first user of each has its name."""

WRITERS = {"pipeline"}
"""Roles whose users change anything at all: stack/team/mlflow_signin.py."""

_KINDS = ("experiment", "registered_model")


def prepare(url: str, admin_password: str, *, pipeline: str, reviewer: str) -> list[str]:
    """Make the users and the role that are missing; returns the names of users that were made.

    Args:
        url: Of the MLflow server.
        admin_password: Of its user `admin`.
        pipeline: The password of the user `pipeline`.
        reviewer: The password of the user `reviewer`.

    Raises:
        MlflowException: MLflow does not answer, or refuses.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.server.auth.client import AuthServiceClient

    os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = "admin", admin_password
    admin = AuthServiceClient(url)
    made = []
    known = {role.name: role for role in admin.list_roles("default")}
    for name, password in (("pipeline", pipeline), ("reviewer", reviewer)):
        try:
            admin.get_user(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            admin.create_user(name, password)
            made.append(name)
        permission, described = ROLES[name]
        role = known.get(name) or admin.create_role("default", name, described)
        given = {(each.resource_type, each.resource_pattern) for each in admin.list_role_permissions(role.id)}
        for kind in _KINDS:
            if (kind, "*") not in given:
                admin.add_role_permission(role.id, kind, "*", permission)
        if role.id not in [each.id for each in admin.list_user_roles(name)]:
            admin.assign_role(name, role.id)
    return made
