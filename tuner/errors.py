"""One error tree: what can go wrong outside the pure core, and what a caller may do about it."""


class GcTunerError(Exception):
    """Root of every error that gc-tuner raises on purpose."""


class ConfigError(GcTunerError):
    """The configuration cannot be used.

    The message is one line that says what is wrong, where, and what would be right.
    """


class SourceError(GcTunerError):
    """The metrics source gave no answer that may be believed.

    Attributes:
        cause: A short stable word for logs and metric labels, such as ``timeout``.
    """

    def __init__(self, cause: str, message: str) -> None:
        """Keep the cause apart from the words."""
        super().__init__(message)
        self.cause = cause


class ClusterError(GcTunerError):
    """The Kubernetes API refused a request or could not be reached."""


class ConflictError(ClusterError):
    """The object changed since it was read (409): read it again before deciding anew."""


class GoneError(ClusterError):
    """The object no longer exists (404)."""


class RefusedError(ClusterError):
    """The API server refused the request for good (4xx other than 404, 409 and 429)."""


class NotLeadingError(ClusterError):
    """Another replica leads, or may lead: nothing was written."""


class UnavailableError(ClusterError):
    """The API server could not be reached, timed out or answered 429 or 5xx."""
