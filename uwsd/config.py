"""Everything that can be configured, and how it becomes checked settings.

The help text of each option is its description here, or in the model of the service or of the
backend that it belongs to; `docs/configuration.md` and ``uwsd check`` show the same words.
"""
