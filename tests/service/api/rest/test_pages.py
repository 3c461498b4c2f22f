"""The pages: they come from the service alone, and let nothing else in."""

import re
from urllib.parse import urljoin

import pytest

from service.api.rest.pages import WEB
from tests.service.running import Running

FILES = sorted(path.relative_to(WEB).as_posix() for path in WEB.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", ["/", "/dashboard", *[f"/web/{name}" for name in FILES]])
async def test_every_page_carries_the_policy(service: Running, path: str) -> None:
    """Each file, also one that is only said not to have changed, comes with the Content-Security-Policy."""
    first = await service.client.get(path)
    again = await service.client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert first.status_code == 200
    for response in (first, again):
        directives = dict(part.split(maxsplit=1) for part in response.headers["content-security-policy"].split("; "))
        assert directives["default-src"] == directives["script-src"] == "'self'"
        assert directives["object-src"] == directives["frame-ancestors"] == "'none'"


async def test_a_page_that_has_not_changed_is_not_sent_again(service: Running) -> None:
    """The browser asks each time, and is told so where it has the file already."""
    first = await service.client.get("/web/playground.js")
    again = await service.client.get("/web/playground.js", headers={"If-None-Match": first.headers["etag"]})
    assert (first.headers["cache-control"], again.status_code, again.content) == ("no-cache", 304, b"")


@pytest.mark.parametrize("path", ["/", "/dashboard", "/docs"])
async def test_a_page_loads_nothing_from_elsewhere(service: Running, path: str) -> None:
    """Every script, style and picture of a page has an address of this service, and is there."""
    page = (await service.client.get(path)).text
    sources = re.findall(r"""<(?:script|link|img)\b[^>]*\b(?:src|href)=["']([^"']+)["']""", page)
    assert sources
    for source in sources:
        assert not re.match("[a-z]+:|//", source), source
        assert (await service.client.get(urljoin(path, source))).status_code == 200, source


@pytest.mark.parametrize(
    "path",
    ["/web/../app.py", "/web/%2e%2e/app.py", "/web/..%2fapp.py", "/web//etc/passwd", "/web/%00", "/web/", "/web/.git"],
)
async def test_nothing_else_can_be_read(service: Running, path: str) -> None:
    """No way of writing an address leads out of the folder of the pages, or lists it."""
    response = await service.client.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
