"""The playground in a real browser, before a real service."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
ANSWERED = "#timings-card:not([hidden])"

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    """A Chromium without a screen."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: sync_api.Browser, gateway_url: str) -> Iterator[sync_api.Page]:
    """The playground, as it opens."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(gateway_url)
    page.wait_for_selector("input[name=task]:enabled", state="attached")
    yield page
    page.close()


@pytest.fixture(scope="module")
def cat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scikit-image's cat as a PNG."""
    path = tmp_path_factory.mktemp("pictures") / "chelsea.png"
    Image.fromarray(skimage.data.chelsea()).save(path)
    return path


def choose_task(page: sync_api.Page, title: str) -> None:
    """Press a task's button."""
    page.get_by_role("radio", name=title).check(force=True)


def face(page: sync_api.Page) -> np.ndarray:
    """RGB i16 [400, 3] of the canvas at a grid of places on the cat's face, in the middle of the picture."""
    colours = page.evaluate(
        """() => {
            const canvas = document.getElementById("canvas");
            const context = canvas.getContext("2d", { willReadFrequently: true });
            const at = (i) => 0.3 + 0.3 * (i / 20);
            return Array.from({ length: 400 }, (_, i) => {
                const [x, y] = [canvas.width * at(i % 20), canvas.height * at(Math.floor(i / 20))];
                return [...context.getImageData(Math.round(x), Math.round(y), 1, 1).data].slice(0, 3);
            });
        }"""
    )
    return np.array(colours, dtype=np.int16)


def test_a_dropped_cat_is_called_a_cat(page: sync_api.Page, cat: Path) -> None:
    """The first class shown for scikit-image's chelsea is a cat."""
    page.set_input_files("#file", cat)

    sync_api.expect(page.locator("#answer li").first).to_contain_text("cat")
    sync_api.expect(page.locator("#file-size")).to_contain_text(re.compile("451 . 300"))


def test_a_segment_is_painted_over_the_cat(page: sync_api.Page, cat: Path) -> None:
    """More of the canvas over the cat's face changes its colour than a label could cover."""
    page.set_input_files("#file", cat)
    page.wait_for_selector(ANSWERED)
    plain = face(page)
    choose_task(page, "Segment")
    page.wait_for_selector("#answer button.finding")

    assert (np.abs(face(page) - plain).max(axis=1) > 20).mean() > 0.4


def test_a_text_file_is_refused_in_words(page: sync_api.Page, tmp_path: Path) -> None:
    """A text file shows the service's documented error, and no answer."""
    path = tmp_path / "notes.txt"
    path.write_text("not a picture")
    page.set_input_files("#file", path)

    sync_api.expect(page.get_by_role("alert")).to_contain_text("unsupported_media_type")
    sync_api.expect(page.locator("#answer li")).to_have_count(0)


def test_the_threshold_filters_what_is_there(page: sync_api.Page, cat: Path) -> None:
    """Moving the threshold to 100 % empties the list without another request."""
    page.set_input_files("#file", cat)
    page.wait_for_selector(ANSWERED)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.locator("#score").fill("1")

    sync_api.expect(page.locator("#answer li")).to_have_count(0)
    assert requests == []


def test_every_task_stays_within_the_origin_and_without_errors(
    browser: sync_api.Browser, gateway_url: str, cat: Path
) -> None:
    """No task makes the page complain in the console or ask anything of another origin."""
    page = browser.new_page()
    complaints: list[str] = []
    addresses: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(gateway_url)
    page.wait_for_selector("input[name=task]:enabled", state="attached")
    page.set_input_files("#file", cat)
    for task in ("Detect", "Segment", "Embed", "Regions", "Classify"):
        choose_task(page, task)
        page.wait_for_selector(ANSWERED)
    page.close()

    assert complaints == []
    assert [address for address in addresses if not address.startswith((gateway_url, "blob:"))] == []
    assert sum("/v1/" in address for address in addresses) >= 6
