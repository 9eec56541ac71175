"""A small client of the REST API for the demo: what a shop's own code would send."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from interest_graph.errors import InterestGraphError

TIMEOUT_S = 30.0


class ApiClient:
    """Sends JSON with a key, and returns JSON.

    Args:
        url: Address of the API.
        key: Sent as `Authorization: Bearer`.
    """

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key

    def get(self, path: str) -> Any:
        """The answer to GET.

        Raises:
            InterestGraphError: The API answered with an error; its detail is the message.
        """
        return self._send(urllib.request.Request(self.url + path))  # noqa: S310 the stack's API

    def post(self, path: str, body: Any) -> Any:
        """The answer to POST.

        Raises:
            InterestGraphError: As above.
        """
        request = urllib.request.Request(  # noqa: S310 the stack's own API
            self.url + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        return self._send(request)

    def _send(self, request: urllib.request.Request) -> Any:
        request.add_header("Authorization", f"Bearer {self.key}")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 as above
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            detail = error.read().decode(errors="replace")
            msg = f"{request.get_method()} {request.full_url} answered {error.code}: {detail}"
            raise InterestGraphError(msg) from error
        except urllib.error.URLError as error:
            msg = f"{request.full_url} does not answer: {error.reason}"
            raise InterestGraphError(msg) from error
