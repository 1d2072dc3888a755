import json
import logging
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tuner.cli import main
from tuner.cli.termination import stop_event
from tuner.version import VERSION


def outcome(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Exit code of the command."""
    monkeypatch.setattr(sys, "argv", ["gc-tuner", *arguments])
    # The command takes the root logger for the process; put back, it ends with the test.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code if isinstance(ended.value.code, int) else 0


@pytest.mark.parametrize("arguments", [("version",), ("--version",)])
def test_the_version_is_printed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
) -> None:
    assert outcome(monkeypatch, *arguments) == 0
    assert capsys.readouterr().out == f"{VERSION}\n"


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("promethus: {}", (), "config.yaml: promethus: unknown, did you mean prometheus?"),
        ("interval: 15", (), "config.yaml: interval: 15 has no unit: write a duration such as"),
        ("mode: auto", (), "config.yaml: mode: auto cannot be the default"),
        ("prometheus: {selector: 'a='}", (), "prometheus.selector: 'a=' is no list of label"),
        ("", (), "prometheus.url: not set: give one such as http://prometheus:9090 with --prom"),
        ("", ("--prometheus-url", "nowhere"), "--prometheus-url: 'nowhere' is not a URL: write"),
        ("", ("--kubeconfig", "/absent"), "--kubeconfig: /absent cannot be read: no such file"),
        ("", ("--config", "absent.yaml"), "absent.yaml: no such file: name an existing one"),
        (
            "",
            ("--prometheus-url", "http://a..b:9090"),
            "http://a..b:9090 cannot be used: Failed to",
        ),
    ],
)
def test_a_bad_configuration_is_one_line_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    assert outcome(monkeypatch, "run", "--config", str(path), *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("gc-tuner: ")
    assert said in err
    assert err.count("\n") == 1


def test_each_problem_has_a_line_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("interval: 15\nwarmUp: 5\n", encoding="utf-8")
    assert outcome(monkeypatch, "run", "--config", str(path)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[2].strip() for line in lines] == ["interval", "warmUp"]


def test_without_prometheus_and_cluster_a_run_of_one_tick_says_so_and_ends_with_exit_code_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    kubeconfig = {
        "clusters": [{"name": "it", "cluster": {"server": url}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": ""}}],
        "current-context": "it",
    }
    cluster, config = tmp_path / "kubeconfig", tmp_path / "config.yaml"
    cluster.write_text(json.dumps(kubeconfig), encoding="utf-8")
    config.write_text("{kubernetes: {timeout: 100ms}, log: {format: json}}", encoding="utf-8")
    flags = ("--config", str(config), "--kubeconfig", str(cluster), "--prometheus-url", url)
    monkeypatch.setenv("POD_NAMESPACE", "ops")
    assert outcome(monkeypatch, "run", "--once", *flags) == 3
    warning, overrides, *_ = map(json.loads, capsys.readouterr().err.splitlines())
    assert warning["level"] == "warning"
    assert warning["event"].startswith("prometheus does not answer at the start")
    assert (warning["url"], warning["detail"]) == (url, "connection refused")
    assert overrides["config_map"] == "ops/gc-tuner-overrides"


_TOLD_TO_STOP = """
import os, signal, sys
from tuner.cli.termination import stop_event
with stop_event(5) as stop:
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    print("stopped" if stop.wait(60) else "not told")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_stop_signal_sets_the_event_and_interrupts_nothing(name: str) -> None:
    """In a process of its own: any thread of this one could take the signal."""
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", _TOLD_TO_STOP, name], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "stopped\n", "")


_HANGS = """
import os, signal, threading
from tuner.cli.termination import stop_event
with stop_event(2) as stop:
    os.kill(os.getpid(), signal.SIGTERM)
    print("told" if stop.wait(60) else "not told", flush=True)
    threading.Event().wait(30)
    print("never")
"""


def test_what_does_not_end_when_it_was_told_to_is_ended() -> None:
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", _HANGS], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "told\n", "")


def test_signals_are_as_before_when_the_event_is_gone() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with stop_event(5):
        pass
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    assert "signals" not in {thread.name for thread in threading.enumerate()}
