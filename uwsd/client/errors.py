"""How a client's wish can fail, each with the exit status that its command ends with."""

from typing import ClassVar


class ClientError(Exception):
    """What was asked for is not done; the text says why."""

    exit_code: ClassVar[int] = 1


class JobFailed(ClientError):
    """The job ended in ERROR."""


class LocalFile(ClientError):
    """A file on this side stands in the way."""

    exit_code = 2


class JobAborted(ClientError):
    """The job was stopped or put away: ABORTED or ARCHIVED."""

    exit_code = 3


class Refused(ClientError):
    """The server understood and said no, or has no such thing."""

    exit_code = 4


class Unreachable(ClientError):
    """The server cannot be reached, or cannot answer now."""

    exit_code = 5


class NotUws(ClientError):
    """What answers is not a UWS server, or breaks its word."""

    exit_code = 5


class NotARegistry(ClientError):
    """What answers is not a registry, or breaks its word."""

    exit_code = 5


class Interrupted(ClientError):
    """The user stopped waiting (Ctrl-C); the job goes on."""

    exit_code = 130
