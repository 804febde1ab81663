"""uwsd: an IVOA job service in front of any compute platform."""

__version__ = "0.1.0"
