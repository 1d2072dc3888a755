"""The HTTP session under the client library: what it lets pass as an answer, this refuses.

The library has no timeout of its own, retries for six seconds, drops warnings and takes any JSON
for an answer. It does take a session, and this is one: an answer that comes out of it is a complete
vector, everything else is a `SourceError` with one of these causes:

========================  ====================================================================
``unreachable``           no connection, TLS refused or its files gone, or it broke
``timeout``               no complete answer in time
``http_<status>``         an answer with another status than 200
``not_json``              another document, as a proxy's log-in page
``status_error``          ``status: error`` in spite of HTTP 200
``warnings``              an answer with warnings or marked partial: something is missing in it
``malformed``             JSON, but no vector of samples
``too_large``             an answer larger than any that the fleet can need
``token``                 the bearer token's file cannot be read or holds no token
========================  ====================================================================
"""

from collections.abc import Iterator
from pathlib import Path
from string import ascii_letters, digits
from typing import Any, Literal

import msgspec
import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, MaxRetryError, ReadTimeoutError

from tuner.errors import SourceError
from tuner.prometheus.access import Access
from tuner.prometheus.deadline import DeadlineAdapter

LARGEST_ANSWER_BYTES = 64 * 2**20
"""Ten quantities of 20,000 containers, uncompressed, are 50 MB."""
LONGEST_EXCERPT = 200
"""Characters of a foreign text that an error repeats."""
_CHUNK_BYTES = 2**18
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError)
_TOKEN_ALPHABET = frozenset(ascii_letters + digits + "-._~+/=")


class Series(msgspec.Struct, frozen=True, gc=False):
    """One series of an answer."""

    metric: dict[str, str]
    value: tuple[float, str]
    """Evaluation time, and the number as Prometheus writes it: ``NaN`` and ``+Inf`` included."""


class _Vector(msgspec.Struct):
    result: list[msgspec.Raw]
    result_type: Literal["vector"] = msgspec.field(name="resultType")


class _Answer(msgspec.Struct):
    """The envelope of the HTTP API; ``infos`` are of no concern."""

    status: str
    data: msgspec.Raw = msgspec.Raw(b"null")
    error_type: str = msgspec.field(name="errorType", default="")
    error: str = ""
    warnings: list[str] | None = None
    partial: bool = msgspec.field(name="isPartial", default=False)
    """Set by a VictoriaMetrics cluster that lost a part of its storage."""


_VECTOR = msgspec.json.Decoder(_Vector)
_SERIES = msgspec.json.Decoder(Series)
_ANSWER = msgspec.json.Decoder(_Answer)


class Vector:
    """The series of a good answer, decoded as they are asked for.

    All at once they take many times the memory of their text.
    """

    def __init__(self, data: msgspec.Raw) -> None:
        self._data = data

    def series(self) -> Iterator[Series]:
        """Decode one after another.

        Raises:
            SourceError: They are no vector of samples; told where the first that is none is met.
        """
        try:
            for each in _VECTOR.decode(self._data).result:
                yield _SERIES.decode(each)
        except _UNDECODABLE as error:
            raise SourceError("malformed", f"no vector: {error}") from error


class VectorResponse(requests.Response):
    """A good answer."""

    def __init__(self, vector: Vector) -> None:
        super().__init__()
        self.status_code = requests.codes.ok
        self._vector = vector

    def json(self, **_: Any) -> dict[str, dict[str, Vector]]:  # noqa: ANN401 - as inherited
        """The answer in the shape of the API, with a `Vector` in the place of the list."""
        return {"data": {"result": self._vector}}


