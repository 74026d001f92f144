"""Real programs for the tests: found on this machine or skipped with the reason, started on loopback, ended."""
