"""The way to the API server: one connection pool, raw bytes, timeouts everywhere, typed errors.

The Kubernetes library supplies what is easily got wrong: kubeconfig, TLS, tokens that are renewed.
Its typed models stay out of it, because they are slow and refuse what they do not know. Its classes
are imported when a connection is made, so that the command line starts without them.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import msgspec

from tuner.cluster.throttle import Throttle
from tuner.errors import (
    ClusterError,
    ConfigError,
    ConflictError,
    GoneError,
    RefusedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from kubernetes.client.api_client import ApiClient
    from kubernetes.client.configuration import Configuration
    from urllib3 import BaseHTTPResponse

JSON = "application/json"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"

_CONNECTIONS = 10
_MESSAGE_LENGTH = 400

T = TypeVar("T")

Fence: TypeAlias = "Callable[[str], AbstractContextManager[None]]"
"""Asked with the namespace right before a write leaves, for a context that lasts until its answer;
entering it raises NotLeadingError where nothing may be written."""


class ExpiredError(UnavailableError):
    """A resource version or page that the API server no longer has (410): list anew.

    It does not leave this package.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAccess:
    """Which cluster, and how to get in."""

    kubeconfig: Path | None = None
    """None: the pod's service account, else ``$KUBECONFIG``, else ``~/.kube/config``."""
    context: str | None = None
    """Context of the kubeconfig; None: its current one."""
    timeout_seconds: float = 10.0
    """Longest time to connect, and again to wait for the next bytes of an answer."""
    requests_per_second: float = math.inf
    """Mean rate that is not exceeded, watches aside."""
    burst: int = 1
    """Requests that may leave at once after a pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request of the API server."""

    verb: str
    """For people: get, list, watch, create, update, patch, delete."""
    what: str
    """For people: ``deployment shop/web``."""
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    content_type: str = JSON

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.verb in _METHODS

    @property
    def namespace(self) -> str:
        """Of the object or collection; empty for all of them."""
        _, _, below = self.path.partition("/namespaces/")
        return below.partition("/")[0]

    @property
    def method(self) -> str:
        """The HTTP method that Kubernetes has for the verb."""
        return _METHODS.get(self.verb, "GET")

    def __str__(self) -> str:
        return f"{self.verb} {self.what}"


_METHODS = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}


class _Status(msgspec.Struct):
    """What the API server says when it refuses."""

    message: str = ""
    reason: str = ""
    code: int = 0


_STATUS = msgspec.json.Decoder(_Status)


class Api:
    """Asks the API server. Safe to use from several threads."""

    def __init__(
        self, client: ApiClient, access: ClusterAccess, fence: Fence | None = None
    ) -> None:
        """Take a client that is configured; ``connect`` makes one."""
        self._client = client
        self._timeout_seconds = access.timeout_seconds
        self._fence = fence
        self._throttle = Throttle(
            access.requests_per_second, access.burst, clock=time.monotonic, sleep=time.sleep
        )

    @property
    def timeout_seconds(self) -> float:
        """Longest wait for the next bytes of an answer."""
        return self._timeout_seconds

    def ask(self, request: Request, timeout_seconds: float | None = None) -> bytes:
        """The body of the answer.

        Args:
            request: What to ask.
            timeout_seconds: Longest time to connect, and again to wait for the next bytes; None:
                that of the connection.

        Raises:
            NotLeadingError: It would write, and the fence is closed: it was not sent.
            ConflictError: 409.
            GoneError: 404.
            RefusedError: Any other 4xx but 410 and 429.
            UnavailableError: 429, 5xx, no answer or half of one.
        """
        self._throttle.wait()
        seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        with (
            self._fenced(request),
            _typed_errors(request),
            self._open(request, seconds, seconds) as response,
        ):
            return bytes(response.data)

    def _fenced(self, request: Request) -> AbstractContextManager[None]:
        if self._fence is None or not request.writes:
            return nullcontext()
        return self._fence(request.namespace)

    @contextmanager
    def stream(self, request: Request, silence_seconds: float) -> Iterator[BaseHTTPResponse]:
        """An answer whose body is read while it comes in; errors inside the context are typed too.

        Args:
            request: What to ask.
            silence_seconds: Longest wait for the next bytes; a half-open connection ends here.

        Raises:
            ClusterError: As of ``ask``.
        """
        with (
            _typed_errors(request),
            self._open(request, self._timeout_seconds, silence_seconds) as response,
        ):
            try:
                yield response
            finally:
                # What is left of the body must not be taken for the next answer.
                response.close()

    @contextmanager
    def _open(
        self, request: Request, connect_seconds: float, read_seconds: float
    ) -> Iterator[BaseHTTPResponse]:
        parameters = self._client.param_serialize(
            method=request.method,
            resource_path=request.path,
            query_params=list(request.query.items()),
            header_params={"Accept": JSON, "Content-Type": request.content_type},
            body=None if request.body is None else dict(request.body),
            auth_settings=["BearerToken"],
        )
        answer = self._client.call_api(
            *parameters, _request_timeout=(connect_seconds, read_seconds)
        )
        response: BaseHTTPResponse = answer.response
        try:
            if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                raise refusal(request, response.status, bytes(response.data))
            yield response
        finally:
            response.release_conn()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()  # type: ignore[no-untyped-call] # the library's


