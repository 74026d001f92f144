"""A custom handler of TorchServe; copied into a model archive beside ``late.py``."""

from __future__ import annotations

from typing import Any

import late


class Flights:
    """JSON ``{"instances": [{column: value}, …]}`` → ``{"predictions": [{prediction: value}, …]}``."""

    def initialize(self, context: Any) -> None:
        """Nothing is to be loaded."""

    def handle(self, requests: list[dict[str, Any]], context: Any) -> list[Any]:
        """Answer every request of a batch."""
        return [self._answer(request["body"]["instances"]) for request in requests]

    def _answer(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        found = late.answer({name: [row[name] for row in rows] for name in late.FEATURES})
        return {
            "predictions": [
                dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)
            ]
        }
