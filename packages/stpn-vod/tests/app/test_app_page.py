"""The page in a browser, from a clip to boxes."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stpn_core.testing.children import until

from .browser import Browser, find_browser, launched
from .conftest import FRAMES, Client

STATE = "document.querySelector('#clip-state').textContent"
ERROR = (
    "document.querySelector('#error').hidden ? '' : document.querySelector('#error').textContent"
)
DONE = f"{STATE}.startsWith('done')"
COUNTS = "[...document.querySelectorAll('.lane .count')].map((e) => parseInt(e.textContent))"
SHOWN = "document.querySelector('#frame-number').textContent"
# pixels of a lane that are as saturated as boxes are and the clip is not
BOX_PIXELS = """(() => [...document.querySelectorAll('.lane canvas')].map((canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4)
    count += Math.max(data[i], data[i+1], data[i+2]) - Math.min(data[i], data[i+1], data[i+2]) > 180;
  return count;
}))()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with launched(find_browser(), tmp_path_factory.mktemp("chromium") / "profile") as browser:
        browser.resize(1360, 900)
        yield browser


@pytest.fixture
def page(browser: Browser, client: Client) -> Browser:
    """The page without any clip."""
    browser.open(
        "about:blank"
    )  # the page before would complain about pictures that are deleted now
    for job in client.json("GET", "/api/jobs"):
        client.json("DELETE", f"/api/jobs/{job['number']}")
    browser.events.clear()
    browser.open(client.address)
    browser.until("document.querySelector('#detector').textContent.includes('classes')")
    return browser


def score(page: Browser, value: float) -> None:
    page.evaluate(
        f"(() => {{ const s = document.querySelector('#score'); s.value = {value};"
        " s.dispatchEvent(new Event('input')); })()"
    )


def test_a_clip_is_chosen_and_boxes_appear_in_every_lane(page, client, clip, tmp_path):
    page.choose_file("#file", clip)
    page.until(DONE)
    assert page.evaluate("document.querySelector('#clip-name').textContent") == clip.name
    titles = page.evaluate("[...document.querySelectorAll('.lane b')].map((e) => e.textContent)")
    assert titles == ["with prompts", "prompts off", "twin"]
    page.until(f"{SHOWN}.startsWith('{FRAMES} / {FRAMES}')")
    score(page, 0.05)
    page.until(f"{BOX_PIXELS}.every((n) => n > 50)")
    records = [data for kind, data in client.events(_newest(client)) if kind == "frame"]
    expected = [
        sum(thing["score"] > 0.05 for thing in lane["objects"]) for lane in records[-1]["lanes"]
    ]
    assert page.evaluate(COUNTS) == expected
    score(page, 0.95)
    page.until(f"{BOX_PIXELS}.every((n) => n === 0)")  # control: it was boxes that were counted
    assert page.evaluate(COUNTS) == [0, 0, 0]
    page.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000
    assert page.complaints() == []
    asked = {urlsplit(url).netloc for url in page.requested() if url.startswith("http")}
    assert asked == {urlsplit(client.address).netloc}


def test_a_clip_is_dropped(page, clip):
    data = base64.b64encode(clip.read_bytes()).decode()
    page.evaluate(
        f"""(() => {{
          const bytes = Uint8Array.from(atob('{data}'), (c) => c.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], 'dropped.mp4'));
          document.querySelector('#drop').dispatchEvent(
            new DragEvent('drop', {{ dataTransfer, bubbles: true, cancelable: true }}));
        }})()"""
    )
    page.until(DONE)
    assert page.evaluate("document.querySelector('#clip-name').textContent") == "dropped.mp4"


def test_by_keyboard_alone(page, clip):
    page.choose_file("#file", clip)
    page.until(DONE)
    page.until(f"{SHOWN}.startsWith('{FRAMES} /')")
    page.evaluate("document.activeElement.blur()")
    page.press("Home", 36)
    page.until(f"{SHOWN}.startsWith('1 /')")
    page.press("ArrowRight", 39)
    page.until(f"{SHOWN}.startsWith('2 /')")
    page.press("ArrowLeft", 37)
    page.until(f"{SHOWN}.startsWith('1 /')")
    before = float(page.evaluate("document.querySelector('#score').value"))
    page.press("]", 221)
    assert float(page.evaluate("document.querySelector('#score').value")) == pytest.approx(
        before + 0.05
    )
    page.press(" ", 32)  # plays to the end and stops there
    page.until(f"{SHOWN}.startsWith('{FRAMES} /')")
    page.until("document.querySelector('#play').textContent === 'Play'")
    reached = set()
    for _ in range(40):
        page.press("Tab", 9)
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.name"))
    assert {"file", "policy", "kind", "again", "play", "position", "score", "save-video"} <= reached