def connect(access: ClusterAccess, fence: Fence | None = None) -> Api:
    """A client of the cluster; nothing is asked of it yet.

    Args:
        access: Which cluster, and how to get in.
        fence: Asked before every write; None: nothing holds them off.

    Raises:
        ConfigError: There is no usable kubeconfig or service account.
    """
    from kubernetes.client.api_client import ApiClient  # noqa: PLC0415 - costs .2 s

    configuration = _configuration(access)
    # What failed is tried again by the next tick or by the reflector, which know what it was for.
    configuration.retries = False
    configuration.connection_pool_maxsize = _CONNECTIONS
    configuration.keep_alive = True
    client = ApiClient(configuration)
    client.user_agent = "gc-tuner"
    return Api(client, access, fence)


def _configuration(access: ClusterAccess) -> Configuration:
    import yaml  # noqa: PLC0415 - with the kubernetes classes
    from kubernetes.client.configuration import Configuration  # noqa: PLC0415 - costs .2 s
    from kubernetes.config import ConfigException, kube_config  # noqa: PLC0415 - as above
    from kubernetes.config import incluster_config as pod  # noqa: PLC0415 - as above

    configuration = Configuration()
    if access.kubeconfig is None and access.context is None:
        try:
            pod.load_incluster_config(configuration)  # type: ignore[no-untyped-call] # as below
        except (ConfigException, OSError) as error:
            not_in_pod = str(error)
        else:
            return configuration
    else:
        not_in_pod = ""
    where = str(access.kubeconfig or kube_config.KUBE_CONFIG_DEFAULT_LOCATION)
    try:
        if access.kubeconfig is not None and not access.kubeconfig.exists():
            raise ConfigException("there is no such file")
        kube_config.load_kube_config(  # type: ignore[no-untyped-call] # the library's
            config_file=where,
            context=access.context,
            client_configuration=configuration,
            persist_config=False,
        )
    except (
        *(ConfigException, OSError, yaml.YAMLError),
        *(AttributeError, KeyError, TypeError, ValueError),  # what a malformed file makes of it
    ) as error:
        words = f"kubernetes.kubeconfig: {where} cannot be used: {_one_line(str(error))}"
        if not_in_pod:
            words += f" (and not in a pod: {_one_line(not_in_pod)})"
        raise ConfigError(f"{words}: name one with --kubeconfig") from error
    return configuration


def decoded(request: Request, answer: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """An answer as a value.

    Raises:
        UnavailableError: It is not what an API server answers; something else stands between.
    """
    try:
        return decoder.decode(answer)
    except msgspec.DecodeError as error:
        raise UnavailableError(f"{request}: the answer cannot be read: {error}") from error


@contextmanager
def _typed_errors(request: Request) -> Iterator[None]:
    """Turn whatever the libraries raise into the one error tree."""
    from kubernetes.client.exceptions import OpenApiException  # noqa: PLC0415 - see the module
    from kubernetes.config import ConfigException  # noqa: PLC0415 - as above
    from urllib3.exceptions import (  # noqa: PLC0415 - as above
        HTTPError,
        NewConnectionError,
        TimeoutError,  # noqa: A004 - as above
    )

    try:
        yield
    except NewConnectionError as error:  # a timeout to urllib3, also where nobody listens
        raise UnavailableError(f"{request}: no connection: {_one_line(str(error))}") from error
    except TimeoutError as error:
        raise UnavailableError(f"{request}: no answer in time: {_one_line(str(error))}") from error
    except (HTTPError, OpenApiException, ConfigException, OSError) as error:
        raise UnavailableError(f"{request}: {_one_line(str(error))}") from error


def refusal(request: Request, status: int, body: bytes) -> ClusterError:
    """The error for an answer that is not a success.

    Args:
        request: What was asked.
        status: HTTP status, or the code of an ERROR event in a watch.
        body: A Status object, or what a proxy answered in its place.
    """
    try:
        said = _STATUS.decode(body).message
    except msgspec.DecodeError:
        said = body.decode(errors="replace")
    words = f"{request}: {status} {_phrase(status)}: {_one_line(said)}"
    match status:
        case HTTPStatus.CONFLICT:
            return ConflictError(words)
        case HTTPStatus.NOT_FOUND:
            return GoneError(words)
        case HTTPStatus.GONE:
            return ExpiredError(words)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return UnavailableError(words)
        case _ if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return RefusedError(words)
        case _:
            return UnavailableError(words)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"


def _one_line(text: str) -> str:
    line = " ".join(text.split()) or "no further words"
    return line if len(line) <= _MESSAGE_LENGTH else line[: _MESSAGE_LENGTH - 1] + "…"
