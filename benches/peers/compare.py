"""Compares striate with other engines, layer by layer; `run` prepares what it needs. See README.md."""

import argparse
import json
import os
import re
import time
from pathlib import Path

from python import networks, onnx_models, report, suite
from python.engines import OURS, PEERS
from python.measure import measure

#: Programs at work before the run begins, on average over a minute.
BUSY = 0.5


def main():
    options = parse()
    every = suite.layers() + networks.networks()
    layers = [layer for layer in every if re.search(options.filter, layer.name)]
    if not layers:
        raise SystemExit(f"no layer's name matches {options.filter!r}")
    models = options.work / "models"
    models.mkdir(parents=True, exist_ok=True)
    for layer in layers:
        if not isinstance(layer, suite.Training):
            writer = networks if isinstance(layer, suite.Network) else onnx_models
            writer.write(layer, models)

    peers = [engine for engine in PEERS if options.engines is None or engine.name in options.engines]
    date, load = time.strftime("%Y-%m-%d"), os.getloadavg()[0]
    if load > BUSY:
        print(f"the machine is busy (load {load:.1f}): times will be longer than they need be, and ratios unfair")
    runs = [measure(threads, layers, peers, options, models) for threads in options.threads]
    (options.work / "times.json").write_text(json.dumps([run.as_json() for run in runs], indent=1))

    text = report.markdown(runs, layers, [OURS, *peers], date, load)
    print(text)
    if options.output:
        options.output.write_text(text)
        print(f"written to {options.output}")


def parse():
    parser = argparse.ArgumentParser(prog="benches/peers/run", description=__doc__)
    names = [engine.name for engine in PEERS]
    parser.add_argument("--filter", default="", metavar="REGEX", help="only layers whose name matches")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--threads", type=threads, default=[1, 2], metavar="1,2", help="numbers of threads")
    parser.add_argument("--engines", type=lambda text: text.split(","), metavar="A,B", help=f"of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, help="how often the fastest engines have their turn")
    parser.add_argument("--milliseconds", type=int, help="how long a turn is")
    parser.add_argument("--output", type=Path, help="the report; without it, only a whole and thorough run is written")
    parser.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 6)
    options.milliseconds = options.milliseconds or (40 if options.quick else 120)
    unknown = set(options.engines or []) - set(names)
    if unknown:
        parser.error(f"no engine is called {', '.join(sorted(unknown))}")
    whole = not (options.filter or options.quick or options.engines or options.threads != [1, 2])
    if options.output is None and whole:
        options.output = Path(__file__).resolve().parents[1] / "RESULTS.md"
    return options


def threads(text):
    numbers = [int(number) for number in text.split(",")]
    if min(numbers) < 1:
        raise ValueError("at least one thread")
    return numbers


if __name__ == "__main__":
    main()
