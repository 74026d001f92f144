"""Client: a recorder for use inside of a server process, and middlewares that feed it.

Promises: the server never waits for us and never sees an exception of ours; what is lost is counted. Only the
standard library is imported. What is recorded goes to ``modelmeter sidecar --ingest-listen`` as CloudEvents.

    from sidecar import Recorder
    recorder = Recorder("http://127.0.0.1:9466", model="flights", version="3")
    recorder.record({"distance": [1400.0, 300.0]}, {"delay": [12.5, 3.0]})
"""

from sidecar.client.asgi import RecorderMiddleware
from sidecar.client.recorder import Recorder
from sidecar.client.wsgi import WsgiRecorderMiddleware

__all__ = ["Recorder", "RecorderMiddleware", "WsgiRecorderMiddleware"]
