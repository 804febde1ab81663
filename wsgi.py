"""For a WSGI server of your own choice: ``gunicorn -c python:uwsd.webserver wsgi:app``."""

from uwsd.wsgi import app

__all__ = ["app"]
