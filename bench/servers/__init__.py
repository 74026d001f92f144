"""The servers that are measured: nginx behind all of them, HAProxy and Envoy beside ours.

Each gets one thread, keep-alive on both sides, no access log, and nothing tuned beyond that.
"""
