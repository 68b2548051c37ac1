"""results.json -> the tables in docs/benchmarks.md, between two marks.

python -m benchmarks.table
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- begin measured: python -m benchmarks.table -->", "<!-- end measured -->"


def write(results: Path = RESULTS, page: Path = PAGE) -> None:
    """Replace what stands between the marks of ``page``.

    Raises:
        ValueError: the page lacks the marks.
    """
    text = page.read_text()
    page.write_text(insert(text, markdown(json.loads(results.read_text()))))


def insert(text: str, tables: str) -> str:
    """``text`` with ``tables`` between its marks."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"the page needs one line {BEGIN!r} and after it one line {END!r}")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{tables.strip()}\n\n{END}{rest.split(END)[1]}"


def markdown(results: dict[str, Any]) -> str:
    """Every table of a run. Parts that a run left out are left out."""
    parts = [_machine(results)]
    if "agreement" in results:
        parts.append(_agreement(results["agreement"], results.get("missing", {})))
    if "comparisons" in results:
        parts += [_targets(results), _comparisons(results["comparisons"])]
    tables = (
        ("memory", _memory), ("export", _export), ("networks", _networks), ("soak", _soak)
    )  # fmt: skip
    for name, table in tables:
        if name in results:
            parts.append(table(results[name]))
    return "\n\n".join(parts)


def _machine(results: dict[str, Any]) -> str:
    facts, limits = results["machine"], results["limits"]
    where = facts.get("accelerator") or facts["cpu"]
    state = ", with uncommitted changes" if facts["uncommitted_changes"] else ""
    return (
        f"Measured on {where}, {facts['cores']} cores, {facts['threads']} threads, "
        f"{facts['memory_gb']:.0f} GB, {facts['system']}, Python {facts['python']}, "
        f"torch {facts['torch']}, at commit {facts['commit']}{state}, in "
        f"{results['minutes']:.0f} minutes. Clip: {results['clip']}. "
        f"Limit of the machine in the same run (best matrix product): "
        f"{limits['float32']:.0f} GFLOP/s float32, {limits['bf16']:.0f} GFLOP/s bf16."
    )


def _agreement(agreement: dict[str, Any], missing: dict[str, str]) -> str:
    errors = agreement["relative_error"]
    lines = [
        "Results first: the largest difference of a tool's map from ours, over the largest value, "
        f"on the strongest unit of each of {agreement['layers']} layers "
        f"(bound {agreement['bound']:.0e}):",
        "",
        "| tool | largest relative difference | same |",
        "|---|---|---|",
    ]
    for name, error in errors.items():
        same = "yes" if error <= agreement["bound"] else "**no**"
        lines.append(f"| {agreement['names'].get(name, name)} | {error:.1e} | {same} |")
    cosine = agreement["preview_cosine"]
    lines.append(
        f"| c3d_viz bf16 preview, conv5b | cosine {cosine['median']:.4f}, lowest "
        f"{cosine['lowest']:.4f} | {'yes' if cosine['lowest'] >= 0.99 else '**no**'} (>= 0.99) |"
    )
    for name, reason in missing.items():
        lines.append(f"| {name} | not run: {reason} | |")
    return "\n".join(lines)


def _targets(results: dict[str, Any]) -> str:
    lines = [
        "| work | target | measured: median (smallest - largest) | | the arithmetic alone gives |",
        "|---|---|---|---|---|",
    ]
    for comparison in results["comparisons"].values():
        for row in comparison["targets"]:
            who = row["against"] if row["as"] != "best other" else f"{row['against']} (best other)"
            of = ", bf16 preview" if row["as"] == "bf16" else ""
            alone = comparison["arithmetic_alone"]
            kind = {"captum": "forward each", "plain PyTorch loop": "forward once"}
            paper = f"{alone[kind[row['against']]]:.1f}x" if row["against"] in kind else ""
            lines.append(
                f"| {comparison['title']}{of} | >= {row['target']:g}x {who} | "
                f"{_spread(row['ratio'], 'x')} | {_met(row['reached'])} | {paper} |"
            )
    best = results["comparisons"].get("all_conv", {}).get("rows", {}).get("c3d_viz")
    if best and "conv_share_of_limit" in best:
        share = best["conv_share_of_limit"]
        lines.append(
            f"| GFLOP/s within the convolutions, 8 layers x 9 units | >= 60 % of the limit | "
            f"{best['conv_gflop_per_s']:.0f} GFLOP/s, {share:.0%} | {_met(share >= 0.6)} | |"
        )
    if "tracing" in results:
        row = results["tracing"]
        added = {key: 100 * (value - 1) for key, value in row["ratio"].items()}
        lines.append(
            f"| tracing all layers over a bare forward | <= 10 % | {_spread(added, ' %')} | "
            f"{_met(row['reached'])} | |"
        )
    for row in results.get("memory", []):
        share = row["tools"].get("captum", {}).get("ours_as_share_of_work_mb")
        if share:
            lines.append(
                f"| peak memory, {MEMORY[row['work']]} | <= 0.6x captum | {_spread(share, 'x')} | "
                f"{_met(share['median'] <= 0.6)} | |"
            )
    for row in results.get("networks", []):
        name = row["key"].replace("/", " ")
        lines.append(
            f"| {row['units']} units of {name} | >= {row['target']:g}x captum | "
            f"{_spread(row['ratio'], 'x')} | {_met(row['reached'])} | |"
        )
        share = row["memory"]["captum"]["ours_as_share_of_work_mb"]
        lines.append(
            f"| peak memory, {name} | <= 0.8x captum | {_spread(share, 'x')} | "
            f"{_met(share['median'] <= 0.8)} | |"
        )
    if "help" in results:
        row = results["help"]
        lines.append(
            f"| `c3d-viz --help` | <= 0.5 s | {_spread(row['seconds'], ' s')} | "
            f"{_met(row['reached'])} | |"
        )
    for row in results.get("export", []):
        other, peak = row["everything_else_share"], row["peak_mb"]
        goal = row["targets"]
        if row["model"] == "c3d":
            lines.append(
                f"| export of all layers, {row['model']}: what is not arithmetic | <= 25 % of the "
                f"wall time | {other:.0%} | {_met(other <= goal['everything_else_share'])} | |"
            )
        lines.append(
            f"| export of all layers, {row['model']}: peak memory | <= {goal['peak_mb']:.0f} MB | "
            f"{peak:.0f} MB | {_met(peak <= goal['peak_mb'])} | |"
        )
    if "soak" in results:
        row = results["soak"]
        lines.append(
            f"| {row['exports']} exports in one process | grows < 50 MB | "
            f"{row['grown_mb']:.1f} MB | {_met(row['grown_mb'] < 50)} | |"
        )
    return "\n".join(lines)


