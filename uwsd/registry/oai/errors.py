"""What OAI-PMH can refuse, each with its code, and all with status 200 (its section 3.6)."""


class OaiError(Exception):
    """A request that is not done; the text says what to do."""

    code = ""
    echoes = True  #: whether the answer repeats the arguments, which are legal as such


class BadVerb(OaiError):
    """The verb is missing, unknown or given twice."""

    code = "badVerb"
    echoes = False


class BadArgument(OaiError):
    """An argument is missing, unknown, given twice or not of its form."""

    code = "badArgument"
    echoes = False


class BadResumptionToken(OaiError):
    """The token is none that this registry has given for this verb."""

    code = "badResumptionToken"


class CannotDisseminateFormat(OaiError):
    """There is no such metadata format."""

    code = "cannotDisseminateFormat"


class IdDoesNotExist(OaiError):
    """There is and was no record of that identifier."""

    code = "idDoesNotExist"


class NoMetadataFormats(OaiError):
    """The record is deleted: it has no metadata in any format."""

    code = "noMetadataFormats"


class NoRecordsMatch(OaiError):
    """The list would be empty, which it may not be."""

    code = "noRecordsMatch"
