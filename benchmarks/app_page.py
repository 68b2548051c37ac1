"""What bench_app does and waits for on a page of the dashboard."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PATIENCE = 180_000  # ms, for one thing that is waited for; on a busy machine
WAITING = Path(__file__).resolve().parents[1] / "test-artefacts" / "bench-app.png"


def film(player: str, words: str) -> str:
    """The address, as an expression, of the picture of the player's film described so.

    It is looked for fifty times a second: a style would be written out anew each time.
    """
    return (  # the components live in shadow roots
        f"(() => {{ const of = [...document.querySelectorAll('.st-key-{player} *')]"
        ".find(e => e.shadowRoot?.querySelector('.panels'))?.shadowRoot;"
        "const n = [...of?.querySelectorAll('.panels .film') ?? []]"
        f".findIndex(film => film.ariaLabel?.includes('{words}'));"
        "return of?.querySelector('#root').shown[n]; })()"
    )


# of the map on the clip, not of those beside it
OVERLAY, GIVEN = film("answer", "over the frames; bright"), film("given", "scaled and cropped")
SCRIPT = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState"
TOLD = "[...document.querySelectorAll('[data-testid=stAlert]')].map(told => told.innerText)"
# A picture is seen when it has been decoded and a frame was drawn with it.
SEEN = """([look, before]) => {
  const now = eval(look);
  if (!now || now.length < 100 || now === before) return false;
  const seen = (globalThis.seen ??= {});
  if (seen.of !== now) {
    const picture = new Image();
    picture.src = now;
    Object.assign(seen, { of: now, drawn: false });
    const frame = () => new Promise(requestAnimationFrame);
    picture.decode().then(frame).then(frame).then(() => (seen.drawn ||= seen.of === now));
  }
  return seen.drawn;
}"""


def changed(page: Any, look: str, act: Callable[[], None], anew: bool = False) -> float:
    """Seconds from ``act`` until the picture at ``look`` in the page is another one, and is seen.

    ``anew``: on another page, where any picture is another one.
    """
    before = None if anew else page.evaluate(look)
    began = time.perf_counter()
    act()
    page.wait_for_function(SEEN, arg=[look, before], polling=20)
    return time.perf_counter() - began


@contextlib.contextmanager
def named(what: str, page: Any) -> Iterator[None]:
    """Say what was waited for, and what the page was at, where a wait has no end."""
    try:
        yield
    except Exception as error:
        where = f"at {page.url}, script {page.evaluate(SCRIPT)}, told {page.evaluate(TOLD)}"
        page.screenshot(path=WAITING)
        raise SystemExit(
            f"bench_app: “{what}” did not come ({where}); see {WAITING}: "
            f"{str(error).splitlines()[0]}"
        ) from error


def in_menu(page: Any, name: str) -> Any:
    """A method in the menu, which is open then."""
    menu = page.get_by_role("combobox", name="Method").first
    menu.scroll_into_view_if_needed()
    page.wait_for_timeout(400)  # a menu closes where the page scrolls
    menu.click()
    option = page.get_by_role("option", name=name, exact=True)
    option.wait_for()
    return option


def settle(page: Any) -> None:
    """Wait for the end of the page's script."""
    page.wait_for_timeout(300)
    page.wait_for_function(
        "document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'",
        timeout=PATIENCE,
    )
