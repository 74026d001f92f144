"""``modelmeter baseline learn | import | violations``: files, a recorder's URL, and one sentence when wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import bcrypt
import pytest
from click.testing import CliRunner, Result

from exporter.baseline import Baseline
from exporter.baseline.cli import baseline
from exporter.expose import create_app
from exporter.learning import write_states
from exporter.learning.fetch import PATH
from exporter.web import Server
from tests.baseline.imports.made import constraints, statistics, written
from tests.learning.made import traffic
from tests.page import example_view


def run(*arguments: object) -> Result:
    return CliRunner().invoke(baseline, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("states")
    paths = []
    for at, learner in enumerate(traffic(2, days=15, daily=9)):
        paths.append(folder / f"{at}.state")
        paths[-1].write_bytes(write_states([learner]))
    return paths


@pytest.fixture
def recorder(states: list[Path]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == PATH
            self.send_response(200 if found else 404)
            self.end_headers()
            if found:
                self.wfile.write(states[1].read_bytes())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_states_of_files_and_of_a_recorder_give_the_same_baseline(
    states: list[Path], recorder: str, tmp_path: Path
) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    by_files = run("learn", "--from", states[0], "--from", states[1], "-o", one)
    by_url = run("learn", "--from", recorder, "--from", states[0], "-o", two)
    assert (by_files.exit_code, by_url.exit_code) == (0, 0), by_files.output + by_url.output
    assert Baseline.load(one).columns.keys() == {("feature", "fare"), ("feature", "paid")}
    first, second = json.loads(one.read_text()), json.loads(two.read_text())
    for each in (first, second):
        del each["created"], each["sha256"]
    assert first == second
    assert "calibrated for 1h" in by_files.output
    assert "learnt in 5.6 live days" in by_files.output


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("absent.state", "absent.state: expected a learner's state, found no file of that name"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1: expected a recorder that answers"),
        ("http://", "http://: expected a recorder that answers, found no host"),
    ],
)
def test_a_state_that_is_not_there_is_one_sentence(source: str, says: str) -> None:
    result = run("learn", "--from", source)
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert says in result.output


def test_another_path_of_a_recorder_is_one_sentence(recorder: str) -> None:
    result = run("learn", "--from", f"{recorder}/metrics")
    assert result.exit_code == 2
    assert "expected a learner's state, found status 404" in result.output


def test_another_models_file_is_not_overwritten(states: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "b.json"
    source = written(tmp_path / "statistics.json", statistics())
    assert run("import", source, "--model", "other", "-o", output).exit_code == 0
    result = run("learn", "--from", states[0], "-o", output)
    assert result.exit_code == 2
    assert "'taxi', or another file by -o" in result.output


def test_import_tells_its_notes_and_writes_a_normal_file(tmp_path: Path) -> None:
    source = written(tmp_path / "statistics.json", statistics())
    rules = written(tmp_path / "constraints.json", constraints())
    result = run("import", source, rules, "-o", tmp_path / "b.json", "--prediction", "age")
    assert result.exit_code == 0, result.output
    assert "note: uncalibrated: the file kept no times" in result.output
    assert "model statistics, 4,200 rows, 3 columns, uncalibrated" in result.output
    assert Baseline.load(tmp_path / "b.json").columns.keys() >= {("prediction", "age")}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--prediction", "nothing"), "--prediction: expected a column of the file, found 'nothing'"),
        (("--format", "whylogs"), "which begins with WHY1"),
    ],
)
def test_import_refuses_with_one_sentence(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    source = written(tmp_path / "statistics.json", statistics())
    result = run("import", source, "-o", tmp_path / "b.json", *arguments)
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert says in result.output


def test_violations_are_printed_as_sagemaker_prints_them(tmp_path: Path) -> None:
    rules = written(tmp_path / "constraints.json", constraints())
    changed = statistics()
    changed["features"][0]["numerical_statistics"]["common"]["num_missing"] = 2000
    for name, document in (("a", statistics()), ("b", changed)):
        source = written(tmp_path / f"{name}.statistics.json", document)
        assert run("import", source, "--model", "m", "-o", tmp_path / f"{name}.json").exit_code == 0
    same = run("violations", rules, tmp_path / "a.json", tmp_path / "a.json")
    other = run("violations", rules, tmp_path / "a.json", tmp_path / "b.json")
    assert (same.exit_code, json.loads(same.output)) == (0, {"violations": []})
    assert other.exit_code == 1
    (violation,) = json.loads(other.output)["violations"]
    assert violation == {
        "feature_name": "age",
        "constraint_check_type": "completeness_check",
        "description": "Value completeness 0.6719 is below the required 0.9700.",
    }


def test_a_state_behind_a_password_is_fetched_with_it_and_the_password_is_never_shown(
    states: list[Path], tmp_path: Path
) -> None:
    hashed = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()
    configuration = tmp_path / "web.yaml"
    configuration.write_text(f"basic_auth_users: {{anna: '{hashed}'}}\n")
    app = create_app(example_view.Source(example_view.view()), learnt=states[0].read_bytes)
    server = Server(app, "127.0.0.1", 0, configuration)
    server.start()
    try:
        at = f"127.0.0.1:{server.port}"
        let_in = run("learn", "--from", f"http://anna:open%20sesame@{at}", "-o", tmp_path / "b.json")
        kept_out = [run("learn", "--from", f"http://{who}{at}") for who in ("", "anna:closed@")]
    finally:
        server.stop()
    assert let_in.exit_code == 0, let_in.output
    assert {(result.exit_code, result.output) for result in kept_out} == {
        (2, f"modelmeter: http://{at}: expected a learner's state, found status 401 Unauthorized\n")
    }


def test_a_server_without_a_learner_has_no_state() -> None:
    answer = create_app(example_view.Source(example_view.view())).test_client().get(PATH)
    assert (answer.status_code, PATH in answer.text) == (404, True)
