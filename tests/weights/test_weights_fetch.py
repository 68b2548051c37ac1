"""Downloading a checkpoint, against a local server: resume, wrong hash, cut line, no network."""

from __future__ import annotations

import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from c3d_viz.errors import WeightsError
from c3d_viz.weights import DOWNLOADS, cache_folder, download

DATA = bytes(range(256)) * 4000  # 1 MB
DIGEST = hashlib.sha256(DATA).hexdigest()
NAME = f"c3d-{DIGEST[:8]}.pth"


class Server(http.server.ThreadingHTTPServer):
    """Serves DATA with Range. ``cut_after``: bytes after which the next answer is cut once."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []
        self.cut_after: int | None = None
        self.ignore_range = False
        self.shift = 0  # bytes by which a part begins elsewhere than was asked
        self.body = DATA

    def url(self, path: str = NAME) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/files/{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        server.ranges.append(wanted)
        if self.path.startswith("/files/away"):
            self.send_response(302)
            self.send_header("Location", "/files/" + NAME)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path.startswith("/files/gone"):
            self.send_error(404, "Not Found")
            return
        start = 0
        if wanted and not server.ignore_range:
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) + server.shift
            if start >= len(server.body):
                self.send_error(416)
                return
            self.send_response(206)
            last = len(server.body) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(server.body)}")
        else:
            self.send_response(200)
        body = server.body[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.cut_after is not None:
            body, server.cut_after = body[: server.cut_after], None
            self.close_connection = True
        self.wfile.write(body)
        self.wfile.flush()
        if self.close_connection:
            self.connection.shutdown(socket.SHUT_WR)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_download_verifies_reports_and_caches(tmp_path: Path, server: Server) -> None:
    calls: list[tuple[int, int, str]] = []
    path = download(
        url=server.url(), cache_dir=tmp_path / "a" / "b", progress=lambda *c: calls.append(c)
    )
    assert path == tmp_path / "a" / "b" / NAME
    assert path.read_bytes() == DATA
    assert calls[0] == (0, len(DATA), NAME)
    assert calls[-1] == (len(DATA), len(DATA), NAME)
    assert [c[0] for c in calls] == sorted(c[0] for c in calls)
    assert list(path.parent.iterdir()) == [path]
    assert download(url=server.url(), cache_dir=path.parent) == path
    assert server.ranges == [None]  # the second call asked for nothing


def test_a_file_that_says_it_is_too_large_is_not_fetched(tmp_path: Path, server: Server) -> None:
    limit, calls = len(DATA) - 1, list[object]()
    with pytest.raises(WeightsError, match="has 1 MB, above the limit of 1 MB"):
        download(
            url=server.url(),
            cache_dir=tmp_path,
            max_bytes=limit,
            progress=lambda *c: calls.append(c),
        )
    assert calls == []
    assert list(tmp_path.iterdir()) == []


def test_another_part_than_was_asked_for_is_not_appended(tmp_path: Path, server: Server) -> None:
    """A server that answers a request for the rest with the whole, as a part from 0 on."""
    (tmp_path / f"{NAME}.part").write_bytes(DATA[:300_000])
    server.shift = -300_000
    path = download(url=server.url(), cache_dir=tmp_path)
    assert server.ranges == ["bytes=300000-"]
    assert path.read_bytes() == DATA
    server.shift = 1000  # and one that answers with something later: no whole file comes of it
    path.rename(f"{path}.part")
    (tmp_path / f"{NAME}.part").write_bytes(DATA[:300_000])
    with pytest.raises(WeightsError, match="wrong file"):
        download(url=server.url(), cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_cut_connection_keeps_the_part_and_goes_on(tmp_path: Path, server: Server) -> None:
    server.cut_after = 300_000
    with pytest.raises(WeightsError, match=r"connection was cut .*run the same command again") as e:
        download(url=server.url(), cache_dir=tmp_path)
    assert "\n" not in str(e.value)
    part = tmp_path / (NAME + ".part")
    assert part.read_bytes() == DATA[:300_000]
    starts: list[int] = []
    path = download(
        url=server.url(), cache_dir=tmp_path, progress=lambda done, *_: starts.append(done)
    )
    assert path.read_bytes() == DATA
    assert server.ranges == [None, "bytes=300000-"]
    assert starts[0] == 300_000
    assert not part.exists()


def test_server_without_range_sends_it_all_again(tmp_path: Path, server: Server) -> None:
    (tmp_path / (NAME + ".part")).write_bytes(b"x" * 1000)
    server.ignore_range = True
    assert download(url=server.url(), cache_dir=tmp_path).read_bytes() == DATA


def test_complete_part_needs_no_bytes(tmp_path: Path, server: Server) -> None:
    (tmp_path / (NAME + ".part")).write_bytes(DATA)
    assert download(url=server.url(), cache_dir=tmp_path).read_bytes() == DATA


def test_wrong_hash_is_removed(tmp_path: Path, server: Server) -> None:
    server.body = DATA[:-1] + b"!"
    with pytest.raises(WeightsError, match="wrong file, its SHA-256 starts") as caught:
        download(url=server.url(), cache_dir=tmp_path)
    assert DIGEST[:8] in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    server.body = DATA
    assert download(url=server.url(), cache_dir=tmp_path).read_bytes() == DATA


def test_wrong_part_is_found_by_the_hash(tmp_path: Path, server: Server) -> None:
    (tmp_path / (NAME + ".part")).write_bytes(b"not the beginning of the file")
    with pytest.raises(WeightsError, match="wrong file"):
        download(url=server.url(), cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_damaged_cache_is_fetched_again(tmp_path: Path, server: Server) -> None:
    (tmp_path / NAME).write_bytes(b"damaged")
    assert download(url=server.url(), cache_dir=tmp_path).read_bytes() == DATA


def test_redirects_and_http_errors(tmp_path: Path, server: Server) -> None:
    away = server.url(f"away-{DIGEST[:8]}.pth")
    assert download(url=away, cache_dir=tmp_path).read_bytes() == DATA
    with pytest.raises(WeightsError, match="the server answers 404 Not Found"):
        download(url=server.url("gone-0123abcd.pth"), cache_dir=tmp_path)


def test_size_cap(tmp_path: Path, server: Server) -> None:
    with pytest.raises(WeightsError, match="1 MB, above the limit of 500 kB"):
        download(url=server.url(), cache_dir=tmp_path, max_bytes=500_000)
    assert list(tmp_path.iterdir()) == []


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(WeightsError, match=r"cannot be reached .*refused.*check the network") as e:
        download(url=f"http://127.0.0.1:{port}/{NAME}", cache_dir=tmp_path)
    assert "\n" not in str(e.value)


def test_names_and_addresses_are_checked(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="choose from sports1m"):
        download("kinetics", cache_dir=tmp_path)
    for url in ("ftp://host/a-01234567.pth", "https://host/a.pth", "file:///etc/a-01234567.pth"):
        with pytest.raises(WeightsError, match="https address"):
            download(url=url, cache_dir=tmp_path)
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(WeightsError, match="cannot be written"):
        download(cache_dir=blocked / "sub")


def test_published_address() -> None:
    assert DOWNLOADS["sports1m"].startswith("https://")
    assert DOWNLOADS["sports1m"].endswith("/c3d_sports1m_pretrain_20201016-dcc47ddc.pth")


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("C3D_VIZ_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("C3D_VIZ_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "c3d_viz"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "c3d_viz"


@pytest.mark.parametrize("kind", ["hardlink_to", "symlink_to"])
def test_a_part_that_is_another_file_too_is_not_written_to(
    server: Server, tmp_path: Path, kind: str
) -> None:
    mine, cache = tmp_path / "mine.txt", tmp_path / "cache"
    mine.write_bytes(DATA[:1000])
    cache.mkdir()
    getattr(cache / f"{NAME}.part", kind)(mine)
    found = download(url=server.url(), cache_dir=cache)
    assert (found.read_bytes(), mine.read_bytes()) == (DATA, DATA[:1000])
    assert not found.is_symlink()
