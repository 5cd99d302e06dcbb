"""Engines in processes of their own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1]


class Unavailable(Exception):
    """An engine that does not run here, or cannot compute a layer."""


@dataclass
class Turn:
    """Microseconds a call, the fastest and the median, and the mean square of the output."""

    minimum: float
    median: float
    mean_square: float


class Process:
    """A server of `src/main.rs` or `serve.py`: it computes only while it is asked."""

    def __init__(self, name, command, threads):
        self.name = name
        self.server = subprocess.Popen(
            command,
            cwd=FOLDER,
            env=_environment(threads),
            preexec_fn=_keep_to(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("PEERS_VERBOSE") else subprocess.DEVNULL,
            text=True,
        )

    def ask(self, request):
        """The answer's words after `ok`."""
        try:
            print(request, file=self.server.stdin, flush=True)
            answer = self.server.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer.startswith("ok "):
            raise Unavailable(answer.strip() or "it ended")
        return answer.split()[1:]

    def time(self, layer, milliseconds):
        minimum, median, _, mean_square = map(float, self.ask(f"time {layer} {milliseconds}"))
        return Turn(minimum, median, mean_square)

    def memory(self):
        """The most bytes that it has had in memory."""
        return int(self.ask("memory")[0])

    def machine(self):
        """Operations a second, a table of sizes and bytes a second, and the instructions."""
        flops, bandwidths, *instructions = self.ask("machine")
        pairs = [pair.split(":") for pair in bandwidths.split(",")]
        return float(flops), [(int(size), float(rate)) for size, rate in pairs], " ".join(instructions)

    def close(self):
        self.server.stdin.close()
        self.server.wait()


def rust(engine, binary, threads, models):
    return Process(engine, [binary, engine, str(threads), models], threads)


def python(engine, threads, models):
    return Process(engine, [sys.executable, "-m", "python.serve", engine, str(threads), models], threads)


def _environment(threads):
    names = ["RAYON_NUM_THREADS", "RTEN_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"]
    return os.environ | {name: str(threads) for name in names}


def _keep_to(threads):
    """Keeps a process to as many cores as it may have threads, so that none can have more."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = _cores()[-threads:]
    return lambda: os.sched_setaffinity(0, cores)


def _cores():
    """One processor of each core that this process may use; a core's second hardware thread is not a second core."""
    first = {}
    for processor in sorted(os.sched_getaffinity(0)):
        siblings = Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
        core = siblings.read_text() if siblings.exists() else str(processor)
        first.setdefault(core, processor)
    return sorted(first.values())
