"""``python -m bench.detection``: measure verdicts on real streams, print tables, write
bench/results/detection.json.

``--quick`` takes about seven minutes on one core. It makes and enters an environment of its own.
"""

from __future__ import annotations

import sys

from bench.detection import environment

if __name__ == "__main__":
    environment.enter(sys.argv[1:])  # before anything that only that environment has is imported
    from bench.detection.command import main

    main(prog_name="python -m bench.detection")
