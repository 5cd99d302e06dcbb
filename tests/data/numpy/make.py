"""Writes the files beside it, from which `tests/weights/numpy.rs` reads the numbers 0, 1, 2, ... in many forms."""

import pathlib

import numpy as np

here = pathlib.Path(__file__).parent
numbers = np.arange(24).reshape(2, 3, 4)
forms = {
    "f16": numbers.astype("<f2"),
    "f32": numbers.astype("<f4"),
    "f64": numbers.astype("<f8"),
    "big_endian": numbers.astype(">f4"),
    "big_endian_f64": numbers.astype(">f8"),
    "columns_first": np.asfortranarray(numbers.astype("<f4")),
    "layer/scalar": np.float32(7),
    "empty": np.zeros((3, 0, 2), "<f4"),
    "integers": numbers.astype("<i8"),
}
np.savez(here / "stored.npz", **forms)
np.savez_compressed(here / "deflated.npz", **forms)
np.save(here / "columns_first.npy", forms["columns_first"])
