"""JSON by orjson, in place of Flask's own provider."""

from __future__ import annotations

from typing import Any

import orjson
from flask.json.provider import JSONProvider


class OrjsonProvider(JSONProvider):
    """Flask's JSON, made and read by orjson."""

    def dumps(self, obj: Any, **_kwargs: Any) -> str:
        """Serialise."""
        return orjson.dumps(obj, option=orjson.OPT_NON_STR_KEYS).decode()

    def loads(self, s: str | bytes, **_kwargs: Any) -> Any:
        """Read."""
        return orjson.loads(s)