def test_settings_reach_the_server_and_a_clip_runs_again(page, client, clip):
    page.choose_file("#file", clip)
    page.until(DONE)
    page.evaluate(
        """(() => { const form = document.querySelector('#settings');
          form.policy.value = 'uniform'; form.count.value = 3; form.max_frames.value = 4;
          form.kind.value = 'noise'; form.severity.value = 1; form.oninput();
          document.querySelector('#again').click(); })()"""
    )
    page.until("document.querySelectorAll('#clips li').length === 2")
    page.until(f"{STATE} === 'done, 4 frames'")
    records = [data for kind, data in client.events(_newest(client)) if kind == "frame"]
    assert [record["spoiled"] for record in records] == [True] * 4
    assert [record["lanes"][0]["prompted"] for record in records] == [True] * 4


def test_a_damaged_clip_is_explained_and_the_next_one_runs(page, clip, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"<html>" * 99)
    page.choose_file("#file", tmp_path / "broken.mp4")
    said = page.until(ERROR)
    assert said.startswith("broken.mp4: not a video file that can be read")
    page.until(f"{STATE} === 'failed'")
    page.choose_file("#file", clip)
    page.until(DONE)
    assert page.evaluate(ERROR) == ""
    assert page.complaints() == []


def test_a_clip_that_is_too_long_is_refused_before_it_is_sent(page, client, tmp_path):
    (tmp_path / "long.mp4").write_bytes(bytes(1_000_001))
    page.choose_file("#file", tmp_path / "long.mp4")
    assert "the most is 1 MB" in page.until(ERROR)
    assert client.json("GET", "/api/jobs") == []


def clicked(selector: str) -> str:
    """Whether the button was there to be clicked: a line of the list is drawn anew as its state
    changes."""
    return (
        f"(() => {{ const found = document.querySelector('{selector}'); found?.click(); "
        "return found !== null; })()"
    )


def test_cancel_and_remove(page, client, clip):
    page.evaluate("document.querySelector('#settings').short_side.value = 600")
    page.choose_file("#file", clip)
    page.until(f"{STATE} !== ''")
    page.until(clicked("#clips button[aria-label^=Cancel]"))
    page.until(f"{STATE}.startsWith('cancelled')")
    page.until(clicked("#clips button[aria-label^=Remove]"))
    page.until("document.querySelectorAll('#clips li').length === 0")
    page.until(
        "!document.querySelector('#empty').hidden && document.querySelector('#stage').hidden"
    )
    assert client.json("GET", "/api/jobs") == []


def test_downloads(page, clip, tmp_path):
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    page.choose_file("#file", clip)
    page.until(DONE)
    for name in ("lines", "video"):
        page.evaluate(f"document.querySelector('#save-{name}').click()")
        page.until("document.querySelector('#save-state').textContent === 'Saved.'")
        page.evaluate("document.querySelector('#save-state').textContent = ''")
    names = [f"{clip.stem}.detections.jsonl", f"{clip.stem}.annotated.mp4"]
    assert until(lambda: all((tmp_path / name).is_file() for name in names), 60)
    lines = (tmp_path / names[0]).read_text().splitlines()
    assert len(lines) == 3 * FRAMES


@pytest.mark.parametrize("width", [360, 1360])
def test_nothing_is_wider_than_the_window(page, clip, width, tmp_path):
    page.resize(width, 800, mobile=width < 500)
    try:
        page.choose_file("#file", clip)
        page.until(DONE)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        tops = page.evaluate(
            "[...document.querySelectorAll('.lane')].map((e) => e.getBoundingClientRect().top)"
        )
        assert (len(set(tops)) == 1) == (width > 1000)  # side by side where there is room
    finally:
        page.resize(1360, 900)


def _newest(client: Client) -> int:
    return client.json("GET", "/api/jobs")[-1]["number"]


@pytest.mark.parametrize(("required", "outcome"), [("0", pytest.skip), ("1", pytest.fail)])
def test_without_a_browser_it_skips_unless_every_check_is_asked_for(monkeypatch, required, outcome):
    monkeypatch.setenv("STPN_CHROMIUM", "no-such-browser")
    monkeypatch.setenv("STPN_REQUIRE_SHARED", required)
    with pytest.raises(outcome.Exception, match="apt-get install chromium"):
        find_browser()


def test_the_control_of_the_browser_sees_an_error(browser, tmp_path: Path):
    browser.events.clear()
    (tmp_path / "bad.html").write_text("<script>nowhere()</script>")
    browser.call("Page.navigate", url=f"file://{tmp_path}/bad.html")
    browser.until("document.readyState === 'complete' && location.protocol === 'file:'")
    assert any("nowhere" in text for text in browser.complaints())
