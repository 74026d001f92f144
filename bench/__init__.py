"""Benchmarks: ``python -m bench`` (``make bench``) measures everything docs/performance.md states.

Promises: loopback only, every load bounded in time and count, every process that is started is ended by its
own pid; what is compared is measured in the same run, in turns, and told as a ratio. Refuses to assert:
machines differ, so no test depends on a time. Not part of the wheel.
"""
