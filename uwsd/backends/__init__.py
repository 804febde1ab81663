"""Where jobs run: one module a backend. Nothing here knows of UWS."""
