"""The example `fashion_mnist` in PyTorch: the same network, data, augmentation, schedule and number of epochs.

`python benches/peers/fashion_mnist.py [--folder FOLDER] [--epochs N] [--seed N] [--threads N]`
"""

import argparse
import gzip
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from python.torch_networks import BasicBlock, conv_norm
from torch import nn

BATCH = 128
MEAN, STD = 0.286, 0.353


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    start = time.perf_counter()
    x, labels = read(options.folder, "train")
    network = Network(32).to(memory_format=torch.channels_last)
    steps = options.epochs * math.ceil(len(x) / BATCH)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.2, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps, steps // 10))
    for epoch in range(options.epochs):
        network.train()
        for batch in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            scores = network(augmented(x[batch]))
            F.cross_entropy(scores, labels[batch], label_smoothing=0.1).backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}, {time.perf_counter() - start:.0f} s", flush=True)
    accuracy = test(network, *read(options.folder, "t10k"))
    seconds = time.perf_counter() - start
    print(f"test accuracy {accuracy:.2f} %, seed {options.seed}, after {options.epochs} epochs and {seconds:.0f} s")


def read(folder, part):
    pixels = np.frombuffer(gzip.open(folder / f"{part}-images-idx3-ubyte.gz").read(), np.uint8, offset=16)
    labels = np.frombuffer(gzip.open(folder / f"{part}-labels-idx1-ubyte.gz").read(), np.uint8, offset=8)
    pictures = torch.from_numpy(pixels.astype(np.float32) / 255).reshape(-1, 1, 28, 28)
    return pictures, torch.from_numpy(labels.astype(np.int64))


def rate(step, steps, warm_up):
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    return 0.5 * (1 + math.cos(math.pi * min((step - warm_up) / (steps - warm_up), 1)))


def augmented(pictures):
    """Every other one mirrored, all moved by up to a pixel, and normalised."""
    n = len(pictures)
    flip = torch.rand(n) < 0.5
    pictures = torch.where(flip[:, None, None, None], pictures.flip(3), pictures)
    padded = F.pad(pictures, [1] * 4)
    rows, columns = torch.randint(0, 3, (2, n))
    at = torch.arange(28)
    moved = padded[torch.arange(n)[:, None, None], 0, (rows[:, None] + at)[:, :, None], (columns[:, None] + at)[:, None]]
    return ((moved[:, None] - MEAN) / STD).contiguous(memory_format=torch.channels_last)


class Network(nn.Module):
    def __init__(self, filters):
        super().__init__()
        self.layers = nn.Sequential(
            conv_norm(1, filters, 3, 1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            BasicBlock(filters, filters, 1),
            BasicBlock(filters, 2 * filters, 2),
            BasicBlock(2 * filters, 4 * filters, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4 * filters, 10),
        )

    def forward(self, x):
        return self.layers(x)


def test(network, x, labels):
    network.eval()
    with torch.inference_mode():
        scores = torch.cat([network((part - MEAN) / STD) for part in x.split(1000)])
    return 100 * (scores.argmax(1) == labels).float().mean().item()


if __name__ == "__main__":
    main()
