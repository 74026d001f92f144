"""The shipped configurations are those that the demo runs, and both are valid."""

import subprocess
from collections.abc import Callable

import pytest

from exporter import configuration
from sidecar.demo import columns, prometheus, stage
from sidecar.demo.servers import MODEL


def test_the_configuration_declares_every_input_and_the_tensors_of_the_answer() -> None:
    loaded = configuration.load(stage.CONFIGURATION)
    (model,) = loaded.models
    assert model.name == MODEL
    assert [spec.name for spec in model.columns] == list(columns.FEATURES)
    assert {spec.name for spec in model.columns if not spec.monitored} == {"hour"}
    assert {(spec.name, spec.tensor, spec.index, spec.monitored) for spec in model.predictions} == {
        ("late", "predict", None, True),
        ("late_probability", "predict_proba", 1, True),
        ("on_time_probability", "predict_proba", 0, False),
    }


def test_the_prometheus_configuration_scrapes_the_sidecar_where_it_reports() -> None:
    text = prometheus.CONFIGURATION.read_text()
    assert text.count(f'["{prometheus.TARGET}"]') == 1
    assert text.count("targets:") == 1


@pytest.mark.real
def test_promtool_accepts_the_prometheus_configuration(part: Callable[[str], str]) -> None:
    done = subprocess.run(
        [part("promtool"), "check", "config", str(prometheus.CONFIGURATION)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
