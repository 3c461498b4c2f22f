"""Videos and the webcam in the playground: a real browser, before a real service with tiny models."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from contract.preprocess import Pixels
from contract.task import Task
from tests.end_to_end.gateway import gateway
from tests.end_to_end.slow_model import slow_model
from tests.end_to_end.test_playground import BROWSER, FLAGS, choose_task
from tests.service.tiny_tasks import object_model, write_task
from tests.service.video.clips import every, write_clip
from tests.tiny_models import COLOURS, write_version

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
BRIGHT, FRAMES, RATE = 30, 60, 25
"""The clip is bright, and thus has an object, for so many of its frames."""
LOGGED = "Failed to load resource: the server responded with a status of "
"""What the browser itself says of every refusal."""

COUNTING = """
    window.underWay = [];
    let count = 0;
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (data) {
        if (!this.counted) this.addEventListener("message", () => (count -= 1));
        this.counted = true;
        underWay.push(++count);
        send.call(this, data);
    };
"""
"""Script that notes in ``underWay``, whenever a frame is sent, how many have no answer yet."""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


def lit(number: int) -> Pixels:
    """A frame of 320 x 180 that is bright up to a point, but for its left."""
    pixels = np.full((180, 320, 3), 240 if number < BRIGHT else 20, np.uint8)
    pixels[:, :80] = 20
    return pixels


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that every Chromium plays."""
    return write_clip(tmp_path_factory.mktemp("clips") / "film.webm", every(FRAMES, RATE), paint=lit, codec="libvpx")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector, a segmenter and two classifiers, one of which takes its time."""
    root = tmp_path_factory.mktemp("repository")
    write_version(root, "colours")
    write_version(root, "slow", model=slow_model(), batch_sizes=(1,))
    write_task(root, "middle", Task.DETECT, object_model(masks=False), labels=COLOURS)
    write_task(root, "blobs", Task.SEGMENT, object_model(masks=True), labels=COLOURS)
    return root


@pytest.fixture(scope="module")
def service_url(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a service over the tiny models."""
    with gateway(repository, tmp_path_factory.mktemp("service") / "log") as running:
        yield running.url


@pytest.fixture(scope="module")
def playwright() -> Iterator[sync_api.Playwright]:
    """What starts browsers."""
    with sync_api.sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: sync_api.Playwright) -> Iterator[sync_api.Browser]:
    """A Chromium without a screen, with a made-up camera that asks nobody."""
    browser = playwright.chromium.launch(executable_path=BROWSER, args=[*FLAGS, *CAMERA])
    yield browser
    browser.close()


@contextmanager
def playground(browser: sync_api.Browser, url: str) -> Iterator[sync_api.Page]:
    """The page, which must not complain in the console."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    page.wait_for_selector("input[name=task]:enabled", state="attached")
    yield page
    page.close()

    assert [complaint for complaint in complaints if not complaint.startswith(LOGGED)] == []


@pytest.fixture
def page(browser: sync_api.Browser, service_url: str) -> Iterator[sync_api.Page]:
    """The playground, set to detect."""
    with playground(browser, service_url) as page:
        choose_task(page, "Detect")
        yield page


def process(page: sync_api.Page, video: Path, state: str = "done") -> None:
    """Choose a video, have it processed, and wait until the job is in that state."""
    page.set_input_files("#file", video)
    page.locator("#process").click()
    page.wait_for_selector(f'#job[data-state="{state}"]')


def job_address(page: sync_api.Page) -> str:
    """Where the job that is shown is found."""
    results: str = page.evaluate("document.getElementById('results-link').href")
    return results.removesuffix("/results")


def seek(page: sync_api.Page, frame: int) -> None:
    """Let the video show the middle of a frame."""
    page.evaluate("time => { document.getElementById('film').currentTime = time; }", (frame + 0.5) / RATE)


def await_frame(page: sync_api.Page, frame: int) -> None:
    """Wait until the result of a frame is shown."""
    page.wait_for_selector(f'#overlay[data-frame="{frame}"]', state="attached")


def paint_at(page: sync_api.Page, x: float, y: float) -> int:
    """How opaque the overlay is somewhere, 0 … 255; the place in shares of its size."""
    script = """([x, y]) => {
        const overlay = document.getElementById("overlay");
        const { width, height } = overlay;
        // The page's own canvas is not made for reading, of which the browser complains.
        const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
        context.drawImage(overlay, 0, 0);
        return context.getImageData(Math.round(width * x), Math.round(height * y), 1, 1).data[3];
    }"""
    opacity: int = page.evaluate(script, [x, y])
    return opacity


def set_threshold(page: sync_api.Page, value: str) -> None:
    """Put a score threshold into its field, among the task's parameters."""
    page.locator("#parameters-card").evaluate("card => { card.open = true; }")
    page.get_by_label("Score threshold").fill(value)
    page.get_by_label("Score threshold").press("Enter")


