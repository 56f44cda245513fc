"""The pages in a real browser: headless Chromium, skipped where there is none."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from ntklab.claims import CHECKS, Paper, check_configs, load_pack, new_pack
from ntklab.claims.report import report_of, write_reports
from ntklab.experiments.run import run

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--allow-file-access-from-files", "--virtual-time-budget=4000"),
)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
DARK = "--blink-settings=preferredColorScheme=0"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Pages of a pack with two claims of two verdicts."""
    place = tmp_path_factory.mktemp("pages")
    new_pack(place / "mine")
    text = (place / "mine" / "kernel_rank.py").read_text()
    other = text.replace('"kernel_rank",  #', '"mended",  #').replace(
        "+ outputs)\n", "+ outputs) - rank**2\n"
    )
    (place / "mine" / "mended.py").write_text(other)
    pack = load_pack(place / "mine")
    configs = check_configs(packs=[pack])
    record = run(CHECKS, configs)
    assert isinstance(pack.paper, Paper)
    write_reports(report_of(record, packs=[pack]), place / "out")
    return place / "out"


def browse(address, *more, width=1280, height=900, profile):
    """What the browser prints; one that hangs is ended with its children and asked once more."""
    size = f"--window-size={width},{height}"
    for attempt in (1, 2):
        command = [BROWSER, *FLAGS, f"--user-data-dir={profile}-{attempt}", size, *more, address]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        ) as browser:  # fmt: skip
            try:
                said, complaints = browser.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(browser.pid, signal.SIGKILL)
                continue
        assert browser.returncode == 0, complaints[-2000:]
        return said
    pytest.fail(f"{BROWSER} did not answer within a minute, twice")


def pixels(path):
    from matplotlib.image import imread

    return imread(path)[..., :3]


@needs_browser
@pytest.mark.parametrize("name", ["index.html", "mine.html"])
def test_a_page_is_drawn_by_day_and_by_night(pages, tmp_path, name):
    brightness = []
    for place, how in enumerate([(), (DARK,)]):
        shot = tmp_path / f"{place}.png"
        browse((pages / name).as_uri(), f"--screenshot={shot}", *how, profile=tmp_path / "p")
        picture = pixels(shot)
        assert picture.std() > 0.05, "an empty page"
        brightness.append(picture[:200, -60:].mean())  # the margin
    assert brightness[0] > 0.9
    assert brightness[1] < 0.2


@needs_browser
@pytest.mark.parametrize("name", ["index.html", "mine.html"])
def test_nothing_is_wider_than_a_phone(pages, tmp_path, name):
    """A frame of 390 pixels; its page says how wide it had to become."""
    frame = tmp_path / "phone.html"
    frame.write_text(
        f'<iframe id="f" src="{(pages / name).as_uri()}" style="width:390px;height:800px"></iframe>'
        "<p id=said></p><script>document.getElementById('f').onload = e => {"
        "const page = e.target.contentDocument.documentElement;"
        "document.getElementById('said').textContent = page.scrollWidth + ' of ' +"
        " page.clientWidth + '; list open: ' + (page.querySelector('#list')?.open ?? false);"
        "};</script>"
    )
    text = browse(frame.as_uri(), "--dump-dom", profile=tmp_path / "p")
    wide, room, opened = re.search(r">(\d+) of (\d+); list open: (\w+)<", text).groups()
    assert 300 < int(wide) <= int(room)
    assert opened == "false"


@needs_browser
@pytest.mark.parametrize(("words", "left"), [("FALSE", ["kernel_rank"]), ("OK", ["mended"])])
def test_the_list_filters_by_verdict(pages, tmp_path, words, left):
    """A link from the index presses the button of its verdict."""
    address = f"{(pages / 'mine.html').as_uri()}#{words}"
    text = browse(address, "--dump-dom", profile=tmp_path / "p")
    sections = re.findall(r"<section id=\"(\w+)\"([^>]*)>", text)
    assert [name for name, rest in sections if "hidden" not in rest] == left
    entries = re.findall(r"<li data-verdict=\"(\w+)\"([^>]*)>", text)
    assert [word for word, rest in entries if "hidden" not in rest] == [words]


@needs_browser
def test_a_page_prints(pages, tmp_path):
    target = tmp_path / "page.pdf"
    browse((pages / "mine.html").as_uri(), f"--print-to-pdf={target}", profile=tmp_path / "p")
    assert target.read_bytes().startswith(b"%PDF")
    assert target.stat().st_size > 10_000


def test_every_link_of_a_page_leads_somewhere(pages):
    for page in pages.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        names = set(re.findall(r'\bid="([^"]+)"', text))
        links = re.findall(r'<a [^>]*href="([^"]+)"', text)
        assert links
        for link in links:
            file, _, anchor = link.partition("#")
            assert (page.parent / file).exists() if file else anchor in names, link
            if file and anchor:
                other = (page.parent / Path(file)).read_text(encoding="utf-8")
                assert f'id="{anchor}"' in other, link
