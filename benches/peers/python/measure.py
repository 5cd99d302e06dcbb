"""Gives the engines their turns."""

import statistics
import time
from dataclasses import asdict, dataclass, field

from .engines import OURS
from .process import Unavailable

#: So long after its turn, an engine's waiting threads have gone to sleep.
PAUSE = 0.02
#: After so many rounds, only peers that took at most `CLOSE` times as long as the fastest have further turns: no other can
#: turn out to be the fastest.
ROUNDS_FOR_ALL = 2
CLOSE = 1.5
#: Relative difference of the outputs' mean squares; whatever order sums are taken in, they agree better.
TOLERANCE = 1e-3


@dataclass
class Machine:
    """What so many threads can do at most."""

    flops: float
    bandwidths: list
    instructions: str

    def seconds(self, layer):
        """The least time for a layer whose data an earlier call left in the nearest memory that holds them."""
        fitting = [rate for size, rate in self.bandwidths if layer.bytes <= size] or [self.bandwidths[-1][1]]
        return max(layer.operations / self.flops, layer.bytes / fitting[0])

    def best(self, other):
        """The higher limits of two measurements: others may have disturbed either."""
        pairs = zip(self.bandwidths, other.bandwidths)
        bandwidths = [(size, max(rate, again)) for (size, rate), (_, again) in pairs]
        return Machine(max(self.flops, other.flops), bandwidths, self.instructions)


@dataclass
class Times:
    """Microseconds a call: the fastest of some turns, and the median of their medians."""

    minimum: float
    median: float


@dataclass
class Pair:
    """A peer, and ours in as many turns right before the peer's: more turns would give ours more chances of a
    fastest call."""

    peer: Times
    ours: Times

    def ratio(self, by):
        return getattr(self.peer, by) / getattr(self.ours, by)


@dataclass
class Run:
    threads: int
    machine: Machine
    #: Ours in all turns, by the layer's name.
    ours: dict = field(default_factory=dict)
    #: By the layer's name and the peer's.
    pairs: dict = field(default_factory=dict)

    def best(self, layer, by="minimum"):
        """The peer that ours does worst against, and the peer's time over ours; nothing if there is no peer."""
        ratios = {name: pair.ratio(by) for name, pair in self.pairs[layer.name].items()}
        best = min(ratios, key=ratios.get, default=None)
        return (best, ratios[best]) if best else None

    def as_json(self):
        return asdict(self)


def measure(threads, layers, peers, options, models):
    """One run with so many threads. Engines that are not there, or cannot compute a layer, are left out with a line
    that says so."""
    ours = OURS.start(options.binary, threads, models)
    running = list(_started(peers, options.binary, threads, models))
    run = Run(threads, Machine(*ours.machine()))
    for layer in layers:
        able = [peer for peer in running if layer.engines is None or peer.name in layer.engines]
        _alternate(ours, able, layer, options, run)
        _print_line(run, layer)
    run.machine = run.machine.best(Machine(*ours.machine()))
    for process in [ours, *running]:
        process.close()
    return run


def _started(peers, binary, threads, models):
    for peer in peers:
        try:
            yield peer.start(binary, threads, models)
        except Unavailable as error:
            print(f"skipped {peer.name}: {error}", flush=True)


def _alternate(ours, peers, layer, options, run):
    """Ours, a peer, ours, the next peer, ..., for so many rounds, of which the later ones are for the fastest peers."""
    turns = {peer.name: [] for peer in peers}
    alone = [] if peers else [take_turn(ours, layer, options) for _ in range(options.rounds)]
    failed = set()
    for done in range(options.rounds):
        close = turns.keys() if done < ROUNDS_FOR_ALL else _close(_pairs(turns, failed))
        for peer in peers:
            if peer.name in close and peer.name not in failed:
                try:
                    turns[peer.name].append(_pair(ours, peer, layer, options))
                except Unavailable as error:
                    failed.add(peer.name)
                    print(f"  {peer.name} leaves out {layer.name}: {error}", flush=True)
    run.pairs[layer.name] = _pairs(turns, failed)
    run.ours[layer.name] = times_of(alone + [reference for pairs in turns.values() for reference, _ in pairs])


def _pairs(turns, failed):
    return {
        name: Pair(times_of(theirs for _, theirs in pairs), times_of(reference for reference, _ in pairs))
        for name, pairs in turns.items()
        if name not in failed
    }


def _close(pairs):
    """The names of the peers that may be the fastest."""
    ratios = {name: pair.ratio("minimum") for name, pair in pairs.items()}
    return {name for name, ratio in ratios.items() if ratio <= CLOSE * min(ratios.values())}


def _pair(ours, peer, layer, options):
    reference, theirs = take_turn(ours, layer, options), take_turn(peer, layer, options)
    if abs(theirs.mean_square - reference.mean_square) > TOLERANCE * reference.mean_square:
        # What is not a number passes: an engine says so where it cannot compute quite the same.
        raise Unavailable(f"its output's mean square is {theirs.mean_square}, not {reference.mean_square}")
    return reference, theirs


def take_turn(process, layer, options):
    """One turn, and the pause after it."""
    times = process.time(layer.name, options.milliseconds)
    time.sleep(PAUSE)
    return times


def times_of(turns):
    """The times of an engine's turns."""
    turns = list(turns)
    return Times(min(turn.minimum for turn in turns), statistics.median(turn.median for turn in turns))


def _print_line(run, layer):
    ours = run.ours[layer.name].minimum
    share = 100 * run.machine.seconds(layer) * 1e6 / ours
    best = run.best(layer)
    against = f"{best[1]:6.2f} x as fast as {best[0]}" if best else ""
    print(f"{layer.name:28} {run.threads} threads {ours:10.1f} us {share:5.0f} % of the limit {against}", flush=True)
