"""Compares steps of whole networks' training with PyTorch: times, and the most memory of a process that does nothing else.

`run` prepares what it needs: `STEPS=1 benches/peers/run`. Writes `benches/STEPS.md`.
"""

import argparse
import os
import time
from pathlib import Path

from python import suite
from python.engines import OURS, PEERS
from python.measure import take_turn, times_of

REPORT = Path(__file__).resolve().parents[1] / "STEPS.md"
HEAD = """# Steps of training, beside PyTorch's

A step is a forward pass, all gradients, and SGD with momentum, on 64 pictures. PyTorch {torch}: eager, the faster of channels
first and channels last (each in a process of its own, which does nothing else; the memory is that of the faster). striate {ours}.
The engines take turns; times are the fastest of {rounds} turns of {milliseconds} ms, and the medians of the turns' medians.
Memory is the most that the process has had at any time, its program included.

{instructions}, {date}, `{command}`

| network | threads | PyTorch, ms | striate, ms | ratio | ratio of medians | PyTorch, MB | striate, MB |
|---|---|---|---|---|---|---|---|
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--milliseconds", type=int, default=1500)
    parser.add_argument("--threads", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2])
    parser.add_argument("--networks", default="", help="only those whose name contains this")
    parser.add_argument("--output", type=Path, default=REPORT)
    options = parser.parse_args()
    torch = next(peer for peer in PEERS if peer.name == "torch")

    rows = []
    for threads in options.threads:
        for step in suite.steps():
            if options.networks in step.name:
                rows.append(_row(step, threads, torch, options))
                print(rows[-1], flush=True)
    instructions = _instructions(options)
    text = HEAD.format(
        torch=torch.version,
        ours=OURS.version,
        rounds=options.rounds,
        milliseconds=options.milliseconds,
        instructions=instructions,
        date=time.strftime("%Y-%m-%d"),
        command=f"STEPS=1 benches/peers/run --rounds {options.rounds} --milliseconds {options.milliseconds}",
    )
    options.output.write_text(text + "\n".join(rows) + "\n" + _other_sections(options.output))


def _other_sections(report):
    """What the report has after the table, which is written by hand."""
    text = report.read_text() if report.exists() else ""
    return "".join(text.partition("\n## ")[1:])


def _instructions(options):
    process = OURS.start(options.binary, 1, options.work)
    _, _, instructions = process.machine()
    process.close()
    return instructions


def _row(step, threads, torch, options):
    """A line of the table."""
    ours = OURS.start(options.binary, threads, options.work)
    peers = []
    for order in ("first", "last"):
        os.environ["PEERS_ORDER"] = order
        peers.append(torch.start(options.binary, threads, options.work))
    del os.environ["PEERS_ORDER"]
    turns = {process: [] for process in [ours, *peers]}
    for _ in range(options.rounds):
        for process in turns:
            turns[process].append(take_turn(process, step, options))
    times = {process: times_of(of) for process, of in turns.items()}
    peer = min(peers, key=lambda peer: times[peer].minimum)
    weights = {turn.mean_square for process in (ours, peer) for turn in turns[process]}
    if max(weights) - min(weights) > 1e-6 * max(weights):
        raise ArithmeticError(f"the networks of {step.name} differ")
    theirs, own = times[peer], times[ours]
    memory = [process.memory() / 1e6 for process in (peer, ours)]
    for process in turns:
        process.close()
    return (
        f"| {step.name.removeprefix('step_')} | {threads} | {theirs.minimum / 1e3:.1f} | {own.minimum / 1e3:.1f} "
        f"| {theirs.minimum / own.minimum:.2f} | {theirs.median / own.median:.2f} | {memory[0]:.0f} | {memory[1]:.0f} |"
    )


if __name__ == "__main__":
    main()
