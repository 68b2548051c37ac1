"""Download a published checkpoint: resumable, checked by the hash in its name, kept in a cache."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from .. import __version__
from ..errors import WeightsError
from ..files import sha256
from ..progress import Progress
from .files import named, reason, size_text

# The suffix of each file name is the start of the file's SHA-256, as its publisher does it.
DOWNLOADS: dict[str, str] = {
    "sports1m": "https://download.openmmlab.com/mmaction/recognition/c3d/"
    "c3d_sports1m_pretrain_20201016-dcc47ddc.pth",
}
MAX_DOWNLOAD = 1024**3  # the file has about 300 MB
_BLOCK = 1 << 18
_TIMEOUT = 30.0  # seconds without a byte


def cache_folder() -> Path:
    """Where downloads are kept: $C3D_VIZ_CACHE, or c3d_viz in the user's cache folder."""
    if own := os.environ.get("C3D_VIZ_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "c3d_viz"


def download(
    name: str = "sports1m",
    *,
    url: str | None = None,
    cache_dir: str | Path | None = None,
    progress: Progress | None = None,
    max_bytes: int = MAX_DOWNLOAD,
) -> Path:
    """The path of a published checkpoint, fetched if the cache does not have it.

    A cut download is kept as ``<file>.part`` and goes on where it stopped the next time. The file
    takes its name only once its SHA-256 starts as its name says.

    Args:
        name: key of ``DOWNLOADS``.
        url: another address of a file named ``*-<start of its SHA-256>.<suffix>``.
        cache_dir: folder to keep it in, see ``cache_folder``.
        progress: called with bytes done, bytes in all (0 when unknown) and the file's name.
        max_bytes: larger files are refused.

    Raises:
        WeightsError: unknown name, no network, the server refuses, the connection is cut, too
            large, the disk is full, or the wrong hash (the file is removed).
    """
    if url is None:
        if name not in DOWNLOADS:
            raise WeightsError(f"no download {name!r}; choose from {', '.join(DOWNLOADS)}")
        url = DOWNLOADS[name]
    parts = urlsplit(url)
    file_name = Path(unquote(parts.path)).name
    digest = re.search(r"-([0-9a-f]{8,64})\.\w+$", file_name)
    if parts.scheme not in ("https", "http") or digest is None:
        raise WeightsError(
            f"{url}: give an https address of a file named like weights-1a2b3c4d.pth, where "
            f"1a2b3c4d is the start of its SHA-256"
        )
    folder = named(cache_dir) if cache_dir is not None else cache_folder()
    target = folder / file_name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if target.is_file():
            if sha256(target).startswith(digest[1]):
                return target
            target.unlink()  # damaged on disk: fetch it again
        part = target.with_name(file_name + ".part")
        _fetch(url, part, progress, max_bytes)
        actual = sha256(part)
        if not actual.startswith(digest[1]):
            part.unlink()
            raise WeightsError(
                f"{url}: wrong file, its SHA-256 starts {actual[:8]} and not {digest[1][:8]}; it "
                f"was removed, try again later"
            )
        part.replace(target)
    except OSError as error:
        raise WeightsError(f"{target}: cannot be written ({reason(error)})") from None
    return target


def _fetch(url: str, part: Path, progress: Progress | None, max_bytes: int) -> None:
    if part.is_symlink() or (part.is_file() and part.stat().st_nlink > 1):
        part.unlink()  # it is written where it lies, and that would be another file too
    have = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": f"c3d-viz/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    opener = urllib.request.build_opener(_NoDowngrade)
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT) as answer:
            if have and not _continues(answer, have):
                have = 0  # the server sends the whole file again
            _copy(answer, url, part, have, progress, max_bytes)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and have:  # nothing beyond what we have: let the hash decide
                return
            raise WeightsError(
                f"{url}: the server answers {error.code} {error.reason}; check the address"
            ) from None
    except urllib.error.URLError as error:
        raise WeightsError(
            f"{url}: cannot be reached ({reason(error.reason)}); check the network, or download "
            f"it elsewhere and pass the file as weights"
        ) from None
    except (http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
        raise _cut(url, part, reason(error)) from None


def _copy(
    answer: http.client.HTTPResponse,
    url: str,
    part: Path,
    have: int,
    progress: Progress | None,
    max_bytes: int,
) -> None:
    length = answer.headers.get("Content-Length", "")
    total = have + int(length) if length.isdigit() else 0
    if total > max_bytes:
        raise WeightsError(
            f"{url}: has {size_text(total)}, above the limit of {size_text(max_bytes)}"
        )
    done = have
    with part.open("ab" if have else "wb") as file:
        if progress is not None:
            progress(done, total, part.stem)
        while block := answer.read(_BLOCK):
            done += len(block)
            if done > max_bytes:
                raise WeightsError(f"{url}: is above the limit of {size_text(max_bytes)}")
            file.write(block)
            if progress is not None:
                progress(done, total, part.stem)
    if total and done < total:
        raise _cut(url, part, f"{size_text(done)} of {size_text(total)}")


def _continues(answer: http.client.HTTPResponse, have: int) -> bool:
    span = answer.headers.get("Content-Range", "")
    return answer.status == 206 and span.startswith(f"bytes {have}-")


def _cut(url: str, part: Path, why: str) -> WeightsError:
    return WeightsError(
        f"{url}: the connection was cut ({why}); run the same command again to go on, what came "
        f"so far is kept in {part}"
    )


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follow redirects, but never from https to anything else."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if req.type == "https" and not newurl.startswith("https://"):
            raise urllib.error.URLError("redirects away from https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
