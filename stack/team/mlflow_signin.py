"""MLflow's sign-in, and what its own permissions leave open: a route that nobody here needs is refused to everybody.

To MLflow, whoever is signed in may make experiments, models, connections to other servers and much else, and then owns
what he made: a permission to read takes none of that away. So what changes something must be one of the requests that
tracking and the registry need, from a user who has the role `pipeline`; others read, and may change their own password.
And nobody but an admin says where an experiment keeps its files, for that may be any folder that the server can write.

Browsers send a kept name and password along with what other sites' pages have them send, and any port of localhost is
good enough to MLflow: here only the origins that the server was started with are.
"""

from __future__ import annotations

import os
import re
from typing import Any

from flask import Response, request
from mlflow.server import auth

from stack.guard import CALLS_OUT, CHANGES, RefusedRequest, read_object
from stack.team.mlflow_users import WRITERS

_READS = {"GET", "HEAD", "OPTIONS"}

_SEARCHES = re.compile(
    r"/graphql|/(?:ajax-)?api/[23]\.0/mlflow/(?:"
    r"(?:experiments|runs|logged-models|traces|datasets|issues)/search|experiments/search-datasets"
    r"|registered-models/get-latest-versions"
    r"|traces/(?:metrics|batchGetInfos|calculate-filter-correlation))"
)
"""What only looks, though its method says that it changes something."""

_OWN = re.compile(r"/(?:ajax-)?api/2\.0/mlflow/users/update-password")
"""MLflow itself sees to it that it is one's own."""

_FILES = re.compile(r"/(?:ajax-)?api/2\.0/mlflow-artifacts/(?:artifacts|mpu/(?:create|complete|abort))/.+")


def authenticate() -> Any:
    """Who asks, as MLflow's own sign-in finds; or the answer that refuses.

    MLflow calls it with Flask's request at hand, for each request but those that are open to everybody.
    """
    known = auth.authenticate_request_basic_auth()
    if isinstance(known, Response):
        return known
    if any(part in request.path for part in CALLS_OUT) or (request.method not in _READS and _from_elsewhere()):
        return auth.make_forbidden_response()
    if request.method in _READS or _SEARCHES.fullmatch(request.path) or _OWN.fullmatch(request.path):
        return known
    user = auth.store.get_user(known.username)
    if user.is_admin:
        return known
    wanted = _FILES.fullmatch(request.path) or (CHANGES.fullmatch(request.path) and not _names_a_place())
    if wanted and WRITERS & {role.name for role in auth.store.list_user_roles(user.id)}:
        return known
    return auth.make_forbidden_response()


def _from_elsewhere() -> bool:
    origin = request.headers.get("Origin")
    return origin is not None and origin not in os.environ.get("MLFLOW_SERVER_CORS_ALLOWED_ORIGINS", "").split(",")


def _names_a_place() -> bool:
    """Whether the request says where an experiment is to keep its files, or may be read as saying so."""
    if not request.path.endswith("/experiments/create"):
        return False
    try:
        body = read_object(request.get_data())
    except RefusedRequest:
        return True
    # A protobuf field goes by two spellings, artifact_location and artifactLocation.
    return any(value for name, value in body.items() if name.replace("_", "").lower() == "artifactlocation")
