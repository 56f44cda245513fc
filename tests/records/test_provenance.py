import subprocess

import torch

from ntklab import __version__
from ntklab.records import collect, now, provenance
from ntklab.records.schema import PROVENANCE, check


def test_provenance_fits_its_description():
    data = collect(device="cpu", dtype="float64", started=now(), seconds=0.5)
    check(data, PROVENANCE)
    assert data["versions"]["torch"] == torch.__version__
    assert data["versions"]["ntklab"] == __version__
    assert data["threads"] == torch.get_num_threads()


def test_the_commit_is_that_of_ntklab_s_own_checkout(tmp_path, monkeypatch):
    # A package that lies in somebody else's checkout, as in a virtual environment there.
    foreign = tmp_path / "site-packages" / "provenance.py"
    foreign.parent.mkdir()
    foreign.write_text("")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@localhost"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    monkeypatch.setattr(provenance, "__file__", str(foreign))
    assert provenance._commit() == (None, None)
    subprocess.run([*git, "add", "-f", str(foreign)], check=True)
    head, dirty = provenance._commit()
    assert len(head) == 40
    assert dirty is True


def test_without_git_the_commit_is_null(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance._commit() == (None, None)


def test_the_whole_command_line_is_kept(monkeypatch):
    line = ["/somewhere/bin/ntklab", "spectrum", "--method", "lora,tera", "--out", "my runs"]
    monkeypatch.setattr("sys.argv", line)
    kept = collect(device="cpu", dtype="float64", started=now(), seconds=1.0)["command_line"]
    assert kept == "ntklab spectrum --method lora,tera --out 'my runs'"
    monkeypatch.setattr("sys.argv", ["pytest", "-q"])
    assert collect(device="cpu", dtype="float64", started=now(), seconds=1)["command_line"] is None
