from __future__ import annotations

import pytest

from stpn_vod.app.guard import refusal

OWN = {"Host": "127.0.0.1:8000", "X-Stpn-App": "1"}


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {"Host": "127.0.0.1:8000"}),
        ("GET", "/", {"Host": "LOCALHOST:8000"}),
        ("GET", "/", {"Host": "127.0.0.1:8000", "Sec-Fetch-Site": "cross-site"}),  # a link
        ("GET", "/api/info", {"Host": "127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}),
        ("POST", "/api/jobs", OWN),
        ("POST", "/api/jobs", OWN | {"Origin": "http://127.0.0.1:8000"}),
        ("DELETE", "/api/jobs/1", OWN | {"Sec-Fetch-Site": "same-origin"}),
    ],
)
def test_its_own_page_may_ask(method, path, headers):
    assert refusal(method, path, headers, 8000) == ""


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {}),
        ("GET", "/", {"Host": "rebound.example:8000"}),
        ("GET", "/", {"Host": "127.0.0.1"}),
        ("GET", "/", {"Host": "127.0.0.1:8001"}),
        ("GET", "/", {"Host": "127.0.0.1:8000.example"}),
        ("GET", "/", {"Host": "0.0.0.0:8000"}),
        ("GET", "/api/jobs", {"Host": "127.0.0.1:8000", "Origin": "https://evil.example"}),
        ("GET", "/api/jobs", {"Host": "127.0.0.1:8000", "Sec-Fetch-Site": "cross-site"}),
        ("GET", "/api/jobs", {"Host": "127.0.0.1:8000", "Sec-Fetch-Site": "same-site"}),
        ("POST", "/api/jobs", {"Host": "127.0.0.1:8000"}),
        ("POST", "/api/jobs", OWN | {"Origin": "null"}),
        ("POST", "/api/jobs", OWN | {"Origin": "http://127.0.0.1:9000"}),
        ("DELETE", "/api/jobs/1", {"Host": "127.0.0.1:8000"}),
    ],
)
def test_others_may_not(method, path, headers):
    assert refusal(method, path, headers, 8000)


def test_on_port_80_browsers_leave_the_port_out():
    assert refusal("GET", "/", {"Host": "localhost"}, 80) == ""
    assert refusal("GET", "/", {"Host": "localhost"}, 8080)
