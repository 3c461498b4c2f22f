"""The playground in a real browser, before real services: over the default models, and over tiny ones."""

import base64
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from contract.task import Task
from tests.end_to_end.gateway import gateway
from tests.service.tiny_hostile import MANY, constant
from tests.service.tiny_tasks import BY_CAM, brightness_model, explaining_model, object_model, outputs_of, write_task
from tests.tiny_models import COLOURS, colour_model, write_version

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
ANSWERED = "#timings-card:not([hidden])"
LOGGED = "Failed to load resource: the server responded with a status of "
"""What the browser itself says of every refusal."""
HOSTILE = (
    "<img src=x onerror=\"document.title='taken'\">",
    "<script>document.title='taken'</script>",
    "\u202edesrever \u2066isolated",
    "",
    "long " * 4000,
    "line\nbreak\u0000nul",
    "{{7*7}} ${7*7} %s",
    "\u05e2\u05d1\u05e8\u05d9\u05ea",
)
"""Names that a careless page would carry out, turn around, or be torn apart by."""

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
    """The playground over the default models, as it opens."""
    with playground(browser, gateway_url) as page:
        yield page


@pytest.fixture(scope="module")
def tiny_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a service over tiny models, some of them with names that mean harm."""
    root = tmp_path_factory.mktemp("models")
    write_version(root, "colours")
    write_version(root, "colours", 2, model=colour_model(2.0))
    write_version(root, "crowd", model=constant({"probabilities": crowd()}), labels=hostile_labels(), outputs=CROWD)
    write_version(root, "nameless", labels=())
    write_task(root, "quadrants", Task.CLASSIFY, explaining_model(), labels=COLOURS, task_settings=BY_CAM)
    write_task(root, "blobs", Task.SEGMENT, object_model(masks=True), labels=COLOURS)
    write_task(root, "distances", Task.DEPTH, brightness_model("depth"))
    write_version(root, "means", task=Task.EMBED)
    write_task(root, "fixed", Task.DETECT, constant(detections(PLACED)), labels=COLOURS)
    write_task(root, "harmful", Task.DETECT, constant(detections(MANY_PLACED)), labels=hostile_labels())
    with gateway(root, tmp_path_factory.mktemp("tiny") / "log", threads=2) as running:
        yield running.url


@pytest.fixture
def tiny(browser: sync_api.Browser, tiny_url: str) -> Iterator[sync_api.Page]:
    """The playground over the tiny models."""
    with playground(browser, tiny_url) as page:
        yield page


@contextmanager
def playground(browser: sync_api.Browser, url: str, place: str = "") -> Iterator[sync_api.Page]:
    """The page, which must neither complain in the console nor ask anything of another origin."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(20_000)
    complaints: list[str] = []
    addresses: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(f"{url}/{place}")
    page.wait_for_selector("input[name=task]:enabled", state="attached")
    yield page
    page.close()

    assert [complaint for complaint in complaints if not complaint.startswith(LOGGED)] == []
    assert [address for address in addresses if not address.startswith((url, "blob:", "data:"))] == []


Placed = tuple[tuple[float, float, float, float], float, int]
PLACED: list[Placed] = [((0, 0, 0.4, 0.4), 0.9, 0), ((0.5, 0.5, 1, 1), 0.8, 1), ((0.6, 0.6, 0.8, 0.8), 0.7, 0)]
MANY_PLACED: list[Placed] = [
    ((x / 120, y / 120, (x + 1) / 120, (y + 1) / 120), 0.9 - (100 * y + x) / 50_000, 100 * y + x)
    for y in range(100)
    for x in range(100)
]


def detections(placed: list[Placed]) -> dict[str, np.ndarray]:
    """The tensors of a detector that finds these boxes in every image: corners in shares, score, label."""
    return {
        "boxes": np.array([[corners for corners, _, _ in placed]], np.float32),
        "scores": np.array([[score for _, score, _ in placed]], np.float32),
        "labels": np.array([[label for _, _, label in placed]], np.int32),
    }


def crowd() -> np.ndarray:
    """Probabilities f32 [1, 10000] that fall from class to class."""
    falling = np.linspace(2, 0, MANY, dtype=np.float32)[None]
    return falling / falling.sum()


CROWD = outputs_of(constant({"probabilities": crowd()}))


def hostile_labels() -> tuple[str, ...]:
    """10,000 names, the first of them hostile."""
    return (*HOSTILE, *(f"name {number} <b>" for number in range(len(HOSTILE), MANY)))


