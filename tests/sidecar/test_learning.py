"""A model without a baseline is learnt, frozen, and promoted from the running sidecar; one with a wrong one is told."""

from __future__ import annotations

import json
import re
import socket
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import requests
from click.testing import CliRunner

from exporter.baseline import Baseline
from exporter.learning.model import read_states
from sidecar.cli import main
from tests.monitor.baselines import build_baseline
from tests.sidecar.harness import server, wait_for
from tests.sidecar.whole import (
    AT_ONCE,
    Sidecar,
    read_message,
    ready,
    request,
    scripted_model_server,
)

pytestmark = pytest.mark.real
CLOCK = "2026-01-05T00:00:00Z@200000"
"""14 days are six seconds."""


def batch(rows: np.ndarray) -> bytes:
    tensor = {"name": "x", "shape": list(rows.shape), "datatype": "FP64", "data": rows.ravel().tolist()}
    return request(json.dumps({"inputs": [tensor]}).encode())


def has_shown(running: Sidecar, rows: int) -> bool:
    return running.total("column_rows_total", column="x[0]") == rows


def ask_until_frozen(running: Sidecar) -> int:
    """Send batches of 20 rows until learning is over; returns how many rows."""
    generator = np.random.default_rng(3)
    sent = 0
    frozen = ("modelmeter_learning_frozen", frozenset({("model", "m")}))
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:

        def send() -> bool:
            nonlocal sent
            for _ in range(100):
                client.sendall(batch(generator.normal((40.0, 7.0), (12.0, 2.0), (20, 2))))
                assert read_message(client)
                sent += 20
                time.sleep(0.002)
            return running.metrics().get(frozen) == 1.0

        wait_for(send, "learning is over", 60)
    return sent


def test_a_sidecar_learns_freezes_and_hands_out_a_baseline(tmp_path: Path) -> None:
    with (
        server(scripted_model_server) as model,
        ready(Sidecar(model.port, "--clock", CLOCK, *AT_ONCE)) as running,
    ):
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
            client.sendall(batch(np.full((20, 2), 40.0)))
            assert read_message(client)
        wait_for(lambda: running.total("column_rows_total", column="x[0]") == 20, "rows shown")
        (early,) = running.status()["models"]
        assert early["baseline"] is None
        assert early["learning"].startswith("learning: ")
        assert running.total("baseline_info", model="m", calibration="learning") == 1
        sent = ask_until_frozen(running)
        source = f"http://127.0.0.1:{running.metrics_port}"
        path = tmp_path / "baseline.json"
        result = CliRunner().invoke(main, ["baseline", "learn", "--from", source, "-o", str(path)])
        assert result.exit_code == 0, result.output
        (late,) = running.status()["models"]
        (state,) = read_states(requests.get(f"{source}/learning.json", timeout=30).content, "state")
        assert not any(
            name == "modelmeter_learning_freeze_timestamp_seconds" for name, _ in running.metrics()
        )
        status, log = running.stop()
    assert status == 0
    assert late["learning"].startswith("frozen: ")
    assert {column["sentence"] for column in late["features"]} == {late["learning"]}
    # Time flies: a busy machine may look some hours of it late.
    assert re.search(r"learnt in 1[45]\.\d live days", result.output), result.output
    assert "calibrated for 1h" in result.output
    learnt = Baseline.load(path)
    assert {name for _, name in learnt.columns} == {"x[0]", "x[1]", "y"}
    assert state.frozen
    rows = state.columns["feature", "x[0]"].state.rows
    assert 0.5 * sent < rows <= sent + 20  # it froze while they came
    assert learnt.columns["feature", "x[0]"].rows <= rows
    moments = learnt.columns["feature", "x[1]"].moments
    assert moments is not None
    assert moments.mean == pytest.approx(7.0, abs=0.5)
    assert "learning is over: what was learnt can be promoted" in log


def test_what_was_learnt_outlives_the_recorder(tmp_path: Path) -> None:
    arguments = ("--state", str(tmp_path), *AT_ONCE)
    with server(scripted_model_server) as model:
        for rows in (30, 60):
            with ready(Sidecar(model.port, *arguments)) as running:
                with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
                    client.sendall(batch(np.full((30, 2), 40.0)))
                    assert read_message(client)
                wait_for(partial(has_shown, running, rows), "rows shown")
                source = f"http://127.0.0.1:{running.metrics_port}/learning.json"
                (state,) = read_states(requests.get(source, timeout=30).content, "state")
                assert state.columns["feature", "x[0]"].state.rows == rows
                running.stop()


def test_a_baseline_of_other_columns_is_told_and_the_log_has_no_name_from_the_wire(tmp_path: Path) -> None:
    baseline = build_baseline(tmp_path)
    configuration = tmp_path / "modelmeter.yaml"
    configuration.write_text(f"models: [{{name: m, baseline: {baseline.name}}}]\n")
    with (
        server(scripted_model_server) as model,
        ready(Sidecar(model.port, "--config", str(configuration), *AT_ONCE)) as running,
    ):
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
            client.sendall(batch(np.full((300, 2), 40.0)))
            assert read_message(client)
        wait_for(lambda: running.total("baseline_mismatched_columns", reason="missing") == 2, "told")
        assert running.total("baseline_mismatched_columns", reason="extra") == 3
        (found,) = running.status()["models"]
        _, log = running.stop()
    assert found["mismatches"] == [
        "feature 'x' of the baseline does not come",
        "feature 'carrier' of the baseline does not come",
        "feature 'x[0]' is not in the baseline: it is learnt, not judged",
        "feature 'x[1]' is not in the baseline: it is learnt, not judged",
        "prediction 'y' is not in the baseline: it is learnt, not judged",
    ]
    assert (
        'event="the traffic does not match the baseline" model=m reason=missing count=2 columns=x,carrier'
        in log
    )
    assert "x[0]" not in log
