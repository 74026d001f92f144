"""LitServe: the flights' model at ``/predict`` in JSON of its own, and a talker behind OpenAI's API.

Run as ``python litserve_late.py PORT``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import late
import litserve


class Flights(litserve.LitAPI):
    """``{"rows": [{column: value}, …]}`` → ``{prediction: [value, …]}``."""

    def setup(self, device: str) -> None:
        """Nothing is to be loaded."""

    def decode_request(self, request):  # an annotation would make FastAPI look for it elsewhere
        return request["rows"]

    def predict(self, rows: list[dict[str, Any]]) -> dict[str, list[float]]:
        return late.answer({name: [row[name] for row in rows] for name in late.FEATURES})

    def encode_response(self, output):  # an annotation would make floats of integers
        return output


class Talker(litserve.LitAPI):
    """Says three words, whatever it is asked."""

    def setup(self, device: str) -> None:
        """Nothing is to be loaded."""

    def predict(self, prompt: Any) -> Iterator[str]:
        yield from ("on ", "time, ", "mostly")

    def encode_response(self, output: Iterator[str]) -> Iterator[dict[str, Any]]:
        for word in output:
            usage = {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3}
            yield {"role": "assistant", "content": word, **usage}


if __name__ == "__main__":
    apis = [Flights(api_path="/predict"), Talker(spec=litserve.OpenAISpec())]
    litserve.LitServer(apis, accelerator="cpu").run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False
    )
