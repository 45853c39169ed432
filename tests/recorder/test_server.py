"""The server over real connections: who may come in, what is understood, who controls."""

import contextlib
import socket
import time
import urllib.error
import urllib.request

import gymnasium as gym
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from hxwrappers.demos import Demo
from hxwrappers.recorder.control import MAX_BYTES
from hxwrappers.recorder.server import HEADERS, AccessControl, HttpRefusal, load_page
from tests.demos.samples import frame_env
from tests.recorder.helpers import PATIENCE, TOKEN, Client, desk_of, serving


@pytest.fixture
def lake(tmp_path):
    env = gym.make("FrozenLake-v1", is_slippery=False, render_mode="rgb_array")
    with serving(desk_of(env, tmp_path / "m.npz", steps_per_second=8)) as served:
        yield served
    env.close()


@pytest.fixture
def port(lake):
    return lake[0]


@contextlib.contextmanager
def clients(port, *seats):
    with contextlib.ExitStack() as stack:
        made = [Client(port, seat) for seat in seats]
        for client in made:
            stack.callback(client.close)
        yield made


def get(port, path, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def test_the_page_and_nothing_but_the_page(port):
    status, headers, body = get(port, f"/{TOKEN}/")
    assert (status, body[:15]) == (200, b"<!doctype html>")
    for name, value in HEADERS.items():
        assert headers[name] == value
    status, headers, _ = get(port, f"/{TOKEN}/studio.js")
    assert (status, headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    for path in (
        f"/{TOKEN}/../server.py",
        f"/{TOKEN}/..%2fserver.py",
        f"/{TOKEN}//etc/passwd",
        f"/{TOKEN}/index.html",
        f"/{TOKEN}/nothing",
    ):
        assert get(port, path)[0] == 404
    for path in ("/", "/studio.js", "/wrong/", "/favicon.ico"):
        status, headers, body = get(port, path)
        assert (status, headers["X-Frame-Options"]) == (403, "DENY")
        assert b"token" in body
    assert get(port, f"/{TOKEN}/", Host="evil.example")[0] == 421


@pytest.mark.parametrize(
    ("path", "origin", "status"),
    [
        ("/live", None, 403),
        (f"/{TOKEN}/live", None, 403),
        (f"/{TOKEN}/live", "http://evil.example", 403),
        (f"/{TOKEN}/live", "null", 403),
        (f"/{TOKEN}/", None, 200),
    ],
)
def test_the_websocket_is_for_the_page_alone(port, path, origin, status):
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(f"ws://127.0.0.1:{port}{path}", origin=origin, open_timeout=PATIENCE),
    ):
        pass
    assert refused.value.response.status_code == status


def test_a_host_that_comes_twice_and_other_methods(port):
    for head in (
        f"GET /{TOKEN}/ HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        f"POST /{TOKEN}/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
        "nonsense\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as raw:
            raw.sendall(head.encode())
            assert b" 200 " not in raw.recv(4096)
    assert get(port, f"/{TOKEN}/")[0] == 200


def closing_reason(port, *texts, greets=True):
    client = Client(port, greets=greets)
    with contextlib.closing(client), contextlib.suppress(ConnectionClosed):
        for text in texts:
            client.socket.send(text)
        while True:
            client.socket.recv(timeout=PATIENCE)
    return client.socket.close_code, client.socket.close_reason


def test_what_is_not_understood_ends_the_connection_and_nothing_else(port):
    for texts, greets, reason in (
        (["{"], True, "not understood: a message is one JSON object"),
        (['{"type": "seek", "step": 1}'], False, "the first message is a hello"),
        (['{"type": "hello", "seat": null}'] * 2, False, "hello is said once"),
        (['{"type": "keys", "held": ["f13"], "tapped": [], "number": 1}'], True, "the keys are"),
        ([b"\x00"], True, "a message is text"),
    ):
        code, said = closing_reason(port, *texts, greets=greets)
        assert code == 1008
        assert reason in said
    assert closing_reason(port, "x" * (MAX_BYTES + 1))[0] == 1009
    with clients(port, None) as (client,):
        assert client.latest["role"]["controls"]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.lists(st.text(max_size=200) | st.binary(max_size=200), min_size=1, max_size=5))
def test_any_noise(port, data):
    assert closing_reason(port, *data)[0] == 1008


def test_playing_by_turns_saving_and_ending(lake, tmp_path):
    port, _, _ = lake
    with clients(port, None) as (client,):
        assert client.latest["hello"]["turns"]
        assert client.latest["run"]["length"] == 0
        for step, key in enumerate(("down", "down", "right", "down", "right", "right"), start=1):
            client.keys(tapped=(key,))
            client.until(lambda latest, step=step: latest["frame"]["step"] == step)
        assert (client.status["mode"], client.status["score"]) == ("ended", 1)
        client.say(type="end", save=True)
        client.until(lambda latest: "over" in latest)
        assert client.latest["over"] == {"type": "over", "text": "all is saved", "failed": False}
    assert Demo.load(tmp_path / "m.npz").score == 1


def test_one_controls_and_the_others_watch(port):
    with clients(port, None, None) as (ann, bob):
        assert ann.latest["role"]["controls"]
        assert not bob.latest["role"]["controls"]
        bob.keys(tapped=("right",))
        ann.keys(tapped=("down",))
        ann.until(lambda latest: latest["frame"]["step"] == 1)
        bob.until(lambda latest: latest["frame"]["step"] == 1)
        bob.say(type="command", word="ask")
        ann.until(lambda latest: latest["role"]["asked"])
        ann.say(type="command", word="release")
        bob.until(lambda latest: latest["role"]["controls"])
        ann.until(lambda latest: not latest["role"]["controls"])
        bob.keys(tapped=("right",))
        ann.until(lambda latest: latest["frame"]["step"] == 2)
        bob.close()
        ann.until(lambda latest: latest["role"]["free"])
        ann.say(type="command", word="ask")
        ann.until(lambda latest: latest["role"]["controls"])


def test_a_page_that_connects_again_keeps_its_seat(port):
    with clients(port, None, None) as (ann, bob), clients(port, ann.seat) as (again,):
        assert again.seat == ann.seat
        assert again.latest["role"] == {**ann.latest["role"], "others": 1}
        with contextlib.suppress(ConnectionClosed):
            while True:
                ann.listen()
        assert ann.socket.close_code == 4000
        assert not bob.latest["role"]["controls"]


def test_pings_are_answered(port):
    with clients(port, None) as (client,):
        client.say(type="ping", at=12.25)
        client.until(lambda latest: latest.get("pong") == {"type": "pong", "at": 12.25})


@pytest.mark.parametrize("steps", [40, pytest.param(120, marks=pytest.mark.slow)])
def test_full_speed_with_sound_whatever_a_slow_watcher_does(tmp_path, steps):
    env = frame_env("MontezumaRevenge", render_mode="rgb_array")
    with (
        serving(desk_of(env, tmp_path / "m.npz")) as (port, _, _),
        clients(port, None, None) as (ann, bob),
    ):
        del bob  # it never listens again
        ann.keys("right", tapped=("right",))
        ann.until(lambda latest: latest["frame"]["step"] >= steps // 2)
        begun, step, sound = time.monotonic(), ann.status["step"], ann.sound
        ann.until(lambda latest: latest["frame"]["step"] >= step + steps)
        # A shared machine may be slower, and the first frame of these may be seen late; the game is
        # never played much faster than it should be.
        assert time.monotonic() - begun > 0.7 * steps / 60
        assert (ann.sound - sound) / (ann.status["step"] - step) == 512
        assert ann.pictures > steps / 4
        ann.keys()
        ann.say(type="seek", step=30)
        ann.until(lambda latest: latest["frame"]["mode"] == "waiting")
        ann.keys("left", tapped=("left",))
        ann.until(lambda latest: latest["run"]["number"] == 2)
        assert ann.latest["run"]["takes"][0]["left_at"] == 30
    env.close()
    demo = Demo.load(tmp_path / "m.npz")
    assert demo.verify(frame_env("MontezumaRevenge")).ok
    assert demo.actions[:30].tolist() == [3] * 30


class Breaking(gym.Wrapper):
    """Fails at the third step."""

    def __init__(self, env):
        super().__init__(env)
        self.left = 3

    def step(self, action):
        self.left -= 1
        if not self.left:
            raise RuntimeError("the game is broken")
        return super().step(action)


def test_a_game_that_breaks_ends_the_server_and_says_why(tmp_path):
    env = Breaking(gym.make("FrozenLake-v1", render_mode="rgb_array"))
    with (
        serving(desk_of(env, tmp_path / "m.npz")) as (port, _, errors),
        clients(port, None) as (client,),
    ):
        client.keys(tapped=("left", "left", "left"))
        client.until(lambda latest: "over" in latest)
        assert client.latest["over"]["failed"]
        assert "the game is broken" in client.latest["over"]["text"]
    assert [str(error) for error in errors] == ["the game is broken"]


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


@pytest.mark.parametrize(
    "path", ["/", "", "//", f"/{TOKEN}x/", f"/{TOKEN.upper()}/", f"/x/{TOKEN}/", "/%74"]
)
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
