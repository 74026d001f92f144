"""The shell of modelmeter: forwards bytes, copies them, and turns the copy into rows for ``exporter``.

Imports nothing here: the tap is a process of its own that must stay small.
"""
