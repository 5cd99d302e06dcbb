"""Every layer as a TensorFlow Lite model of one node with constant weights."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from . import suite

SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
OPERATOR, OPTIONS = schema.BuiltinOperator, schema.BuiltinOptions


def models(layer):
    """The bytes of files that compute the layer with one operator or another."""
    if isinstance(layer, suite.Network):
        raise NotImplementedError("there is no such file of a whole network")
    if isinstance(layer, suite.Conv):
        return [_file(layer, layer.cout, *_conv(layer))]
    operators = [_pool(layer)] + ([_reduction(layer)] if layer.kind.startswith("global") else [])
    return [_file(layer, layer.c, *operator) for operator in operators]


def pads_as(layer):
    """Whether the model pads where the layer does."""
    return not any(_pads(layer)) or _pads(layer) == _same(layer)


def _pads(layer):
    """Top, bottom, left, right."""
    if isinstance(layer, suite.Conv):
        return [layer.top, layer.bottom, layer.left, layer.right]
    return [layer.pad] * 4


def _same(layer):
    """What TensorFlow's `same` pads: as little as gives ceil(size / stride) outputs, the odd row below."""
    if isinstance(layer, suite.Conv):
        extents = [layer.dilation * (k - 1) + 1 for k in (layer.kh, layer.kw)]
    else:
        extents = [layer.k, layer.k]
    pads = []
    for size, extent in zip((layer.h, layer.w), extents):
        total = max((-(-size // layer.stride) - 1) * layer.stride + extent - size, 0)
        pads += [total // 2, total - total // 2]
    return pads


def _padding(layer):
    if not any(_pads(layer)):
        return VALID
    if layer.output != [-(-size // layer.stride) for size in (layer.h, layer.w)]:
        raise ValueError("neither `same` nor `valid` has as many outputs")
    return SAME


def _conv(conv):
    """The node's operator, its options' kind, its options, its weights."""
    depthwise = conv.groups == conv.cin == conv.cout
    options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    options.padding = _padding(conv)
    options.strideH = options.strideW = conv.stride
    options.dilationHFactor = options.dilationWFactor = conv.dilation
    kernel = suite.numbers(suite.KERNEL, conv.kernel_shape)
    if depthwise:
        options.depthMultiplier = 1
        weights = [kernel.transpose(2, 0, 1, 3), suite.bias(conv)]
        return OPERATOR.DEPTHWISE_CONV_2D, OPTIONS.DepthwiseConv2DOptions, options, weights
    return OPERATOR.CONV_2D, OPTIONS.Conv2DOptions, options, [kernel.transpose(3, 0, 1, 2), suite.bias(conv)]


def _pool(pool):
    options = schema.Pool2DOptionsT()
    options.padding = _padding(pool)
    options.strideH = options.strideW = max(pool.stride, 1)
    options.filterHeight, options.filterWidth = (pool.k, pool.k) if pool.k else (pool.h, pool.w)
    operator = OPERATOR.MAX_POOL_2D if pool.kind.endswith("max") else OPERATOR.AVERAGE_POOL_2D
    return operator, OPTIONS.Pool2DOptions, options, []


def _reduction(pool):
    options = schema.ReducerOptionsT()
    options.keepDims = True
    operator = OPERATOR.REDUCE_MAX if pool.kind.endswith("max") else OPERATOR.MEAN
    return operator, OPTIONS.ReducerOptions, options, [np.array([1, 2], np.int32)]


def _file(layer, channels, operator, kind, options, weights):
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    constants = [_constant(model, f"weight{i}", weight) for i, weight in enumerate(weights)]
    x = _tensor("x", [layer.n, layer.h, layer.w, layer.cin])
    y = _tensor("y", [layer.n, *layer.output, channels])

    node = schema.OperatorT()
    node.opcodeIndex, node.builtinOptionsType, node.builtinOptions = 0, kind, options
    node.inputs, node.outputs = list(range(1 + len(constants))), [1 + len(constants)]

    graph = schema.SubGraphT()
    graph.tensors, graph.operators = [x, *constants, y], [node]
    graph.inputs, graph.outputs = [0], node.outputs

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = operator
    code.version = 1
    model.operatorCodes, model.subgraphs = [code], [graph]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _constant(model, name, values):
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    model.buffers.append(buffer)
    integers = values.dtype == np.int32
    tensor = _tensor(name, values.shape, schema.TensorType.INT32 if integers else schema.TensorType.FLOAT32)
    tensor.buffer = len(model.buffers) - 1
    return tensor


def _tensor(name, shape, kind=schema.TensorType.FLOAT32):
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, 0
    return tensor