@pytest.fixture(scope="module")
def cat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scikit-image's cat as a PNG."""
    path = tmp_path_factory.mktemp("pictures") / "chelsea.png"
    Image.fromarray(skimage.data.chelsea()).save(path)
    return path


def choose_task(page: sync_api.Page, title: str) -> None:
    """Press a task's button."""
    page.get_by_role("radio", name=title, exact=True).check(force=True)


def show(page: sync_api.Page, picture: Path, task: str, model: str) -> None:
    """Choose a task and a model, then a picture, and wait for its answer."""
    choose_task(page, task)
    page.locator("#model").select_option(model)
    page.set_input_files("#file", picture)
    page.wait_for_selector(ANSWERED)


def colours_at(page: sync_api.Page, places: list[tuple[float, float]], canvas: str = "canvas") -> np.ndarray:
    """RGB i16 [N, 3] of a canvas at places in shares of its size."""
    script = """([id, places]) => {
        const canvas = document.getElementById(id);
        // The page's own canvas is not made for reading, of which the browser complains.
        const context = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
        context.drawImage(canvas, 0, 0);
        const at = ([x, y]) => context.getImageData(Math.round(canvas.width * x), Math.round(canvas.height * y), 1, 1);
        return places.map((place) => [...at(place).data].slice(0, 3));
    }"""
    return np.array(page.evaluate(script, [canvas, places]), dtype=np.int16)


