"""What the codecs put into bytes: a job's payload of the usual kinds of value."""

from typing import Any

PAYLOAD: dict[str, Any] = {
    "query": "what is the weather in Paris",
    "limit": 10,
    "score": 0.75,
    "ok": True,
    "none": None,
    "tags": ["a", "b", "c"],
    "nested": {"k1": 1, "k2": "two", "k3": [1, 2, 3]},
    "user": {"id": "u-123", "name": "Ada"},
    "lang": "en",
    "step": 3,
}
