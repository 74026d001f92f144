"""A baseline built by the real command from simulated rows: four weeks, two columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from click.testing import CliRunner

from sidecar.cli import main


def build_baseline(folder: Path) -> Path:
    generator = np.random.default_rng(0)
    lines = ["time,x,carrier"]
    for hour in range(24 * 28):
        day, of_day = divmod(hour, 24)
        for _ in range(30):
            minute = generator.integers(60)
            carrier = generator.choice(["AA", "UA", "DL"], p=[0.5, 0.3, 0.2])
            moment = f"2023-10-{day + 1:02}T{of_day:02}:{minute:02}:00Z"
            lines.append(f"{moment},{generator.normal(100, 20):.6f},{carrier}")
    table = folder / "train.csv"
    table.write_text("\n".join(lines) + "\n")
    path = folder / "baseline.json"
    arguments = ["baseline", "build", str(table), "--timestamp", "time", "--model", "m", "-o", str(path)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return path