FACE = [(0.3 + 0.015 * (i % 20), 0.3 + 0.015 * (i // 20)) for i in range(400)]
"""A grid of places on the cat's face, in the middle of the picture."""
EVERYWHERE = [(0.025 + 0.05 * (i % 20), 0.025 + 0.05 * (i // 20)) for i in range(400)]
"""A grid of places over all of it."""


def face(page: sync_api.Page) -> np.ndarray:
    """RGB i16 [400, 3] of the canvas there."""
    return colours_at(page, FACE)


def requests_of(page: sync_api.Page) -> list[str]:
    """The addresses that are asked for from now on."""
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    return addresses


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


def test_no_task_makes_the_page_complain(page: sync_api.Page, cat: Path) -> None:
    """Every task that is served is asked for in its turn; what the page may not do is checked at its end."""
    addresses = requests_of(page)
    page.set_input_files("#file", cat)
    for task in ("Detect", "Segment", "Embed", "Regions", "Classify"):
        choose_task(page, task)
        page.wait_for_selector(ANSWERED)

    assert sum("/v1/" in address for address in addresses) >= 6


DROPPED = """([data, event]) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const files = new DataTransfer();
    files.items.add(new File([bytes], "chelsea.png", { type: "image/png" }));
    const target = document.getElementById("prompt");
    target.dispatchEvent(event === "paste"
        ? new ClipboardEvent("paste", { clipboardData: files, bubbles: true })
        : new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
}"""
"""Script that lets a file fall upon the page, or pastes it."""


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_picture_that_is_dropped_is_drawn(tiny: sync_api.Page, cat: Path, event: str) -> None:
    """The canvas has the cat's own colours after a file was dropped or pasted."""
    tiny.evaluate(DROPPED, [base64.b64encode(cat.read_bytes()).decode(), event])
    tiny.wait_for_selector(ANSWERED)
    pixels = np.asarray(Image.open(cat).convert("RGB").resize((200, 133)), np.int16)
    expected = np.array([pixels[round(133 * y), round(200 * x)] for x, y in FACE])

    assert np.median(np.abs(face(tiny) - expected)) < 12


def test_a_parameter_is_a_field(tiny: sync_api.Page, cat: Path) -> None:
    """What is put into a field stands in the request, in the answer, and in the command beside it."""
    show(tiny, cat, "Classify", "colours")
    tiny.locator("#parameters-summary").click()
    with tiny.expect_request(lambda request: "top_k=2" in request.url):
        tiny.get_by_label("Top k").fill("2")
        tiny.get_by_label("Top k").press("Enter")

    sync_api.expect(tiny.locator("#answer li")).to_have_count(2)
    sync_api.expect(tiny.locator("#code")).to_contain_text("top_k=2")
    sync_api.expect(tiny.locator("#parameters-count")).to_have_text("1 set")


def test_a_parameter_that_cannot_be_is_not_sent(tiny: sync_api.Page, cat: Path) -> None:
    """A number out of bounds asks for nothing; putting all back asks for the preset."""
    show(tiny, cat, "Classify", "colours")
    tiny.locator("#parameters-summary").click()
    addresses = requests_of(tiny)
    tiny.get_by_label("Score threshold").fill("7")
    tiny.get_by_label("Score threshold").press("Enter")
    assert tiny.get_by_label("Score threshold").evaluate("field => field.validity.rangeOverflow")
    tiny.get_by_label("Score threshold").fill("0.9")
    tiny.get_by_label("Score threshold").press("Enter")
    sync_api.expect(tiny.locator("#waiting")).to_have_text("No class reached the threshold.")
    tiny.get_by_role("button", name="Put all back").click()

    sync_api.expect(tiny.locator("#answer li")).to_have_count(3)
    assert [address.partition("?")[2] for address in addresses] == [
        "model=colours&score_threshold=0.9",
        "model=colours",
    ]


def test_a_version_can_be_chosen(tiny: sync_api.Page, cat: Path) -> None:
    """The version that is chosen answers, and the page's address leads back to it."""
    show(tiny, cat, "Classify", "colours")
    sync_api.expect(tiny.locator("#model-version")).to_have_text("version 2")
    with tiny.expect_request(lambda request: "model=colours:1" in request.url):
        tiny.locator("#version").select_option(":1")
    sync_api.expect(tiny.locator("#model-version")).to_have_text("version 1")
    tiny.reload()

    sync_api.expect(tiny.locator("#version")).to_have_value(":1")


def test_what_is_pointed_at_is_lifted(tiny: sync_api.Page, cat: Path) -> None:
    """A pointer over a box lifts it: its row is marked, the others fade; a small box lies over a large one."""
    show(tiny, cat, "Detect", "fixed")
    edge = [(0.2, 0.4)]
    plain = colours_at(tiny, edge)
    box = tiny.locator("#canvas").bounding_box()
    assert box is not None
    tiny.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.7 * box["height"])

    sync_api.expect(tiny.locator("#answer li.lifted")).to_have_count(1)
    sync_api.expect(tiny.locator("#answer li").nth(2)).to_have_class("lifted")
    sync_api.expect(tiny.locator("#canvas")).to_have_attribute("aria-label", re.compile("Pointed out: red 70 %"))
    assert np.abs(colours_at(tiny, edge) - plain).max() > 20
    tiny.mouse.move(box["x"] + 0.45 * box["width"], box["y"] + 0.1 * box["height"])
    sync_api.expect(tiny.locator("#answer li.lifted")).to_have_count(0)
    assert (colours_at(tiny, edge) == plain).all()


def test_labels_are_picked_without_a_request(tiny: sync_api.Page, cat: Path) -> None:
    """A label's button shows its objects only, in the list and in the picture, and asks the service nothing."""
    show(tiny, cat, "Detect", "fixed")
    addresses = requests_of(tiny)
    green = [(0.75, 0.5)]
    drawn = colours_at(tiny, green)
    tiny.get_by_role("button", name="red 2").click()

    sync_api.expect(tiny.locator("#answer li .name")).to_have_text(["red", "red"])
    sync_api.expect(tiny.locator("#count")).to_have_text("2 of 3 objects")
    assert np.abs(colours_at(tiny, green) - drawn).max() > 20
    tiny.get_by_role("button", name="All labels").click()
    sync_api.expect(tiny.locator("#answer li")).to_have_count(3)
    assert addresses == []


def test_the_waterfall_adds_up(tiny: sync_api.Page, cat: Path) -> None:
    """All steps together take the time that the browser measured, and the stages that which the service names."""
    show(tiny, cat, "Classify", "colours")
    rows = tiny.locator("#timings li").evaluate_all("rows => rows.map(row => [row.className, Number(row.dataset.ms)])")
    whole = float(re.findall(r"[\d.]+", tiny.locator("#round-trip").inner_text())[0])
    total = float(re.findall(r"[\d.]+", tiny.locator("#total").inner_text())[0])
    steps = {name.split()[1]: length for name, length in rows}

    assert list(steps) == [
        *("network", "fetch", "decode", "preprocess", "queue", "compute", "postprocess", "encode", "download")
    ]
    assert sum(steps.values()) == pytest.approx(whole, rel=0.05)
    assert sum(steps.values()) - steps["network"] - steps["download"] == pytest.approx(total, rel=0.05)


MASKS = ("rle", "polygon", "png", "palette", "bits")


def test_masks_of_every_form_look_alike(tiny: sync_api.Page, cat: Path) -> None:
    """Whatever form masks are asked for, cut to their boxes or not, the same places are tinted."""
    show(tiny, cat, "Segment", "blobs")
    expected = colours_at(tiny, EVERYWHERE)
    tiny.locator("#parameters-summary").click()
    for form in ("polygon", "png", "palette", "bits", "rle"):
        tiny.get_by_label("Mask format").select_option(form)
        for crop in (True, False):
            tiny.get_by_label("Mask crop").set_checked(crop)
            tiny.wait_for_selector('#frame[aria-busy="false"]')
            tiny.wait_for_selector(ANSWERED)
            same = np.abs(colours_at(tiny, EVERYWHERE) - expected).max(axis=1) < 60
            assert same.mean() > 0.95, (form, crop)


def test_encodings_look_alike(tiny: sync_api.Page, cat: Path) -> None:
    """A vector and a map are the same to look at in whichever encoding they came."""
    seen: dict[str, list[object]] = {"Embed": [], "Depth": []}
    for task, encodings in (("Embed", ("json", "base64")), ("Depth", ("png", "npy"))):
        choose_task(tiny, task)
        tiny.set_input_files("#file", cat)
        tiny.locator("#parameters-card").evaluate("card => { card.open = true; }")
        for encoding in encodings:
            tiny.get_by_label("Encoding").select_option(encoding)
            tiny.wait_for_selector(f"{ANSWERED} >> nth=0")
            tiny.wait_for_selector('#frame[aria-busy="false"]')
            # Without the likeness to the picture before: the same picture may have been asked about already.
            seen[task].append(tiny.locator("#answer > :not(.similarity)").all_inner_texts())
            if task == "Depth":
                seen[task].append(colours_at(tiny, EVERYWHERE))

    assert seen["Embed"][0] == seen["Embed"][1]
    assert seen["Depth"][0] == seen["Depth"][2]
    assert np.abs(seen["Depth"][1] - seen["Depth"][3]).max() < 12


def test_heat_lies_on_the_picture(tiny: sync_api.Page, cat: Path) -> None:
    """What speaks for a class is coloured, and what does not is the picture in grey; only explainers are offered."""
    show(tiny, cat, "Classify", "colours")
    choose_task(tiny, "Explain")
    sync_api.expect(tiny.locator("#answer")).to_contain_text("What speaks for red")
    tiny.wait_for_selector('#frame[aria-busy="false"]')
    everywhere = colours_at(tiny, EVERYWHERE)
    saturation = everywhere.max(axis=1) - everywhere.min(axis=1)

    assert (saturation > 60).mean() > 0.1
    assert (saturation < 20).mean() > 0.1
    assert tiny.locator("#model option").all_inner_texts() == ["quadrants"]


def test_ten_thousand_hostile_names_are_only_text(tiny: sync_api.Page, cat: Path) -> None:
    """Names that are markup, that turn letters around, or that are endless, are shown as text, a few rows at a time."""
    tiny.goto(f"{tiny.url.partition('#')[0]}#classify/crowd")
    tiny.reload()
    tiny.wait_for_selector("input[name=task]:enabled", state="attached")
    tiny.locator("#parameters-summary").click()
    tiny.get_by_label("Top k").fill("10000")
    tiny.set_input_files("#file", cat)
    tiny.get_by_label("Top k").press("Enter")
    sync_api.expect(tiny.locator("#count")).to_have_text("10000 classes")
    names = tiny.locator("#answer li .name").all_inner_texts()

    assert names[0] == HOSTILE[0]
    assert names[1] == HOSTILE[1]
    assert names[2] == "desrever isolated"
    assert names[3] == "(class 3, no name)"
    assert len(names[4]) < 300
    assert tiny.locator("#answer li").count() < 60
    assert tiny.locator("#answer img, #answer script").count() == 0
    assert tiny.title() == "Vitrail playground"


def test_one_of_ten_thousand_is_found(tiny: sync_api.Page, cat: Path) -> None:
    """Among 10,000 objects of 10,000 labels the last is found by its name, in the list and among the labels."""
    choose_task(tiny, "Detect")
    tiny.locator("#model").select_option("harmful")
    tiny.locator("#parameters-summary").click()
    tiny.get_by_label("Max objects").fill("10000")
    tiny.get_by_label("Max objects").press("Enter")
    tiny.set_input_files("#file", cat)
    sync_api.expect(tiny.locator("#count")).to_have_text("10000 objects", timeout=60_000)
    assert tiny.locator("#label-chips button").count() < 40
    tiny.get_by_label("Find a label").fill("name 9999")

    sync_api.expect(tiny.locator("#answer li .name")).to_have_text(["name 9999 <b>"])
    sync_api.expect(tiny.locator("#label-chips button")).to_have_count(1)


def test_a_model_without_labels_says_numbers(tiny: sync_api.Page, cat: Path) -> None:
    """Classes that have no names are called by their numbers."""
    show(tiny, cat, "Classify", "nameless")

    assert sorted(tiny.locator("#answer li .name").all_inner_texts()) == ["0", "1", "2"]


def test_the_keyboard_is_enough(tiny: sync_api.Page) -> None:
    """From the top of the page a sample is drawn, a task chosen and an object pointed out, by keys alone."""
    press_until(tiny, "Tab", "document.activeElement.id === 'sample'")
    tiny.keyboard.press("Enter")
    tiny.wait_for_selector(ANSWERED)
    tiny.evaluate("document.activeElement.blur()")
    press_until(tiny, "Tab", "document.activeElement.name === 'task'")
    tiny.keyboard.press("ArrowRight")
    tiny.wait_for_selector("#answer button.finding")
    press_until(tiny, "Tab", "document.activeElement.classList.contains('finding')")
    tiny.keyboard.press("End")

    assert tiny.evaluate("document.activeElement.closest('li').ariaPosInSet") == "3"
    sync_api.expect(tiny.locator("#canvas")).to_have_attribute("aria-label", re.compile("Pointed out: red 70 %"))
    assert tiny.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_skipping_to_the_picture_changes_nothing_else(tiny: sync_api.Page, cat: Path) -> None:
    """The link for the keyboard that leads past the controls leaves the task, the model and the address as they are."""
    show(tiny, cat, "Detect", "fixed")
    tiny.locator("#skip").focus()
    tiny.keyboard.press("Enter")

    assert tiny.evaluate("document.activeElement.id") == "picture"
    sync_api.expect(tiny.locator("#model")).to_have_value("fixed")
    sync_api.expect(tiny).to_have_url(re.compile("#detect/fixed$"))


def press_until(page: sync_api.Page, key: str, condition: str) -> None:
    """Press a key, at most forty times, until a condition holds."""
    for _ in range(40):
        page.keyboard.press(key)
        if page.evaluate(condition):
            return
    pytest.fail(f"{key} never led to {condition}")


def test_the_python_beside_an_answer_works(tiny: sync_api.Page, cat: Path) -> None:
    """What is shown as Python, run beside the picture, prints what the page shows."""
    show(tiny, cat, "Detect", "fixed")
    tiny.get_by_role("radio", name="Python").check(force=True)
    code = tiny.locator("#code").inner_text()
    ran = subprocess.run([sys.executable, "-c", code], cwd=cat.parent, capture_output=True, text=True, check=True)

    assert [line.split()[0] for line in ran.stdout.splitlines()] == ["red", "green", "red"]


def test_the_page_lives_under_a_prefix(browser: sync_api.Browser, tiny_url: str) -> None:
    """Behind a proxy that gives the service a path of its own, the page finds all that it needs under that path."""
    page = browser.new_page()
    page.route("**/a/prefix/**", lambda route: route.continue_(url=route.request.url.replace("/a/prefix/", "/")))
    addresses = requests_of(page)
    page.goto(f"{tiny_url}/a/prefix/")
    page.wait_for_selector("input[name=task]:enabled", state="attached")
    page.get_by_role("button", name="Draw a sample").click()
    page.wait_for_selector(ANSWERED)
    page.close()

    assert [address for address in addresses if not address.startswith((f"{tiny_url}/a/prefix/", "blob:"))] == []


def test_a_narrow_phone_shows_it_all_of_a_picture(tiny: sync_api.Page, cat: Path) -> None:
    """At 360 pixels nothing is wider than the screen, with long names and all parameters in sight."""
    tiny.set_viewport_size({"width": 360, "height": 740})
    show(tiny, cat, "Segment", "blobs")
    tiny.locator("#parameters-summary").click()
    assert tiny.evaluate("document.documentElement.scrollWidth") == 360
    show(tiny, cat, "Classify", "crowd")

    assert tiny.evaluate("document.documentElement.scrollWidth") == 360
