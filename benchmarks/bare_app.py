"""The baseline of the serving benchmark: a Flask route that returns a constant."""

from __future__ import annotations

from flask import Flask, Response


def create_app() -> Flask:
    """An application with the one route `/`."""
    app = Flask(__name__)
    body = b'{"items":[]}'

    @app.get("/")
    def constant() -> Response:
        return Response(body, mimetype="application/json")

    return app
