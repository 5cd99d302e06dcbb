"""The layers of `benches/suite`, and the numbers that all engines compute with (see `src/data.rs`, which makes the
same ones)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "suite"
FLOAT = 4


@dataclass(frozen=True)
class Conv:
    """A line of `conv_layers.tsv`: a convolution with a bias and no activation."""

    #: Those that compute it; nothing if all do.
    engines = None

    name: str
    n: int
    h: int
    w: int
    cin: int
    cout: int
    kh: int
    kw: int
    stride: int
    top: int
    bottom: int
    left: int
    right: int
    dilation: int
    groups: int

    @property
    def output(self):
        """Height and width."""
        extents = [self.dilation * (k - 1) + 1 for k in (self.kh, self.kw)]
        padded = [self.h + self.top + self.bottom, self.w + self.left + self.right]
        return [(size - extent) // self.stride + 1 for size, extent in zip(padded, extents)]

    @property
    def output_shape(self):
        """Channels first."""
        return [self.n, self.cout, *self.output]

    @property
    def kernel_shape(self):
        return self.kh, self.kw, self.cin // self.groups, self.cout

    @property
    def operations(self):
        """Multiplications and additions, those with padding included."""
        oh, ow = self.output
        return 2 * self.n * oh * ow * int(np.prod(self.kernel_shape))

    @property
    def bytes(self):
        """Read or written at least once."""
        oh, ow = self.output
        pixels = self.n * (self.h * self.w * self.cin + oh * ow * self.cout)
        return FLOAT * (pixels + int(np.prod(self.kernel_shape)) + self.cout)

    @property
    def family(self):
        """The class of layers that this one is reported with."""
        if self.groups > 1:
            return "depthwise" if self.groups == self.cin else "grouped"
        if self.n >= 32 and self.cin <= 16:
            return "small layers in batches, as LeNet's"
        if self.kh == self.kw == 1:
            return "1x1"
        if self.kh == self.kw == 3 and self.stride == self.dilation == 1 and min(self.cin, self.cout) >= 32:
            return "3x3, maps of 14x14 and larger" if min(self.h, self.w) >= 14 else "3x3, maps of 7x7"
        return "3x3 stride 2, 5x5, 7x7 stride 2, dilated, 3 channels"


@dataclass(frozen=True)
class Training(Conv):
    """A convolution, forward, and the gradients of its input, kernel and bias."""

    #: Those that compute gradients.
    engines = ("torch", "candle", "burn-flex")

    @property
    def operations(self):
        """Those of the forward pass three times over."""
        return 3 * super().operations

    @property
    def bytes(self):
        """The input and its gradient, the output's gradient twice, and so on."""
        return 3 * super().bytes

    @property
    def family(self):
        if self.groups > 1:
            return "training: depthwise"
        if self.cin <= 3:
            return "training: 3 channels"
        if self.kh == self.kw == 1:
            return "training: 1x1"
        if self.stride > 1:
            return "training: 3x3 stride 2"
        return "training: 3x3" if self.h > 7 else "training: 3x3, maps of 7x7"


@dataclass(frozen=True)
class Pool:
    """A line of `pool_layers.tsv`; averages do not count padding."""

    name: str
    kind: str
    n: int
    h: int
    w: int
    c: int
    k: int
    stride: int
    pad: int

    family = "pooling"
    operations = 0
    engines = None

    @property
    def output(self):
        if self.kind.startswith("global"):
            return [1, 1]
        return [(size + 2 * self.pad - self.k) // self.stride + 1 for size in (self.h, self.w)]

    @property
    def output_shape(self):
        """Channels first."""
        return [self.n, self.c, *self.output]

    @property
    def cin(self):
        return self.c

    @property
    def bytes(self):
        oh, ow = self.output
        return FLOAT * self.n * self.c * (self.h * self.w + oh * ow)


@dataclass(frozen=True)
class Network:
    """A whole network with random weights, of `networks.py`."""

    name: str
    n: int
    h: int
    w: int
    cin: int
    #: Of the output: classes, or height, width, channels.
    out: tuple
    operations: int
    #: Of the parameters.
    bytes: int

    family = "whole networks, batch 1"
    engines = None

    @property
    def output_shape(self):
        """Channels first."""
        *sides, channels = self.out
        return [self.n, channels, *sides]


@dataclass(frozen=True)
class Step:
    """A step of a network's training (forward, all gradients, SGD with momentum) on a batch, to tell ten classes apart."""

    name: str
    n: int
    h: int
    w: int
    cin: int


def steps():
    """The networks of `src/engines/mod.rs`."""
    return [Step("step_digits", 64, 28, 28, 1), Step("step_resnet18", 64, 32, 32, 3), Step("step_vgg11", 64, 32, 32, 3)]


FAMILIES = [
    "3x3, maps of 14x14 and larger",
    "3x3, maps of 7x7",
    "1x1",
    "3x3 stride 2, 5x5, 7x7 stride 2, dilated, 3 channels",
    "depthwise",
    "grouped",
    "small layers in batches, as LeNet's",
    "pooling",
    "training: 3x3",
    "training: 3x3, maps of 7x7",
    "training: 1x1",
    "training: 3x3 stride 2",
    "training: 3 channels",
    "training: depthwise",
    Network.family,
]


def layers():
    """All single layers, in the order of the files."""
    convolutions = [Conv(name, *map(int, sizes)) for name, *sizes in _rows("conv_layers.tsv")]
    pools = [Pool(name, kind, *map(int, sizes)) for name, kind, *sizes in _rows("pool_layers.tsv")]
    by_name = {conv.name: conv for conv in convolutions}
    training = [Training(**{**vars(by_name[of]), "name": name}) for name, of in _rows("train_layers.tsv")]
    return convolutions + pools + training


def _rows(file):
    lines = (FOLDER / file).read_text().splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


INPUT, KERNEL, BIAS, GRADIENT = 1, 2, 3, 4
#: Of a network, whose parameters are numbered from here on.
FIRST_PARAMETER = 10


def numbers(role, shape):
    """A channels-last array (or a kernel `[kh, kw, channels, filters]`) of numbers between -0.5 and 0.5."""
    i = np.arange(int(np.prod(shape)), dtype=np.uint32) + np.uint32(role * 0x9E3779B9 & 0xFFFFFFFF)
    i = (i ^ (i >> 16)) * np.uint32(0x85EBCA6B)
    i = (i ^ (i >> 13)) * np.uint32(0xC2B2AE35)
    i ^= i >> 16
    return ((i >> 8).astype(np.float32) / np.float32(1 << 24) - np.float32(0.5)).reshape(shape)


def channels_first_input(layer):
    """`[batch, channels, height, width]`."""
    return np.ascontiguousarray(channels_last_input(layer).transpose(0, 3, 1, 2))


def channels_first_gradient(conv):
    """Of the output: `[batch, filters, height, width]`."""
    oh, ow = conv.output
    return np.ascontiguousarray(numbers(GRADIENT, (conv.n, oh, ow, conv.cout)).transpose(0, 3, 1, 2))


def channels_last_input(layer):
    """`[batch, height, width, channels]`."""
    return numbers(INPUT, (layer.n, layer.h, layer.w, layer.cin))


def filters_first_kernel(conv):
    """`[filters, channels, kh, kw]`."""
    return np.ascontiguousarray(numbers(KERNEL, conv.kernel_shape).transpose(3, 2, 0, 1))


def bias(conv):
    return numbers(BIAS, (conv.cout,))


def mean_square(y):
    """The same whatever the order of the axes: engines that disagree in it do not compute the same."""
    return float(np.mean(np.square(np.asarray(y), dtype=np.float64)))
