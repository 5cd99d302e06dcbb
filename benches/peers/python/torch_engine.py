"""PyTorch (oneDNN): channels first, channels last, and weights reordered beforehand for either."""

import torch
import torch.nn.functional as F

from . import suite


_inference = torch.inference_mode()
_inference.__enter__()


def prepare(layer, threads, models):
    """Ways to compute the layer: each a function without arguments, and how to read what it returns."""
    torch.set_num_threads(threads)
    first = torch.from_numpy(suite.channels_first_input(layer))
    last = first.contiguous(memory_format=torch.channels_last)
    if isinstance(layer, suite.Network):
        raise NotImplementedError("it reads no ONNX files")
    ways = _conv(layer, first, last) if isinstance(layer, suite.Conv) else _pool(layer, first, last)
    return [(way, torch.Tensor.numpy) for way in ways]


def _conv(conv, first, last):
    kernel = torch.from_numpy(suite.filters_first_kernel(conv))
    kernel_last = kernel.contiguous(memory_format=torch.channels_last)
    bias = torch.from_numpy(suite.bias(conv))
    first, pad = _padded(conv, first)
    last, _ = _padded(conv, last)
    stride, dilation = [conv.stride] * 2, [conv.dilation] * 2
    ways = [
        lambda: F.conv2d(first, kernel, bias, stride, pad, dilation, conv.groups),
        lambda: F.conv2d(last, kernel_last, bias, stride, pad, dilation, conv.groups),
    ]
    if torch.backends.mkldnn.is_available():
        for x in (first, last):
            packed = torch._C._nn.mkldnn_reorder_conv2d_weight(
                kernel.to_mkldnn(), pad, stride, dilation, conv.groups, list(x.shape)
            )
            ways.append(_prepacked(x, packed, bias, pad, stride, dilation, conv.groups))
    return ways


def _prepacked(x, packed, bias, *window):
    """What a model compiled by TorchInductor calls."""
    return lambda: torch.ops.mkldnn._convolution_pointwise(x, packed, bias, *window, "none", [], "")


def _padded(conv, x):
    """The input and its symmetric padding; where the padding is not symmetric, the input with it, free of charge."""
    if (conv.top, conv.left) == (conv.bottom, conv.right):
        return x, [conv.top, conv.left]
    padded = F.pad(x, [conv.left, conv.right, conv.top, conv.bottom])
    return padded, [0, 0]


def _pool(pool, first, last):
    def both(function):
        return [lambda: function(first), lambda: function(last)]

    if pool.kind == "max":
        return both(lambda x: F.max_pool2d(x, pool.k, pool.stride, pool.pad))
    if pool.kind == "avg":
        return both(lambda x: F.avg_pool2d(x, pool.k, pool.stride, pool.pad, count_include_pad=False))
    if pool.kind == "global_avg":
        return both(lambda x: x.mean((2, 3))) + both(lambda x: F.adaptive_avg_pool2d(x, 1))
    return both(lambda x: x.amax((2, 3))) + both(lambda x: F.adaptive_max_pool2d(x, 1))
