"""The pages: static files, served with a policy that lets nothing in from elsewhere."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

WEB = Path(__file__).parents[2] / "web"

_POLICY = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
}


def router(*, dashboard: bool = True) -> APIRouter:
    """The playground and, unless another port has it, the dashboard."""
    pages = APIRouter()
    pages.add_api_route("/", _playground, methods=["GET"], include_in_schema=False)
    if dashboard:
        pages.add_api_route("/dashboard", _dashboard, methods=["GET"], include_in_schema=False)
    return pages


async def _playground() -> Response:
    return FileResponse(WEB / "index.html", headers=_POLICY)


async def _dashboard() -> Response:
    return FileResponse(WEB / "dashboard.html", headers=_POLICY)


class PageFiles(StaticFiles):
    """The files of the pages, with the same policy."""

    def __init__(self) -> None:
        super().__init__(directory=WEB)

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """Any file, or 'not modified', with the policy's headers."""
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers.update(_POLICY)
        return response
