"""A place on S3-compatible storage: few calls, each with an end, each fault one sentence.

Nothing is ever overwritten here: what is written is written on the condition that nothing has that name yet. Storage
that ignores the condition would let one of two writers undo the other's work in silence, so it is found out before the
first write, and refused.
"""

from __future__ import annotations

import re
import threading
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from pipeline.adapters.s3.address import Address
from pipeline.core.errors import PipelineError, UnavailableError, UsageError

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_CONNECT_SECONDS, _ANSWER_SECONDS, _ATTEMPTS = 5, 15, 3
#: Always the same few bytes, so that it does not matter who wrote them.
_PROBE = ".conditional-put"
_MAKING = threading.Lock()
_DENIED = {
    "AccessDenied",
    "AllAccessDisabled",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "Unauthorized",
    "401",
    "403",
}
_ABSENT = {"NoSuchKey", "InvalidRange", "404", "416"}
#: Words of the table library for a way to the storage that is not there.
_ON_THE_WAY = re.compile(r"Generic S3 error|HTTP error|timed out|error sending request")
_ELSEWHERE = {"AuthorizationHeaderMalformed", "PermanentRedirect", "301"}


@cache
def _session() -> Any:
    """What it reads of its own files to make a client takes longer than all else, and is the same for every client."""
    import botocore.session

    return botocore.session.Session()


