"""A client for any UWS server, uwsd or not. Imports nothing of uwsd's own server but values."""
