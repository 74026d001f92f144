"""Signals: the demo ends once, in order, whatever is pressed."""

import signal
import subprocess
import sys

import pytest

SCRIPT = """
import signal, sys, time
from sidecar.demo.steps import Ended, ending_on_signals
try:
    with ending_on_signals():
        try:
            print("up", flush=True)
            time.sleep(60)
        finally:
            print("cleaning", flush=True)
            time.sleep(0.5)
            print("clean", flush=True)
except Ended as ended:
    sys.exit(ended.exit_status)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_a_second_one_does_not_disturb_the_cleaning(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        child.send_signal(number)
        assert child.stdout.readline() == "cleaning\n"
        child.send_signal(signal.SIGINT)
        child.send_signal(signal.SIGTERM)
        assert child.stdout.read() == "clean\n"
    assert child.returncode == 128 + number
