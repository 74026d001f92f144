"""The command line: what is wrong is told in one sentence with exit status 2, before anything starts."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter.schema import Limits
from sidecar.cgroup import cpu_quota, memory_limit_bytes
from sidecar.cli import main
from sidecar.launch import Address, SettingError, Settings, make_plan, pair
from sidecar.plan import Plan

GOOD = ["sidecar", "--listen", "http=127.0.0.1:0", "--upstream", "http=127.0.0.1:8000"]

MISTAKES = {
    "no listener": (["sidecar"], "--listen: expected at least one PROTOCOL=HOST:PORT, found none"),
    "no protocol": (
        ["sidecar", "--listen", ":8080", "--upstream", "http=:1"],
        "--listen: expected PROTOCOL=HOST:PORT with PROTOCOL one of http, grpc, found ':8080'",
    ),
    "unknown protocol": (
        ["sidecar", "--listen", "ftp=:8080", "--upstream", "http=:1"],
        "--listen: expected PROTOCOL=HOST:PORT with PROTOCOL one of http, grpc, found 'ftp=:8080'",
    ),
    "no port": (
        ["sidecar", "--listen", "http=localhost", "--upstream", "http=:1"],
        "--listen: expected HOST:PORT, found 'localhost'",
    ),
    "port too large": (
        ["sidecar", "--listen", "http=:70000", "--upstream", "http=:1"],
        "--listen: expected HOST:PORT, found ':70000'",
    ),
    "no server": (
        ["sidecar", "--listen", "http=:0"],
        "--upstream: expected http=HOST:PORT, since --listen http=:0 needs it, found none",
    ),
    "two servers": (
        [*GOOD, "--upstream", "http=127.0.0.1:8001"],
        "--upstream: expected one server for http, found 'http=127.0.0.1:8001' as a second one",
    ),
    "server without listener": (
        [*GOOD, "--upstream", "grpc=127.0.0.1:8001"],
        "--listen: expected grpc=HOST:PORT, since --upstream grpc=… is given, found none",
    ),
    "clock without rate": (
        [*GOOD, "--clock", "2013-11-01"],
        "--clock: expected START@RATE such as 2013-11-01T00:00@3600, found '2013-11-01'",
    ),
    "clock with a bad start": (
        [*GOOD, "--clock", "yesterday@60"],
        "--clock: expected START in ISO 8601 or Unix seconds, such as 2013-11-01T00:00@3600, found 'yesterday@60'",
    ),
    "clock that never was": (
        [*GOOD, "--clock", "nan@1"],
        "--clock: expected START between 1970 and 2100 and RATE up to 1,000,000, found 'nan@1'",
    ),
    "clock too fast": (
        [*GOOD, "--clock", "2013-01-01@99999999"],
        "--clock: expected START between 1970 and 2100 and RATE up to 1,000,000, found '2013-01-01@99999999'",
    ),
    "host that can be none": (
        ["sidecar", "--listen", "http=:0", "--upstream", f"http={'a' * 70}.x:80"],
        f"--upstream: expected a host name with parts of 1 to 63 characters, found '{'a' * 70}.x'",
    ),
    "no such command": (
        [*GOOD, "--", "no-such-model-server", "--port", "8000"],
        "--: expected a command that can be started, found 'no-such-model-server'",
    ),
    "metrics address": (
        [*GOOD, "--metrics-listen", "9464"],
        "--metrics-listen: expected HOST:PORT, found '9464'",
    ),
    "missing configuration": (
        [*GOOD, "--config", "nowhere.yaml"],
        "nowhere.yaml: expected a readable YAML file, found no file of that name",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_with_one_sentence_and_status_2(mistake: str) -> None:
    arguments, sentence = MISTAKES[mistake]
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.stderr) == (2, f"modelmeter: {sentence}\n")


def test_a_missing_baseline_ends_with_one_sentence_and_status_2(tmp_path: Path) -> None:
    configuration = tmp_path / "modelmeter.yaml"
    configuration.write_text("models: [{name: m, baseline: b.json}]")
    result = CliRunner().invoke(main, [*GOOD, "--config", str(configuration)])
    sentence = f"modelmeter: {tmp_path / 'b.json'}: expected a baseline file, found no file of that name\n"
    assert (result.exit_code, result.stderr) == (2, sentence)


def test_a_certificate_that_is_not_there_ends_with_one_sentence_and_status_2(tmp_path: Path) -> None:
    web = tmp_path / "web.yml"
    web.write_text("tls_server_config: {cert_file: none.pem, key_file: none.pem}")
    result = CliRunner().invoke(main, [*GOOD, "--web.config.file", str(web)])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"modelmeter: {web}: tls_server_config")
    assert result.stderr.count("\n") == 1


def test_a_port_that_is_taken_ends_with_one_sentence_and_status_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ["sidecar", "--listen", f"http=127.0.0.1:{port}", "--upstream", "http=127.0.0.1:8000"]
        result = CliRunner().invoke(main, arguments)
    found = f"127.0.0.1:{port} (address already in use)"
    sentence = f"modelmeter: --listen: expected an address that is free here, found {found}\n"
    assert (result.exit_code, result.stderr) == (2, sentence)


def test_routes_pair_each_listener_with_the_server_of_its_protocol() -> None:
    assert pair(("http=:1", "grpc=[::1]:2"), ("grpc=a:3", "http=b:4")) == [
        ("http", Address("0.0.0.0", 1), Address("b", 4)),
        ("grpc", Address("::1", 2), Address("a", 3)),
    ]


def test_the_plan_that_is_read_is_the_plan_that_was_written() -> None:
    nowhere = Address("127.0.0.1", 0)
    route = ("http", nowhere, Address("127.0.0.1", 8000))
    settings = Settings([route], nowhere, nowhere, None, "web.yml", (1.5, 60.0), 2, 1.0, 5.0, 10, ("a", "b"))
    plan = make_plan(settings, 0.5, Limits())
    descriptor = plan.write()
    assert Plan.read(descriptor) == plan
    assert len({listener.channel for tap in plan.taps for listener in tap.listeners}) == 2
    assert len({listener.descriptor for tap in plan.taps for listener in tap.listeners}) == 1
    assert plan.health_listener is not None
    for open_descriptor in (*plan.descriptors(), plan.health_listener, plan.lifeline_writer, descriptor):
        os.close(open_descriptor)


def test_an_address_without_a_port_is_refused() -> None:
    with pytest.raises(SettingError, match="expected HOST:PORT, found '8080'"):
        Address.parse("--listen", "8080")


@pytest.mark.parametrize(("text", "quota"), [("200000 100000", 2.0), ("50000 100000", 0.5)])
def test_the_processors_are_those_of_the_container(tmp_path: Path, text: str, quota: float) -> None:
    (tmp_path / "cpu.max").write_text(text + "\n")
    assert cpu_quota(tmp_path) == min(quota, len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("text", ["max 100000", "", "nonsense"])
def test_without_a_quota_the_processors_are_those_we_may_run_on(tmp_path: Path, text: str) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert cpu_quota(tmp_path) == len(os.sched_getaffinity(0))
    assert cpu_quota(tmp_path / "none") == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("text", "limit"), [("268435456\n", 268435456), ("max\n", None), ("", None)])
def test_the_memory_limit_is_that_of_the_container(tmp_path: Path, text: str, limit: int | None) -> None:
    (tmp_path / "memory.max").write_text(text)
    assert memory_limit_bytes(tmp_path) == limit
    assert memory_limit_bytes(tmp_path / "none") is None
