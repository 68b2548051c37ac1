"""The page of a map: the figure, each video's neighbours, the classifier's answers."""

from __future__ import annotations

from html import escape

from ...render import REPORT_STYLE, themed
from .arrange import Arranged, C, Classified, Table

_STYLE = """
.near{display:grid;gap:6px;margin-top:12px}.near>div{display:grid;gap:8px;align-items:start;
grid-template-columns:repeat(auto-fill,minmax(104px,1fr));border-top:1px solid var(--line);
padding:8px 0}.near figure{margin:0;font-size:.8rem;line-height:1.3;overflow-wrap:anywhere}
.near figure:first-child{font-weight:600}.near img,.near .none{height:64px;width:100%;
object-fit:cover;border-radius:4px;background:var(--card);display:block}
"""


def page(
    table: Table,
    arranged: Arranged,
    classified: Classified | None,
    thumbs: set[int],
    light: bytes,
    dark: bytes,
) -> str:
    """The whole page as text; the figure is in it, the thumbnails lie beside it."""
    about = table.about
    layer = escape(str(about.get("layer", "?")))
    weights = escape(str(about.get("weights", "?")))
    caption = "Every video by its vector: a frame from its middle, or a dot if it cannot be read."
    rows = "".join(
        f"<div>{_video(table, i, thumbs)}"
        + "".join(
            _video(table, int(j), thumbs, float(c))
            for j, c in zip(arranged.nearest[i], arranged.cosine[i], strict=True)
        )
        + "</div>"
        for i in range(len(table.paths))
    )
    tested = "" if classified is None else _classified(classified)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>A map of {len(table.paths)} videos</title><style>{REPORT_STYLE}{_STYLE}</style>"
        f"</head><body><h1>A map of {len(table.paths)} videos</h1>"
        f'<p class="small">{layer}, the mean over windows, of length 1. Weights in use: '
        f"<strong>{weights}</strong></p>{themed(light, dark, caption)}"
        '<p class="small">PCA keeps distances as far as two axes can. t-SNE keeps neighbours '
        "together; its distances between groups, and their sizes, mean nothing.</p>"
        f"{tested}<h2>Nearest videos</h2><p>Each row begins with a video; the most alike follow, "
        f'with the cosine.</p><div class="near">{rows}</div></body></html>\n'
    )


def _video(table: Table, number: int, thumbs: set[int], cosine: float | None = None) -> str:
    name, path = escape(table.names[number]), escape(table.paths[number])
    picture = '<span class="none"></span>'
    if number in thumbs:
        picture = f'<img src="thumbs/{number:05d}.jpg" loading="lazy" alt="{name}">'
    value = "" if cosine is None else f"{cosine:z.3f} "
    return f'<figure title="{path}">{picture}<figcaption>{value}{name}</figcaption></figure>'


def _classified(found: Classified) -> str:
    folds = ", ".join(f"{100 * score:.1f}" for score in found.folds)
    counts = ", ".join(f"{escape(name)} {count}" for name, count in found.classes.items())
    wrong = "".join(
        f"<tr><td>{escape(path)}</td><td>{escape(right)}</td><td>{escape(answer)}</td></tr>"
        for path, right, answer in found.wrong[:200]
    )
    table = (
        '<div class="scroll"><table><tr><th>video</th><th>class</th><th>answer</th></tr>'
        f"{wrong}</table></div>"
        if wrong
        else ""
    )
    return (
        f"<h2>A linear classifier of the folders</h2><p><strong>{100 * found.accuracy:.1f} %"
        f"</strong> of {sum(found.classes.values())} videos are named rightly; chance is "
        f"{100 * found.chance:.1f} %. Linear SVM, one against the rest, C = {C:g}, "
        f"{len(found.folds)} folds ({folds} %) over {found.groups} groups, none of which is in "
        f'training and test at once.</p><p class="small">{counts}</p>{table}'
    )
