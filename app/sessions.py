"""Who is here: the files and the long work of each browser session, and their clean-up."""

from __future__ import annotations

import logging
import re
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st
from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from . import memory, work
from .tasks import Task
from .uploads import Storage, Stored
from .view import UPLOADED

log = logging.getLogger("c3d_viz.app")
GRACE = 75.0  # seconds a closed page may come back to its files; above disconnectedSessionTTL
LOOK = 15.0
CLIPS = 6  # uploads of one session; a further one takes the place of the oldest
COOKIE = "_streamlit_xsrf"


@dataclass
class Session:
    """What belongs to one browser session and goes with it."""

    folder: Path
    browser: str = ""  # tells one browser from another; empty where nothing does
    clips: dict[str, Stored] = field(default_factory=dict)  # by their key in the address
    weights: Stored | None = None
    jobs: dict[str, Task] = field(default_factory=dict)
    uploads: int = 0  # a new key empties Streamlit's uploader, and with it the file in memory
    notes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # why files were not taken, until it was said

    def keep(self, stored: Stored) -> str:
        """Take an uploaded clip in, in place of the oldest where there are CLIPS; its key.

        A clip that is here already is not kept twice.
        """
        key = f"{UPLOADED}-{stored.digest[:12]}"  # a page that is loaded again says whose it was
        if key in self.clips:
            stored.path.unlink(missing_ok=True)
            return key
        while len(self.clips) >= CLIPS:
            old = self.clips.pop(next(iter(self.clips)))
            old.path.unlink(missing_ok=True)
            work.forget(old.digest)
        self.clips[key] = stored
        return key

    def named_by(self, address: Collection[str]) -> bool:
        """Whether the values of an address speak of its files."""
        own = UPLOADED in address and self.weights is not None
        return own or any(key in value for value in address for key in self.clips)

    def close(self) -> None:
        """Stop its work, remove its files, forget its results."""
        for job in self.jobs.values():
            job.cancel()
        shutil.rmtree(self.folder, ignore_errors=True)
        for stored in (*self.clips.values(), self.weights):
            if stored is not None:
                work.CACHE.drop(stored.digest)
                work.NETS.drop(stored.digest)


class Sessions:
    """All sessions of this server, and a thread that closes those whose page is gone."""

    def __init__(self) -> None:
        memory.share()
        self.storage = Storage()
        self._open: dict[str, tuple[Session, float]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=_watch, args=(weakref.ref(self),), daemon=True).start()

    def of(self, session_id: str, browser: str = "", address: Collection[str] = ()) -> Session:
        """The session of this id, made the first time.

        A page that was loaded again has a new id. Where its ``address`` speaks of an upload, it
        gets the session with that file which the same browser left last.
        """
        with self._lock:
            known = self._open.get(session_id)
            if known is None and (left := self._left(browser, address)):
                known = self._open.pop(left)
            session = known[0] if known else Session(self.storage.session(), browser)
            self._open[session_id] = (session, time.monotonic())
            return session

    def known(self, session_id: str) -> Session | None:
        """The session of this id, if it has been made."""
        with self._lock:
            if (known := self._open.get(session_id)) is None:
                return None
            self._open[session_id] = (known[0], time.monotonic())
            return known[0]

    def _left(self, browser: str, address: Collection[str]) -> str | None:
        """The id of the session with these files that this browser left last, if it left one."""
        active = Runtime.instance().is_active_session if Runtime.exists() else lambda _: False
        seen = {
            session_id: seen
            for session_id, (session, seen) in self._open.items()
            if browser and session.browser == browser and session.named_by(address)
            if not active(session_id)
        }
        return max(seen, key=seen.__getitem__, default=None)

    def reap(self, active: Callable[[str], bool], now: float) -> int:
        """Close sessions that have not been active for GRACE seconds; how many are left."""
        gone = []
        with self._lock:
            for session_id, (session, seen) in list(self._open.items()):
                if active(session_id):
                    self._open[session_id] = (session, now)
                elif now - seen > GRACE:
                    gone.append(self._open.pop(session_id)[0])
            left = len(self._open)
        for session in gone:
            session.close()
        if gone and not left:
            work.CACHE.clear()
        if gone:
            memory.give_back()
        return left


def _watch(of: Callable[[], Sessions | None]) -> None:
    while (sessions := of()) is not None:
        try:
            if Runtime.exists():
                sessions.reap(Runtime.instance().is_active_session, time.monotonic())
        except Exception:  # the watch must outlive anything
            log.exception("clean-up of closed sessions failed")
        del sessions
        time.sleep(LOOK)


@st.cache_resource(show_spinner=False)
def sessions() -> Sessions:
    """The server's one register of sessions."""
    return Sessions()


def session() -> Session:
    """The session that this script runs for."""
    context = get_script_run_ctx()
    if context is None:  # pragma: no cover - only outside of Streamlit
        raise RuntimeError("no page is being drawn")
    register, name = sessions(), context.session_id
    if (known := register.known(name)) is not None:  # asked many times while a page is drawn
        return known
    address = st.query_params.to_dict().values()
    return register.of(name, browser_of(st.context.cookies), tuple(address))


def browser_of(cookies: Mapping[str, str]) -> str:
    """What tells this browser from others: the secret of Streamlit's cookie.

    It is ``2|mask|masked secret|time``, with another mask at every request. Where it is missing or
    of another form nothing tells browsers apart, and a page that is loaded again begins anew.
    """
    match = re.fullmatch(r'"?2\|([0-9a-f]{8})\|([0-9a-f]{32})\|\d+"?', str(cookies.get(COOKIE, "")))
    if match is None:
        return ""
    mask, masked = (bytes.fromhex(text) for text in match.groups())
    return bytes(b ^ mask[i % 4] for i, b in enumerate(masked)).hex()


def in_own_names(text: str, of: Session) -> str:
    """A message with files called as their person calls them, not as they are stored here."""
    for stored in filter(None, (*of.clips.values(), of.weights)):
        for name in (str(stored.path), stored.path.name, stored.path.stem):
            text = text.replace(name, stored.label)
    return text.replace(f"{of.folder}/", "")
