"""`segment5b open` and `lab`, and what a shell can complete."""

import importlib.util
import json
import os
import subprocess
import sys
import webbrowser

import pytest

from segment5b_lib.cli import browse
from segment5b_lib.store.roots import executed_folder, notebooks_folder


@pytest.fixture
def pages(own_run):
    """Two pages of the run, the second one newer."""
    folder = executed_folder(own_run.run_id)
    folder.mkdir(parents=True)
    made = [folder / name for name in ("old.html", "new.html")]
    for age, page in zip((100, 50), made, strict=True):
        page.write_text("<p>page</p>")
        os.utime(page, (1_700_000_000 - age, 1_700_000_000 - age))
    return made


@pytest.fixture
def browsed(monkeypatch):
    """What was handed to the browser."""
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    return opened


def test_open_lists_pages_newest_first_and_needs_no_screen(segment5b, own_run, pages, browsed):
    code, out, _ = segment5b("open", own_run.run_id[:8])
    assert code == 0
    assert out.split() == [str(page) for page in reversed(pages)]
    assert browsed == []
    assert json.loads(segment5b("open", "--json")[1]) == [str(page) for page in reversed(pages)]


def test_open_shows_the_newest_page_where_there_is_a_screen(segment5b, pages, browsed, monkeypatch):
    monkeypatch.setattr(browse, "_has_screen", lambda: True)
    assert segment5b("open", "@last")[0] == 0
    assert browsed == [pages[1].as_uri()]
    assert browsed[0].startswith("file:///")
    browsed.clear()
    segment5b("open", "--json")
    assert browsed == []


def test_open_without_a_page_says_how_to_make_one(segment5b, own_run, browsed):
    code, _, err = segment5b("open", "@last")
    assert code == 3
    assert f"segment5b phase P0 {own_run.run_id[:8]}" in " ".join(err.split())


@pytest.fixture
def started(monkeypatch):
    """JupyterLab is there; what would be started instead of this process."""
    calls = []
    monkeypatch.setattr(browse, "find_spec", lambda name: importlib.util.find_spec("json"))
    monkeypatch.setattr(os, "execve", lambda path, command, environment: calls.append((command, environment)))
    return calls


def test_lab_listens_on_loopback_only_with_our_kernel_and_no_news(segment5b, started, private_outputs, monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", "/somewhere/with/its/own/settings")
    assert segment5b("lab")[0] == 0
    ((command, environment),) = started
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert "--ServerApp.ip=127.0.0.1" in command
    assert f"--ServerApp.root_dir={notebooks_folder()}" in command
    assert not [part for part in command if "token" in part.lower() or "password" in part.lower()]
    folder = private_outputs / "lab"
    assert environment["JUPYTER_CONFIG_DIR"] == str(folder)
    assert environment["JUPYTER_PATH"].split(os.pathsep)[0] == str(folder)
    assert environment["SEGMENT5B_OUTPUTS"] == str(private_outputs)
    kernel = json.loads((folder / "kernels" / "python3" / "kernel.json").read_text())
    assert kernel["argv"][0] == sys.executable
    page = json.loads((folder / "labconfig" / "page_config.json").read_text())
    assert page["disabledExtensions"] == {"@jupyterlab/apputils-extension:announcements": True}


def test_lab_opens_a_browser_unless_told_not_to(segment5b, started, private_outputs):
    segment5b("lab")
    segment5b("lab", "--no-browser")
    (first, _), (second, _) = started
    assert [part for part in second if part not in first] == ["--ServerApp.open_browser=False"]


def test_lab_says_what_to_install_where_it_is_absent(segment5b, private_outputs, monkeypatch):
    monkeypatch.setattr(browse, "find_spec", lambda name: None)
    code, _, err = segment5b("lab")
    assert code == 4
    text = " ".join(err.split())
    assert "5B.ENV.NO_JUPYTERLAB" in text and "segment5b[notebook]" in text
    assert not (private_outputs / "lab").exists()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("segment5b sco", {"score"}),
        ("segment5b world re", {"reopen"}),
        ("segment5b score --fr", {"--fresh"}),
        ("segment5b show @", {"@last", "@baseline", "@candidate"}),
    ],
)
def test_the_shell_can_complete(typed, offered, own_run):
    words = typed.split()
    assert complete(typed, len(words) - 1) == offered


def test_the_shell_completes_run_ids(own_run):
    assert complete(f"segment5b show {own_run.run_id[:3]}", 2) == {own_run.run_id[:8]}
    assert complete(f"segment5b compare @baseline {own_run.run_id[:3]}", 3) == {own_run.run_id[:8]}


def complete(typed, position):
    """What bash would offer; the command is asked as the shell's script asks it."""
    asked = {**os.environ, "_SEGMENT5B_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(position)}
    code = "import sys; sys.argv = ['segment5b']; from segment5b_lib.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=asked, capture_output=True, text=True, check=False)
    return set(done.stdout.split())


@pytest.fixture
def executed(monkeypatch, tmp_path):
    """Notebooks that would have been executed, with their parameters."""
    from types import SimpleNamespace

    from segment5b_lib.reports import execute

    asked = []

    def record(name, parameters):
        asked.append((name, dict(parameters)))
        return SimpleNamespace(page=tmp_path / "page.html", raise_for_status=lambda: None, model_dump=lambda mode: {})

    monkeypatch.setattr(execute, "execute_notebook", record)
    return asked


def test_investigate_and_compare_make_pages(segment5b, executed, browsed, tmp_path):
    code, out, _ = segment5b("investigate", "@last", "--zone", "Europe/London")
    assert (code, out.split()) == (0, ["page", str(tmp_path / "page.html")])
    assert segment5b("compare", "@baseline", "@last", "--page")[0] == 0
    assert executed == [
        ("investigate_dst", {"run_id": "@last", "zone": "Europe/London", "transition": ""}),
        ("compare_runs", {"run_id": "@baseline", "others": ["@last"]}),
    ]
    assert browsed == []