MEMORY = {"all_conv": "8 convolution layers", "conv3b": "conv3b", "conv5b": "conv5b"}


def _comparisons(comparisons: dict[str, Any]) -> str:
    blocks = []
    for row in comparisons.values():
        lines = [
            f"**{row['title']}**, {row['rounds']} rounds:",
            "",
            "| tool | seconds | times ours | GFLOP done | GFLOP/s of the whole, share of the "
            "limit | within convolutions |",
            "|---|---|---|---|---|---|",
        ]
        for name, tool in row["rows"].items():
            times = _spread(tool["times_ours"], "x") if "times_ours" in tool else "1"
            rate = tool["gflop"] / tool["seconds"]["median"]
            inner = (
                f"{tool['conv_gflop_per_s']:.0f} GFLOP/s, {tool['conv_share_of_limit']:.0%}"
                if "conv_gflop_per_s" in tool
                else ""
            )
            lines.append(
                f"| {name} | {_spread(tool['seconds'])} | {times} | {tool['gflop']:.0f} | "
                f"{rate:.0f}, {tool['share_of_limit']:.0%} | {inner} |"
            )
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _memory(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| work | tool | while it works | with the model | whole process |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        for tool, values in row["tools"].items():
            lines.append(
                f"| {MEMORY[row['work']]} | {tool} | {values['work_mb']:.0f} MB | "
                f"{values['process_mb']:.0f} MB | {values['peak_mb']:.0f} MB |"
            )
    return "\n".join(lines)


def _export(rows: list[dict[str, Any]]) -> str:
    kinds = list(dict.fromkeys(kind for row in rows for kind in row["kinds"]))
    lines = [
        "| `export --layer all` | " + " | ".join(row["model"] for row in rows) + " |",
        "|---|" + "---|" * len(rows),
        "| wall time, network loaded | "
        + " | ".join(f"{row['wall_seconds']:.1f} s" for row in rows)
        + " |",
        "| convolutions and matrix products | "
        + " | ".join(f"{row['arithmetic_seconds']:.1f} s" for row in rows)
        + " |",
        "| files, MB | "
        + " | ".join(f"{row['files']}, {row['megabytes']:.0f}" for row in rows)
        + " |",
    ]
    for kind in kinds:
        cells = [f"{row['kinds'][kind]:.2f} s" if kind in row["kinds"] else "" for row in rows]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _networks(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| network that is no chain, 9 units | threads | c3d_viz | captum | largest relative "
        "difference | memory while it works |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        ours, captum = (_spread(row["seconds"][tool], " s") for tool in ("c3d_viz", "captum"))
        sizes = " / ".join(f"{row['memory'][t]['work_mb']:.0f} MB" for t in ("c3d_viz", "captum"))
        name = row["key"].replace("/", " ")
        facts = (name, str(row["threads"]), ours, captum, f"{row['relative_error']:.1e}", sizes)
        lines.append(f"| {' | '.join(facts)} |")
    return "\n".join(lines)


def _soak(row: dict[str, Any]) -> str:
    sizes = ", ".join(f"{size:.0f}" for size in row["resident_mb"])
    return (
        f"{row['exports']} exports in one process ({row['seconds']:.0f} s): resident size at every "
        f"tenth of them {sizes} MB; {row['grown_mb']:+z.1f} MB after the first {row['warm_up']}."
    )


def _spread(values: dict[str, float], unit: str = "") -> str:
    median, low, high = (_number(values[key]) for key in ("median", "low", "high"))
    return f"{median}{unit} ({low}{unit} - {high}{unit})"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _met(reached: bool) -> str:
    return "reached" if reached else "**missed**"


if __name__ == "__main__":
    write()
