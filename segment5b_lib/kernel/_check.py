"""Argument checks of the kernels' public functions: dtype, shape, range."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from segment5b_lib.errors import InputError


def check_array(name: str, value: object, dtype: npt.DTypeLike, shape: tuple[int | None, ...]) -> None:
    """Refuse anything but a C-contiguous array of this dtype and shape (``None``: any extent)."""
    required = np.dtype(dtype)
    ok = isinstance(value, np.ndarray) and value.dtype == required and value.flags.c_contiguous
    if ok and isinstance(value, np.ndarray):
        ok = value.ndim == len(shape) and all(
            want is None or want == have for want, have in zip(shape, value.shape, strict=True)
        )
    if not ok:
        actual = f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        extents = ", ".join("any" if extent is None else str(extent) for extent in shape)
        raise InputError(
            "5B.KERNEL.ARRAY",
            f"{name} is not the array the kernel reads",
            expected=f"C-contiguous {required}({extents})",
            found=actual,
        )


def read_only(*arrays: npt.NDArray[Any]) -> None:
    """Forbid writing to a kernel's inputs. A compiled kernel is made for arrays of one kind, writable or not."""
    for array in arrays:
        array.setflags(write=False)


def check_range(name: str, values: npt.NDArray[Any] | float, low: float, high: float) -> None:
    """Refuse values outside [low, high]; NaN is outside."""
    array = np.asarray(values)
    if array.size and not (array.min() >= low and array.max() <= high):
        raise InputError(
            "5B.KERNEL.RANGE",
            f"{name} out of range",
            expected=f"[{low:g}, {high:g}]",
            found=f"[{array.min():g}, {array.max():g}]",
        )
