"""The flags of the second door: what is not safe is told in one sentence, with exit status 2."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter.schema import Limits
from sidecar import cli
from sidecar.launch import Address, Settings, make_plan
from sidecar.plan import Plan

TOKENS = f"bearer_tokens: {{logger: {'a' * 64}}}\n"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, Settings | None]:
    """Exit status, standard error, and the settings, where it would have started."""
    taken: list[Settings] = []

    def stop(settings: Settings, *others: object) -> None:
        taken.append(settings)
        raise SystemExit(0)

    monkeypatch.setattr(cli, "make_plan", stop)
    result = CliRunner().invoke(cli.main, ["sidecar", *arguments])
    return result.exit_code, result.stderr, taken[0] if taken else None


@pytest.mark.parametrize("address", ["0.0.0.0:9466", ":9466", "10.0.0.7:9466", "[::]:9466", "other:9466"])
@pytest.mark.parametrize("text", [None, "", "tls_server_config: {}"])
def test_open_to_others_without_authentication_it_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str, text: str | None
) -> None:
    arguments = ["--ingest-listen", address]
    if text is not None:
        (tmp_path / "ingest.yml").write_text(text)
        arguments += ["--ingest.config.file", str(tmp_path / "ingest.yml")]
    status, error, settings = run(monkeypatch, *arguments)
    assert (status, settings) == (2, None)
    assert error.startswith("modelmeter: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("address", ["127.0.0.1:9466", "[::1]:9466", "localhost:9466"])
def test_on_loopback_it_needs_no_authentication_and_no_server(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    status, error, settings = run(monkeypatch, "--ingest-listen", address)
    assert (status, error) == (0, "")
    assert settings is not None
    assert (settings.taps, settings.routes) == (0, [])
    assert str(settings.ingest) == address


def test_with_authentication_it_listens_anywhere_beside_the_tap(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ingest.yml").write_text(TOKENS)
    arguments = ("--ingest-listen", ":9466", "--ingest.config.file", str(tmp_path / "ingest.yml"))
    inline = ("--listen", "http=:8080", "--upstream", "http=127.0.0.1:8000", "--taps", "2")
    status, error, settings = run(monkeypatch, *arguments, *inline)
    assert (status, error) == (0, "")
    assert settings is not None
    assert (settings.taps, len(settings.routes)) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("--ingest.config.file", "x"),
            "--ingest-listen: expected HOST:PORT, since --ingest.config.file is given",
        ),
        (("--ingest-listen", "nowhere"), "--ingest-listen: expected HOST:PORT, found 'nowhere'"),
        (("--ingest-listen", "127.0.0.1:1", "--ingest.config.file", "/nowhere"), "/nowhere: "),
        (("--ingest-listen", "127.0.0.1:1", "--upstream", "http=a:1"), "--listen: expected"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], sentence: str
) -> None:
    if "--ingest.config.file" in arguments and "--ingest-listen" not in arguments:
        arguments = (*arguments, "--listen", "http=:0", "--upstream", "http=a:1")
    status, error, settings = run(monkeypatch, *arguments)
    assert (status, settings) == (2, None)
    assert sentence in error
    assert error.count("\n") == 1


def test_the_plan_carries_the_door() -> None:
    nowhere = Address("127.0.0.1", 0)
    settings = Settings([], nowhere, None, None, None, None, 0, 0.0, 5.0, 0, (), ingest=nowhere)
    plan = make_plan(settings, 1.0, Limits())
    assert plan.ingest is not None
    read = Plan.read(plan.write())
    assert read == plan
    assert {plan.ingest.listener, plan.ingest.memory} <= set(read.descriptors())
    for descriptor in (*plan.descriptors(), plan.lifeline_writer):
        os.close(descriptor)
