"""The one place that owns numba's flags and its cache on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import IndexDataCacheFile

Kernel = TypeVar("Kernel", bound=Callable[..., object])

SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()


def jit(function: Kernel) -> Kernel:
    """Compile a kernel; the typed signature of the Python function is kept for callers.

    ``nogil``: shards run on threads. ``cache``: a second process pays no compile time.
    ``error_model="numpy"``: a division needs no branch, kernels see only checked input. ``fastmath`` stays
    off: results must not depend on how the compiler reorders sums.
    """
    return _compile(function)


def lean_jit(function: Kernel) -> Kernel:
    """``jit`` for kernels that take many arrays in tuples and allocate nothing: without reference counts.

    Passing such a tuple on counts a reference to each of its arrays, atomically. In the arrival expansion
    that took a third of the time, and threads that share tables would wait for each other's counts.
    """
    return _compile(function, _nrt=False)


def inner_jit(function: Kernel) -> Kernel:
    """``lean_jit`` for kernels that only other kernels call: compiled without a wrapper for calls from Python.

    A wrapper that takes some sixty arrays out of Python tuples is most of the compile time of a small kernel.
    """
    return _compile(function, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)


class CacheFile(IndexDataCacheFile):
    """The code of one kernel on disk; an index that cannot be read is stale.

    numba reads an index before it compares the stamp in it. An index names the types of the arguments, so that one from
    sources in which such a type had another name, or lay in another module, does not load any more.
    """

    def _load_index(self) -> dict[Any, str]:
        try:
            index: Any = super()
            return cast(dict[Any, str], index._load_index())
        except (AttributeError, ImportError):
            return {}


def _compile(function: Kernel, **exceptions: bool) -> Kernel:
    flags: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", **exceptions}
    compiled: Any = numba.njit(**flags)(function)
    # numba takes cached code for fresh while the kernel's own file is unchanged; but the code contains the
    # kernels it calls as well, so that an edit of philox.py would leave counts.py running the old one.
    cache, cache_file = compiled._cache, cast(Any, CacheFile)
    cache._cache_file = cache_file(cache.cache_path, cache._impl.filename_base, SOURCES)
    return cast(Kernel, compiled)
