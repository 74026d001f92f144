"""The shell of modelmeter: forwards bytes, copies them, and turns the copy into rows for ``exporter``.

Imports nothing here: the tap is a process of its own that must stay small. ``from sidecar import Recorder``
loads `sidecar.client`, which is for use inside of a server.
"""

CLIENT = ("Recorder", "RecorderMiddleware", "WsgiRecorderMiddleware")


def __getattr__(name: str) -> object:
    if name in CLIENT:
        import sidecar.client

        return getattr(sidecar.client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
