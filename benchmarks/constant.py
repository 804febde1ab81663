"""What every rate is compared with: a Flask application that says the same to everybody."""

from gevent import monkey

monkey.patch_all()

from flask import Flask, Response  # noqa: E402

app = Flask(__name__)


@app.get("/")
def constant() -> Response:
    return Response("constant", mimetype="text/plain")