def start_webcam(page: sync_api.Page) -> sync_api.WebSocket:
    """Press the webcam's button, and wait for the first answers; the stream that brings them."""
    with page.expect_websocket() as opened:
        page.get_by_role("button", name="Use the webcam").click()
    sync_api.expect(page.locator("#overlay")).to_have_attribute("data-frame", re.compile(r"[3-9]|\d\d"))
    stream: sync_api.WebSocket = opened.value
    return stream


def wait_closed(page: sync_api.Page, stream: sync_api.WebSocket) -> None:
    """Wait until a stream is closed."""
    if not stream.is_closed():
        stream.wait_for_event("close")


def test_a_box_with_its_track_is_drawn_over_the_frame(page: sync_api.Page, clip: Path) -> None:
    """The frame that is shown has its object's box over it, and the object its track's number in the list."""
    process(page, clip)
    seek(page, 12)
    await_frame(page, 12)

    assert page.locator("#overlay").get_attribute("data-tracks") == "1"
    assert paint_at(page, 0.25, 0.5) == 255
    assert paint_at(page, 0.5, 0.5) == 0
    sync_api.expect(page.locator("#answer li")).to_contain_text("red #1")


def test_the_overlay_follows_the_frame(page: sync_api.Page, clip: Path) -> None:
    """A frame in which nothing was found has neither a box over it nor a row in the list."""
    process(page, clip)
    seek(page, BRIGHT + 5)
    await_frame(page, BRIGHT + 5)

    assert paint_at(page, 0.25, 0.5) == 0
    sync_api.expect(page.locator("#answer li")).to_have_count(0)
    sync_api.expect(page.locator("#waiting")).to_have_text("Nothing was found in this picture.")


def test_results_are_shown_while_it_plays(page: sync_api.Page, clip: Path) -> None:
    """Playing a video to its end shows the results of frame after frame, in their order."""
    process(page, clip)
    shown = page.evaluate(
        """async () => {
            const [film, overlay, shown] = [document.getElementById("film"), document.getElementById("overlay"), []];
            new MutationObserver(() => shown.push(Number(overlay.dataset.frame))).observe(overlay, {
                attributeFilter: ["data-frame"],
            });
            await film.play();
            await new Promise((resolve) => film.addEventListener("ended", resolve));
            return shown;
        }"""
    )

    assert shown == sorted(shown)
    assert len(set(shown)) > FRAMES / 6


def test_a_mask_lies_over_the_video(page: sync_api.Page, clip: Path) -> None:
    """What was segmented is tinted, and what lies around it is not."""
    choose_task(page, "Segment")
    process(page, clip)
    seek(page, 3)
    await_frame(page, 3)

    assert 0 < paint_at(page, 0.6, 0.6) < 255
    assert paint_at(page, 0.1, 0.6) == 0


def test_the_results_are_there_to_be_taken_away(page: sync_api.Page, clip: Path) -> None:
    """The link beside a job that is done gives a line a frame."""
    process(page, clip)
    lines = [json.loads(line) for line in page.request.get(f"{job_address(page)}/results").text().splitlines()]

    assert [line["frame"] for line in lines] == list(range(FRAMES))
    assert page.locator("#results-link").get_attribute("download") == "film.ndjson"


def test_the_choices_on_the_page_are_the_jobs(page: sync_api.Page, clip: Path) -> None:
    """Sampling, tracking, drawing and a parameter are asked for as they stand on the page."""
    page.locator("#sampling").evaluate("choice => { choice.value = 'fps=5'; }")
    page.locator("#track").evaluate("box => { box.checked = false; }")
    page.locator("#annotate").evaluate("box => { box.checked = true; }")
    set_threshold(page, "0.9")
    process(page, clip)
    request = page.request.get(job_address(page)).json()["request"]

    assert (request["sampling"], request["annotate"], "track" in request) == ({"fps": 5.0}, True, False)
    assert request["parameters"] == {"score_threshold": "0.9"}


