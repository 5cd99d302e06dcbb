"""The side-by-side tables, as Markdown."""

import math
import os
import platform
from pathlib import Path

from . import suite
from .engines import OURS
from .measure import CLOSE, ROUNDS_FOR_ALL


def markdown(runs, layers, engines, date, load):
    """All of it."""
    parts = [
        _head(runs, engines, date, load),
        _classes(runs, layers),
        *(_layers(run, layers, engines) for run in runs),
    ]
    return "\n\n".join(parts) + "\n"


def _head(runs, engines, date, load):
    machine = runs[0].machine
    peaks = "; ".join(f"{run.machine.flops / 1e9:.1f} GFLOP/s with {_threads(run)}" for run in runs)
    rows = [(engine.name, engine.version, engine.mode) for engine in engines if _took_part(engine, runs)]
    return f"""# striate and its peers

The layers of [suite](suite), single precision, with bias; forward passes with constant weights, and where it says *training*, forward and the gradients
of input, kernel and bias, with weights that change from call to call; made by [peers](peers) on {date}.

- **Machine:** {_processor()}, {os.cpu_count()} processors, {platform.system()} {platform.machine()}; widest instructions {machine.instructions};
  load of {load:.1f} before the run.
- **Peak** of fused multiply-adds, measured in the same run: {peaks}.
- **Ratio:** the time of the peer that striate does worst against, over striate's. Above 1, striate is the fastest. In each of several rounds every
  peer has its turn, striate one right before it, and nothing else runs; after {ROUNDS_FOR_ALL} rounds, only peers that took at most {CLOSE} times as long as the fastest
  have more. The fastest call of a peer's turns, and of striate's before these, counts, and next to it, the median.
- **Share of the peak** counts every tap as a multiplication and an addition; algorithms that need fewer can pass 100 %. **Share of the limit:** the
  limit is the longer of the times that the operations take at the peak and the data at the measured bandwidth of the nearest memory that holds them.

{_table(["engine", "version", "mode"], rows)}"""


def _classes(runs, layers):
    header = ["layers", "how many"]
    for run in runs:
        header += [f"{_threads(run)}: least ratio", "geometric mean"]
    groups = [(family, [layer for layer in layers if layer.family == family]) for family in suite.FAMILIES]
    groups.append(("all convolutions", [layer for layer in layers if type(layer) is suite.Conv]))
    groups.append(("all training", [layer for layer in layers if isinstance(layer, suite.Training)]))
    rows = []
    for name, group in groups:
        if group:
            summaries = [cell for run in runs for cell in _summary(run, group)]
            rows.append([name, str(len(group)), *summaries])
    return "## By class\n\n" + _table(header, rows)


def _summary(run, group):
    """The least ratio and the geometric mean of a class."""
    ratios = [best[1] for best in map(run.best, group) if best]
    if not ratios:
        return "-", "-"
    return f"{min(ratios):.2f}", f"{geometric_mean(ratios):.2f}"


def geometric_mean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def _layers(run, layers, engines):
    peers = [engine.name for engine in engines if engine != OURS and _took_part(engine, [run])]
    header = ["layer", "striate, us", "GFLOP/s or GB/s", "of peak", "of limit", "best peer", "ratio", "of medians", *peers]
    rows = [_layer(run, layer, peers) for layer in layers]
    note = "The peers' columns are their times over striate's: each the fastest call, of as many turns."
    return f"## By layer, {_threads(run)}\n\n{note}\n\n" + _table(header, rows)


def _layer(run, layer, peers):
    seconds = run.ours[layer.name].minimum / 1e6
    speed = (layer.operations or layer.bytes) / seconds / 1e9
    peak = _percent(layer.operations / seconds / run.machine.flops) if layer.operations else "-"
    best, medians = run.best(layer), run.best(layer, "median")
    row = [layer.name, f"{seconds * 1e6:.1f}", f"{speed:.1f}", peak, _percent(run.machine.seconds(layer) / seconds)]
    row += [best[0], f"{best[1]:.2f}", f"{medians[1]:.2f}"] if best else ["-"] * 3
    pairs = run.pairs[layer.name]
    return row + [f"{pairs[peer].ratio('minimum'):.2f}" if peer in pairs else "-" for peer in peers]


def _percent(share):
    return f"{100 * share:.0f} %"


def _threads(run):
    return f"{run.threads} thread" + ("s" if run.threads > 1 else "")


def _took_part(engine, runs):
    return engine == OURS or any(engine.name in pairs for run in runs for pairs in run.pairs.values())


def _processor():
    """The processor's name, as far as the system knows it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or "an unknown processor"


def _table(header, rows):
    """A Markdown table; columns of numbers on the right."""
    numeric = [all(_is_number(row[i]) for row in rows) for i in range(len(header))]
    rule = ["---:" if right else "---" for right in numeric]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, rule, *rows])


def _is_number(cell):
    return cell == "-" or cell.split()[0].replace(".", "").isdigit()
