"""The pages of a service that asks for keys: they ask for one, keep it as long as the tab is, and use it everywhere."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.gateway import Gateway, gateway
from tests.service.keyed import Keys, write_keys

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
OPEN_A_STREAM = """
async () => {
  const { protocolsWithKey } = await import('/web/key.js');
  const socket = new WebSocket(`ws://${location.host}/v1/stream?task=classify&model=colours`, protocolsWithKey());
  return await new Promise((resolve) => {
    socket.onopen = () => socket.send('nonsense');
    socket.onmessage = ({ data }) => resolve([socket.protocol, JSON.parse(data).error.code]);
    socket.onerror = () => resolve('failed');
  });
}
"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Some keys."""
    return write_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def keyed(tiny_repository: Path, keys: Keys) -> Iterator[Gateway]:
    """A service that asks for them."""
    with gateway(tiny_repository, keys.file.with_name("log"), keys_file=keys.file) as running:
        yield running


@pytest.fixture
def page() -> Iterator[sync_api.Page]:
    """A tab."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser.new_page()
        browser.close()


def bring(page: sync_api.Page, key: str) -> None:
    """Type a key where the page asks for one."""
    page.fill("#key-dialog #key", key)
    page.click("#key-dialog button[value=use]")


def test_the_pages_ask_for_a_key_once(page: sync_api.Page, keyed: Gateway, keys: Keys) -> None:
    """A wrong key is asked for again; a good one opens models and streams, survives a reload, and another page."""
    page.goto(keyed.url)
    bring(page, "vk_wrong")
    page.wait_for_selector("#key-dialog label:has-text('does not take')")
    bring(page, keys.operator)
    page.wait_for_selector("#model:enabled")
    assert page.locator("#key-dialog").count() == 0
    page.reload()
    page.wait_for_selector("#model:enabled")
    assert page.evaluate(OPEN_A_STREAM) == ["vitrail", "invalid_parameters"]
    page.goto(f"{keyed.url}/dashboard")
    page.wait_for_selector("#pulse[data-state=live]")