def test_a_text_file_named_mp4_is_refused_in_words(page: sync_api.Page, tmp_path: Path) -> None:
    """A text file named .mp4 shows the service's documented error, and no job."""
    path = tmp_path / "notes.mp4"
    path.write_text("not a video")
    page.set_input_files("#file", path)
    sync_api.expect(page.locator("#stage-note")).to_contain_text("cannot play")
    page.locator("#process").click()

    sync_api.expect(page.get_by_role("alert")).to_contain_text("invalid_video")
    sync_api.expect(page.locator("#job")).to_be_hidden()


def test_a_job_can_be_cancelled(page: sync_api.Page, clip: Path) -> None:
    """Cancel ends a job; what it had found stays, and the frames behind that are said to lack a result."""
    choose_task(page, "Classify")
    page.locator("#model").select_option("slow")
    process(page, clip, state="running")
    page.wait_for_selector("#answer li")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector('#job[data-state="cancelled"]')
    sync_api.expect(page.locator("#answer li").first).to_be_visible()
    seek(page, FRAMES - 1)

    sync_api.expect(page.locator("#stage-note")).to_contain_text("Not processed")
    sync_api.expect(page.locator("#answer li")).to_have_count(0)


def test_playback_ahead_of_the_results_says_so(page: sync_api.Page, clip: Path) -> None:
    """A frame that the job has not reached is said to be not yet processed."""
    choose_task(page, "Classify")
    page.locator("#model").select_option("slow")
    process(page, clip, state="running")
    seek(page, FRAMES - 1)

    sync_api.expect(page.locator("#stage-note")).to_contain_text("Not yet processed")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector('#job[data-state="cancelled"]')


def test_a_job_that_was_lost_sight_of_is_found_again(page: sync_api.Page, clip: Path) -> None:
    """Where the service once fails to tell how a job stands, 'try again' follows that job and sends no other."""
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.route(re.compile("/v1/videos/[0-9a-f]+$"), lambda route: route.fulfill(status=500))
    page.set_input_files("#file", clip)
    page.locator("#process").click()
    sync_api.expect(page.get_by_role("alert")).to_contain_text("500")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()

    page.wait_for_selector('#job[data-state="done"]')
    sync_api.expect(page.get_by_role("alert")).to_be_hidden()
    assert len(sent) == 1


def test_results_can_be_deleted(page: sync_api.Page, clip: Path) -> None:
    """Delete removes the job from the service and its results from the page."""
    process(page, clip)
    address = job_address(page)
    page.get_by_role("button", name="Delete results").click()

    sync_api.expect(page.locator("#job")).to_be_hidden()
    sync_api.expect(page.locator("#overlay")).to_have_attribute("data-shown", "0")
    assert page.request.get(address).status == 404


def test_a_video_that_the_browser_cannot_play_is_shown_annotated(page: sync_api.Page, tmp_path: Path) -> None:
    """In the place of an AVI stands the annotated MP4 when it is done; where that cannot be played, a note says so."""
    page.locator("#annotate").evaluate("box => { box.checked = true; }")
    process(page, write_clip(tmp_path / "film.avi", every(FRAMES, RATE), paint=lit, codec="mpeg4"))
    if page.evaluate("""document.createElement("video").canPlayType('video/mp4; codecs="avc1.42E01E"')"""):
        sync_api.expect(page.locator("#film")).to_have_attribute("src", re.compile("/annotated.mp4$"))
        seek(page, 20)
        await_frame(page, 20)
        assert paint_at(page, 0.25, 0.5) == 0
    else:
        sync_api.expect(page.locator("#stage-note")).to_contain_text("either")


def test_lines_that_were_let_go_are_fetched_again(page: sync_api.Page, clip: Path, service_url: str) -> None:
    """With little memory for lines, seeking to a frame whose line was let go shows its result all the same."""
    modest = page.request.get(f"{service_url}/web/timeline.js").text()
    for name, few in (
        ("const KEPT = 32 * 2 ** 20", "const KEPT = 4000"),
        ("const BLOCK_LINES = 256", "const BLOCK_LINES = 8"),
    ):
        assert name in modest
        modest = modest.replace(name, few)
    page.route("**/timeline.js", lambda route: route.fulfill(body=modest, content_type="text/javascript"))
    page.reload()
    process(page, clip)
    with page.expect_request(lambda request: "/results?from_frame=48" in request.url):
        seek(page, 50)
    await_frame(page, 50)
    seek(page, 12)
    await_frame(page, 12)

    assert page.locator("#overlay").get_attribute("data-tracks") == "1"


