"""docs/methods.md has a row for every method and every setting, with its default."""

from __future__ import annotations

import re

from video_files import ROOT

from c3d_viz.methods import METHODS


def test_every_method_has_a_row_in_both_tables_and_every_setting_its_default() -> None:
    text = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    asked = [row for row in rows if row.count("|") == 6]
    settings = [row for row in rows if re.match(r"\| `\w+\.\w+`", row)]
    limits = [row for row in rows if row.count("|") == 4 and row not in settings]
    for name, method in METHODS.items():
        assert sum(f"| `{name}` |" in row for row in asked) == 1, name
        spelled = (f"`{name}`", "`smoothgrad`, squared") if "squared" in name else (f"`{name}`",)
        (limit,) = [row for row in limits if any(s in row.split("|")[1] for s in spelled)]
        assert method.paper.split(",")[0] in limit, name
        values = {} if method.settings is None else method.settings().to_json()
        for setting, value in values.items():
            if setting == "layer":
                continue  # the five class activation maps share a row
            (row,) = [row for row in settings if f"`{name}.{setting}`" in row]
            shown = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            assert row.split("|")[2].strip() == shown, setting
    cams = [name for name in METHODS if METHODS[name].settings and "cam" in name]
    assert len(cams) == 5
    assert any("`gradcam.layer`, and of the other four" in row for row in settings)
