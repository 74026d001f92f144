"""``python -m exporter.statistics > docs/statistics.md``."""

from __future__ import annotations

from exporter.statistics.page import page

if __name__ == "__main__":
    print(page(), end="")
