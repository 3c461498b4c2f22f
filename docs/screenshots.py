"""Take the README's pictures of the playground and the dashboard from a running service.

    python docs/screenshots.py --url http://127.0.0.1:8000 --out docs/images

Needs Chromium and the `dev` extra (playwright, scikit-image); the photographs are scikit-image's, and the video is made
of one.
"""

import argparse
import io
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import httpx
import numpy as np
import skimage.data
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

WIDTH = 1000
RATE, SECONDS = 12, 4
"""Frames a second of the video, and its length."""
MAX_BYTES = 200_000
LOAD_S = 55
"""The dashboard is looked at after so long under load: most of its shortest window."""
LOAD_TASKS = ("classify", "classify", "detect", "segment", "embed")
"""One thread each."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@dataclass(frozen=True)
class Shot:
    """One picture of the page."""

    name: str
    task: str
    photograph: str
    """Name of a function of `skimage.data`."""
    scheme: str = "light"


SHOTS = (
    Shot("classify", "classify", "chelsea"),
    Shot("segment", "segment", "chelsea"),
    Shot("detect", "detect", "chelsea", "dark"),
    Shot("regions", "regions", "page"),
)


def main() -> None:
    """Take every shot and write it as a PNG."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the running service")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder for the pictures")
    parser.add_argument(
        "--rival", help="what efficientnet_lite0_cam is compared with, such as efficientnet_lite0_cam:2"
    )
    arguments = parser.parse_args()
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser_path is None:
        sys.exit("no Chromium is installed")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        for shot in SHOTS:
            data = small_png(take(browser, arguments.url, shot))
            write(arguments.out / f"{shot.name}.png", data)
        write(arguments.out / "video.png", small_png(take_video(browser, arguments.url)))
        write(arguments.out / "gallery.png", small_png(take_gallery(browser, arguments.url)))
        if arguments.rival:
            shot = take_comparison(browser, arguments.url, arguments.rival)
            write(arguments.out / "compare.png", small_png(shot))
        for scheme in ("light", "dark"):
            write(arguments.out / f"dashboard_{scheme}.png", small_png(take_dashboard(browser, arguments.url, scheme)))
        browser.close()


def write(path: Path, data: bytes) -> None:
    """Write a picture, and say so."""
    path.write_bytes(data)
    print(f"{path}  {len(data) / 1e3:.0f} kB")


def take(browser: Browser, url: str, shot: Shot) -> bytes:
    """The page with an answer upon it, as a full-size PNG."""
    page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=shot.scheme)
    with TemporaryDirectory() as folder:
        photograph = Path(folder) / f"{shot.photograph}.png"
        Image.fromarray(getattr(skimage.data, shot.photograph)()).save(photograph)
        page.goto(f"{url.rstrip('/')}/#{shot.task}")
        page.wait_for_selector("input[name=task]:enabled", state="attached")
        page.set_input_files("#file", photograph)
        page.wait_for_selector("#timings-card:not([hidden])")
    data = page.screenshot()
    page.close()
    return data


def take_comparison(browser: Browser, url: str, rival: str) -> bytes:
    """Two versions or models beside one another, with what differs, as a full-size PNG."""
    page = browser.new_page(viewport={"width": 1280, "height": 1060})
    with TemporaryDirectory() as folder:
        photograph = Path(folder) / "chelsea.png"
        Image.fromarray(skimage.data.chelsea()).save(photograph)
        page.goto(f"{url.rstrip('/')}/#segment/efficientnet_lite0_cam")
        page.wait_for_selector("input[name=task]:enabled", state="attached")
        page.set_input_files("#file", photograph)
        page.wait_for_selector("#timings-card:not([hidden])")
        page.locator("#rival").select_option(rival)
        page.wait_for_selector('#comparison[aria-busy="false"][data-share]')
    data = page.screenshot()
    page.close()
    return data


def take_gallery(browser: Browser, url: str) -> bytes:
    """The models that are served, as a full-size PNG."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"{url.rstrip('/')}/#models")
    page.wait_for_selector(".model-card .measured dd")
    page.wait_for_load_state("networkidle")
    data = page.screenshot()
    page.close()
    return data


def take_video(browser: Browser, url: str) -> bytes:
    """The page with a video upon it that has been worked through, in its middle, as a full-size PNG."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    with TemporaryDirectory() as folder:
        film = Path(folder) / "cat.webm"
        make_film(film)
        page.goto(f"{url.rstrip('/')}/#detect")
        page.wait_for_selector("input[name=task]:enabled", state="attached")
        page.set_input_files("#file", film)
        page.locator("#process").click()
        page.wait_for_selector('#job[data-state="done"]', timeout=120_000)
        page.evaluate("seconds => { document.querySelector('video').currentTime = seconds; }", SECONDS / 2)
        page.wait_for_selector("#answer li")
        page.wait_for_timeout(500)
    data = page.screenshot()
    page.close()
    return data


def take_dashboard(browser: Browser, url: str, scheme: str) -> bytes:
    """The dashboard over the last minute, most of it under load, as a full-size PNG."""
    page = browser.new_page(viewport={"width": 1280, "height": 1240}, color_scheme=scheme)
    page.goto(f"{url.rstrip('/')}/dashboard#window=60")
    with load(url):
        page.wait_for_timeout(LOAD_S * 1000)
        data = page.screenshot()
    page.close()
    return data


@contextmanager
def load(url: str) -> Iterator[None]:
    """Ask for answers to a photograph all the while, from some threads."""
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.chelsea()).save(buffer, "JPEG")
    enough = threading.Event()

    def ask(task: str) -> None:
        with httpx.Client(base_url=url, headers={"Content-Type": "image/jpeg"}, timeout=60) as client:
            while not enough.is_set():
                client.post(f"/v1/{task}", content=buffer.getvalue())

    threads = [threading.Thread(target=ask, args=(task,)) for task in LOAD_TASKS]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        enough.set()
        for thread in threads:
            thread.join()


def make_film(path: Path) -> None:
    """A cat that goes to the right, as VP9, which every Chromium plays."""
    cat = skimage.data.chelsea()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 720, 300, "yuv420p"
        stream.options = {"deadline": "realtime", "cpu-used": "8", "crf": "20"}
        for number in range(RATE * SECONDS):
            picture = np.full((300, 720, 3), 96, np.uint8)
            picture[:, 4 * number : 4 * number + 451] = cat[:, : 720 - 4 * number]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def small_png(data: bytes) -> bytes:
    """The picture ``WIDTH`` pixels wide, in as many colours as ``MAX_BYTES`` allow."""
    with Image.open(io.BytesIO(data)) as image:
        small = image.convert("RGB").resize(
            (WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS
        )
    for colours in (256, 192, 128, 96, 64):
        buffer = io.BytesIO()
        reduced = small.quantize(palette=_palette(small, colours), dither=Image.Dither.FLOYDSTEINBERG)
        reduced.save(buffer, "PNG", optimize=True)
        if buffer.tell() < MAX_BYTES:
            return buffer.getvalue()
    raise ValueError(f"the picture does not fit into {MAX_BYTES} bytes")


def _palette(image: Image.Image, colours: int) -> Image.Image:
    """An image with a palette: three quarters for the photograph, the rest for the page's few small accents."""
    accents = colours // 4
    common = image.quantize(colours - accents, Image.Quantize.MEDIANCUT).getpalette() or []
    rare = image.quantize(accents, Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette(common + rare)
    return palette


if __name__ == "__main__":
    main()