class Bucket:
    """The objects below one address. Threads may share it."""

    def __init__(self, address: Address) -> None:
        """Connect to nothing yet."""
        self.address = address
        self._looking = threading.Lock()
        self._heeds = False

    def get(self, name: str) -> bytes | None:
        """The bytes; None if there are none of that name."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client.get_object(Bucket=self.address.bucket, Key=self.address.prefix + name)
            data: bytes = answer["Body"].read()
        except ClientError as error:
            if error.response["Error"].get("Code") == "NoSuchKey":
                return None
            raise self._translated(error) from error
        except BotoCoreError as error:
            raise self._silent(type(error).__name__) from error
        return data

    def create(self, name: str, data: bytes) -> bool:
        """Write once, whole; False if the name is taken, and then nothing is changed.

        Raises:
            UnavailableError: With code ``STORAGE`` if it could not be written.
            UsageError: If the storage does not keep two writers apart.
        """
        self.demand_conditions()
        return self._create(name, data)

    def names(self, start: str, after: str = "", most: int | None = None) -> list[str]:
        """The names that begin with ``start``, in order, at most so many, from the first one beyond ``after`` on."""
        from botocore.exceptions import BotoCoreError, ClientError

        cut = len(self.address.prefix)
        names: list[str] = []
        request: dict[str, Any] = {"Bucket": self.address.bucket, "Prefix": self.address.prefix + start}
        request |= {"StartAfter": self.address.prefix + after} if after else {}
        request |= {"MaxKeys": most} if most else {}
        try:
            while True:
                answer = self._client.list_objects_v2(**request)
                names += [entry["Key"][cut:] for entry in answer.get("Contents", ())]
                if not answer.get("IsTruncated") or (most and len(names) >= most):
                    return names
                request["ContinuationToken"] = answer["NextContinuationToken"]
        except ClientError as error:
            raise self._translated(error) from error
        except BotoCoreError as error:
            raise self._silent(type(error).__name__) from error

    def check(self) -> None:
        """Ask for something, so that storage that is not there is told in a sentence."""
        self.names(_PROBE, most=1)

    def demand_conditions(self) -> None:
        """See that the storage writes no second object of one name, once; costs one small request.

        Raises:
            UsageError: It does, whatever is asked: two writers of one table would lose days.
        """
        with self._looking:
            # Mostly it is there from an earlier process, and the first try says all. A second one that succeeds, too,
            # has overwritten the first.
            if self._heeds or not self._create(_PROBE, b"once") or not self._create(_PROBE, b"once"):
                self._heeds = True
                return
        raise UsageError(
            f"{self.address.endpoint} overwrites what is there although it is asked not to (it ignores If-None-Match), "
            f"so of two writers of a table one would lose its day; nothing but a probe was written: use storage with "
            f"conditional writes, or name a folder in PIPELINE_STORE",
            "CONDITIONS",
        )

    def options(self) -> dict[str, str]:
        """The same place for the table library, with the same ends.

        The names are those of the environment: what is said under another name, a variable would overrule.
        """
        address = self.address
        return {
            "AWS_ENDPOINT_URL": address.endpoint,
            "AWS_ENDPOINT_URL_S3": address.endpoint,
            "AWS_ALLOW_HTTP": str(address.endpoint.startswith("http://")).lower(),
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
            "AWS_SKIP_SIGNATURE": "false",
            "AWS_ACCESS_KEY_ID": address.key,
            "AWS_SECRET_ACCESS_KEY": address.secret,
            **({"AWS_SESSION_TOKEN": address.token} if address.token else {}),
            "AWS_REGION": address.region,
            "AWS_CONDITIONAL_PUT": "etag",
            "connect_timeout": f"{1000 * _CONNECT_SECONDS:.0f}ms",
            "timeout": f"{1000 * _ANSWER_SECONDS:.0f}ms",
            "max_retries": str(_ATTEMPTS - 1),
            "retry_timeout": f"{1000 * _ATTEMPTS * _ANSWER_SECONDS:.0f}ms",
        }

    def fault_in(self, text: str) -> PipelineError | None:
        """What a text of the table library's says of the storage; None if it says nothing of it.

        Its errors have no types: the storage's answer stands in them as it came.
        """
        match = re.search(r"<Code>(\w+)</Code>", text) or re.search(r"status code\W+(?:\[\d*m\W*)*(\d{3})\b", text)
        if match and match[1] not in _ABSENT:
            return self._answered(match[1], "Table")
        if not match and _ON_THE_WAY.search(text):
            return self._silent("no answer")
        return None

    def hide(self, text: str) -> str:
        """A text of the library's as it may be shown."""
        for secret in (self.address.secret, self.address.token, self.address.key):
            text = text.replace(secret, "…") if secret else text
        return text

    @cached_property
    def _client(self) -> Any:
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        address = self.address
        config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_ANSWER_SECONDS,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            max_pool_connections=16,
            # The signature covers the content, so the storage itself refuses bytes that changed on the way; newer sums
            # are not understood everywhere.
            s3={"addressing_style": "path", "payload_signing_enabled": True},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        try:
            with _MAKING:
                return _session().create_client(
                    "s3",
                    region_name=address.region,
                    endpoint_url=address.endpoint,
                    aws_access_key_id=address.key,
                    aws_secret_access_key=address.secret,
                    aws_session_token=address.token or None,
                    config=config,
                )
        except (BotoCoreError, ValueError) as error:
            raise UsageError(
                f"the settings of {address} are none ({type(error).__name__}); correct the variables that begin with "
                f"AWS_"
            ) from error

    def _create(self, name: str, data: bytes) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        key = self.address.prefix + name
        for attempt in range(_ATTEMPTS):
            try:
                self._client.put_object(Bucket=self.address.bucket, Key=key, Body=data, IfNoneMatch="*")
            except ClientError as error:
                code = error.response["Error"].get("Code")
                if code in ("PreconditionFailed", "412"):
                    return False
                # Another writer of the name is at it in this moment; whether it succeeds is not known yet.
                if code != "ConditionalRequestConflict" or attempt == _ATTEMPTS - 1:
                    raise self._translated(error) from error
            except BotoCoreError as error:
                raise self._silent(type(error).__name__) from error
            else:
                return True
        raise AssertionError("the last attempt returns or raises")

    def _translated(self, error: ClientError) -> PipelineError:
        return self._answered(str(error.response["Error"].get("Code", "")), error.operation_name)

    def _answered(self, code: str, operation: str) -> PipelineError:
        """What the storage answered. Its own words are not repeated: they name keys."""
        address = self.address
        if code == "NoSuchBucket":
            return UsageError(
                f"there is no bucket '{address.bucket}' at {address.endpoint}; make it, or correct PIPELINE_STORE",
                "STORAGE",
            )
        if code == "RequestTimeTooSkewed":
            return UnavailableError(
                f"{address.endpoint} says that this machine's clock is wrong; set it, and try again", "STORAGE"
            )
        if code in _DENIED:
            return UsageError(
                f"{address.endpoint} does not let this key read and write {address} ({code}); correct "
                f"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give it access to that place",
                "DENIED",
            )
        if code in _ELSEWHERE:
            return UsageError(
                f"the bucket '{address.bucket}' is not in the region {address.region} ({code}); correct AWS_REGION",
                "STORAGE",
            )
        if code == "NotImplemented":
            return UsageError(
                f"{address.endpoint} can't do what is asked of it ({operation}: {code}); use storage with "
                f"conditional writes, or name a folder in PIPELINE_STORE",
                "CONDITIONS",
            )
        return UnavailableError(
            f"{address.endpoint} could not do what was asked of it ({operation}: {code or 'no reason'}); "
            f"see that it is well and has room, and try again",
            "STORAGE",
        )

    def _silent(self, why: str) -> UnavailableError:
        return UnavailableError(
            f"{self.address.endpoint} does not answer ({why}); see that it runs, or correct "
            f"AWS_ENDPOINT_URL, and try again",
            "STORAGE",
        )
