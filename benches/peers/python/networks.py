"""Whole networks with the weights that `src/data.rs` makes: as ONNX models, and how many operations they take.

Each is described once, as a function that adds its layers to a `Graph`; `benches/support/models.rs` has the same networks, whose
parameters come in the same order.
"""

import math

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

from . import suite


class Graph:
    """A network that grows by a layer at a time; every layer takes the output of the last one."""

    def __init__(self, shape):
        #: Of the last output: height, width, channels, or its length.
        self.shape = shape
        self.last = "x"
        self.nodes = []
        #: Functions that make them, by name: most who build a graph only want to know how large it is.
        self.weights = {}
        self.operations = 0
        #: How many arrays, and how many numbers in them.
        self.parameters = self.numbers = 0

    def convolution(self, filters, size, stride=1, groups=1, activation="Relu", same=True):
        h, w, channels = self.shape
        # The odd row and column of `same` padding are below and to the right.
        out = [-(-(side if same else side - size + 1) // stride) for side in (h, w)]
        pads = [max((o - 1) * stride + size - side, 0) for o, side in zip(out, (h, w))]
        begin = [pad // 2 for pad in pads]
        kernel = [size, size, channels // groups, filters]
        self._node(
            "Conv",
            [self._kernel(kernel, lambda kernel: kernel.transpose(3, 2, 0, 1)), self._bias(filters)],
            strides=[stride] * 2,
            pads=begin + [pad - first for pad, first in zip(pads, begin)],
            dilations=[1, 1],
            group=groups,
        )
        self.operations += 2 * out[0] * out[1] * math.prod(kernel)
        self.shape = [*out, filters]
        self.activation(activation)

    def dense(self, units, activation=None):
        shape = self.shape
        kernel = [math.prod(shape), units]

        def channels_first_rows(kernel):
            return kernel.reshape([*shape, units]).transpose(2, 0, 1, 3).reshape(-1, units)

        if len(shape) == 3:
            self._node("Flatten", [])
        arrange = channels_first_rows if len(shape) == 3 else np.asarray
        self._node("Gemm", [self._kernel(kernel, arrange), self._bias(units)])
        self.operations += 2 * math.prod(kernel)
        self.shape = [units]
        self.activation(activation)

    def activation(self, name):
        match name:
            case "Relu6":
                self._node("Clip", [self._weight(lambda limit=limit: np.array(limit, np.float32)) for limit in (0, 6)])
            case "LeakyRelu":
                self._node(name, [], alpha=0.1)
            case "Relu" | "Softmax":
                self._node(name, [])

    def max_pool(self, size, stride, pad=0):
        self._node("MaxPool", [], kernel_shape=[size] * 2, strides=[stride] * 2, pads=[pad] * 4)
        self.shape = [(side + 2 * pad - size) // stride + 1 for side in self.shape[:2]] + self.shape[2:]

    def global_average_pool(self):
        self._node("GlobalAveragePool", [])
        self._node("Flatten", [])
        self.shape = self.shape[2:]

    def residual(self, body, shortcut):
        """The sum of what both add to the last output."""
        start = self.last, self.shape
        body(self)
        end = self.last
        self.last, self.shape = start
        shortcut(self)
        self._node("Add", [end])

    def _node(self, operation, inputs, **attributes):
        name = f"x{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, [self.last, *inputs], [name], **attributes))
        self.last = name

    def _kernel(self, shape, arrange):
        """Of He's variance, which keeps the numbers of a deep network within bounds."""
        scale = np.float32(math.sqrt(24 / math.prod(shape[:-1])))
        return self._parameter(shape, scale, arrange)

    def _bias(self, filters):
        return self._parameter([filters], np.float32(0.1), np.asarray)

    def _parameter(self, shape, scale, arrange):
        role = suite.FIRST_PARAMETER + self.parameters
        self.parameters += 1
        self.numbers += math.prod(shape)
        return self._weight(lambda: np.ascontiguousarray(arrange(suite.numbers(role, shape) * scale)))

    def _weight(self, make):
        name = f"w{len(self.weights)}"
        self.weights[name] = make
        return name


def _digits(graph):
    for filters in (32, 64):
        graph.convolution(filters, 3)
        graph.max_pool(2, 2)
    graph.dense(128, "Relu")
    graph.dense(10)


def _vgg16(graph):
    for convolutions, filters in [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]:
        for _ in range(convolutions):
            graph.convolution(filters, 3)
        graph.max_pool(2, 2)
    graph.dense(4096, "Relu")
    graph.dense(4096, "Relu")
    graph.dense(1000, "Softmax")


def _mobilenet_v1(graph):
    graph.convolution(32, 3, stride=2, activation="Relu6")
    blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for filters, stride in blocks:
        channels = graph.shape[2]
        graph.convolution(channels, 3, stride=stride, groups=channels, activation="Relu6")
        graph.convolution(filters, 1, activation="Relu6")
    graph.global_average_pool()
    graph.dense(1000, "Softmax")


def _resnet18(graph):
    graph.convolution(64, 7, stride=2)
    graph.max_pool(3, 2, pad=1)
    for filters in (64, 128, 256, 512):
        for block in range(2):
            stride = 2 if filters > 64 and block == 0 else 1

            def body(graph):
                graph.convolution(filters, 3, stride)
                graph.convolution(filters, 3, activation=None)

            def shortcut(graph):
                if stride > 1:
                    graph.convolution(filters, 1, stride, activation=None)

            graph.residual(body, shortcut)
            graph.activation("Relu")
    graph.global_average_pool()
    graph.dense(1000, "Softmax")


def _upscale(graph):
    for filters in (32, 32, 64, 64, 128, 128):
        graph.convolution(filters, 3, activation="LeakyRelu", same=False)
    graph.convolution(3, 3, activation=None, same=False)


#: The functions that add a network's layers, by the network's name.
LAYERS = {
    "digits": _digits,
    "mobilenet_v1": _mobilenet_v1,
    "resnet18": _resnet18,
    "vgg16": _vgg16,
    "upscale": _upscale,
}
#: What they take: height, width, channels.
INPUTS = {"digits": [28, 28, 1], "upscale": [256, 256, 3]}
COLOUR_PICTURES = [224, 224, 3]


def networks():
    """All of them."""
    return [_network(name) for name in LAYERS]


def _network(name):
    shape = INPUTS.get(name, COLOUR_PICTURES)
    graph = _graph(name, shape)
    return suite.Network(name, 1, *shape, tuple(graph.shape), graph.operations, suite.FLOAT * graph.numbers)


def _graph(name, shape):
    graph = Graph(shape)
    LAYERS[name](graph)
    return graph


def write(network, folder):
    """Writes `folder/NAME.onnx`."""
    built = _graph(network.name, [network.h, network.w, network.cin])
    built.nodes[-1].output[:] = ["y"]
    tensor = helper.make_tensor_value_info
    model = helper.make_model(
        helper.make_graph(
            built.nodes,
            network.name,
            [tensor("x", TensorProto.FLOAT, [network.n, network.cin, network.h, network.w])],
            [tensor("y", TensorProto.FLOAT, network.output_shape)],
            [numpy_helper.from_array(make(), name) for name, make in built.weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    checker.check_model(model)
    save(model, folder / f"{network.name}.onnx")