def test_the_webcams_answers_are_drawn_over_it(page: sync_api.Page) -> None:
    """The webcam's frames are answered, at a rate and with a delay that are shown, at most two of them under way."""
    page.add_init_script(COUNTING)
    page.reload()
    start_webcam(page)

    sync_api.expect(page.locator("#live-figures")).to_contain_text("ms there and back")
    sync_api.expect(page.locator("#live-figures")).to_contain_text("frames/s")
    assert set(page.evaluate("underWay")) <= {1, 2}


def test_a_parameter_changes_within_the_stream(page: sync_api.Page) -> None:
    """A lower threshold finds the object in the running stream, without another one; nonsense is told in words."""
    stream = start_webcam(page)
    sync_api.expect(page.locator("#overlay")).to_have_attribute("data-shown", "0")
    set_threshold(page, "0.01")
    sync_api.expect(page.locator("#overlay")).to_have_attribute("data-shown", "1")
    page.get_by_label("Score threshold").evaluate("field => field.removeAttribute('max')")
    set_threshold(page, "7")

    sync_api.expect(page.get_by_role("alert")).to_contain_text("less than or equal to 1")
    assert not stream.is_closed()


def test_stopping_the_webcam_frees_it(page: sync_api.Page) -> None:
    """The stop button closes the stream and gives the camera back; the same button starts both again."""
    stream = start_webcam(page)
    camera = page.evaluate_handle("document.getElementById('film').srcObject")
    page.get_by_role("button", name="Stop the webcam").click()
    wait_closed(page, stream)

    assert camera.evaluate("camera => camera.getTracks().map((track) => track.readyState)") == ["ended"]
    assert page.evaluate("document.getElementById('film').srcObject") is None
    page.get_by_role("button", name="Start the webcam").click()
    sync_api.expect(page.locator("#live")).to_have_attribute("data-state", "on")


def test_a_file_takes_the_webcams_place(page: sync_api.Page, clip: Path) -> None:
    """Choosing a file ends the stream, gives the camera back, and shows the file."""
    stream = start_webcam(page)
    camera = page.evaluate_handle("document.getElementById('film').srcObject")
    process(page, clip)
    wait_closed(page, stream)
    await_frame(page, 0)

    assert camera.evaluate("camera => camera.getTracks().map((track) => track.readyState)") == ["ended"]
    sync_api.expect(page.locator("#live")).to_be_hidden()


def test_another_task_has_another_stream(page: sync_api.Page) -> None:
    """Choosing a task while the webcam is on asks for that task, with the camera as it is."""
    first = start_webcam(page)
    with page.expect_websocket(lambda stream: "task=classify" in stream.url):
        choose_task(page, "Classify")

    sync_api.expect(page.locator("#answer li").first).to_contain_text("green")
    wait_closed(page, first)


def test_the_end_of_the_service_is_told(browser: sync_api.Browser, repository: Path, tmp_path: Path) -> None:
    """A service that ends in the middle of the webcam's stream is told of, with a button to try again."""
    with gateway(repository, tmp_path / "log") as running, playground(browser, running.url) as page:
        start_webcam(page)
        running.leave()

        sync_api.expect(page.get_by_role("alert")).to_contain_text("The stream has ended")
        sync_api.expect(page.get_by_role("button", name="Try again")).to_be_visible()
        sync_api.expect(page.locator("#live")).to_have_attribute("data-state", "off")


def test_no_camera_is_told_in_words(playwright: sync_api.Playwright, service_url: str) -> None:
    """Where there is no camera, or none may be used, a sentence says so."""
    browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
    with playground(browser, service_url) as page:
        page.get_by_role("button", name="Use the webcam").click()

        sync_api.expect(page.get_by_role("alert")).to_contain_text("No camera")
        sync_api.expect(page.get_by_role("button", name="Start the webcam")).to_be_visible()
    browser.close()


def test_a_narrow_phone_shows_it_all(page: sync_api.Page, clip: Path) -> None:
    """At 360 pixels nothing of a processed video's page is wider than the screen."""
    page.set_viewport_size({"width": 360, "height": 740})
    process(page, clip)

    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate("document.getElementById('stage').getBoundingClientRect().width") > 300
