"""Records training runs of a small CNN, in double precision: `python record.py torch`,
`KERAS_BACKEND=torch python record.py keras`.

Each adds its runs to `replay.json` beside it: the losses of 50 steps, every one before its step. The network, in Keras' words:

    Conv2D(4, 3, padding="same", activation="relu"), MaxPooling2D(2), Flatten(), Dense(3)

Its data and initial weights are sines of their places, as below; the batches of 8 come in the order that is written beside the losses.
"""

import json
import random
import sys
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("replay.json")
SAMPLES, BATCH, STEPS, CLASSES = 48, 8, 50, 3


def sines(shape, pace, size):
    return size * np.sin(pace * np.arange(1, np.prod(shape) + 1, dtype=np.float64)).reshape(shape)


LABELS = np.array([7 * n % CLASSES for n in range(SAMPLES)])
#: A pattern that goes with the label, among others that do not.
X = sines([SAMPLES, 8, 8, 1], 0.37, 0.5) + (LABELS - 1).reshape(-1, 1, 1, 1) * sines([8, 8, 1], 0.9, 0.5)
WEIGHTS = [sines([3, 3, 1, 4], 1.3, 0.4), sines([4], 2.1, 0.1), sines([64, CLASSES], 0.7, 0.2), sines([CLASSES], 1.9, 0.1)]


def order():
    """The samples of every step: the epochs' own orders, one after the other."""
    shuffle, samples = random.Random(1).shuffle, []
    while len(samples) < STEPS * BATCH:
        epoch = list(range(SAMPLES))
        shuffle(epoch)
        samples += epoch
    return [samples[step * BATCH :][:BATCH] for step in range(STEPS)]


def torch_runs():
    import torch
    import torch.nn.functional as F

    def run(make):
        kernel, bias, weight, offset = weights = [torch.tensor(w, requires_grad=True) for w in WEIGHTS]
        optimizer = make(weights)
        losses = []
        for batch in order():
            x = torch.tensor(X[batch]).permute(0, 3, 1, 2)
            maps = F.max_pool2d(F.relu(F.conv2d(x, kernel.permute(3, 2, 0, 1), bias, padding=1)), 2)
            scores = maps.permute(0, 2, 3, 1).reshape(BATCH, -1) @ weight + offset
            loss = F.cross_entropy(scores, torch.tensor(LABELS[batch]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return f"PyTorch {torch.__version__}", {
        "torch_sgd": run(lambda weights: torch.optim.SGD(weights, lr=0.02, momentum=0.9)),
        "torch_adam": run(lambda weights: torch.optim.Adam(weights, lr=0.01)),
    }


def keras_runs():
    import keras

    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")

    def run(optimizer):
        layers = keras.layers
        model = keras.Sequential(
            [
                keras.Input([8, 8, 1]),
                layers.Conv2D(4, 3, padding="same", activation="relu"),
                layers.MaxPooling2D(2),
                # The same as Dense after Flatten, which multiplies in single precision whatever the type.
                layers.Conv2D(CLASSES, 4),
                layers.Flatten(),
            ]
        )
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.set_weights([*WEIGHTS[:2], WEIGHTS[2].reshape(4, 4, 4, CLASSES), WEIGHTS[3]])
        losses = []
        for batch in order():
            x, labels = X[batch], LABELS[batch]
            loss = keras.losses.sparse_categorical_crossentropy(labels, model(x, training=True), from_logits=True)
            losses.append(float(keras.ops.convert_to_numpy(loss).mean()))
            model.train_on_batch(x, labels)
        return losses

    return f"Keras {keras.__version__}", {
        "keras_sgd": run(keras.optimizers.SGD(0.02, momentum=0.9, nesterov=True)),
        "keras_adam": run(keras.optimizers.Adam(0.01)),
    }


def main():
    runs = {"torch": torch_runs, "keras": keras_runs}[sys.argv[1]]
    recorded = json.loads(FILE.read_text()) if FILE.exists() else {"made_with": {}, "runs": {}}
    version, losses = runs()
    recorded["made_with"][sys.argv[1]] = version
    recorded["order"] = order()
    recorded["runs"] |= losses
    FILE.write_text(json.dumps(recorded, indent=None, separators=(",", ":")).replace('],"', '],\n"') + "\n")


if __name__ == "__main__":
    main()
