"""Who may come in, and what they get."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.recorder.access import HEADERS, AccessControl, HttpRefusal, load_page

TOKEN = "t0ken"
HERE = {"host": "127.0.0.1:8765", "origin": "http://127.0.0.1:8765"}


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:1", "LOCALHOST:80", "127.0.0.1:9", "[::1]:80", "10.0.0.7", "box:80"],
)
def test_this_machines_names(host):
    assert AccessControl(TOKEN, ("Box",)).enter(f"/{TOKEN}/", {"host": host}) == ""


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil:80", "[::1", "a@b:c", "box.x"],
)
def test_other_names_are_refused(host):
    assert AccessControl(TOKEN, ("box",)).enter(f"/{TOKEN}/", {"host": host}).status == 421


@pytest.mark.parametrize("path", ["/", "", "//", f"/{TOKEN}x/", "/T0KEN/", f"/x/{TOKEN}/", "/%74"])
def test_without_the_token(path):
    assert AccessControl(TOKEN).enter(path, HERE).status == 403


def test_the_websocket_is_for_the_pages_own_origin():
    gate = AccessControl(TOKEN)
    live = f"/{TOKEN}/live"
    assert gate.is_socket(gate.enter(live, HERE))
    assert gate.is_socket(gate.enter(live + "?a=b", HERE))
    for origin in (
        "",
        "null",
        "http://evil.example",
        "http://127.0.0.1",
        "http://localhost:8765",
        "file://127.0.0.1:8765",
        "http://[",
    ):
        assert gate.enter(live, {**HERE, "origin": origin}).status == 403


@given(st.text(), st.text(), st.text())
def test_any_path_and_headers(path, host, origin):
    assert isinstance(
        AccessControl("secret").enter(path, {"host": host, "origin": origin}), HttpRefusal
    )


@given(st.text())
def test_no_path_leads_to_a_file(rest):
    asked = AccessControl(TOKEN).enter(f"/{TOKEN}/{rest}", HERE)
    page = load_page_once()
    assert asked not in page or asked in {"", "studio.css", "studio.js", "live"}


def load_page_once(page=load_page()):  # noqa: B008 - once is the point
    return page


def test_the_page_brings_everything_itself():
    page = load_page()
    kind, content = page[""]
    assert kind.startswith("text/html")
    for name, (_, part) in page.items():
        text = part.decode()
        assert "https://" not in text, name
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", ""), name
        assert "style=" not in text, name
    assert b"<script>" not in content
    assert "default-src 'none'" in HEADERS["Content-Security-Policy"]
