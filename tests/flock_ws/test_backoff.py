"""How long the page waits before it tries again: its own scripts, on a clock that is pressed on."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import flock_ws

pytestmark = [pytest.mark.sockets, pytest.mark.browser]

STATIC = Path(flock_ws.__file__).parent / "static"

SHORTEST = {"following": [0.5, 1, 2, 4, 8, 15, 15, 15], "asking": [0.5, 1, 2, 4, 5, 5, 5, 5]}
LONGEST = {"following": [1, 2, 4, 8, 16, 30, 30, 30], "asking": [1, 2, 4, 8, 10, 10, 10, 10]}

# `setTimeout` only takes down what is planned; `begin` begins it, `failed` and `reached` end it.
CLOCKWORK = """
(async () => {
  const planned = [];
  globalThis.setTimeout = (work, wait) => planned.push({ work, wait });
  globalThis.setInterval = () => 0;
  Math.random = () => %(chance)s;
  const { begin, failed, reached } = await %(script)s;
  const waits = async (times) => {
    const told = [];
    for (let time = 0; time < times; time++) {
      await failed();
      if (planned.length !== 1) throw new Error(`${planned.length} attempts are planned`);
      const next = planned.pop();
      told.push(next.wait / 1000);
      begin(next.work);
    }
    return told;
  };
  const first = await waits(8);
  await reached();
  planned.length = 0;
  const again = await waits(1);
  for (let time = 0; time < 2000; time++) await waits(1);
  const late = await waits(1);
  return { first, again, late };
})()
"""

FOLLOWING = """
(async () => {
  document.body.innerHTML = `<button id="follow"></button><ol id="events"></ol>
    <i id="follow-told"></i><i id="follow-rate"></i>`;
  let socket;
  globalThis.WebSocket = class extends EventTarget {
    constructor() { super(); socket = this; }
  };
  const { Following } = await import("/following.js");
  new Following({ joined() {} }).begin();
  return {
    begin: (work) => work(),
    failed: () => socket.dispatchEvent(new CloseEvent("close", { code: 1006 })),
    reached: () => socket.dispatchEvent(new Event("open")),
  };
})()
"""

ASKING = """
(async () => {
  let answer;
  globalThis.fetch = async () => answer();
  const { Asking } = await import("/asking.js");
  const asking = new Asking({ url: "/", answered() {}, told() {} });
  const asked = async (what) => { answer = what; await asking.ask(); };
  return {
    begin: () => {},
    failed: () => asked(() => { throw new TypeError("nobody there"); }),
    reached: () => asked(() => ({ ok: true, json: async () => ({ server: { clock: 0 } }) })),
  };
})()
"""

SCRIPTS = {"following": FOLLOWING, "asking": ASKING}


@pytest.fixture(scope="module")
def files() -> Iterator[str]:
    """The address of the page's files, served by nobody who could be joined."""
    handler = functools.partial(Quiet, directory=str(STATIC))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Writes nothing about who asks."""

    def log_message(self, *_: Any, **__: Any) -> None: ...


@pytest.fixture
def page(browser: Any, files: str) -> Iterator[Any]:
    with browser.page() as page:
        page.go(f"{files}vendor/")
        page.until(lambda: page.run("location.origin + '/'") == files, "the files are not served")
        page.until(lambda: page.run("document.readyState") == "complete", "it does not load")
        yield page


@pytest.mark.parametrize(("chance", "waits"), [(0, SHORTEST), (1, LONGEST)])
@pytest.mark.parametrize("who", SCRIPTS)
def test_each_failure_doubles_the_wait_up_to_a_bound_and_success_begins_anew(
    page: Any, who: str, chance: int, waits: dict[str, list[float]]
) -> None:
    told = page.run(CLOCKWORK % {"chance": chance, "script": SCRIPTS[who]})
    assert told["first"] == waits[who]
    assert told["again"] == waits[who][:1]
    assert told["late"] == waits[who][-1:]
