"""Which hosts are previews', and that nobody gets into one without a pass."""

import httpx2
import pytest

from hypercode.gateway.previews import preview_of


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("localhost:8080", None),
        ("127.0.0.1:8080", None),
        ("[::1]:8080", None),
        ("", None),
        ("evilpreview.localhost", None),
        ("preview.localhost.evil.example.org", None),
        ("preview.localhost", ""),
        ("preview.localhost:8080", ""),
        ("abc.preview.localhost:8080", "abc"),
        ("ABC.Preview.LocalHost.:8080", "abc"),
        ("a.b.preview.localhost", "a.b"),
        (".preview.localhost", ""),
    ],
)
def test_a_host_is_a_previews_or_it_is_not(host: str, found: str | None) -> None:
    assert preview_of(host, "preview.localhost") == found


@pytest.mark.anyio
async def test_at_a_previews_address_is_no_platform_and_no_way_in_without_a_pass(
    browser: httpx2.AsyncClient,
) -> None:
    for host in ("0" * 32 + ".preview.localhost", "preview.localhost:8080", "x.y.preview.localhost"):
        for path in (
            "/",
            "/healthz",
            "/metrics",
            "/api/v1/setup",
            "/.hypercode/enter?ticket=x",
            "/.hypercode/x",
        ):
            answer = await browser.get(path, headers={"Host": host, "Cookie": "hypercode_preview=x"})
            assert answer.status_code in (401, 404), (host, path)
            assert "set-cookie" not in answer.headers
            assert answer.headers["Cache-Control"] == "no-store"
    assert (await browser.get("/healthz")).status_code == 200