class PrometheusSession(requests.Session):
    """A session whose answers are complete vectors."""

    def __init__(self, access: Access) -> None:
        super().__init__()
        self._timeout_seconds = access.timeout_seconds
        self._adapter = DeadlineAdapter()
        self.auth = _Bearer(access.bearer_token_file)
        self.headers.update(access.headers)
        if access.ca_file is not None:
            self.verify = str(access.ca_file)
        if access.cert_file is not None and access.key_file is not None:
            self.cert = (str(access.cert_file), str(access.key_file))

    def get_adapter(self, url: str | bytes) -> DeadlineAdapter:  # noqa: ARG002 - as inherited
        """The one transport, whatever the library mounts."""
        return self._adapter

    def close(self) -> None:
        """Close the idle connections."""
        self._adapter.close()
        super().close()

    def request(  # type: ignore[override] # the library's subset of the many arguments
        self,
        method: str,
        url: str,
        **options: Any,  # noqa: ANN401 - as inherited
    ) -> VectorResponse:
        """Ask, and decode the answer.

        Raises:
            SourceError: There was no answer that may be believed.
        """
        options |= {
            "timeout": self._timeout_seconds,
            "stream": True,
            # A redirect leads to a log-in page, and there with our token.
            "allow_redirects": False,
        }
        try:
            with super().request(method, url, **options) as response:
                body = _body(response)
        except requests.Timeout as error:
            raise self._late() from error
        except requests.RequestException as error:
            cause = error.args[0] if error.args else error
            if isinstance(cause, ReadTimeoutError):
                raise self._late() from error
            # The whole query stands before the reason in the words of the former.
            reason = cause.reason if isinstance(cause, MaxRetryError) else cause
            raise SourceError("unreachable", _excerpt(f"{reason}")) from error
        except (OSError, HTTPError) as error:
            # Certificates' files are looked for anew on each request; a host may be no name at all.
            raise SourceError("unreachable", _excerpt(f"{error}")) from error
        if response.status_code != requests.codes.ok:
            status = f"HTTP {response.status_code}"
            words = ": ".join(filter(None, [status, _refusal(body)]))
            raise SourceError(f"http_{response.status_code}", words)
        return VectorResponse(_vector(body))

    def _late(self) -> SourceError:
        return SourceError("timeout", f"no complete answer within {self._timeout_seconds:g} s")


class _Bearer(AuthBase):
    """Sets the token, if there is one; being there, it also keeps ``~/.netrc`` out."""

    def __init__(self, token_file: Path | None) -> None:
        self._file = token_file

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._file is not None:
            request.headers["Authorization"] = f"Bearer {_token(self._file)}"
        return request


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError("token", f"bearer token file {path}: {type(error).__name__}") from error
    if not token or not _TOKEN_ALPHABET.issuperset(token):
        raise SourceError("token", f"bearer token file {path} holds no token")
    return token


def _body(response: requests.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        body += chunk
        if len(body) > LARGEST_ANSWER_BYTES:
            raise SourceError("too_large", f"answer of more than {LARGEST_ANSWER_BYTES} bytes")
    return bytes(body)


def _vector(body: bytes) -> Vector:
    try:
        answer = _ANSWER.decode(body)
    except msgspec.ValidationError as error:
        raise SourceError("malformed", f"no answer of Prometheus: {error}") from error
    except _UNDECODABLE as error:
        raise SourceError("not_json", f"no JSON: {_excerpt(body)}") from error
    if answer.status != "success":
        raise SourceError("status_error", _excerpt(f"{answer.error_type}: {answer.error}"))
    if answer.warnings or answer.partial:
        words = "; ".join(answer.warnings or ["marked as partial"])
        raise SourceError("warnings", _excerpt(words))
    return Vector(answer.data)


def _refusal(body: bytes) -> str:
    try:
        answer = _ANSWER.decode(body)
    except _UNDECODABLE:
        return _excerpt(body)
    return _excerpt(f"{answer.error_type}: {answer.error}")


def _excerpt(text: str | bytes) -> str:
    if isinstance(text, bytes):
        text = text[: 4 * LONGEST_EXCERPT].decode(errors="replace")
    words = " ".join(text.split())
    return words if len(words) <= LONGEST_EXCERPT else f"{words[:LONGEST_EXCERPT]}…"
