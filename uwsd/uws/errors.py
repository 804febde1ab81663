"""What a UWS can refuse, each with its status (UWS 1.1 section 2.2)."""


class UwsError(Exception):
    """Something the client asked for that is not done; the text says what to do."""

    status = 500


class BadRequest(UwsError):
    """The message itself is wrong: its syntax, its encoding, a value."""

    status = 400


class Unauthorized(UwsError):
    """Nobody knows who asks, and it matters (DALI 1.2 section 5.2)."""

    status = 401


class Forbidden(UwsError):
    """The message is right, but state, policy or ownership do not allow it."""

    status = 403


class WrongPhase(Forbidden):
    """The job's phase does not allow it (2.2: 403)."""


class NotFound(UwsError):
    """There is no such thing (2.2: 404)."""

    status = 404


class TooLarge(UwsError):
    """The body, or a part of it, is larger than the service takes."""

    status = 413


class UnsupportedMedia(UwsError):
    """The body is of a kind that the service does not read."""

    status = 415


class Unavailable(UwsError):
    """It cannot be done at this moment, through no fault of the client's."""

    status = 503

    def __init__(self, message: str, *, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after  #: seconds after which it may be different
