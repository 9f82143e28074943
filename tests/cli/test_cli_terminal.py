"""Colours, progress and the process itself: imports, pipes, signals, shell completion."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys

import pytest
from rich.console import Console

from nasopt.cli.progress import bar
from nasopt.cli.terminal import Terminal
from tests.cli.conftest import COMMAND_LINES
from tests.report.example_results import RESNET

COMPRESS = COMMAND_LINES["compress"]

SLOW_VERB = """
import signal, sys, time
from types import ModuleType
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are born without
module = ModuleType("nasopt.api.doctor")
def doctor():
    print("started", file=sys.stderr, flush=True)
    time.sleep(60)
module.doctor = doctor
sys.modules["nasopt.api.doctor"] = module
from nasopt.cli.main import main
sys.argv = ["nasopt", "doctor", *sys.argv[1:]]
main()
"""


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_help_imports_click_and_nothing_else():
    code = (
        "import sys\nfrom nasopt.cli.main import application\n"
        "for line in ([], ['compress', '--help'], ['doctor', '--help']): application.main(line, standalone_mode=False)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"], capture_output=True, text=True, check=True
    )
    imported = set(done.stderr.split())
    assert "click" in imported
    assert not imported & {"numpy", "onnx", "onnx_ir", "onnxruntime", "pymoo", "rich", "scipy", "torch"}


@pytest.mark.parametrize(
    ("environment", "no_color", "expected"),
    [
        ({}, False, True),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, False, True),
        ({}, True, False),
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_colours_on_a_terminal_only_and_only_where_welcome(monkeypatch, environment, no_color, expected):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal([])
    terminal.no_color = no_color
    assert terminal.colour(FakeTerminal()) is expected
    assert terminal.colour(io.StringIO()) is False


@pytest.mark.parametrize(("flags", "colour"), [([], True), (["--no-color"], False)])
def test_text_is_coloured_on_a_terminal(nasopt, monkeypatch, flags, colour):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(Terminal, "colour", lambda self, stream: not self.no_color)
    assert ("\x1b[1m" in nasopt("inspect", "net.onnx", *flags, color=True).stdout) is colour


def test_without_a_terminal_there_is_no_progress_but_with_v_a_line_a_stage(nasopt, verbs):
    def compress(progress, **options):
        if progress is not None:
            progress("search", 0.0, "1 of 2")
            progress("search", 0.5, "2 of 2")
            progress("verify", None, "")
        return RESNET

    verbs.answers["compress"] = compress
    assert nasopt(*COMPRESS).stderr == ""
    assert nasopt(*COMPRESS, "-v").stderr == "nasopt: search: 1 of 2\nnasopt: verify\n"


@pytest.mark.parametrize(("flags", "drawn"), [([], True), (["-q"], False), (["--json"], False)])
def test_a_bar_is_drawn_on_a_terminal_unless_quiet_or_json(monkeypatch, flags, drawn):
    monkeypatch.setattr(sys, "stderr", FakeTerminal())
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal(flags)
    terminal.configure("compress", json="--json" in flags, verbosity=-1 if "-q" in flags else 0, no_color=False, seed=None)
    with terminal.progress() as progress:
        assert (progress is not None) is drawn
        if progress is not None:
            progress("search", 0.5, "half")
    assert ("search" in sys.stderr.getvalue()) is drawn


def test_the_bar_shows_stage_share_and_detail_as_they_are():
    stream = FakeTerminal()
    console = Console(file=stream, force_terminal=True, width=120)
    with bar(colour=False, console=console) as move:
        move("search", 0.25, "[red]net[0]")
    assert "search" in stream.getvalue()
    assert "25%" in stream.getvalue()
    assert "[red]net[0]" in stream.getvalue()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_with_130_and_one_line(number):
    with subprocess.Popen([sys.executable, "-c", SLOW_VERB], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline() == "started\n"
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stdout == ""
    assert stderr == "nasopt: interrupted; nothing was left half-written\n"


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
@pytest.mark.parametrize("arguments", [["doctor"], ["--help"]], ids=" ".join)
def test_a_reader_that_goes_away_is_no_error(arguments):
    code = SLOW_VERB.replace("time.sleep(60)", "from tests.report.example_results import DOCTOR; return DOCTOR")
    code = code.replace('["nasopt", "doctor", *sys.argv[1:]]', '["nasopt", *sys.argv[1:]]')
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("PYTHONUNBUFFERED", None)  # a buffer is what the interpreter would complain about
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], stdout=writer, stderr=subprocess.PIPE, text=True, env=environment, check=False, timeout=60
    )
    os.close(writer)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert "error" not in done.stderr
    assert done.returncode == (0 if arguments == ["doctor"] else 1)


def test_bash_completion_knows_the_verbs_and_options():
    def complete(words: str, index: int) -> str:
        environment = {**os.environ, "_NASOPT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(index)}
        code = "from nasopt.cli.main import main; main()"
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True).stdout

    assert complete("nasopt com", 1) == "plain,compress\n"
    assert "plain,--flops-drop" in complete("nasopt compress --fl", 2)
