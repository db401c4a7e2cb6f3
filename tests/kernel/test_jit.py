import importlib
import pickle
import pkgutil
from pathlib import Path

import numba
import pytest
from numba.core.caching import IndexDataCacheFile
from numba.core.dispatcher import Dispatcher

from segment5b_lib import kernel
from segment5b_lib.kernel._jit import SOURCES, CacheFile

MODULES = [module.name for module in pkgutil.iter_modules(kernel.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_every_kernel_takes_its_flags_from_the_one_decorator(name):
    module = importlib.import_module(f"segment5b_lib.kernel.{name}")
    for function in vars(module).values():
        if isinstance(function, Dispatcher):
            options = function.targetoptions
            assert options["nogil"] and options["error_model"] == "numpy"
            assert not options.get("fastmath") and not options.get("parallel")
            assert isinstance(function._cache._cache_file, CacheFile)
            assert function._cache._cache_file._source_stamp == SOURCES
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert name == "_jit" or "njit" not in source


@pytest.mark.parametrize("named", [b"kernel.arrival_tables\nFormerRows", b"kernel.former_tables\nRows"])
def test_an_index_of_types_that_were_renamed_or_moved_is_stale_and_made_again(named, tmp_path):
    file = CacheFile(str(tmp_path), "kernel-1.py311", SOURCES)
    # A pickle of one reference, to a class or module that is not there any more.
    Path(file._index_path).write_bytes(pickle.dumps(numba.__version__) + b"csegment5b_lib." + named + b"\n.")
    with pytest.raises((AttributeError, ImportError)):
        IndexDataCacheFile(str(tmp_path), "kernel-1.py311", SOURCES).load("signature")
    assert file.load("signature") is None
    file.save("signature", ["code"])
    assert CacheFile(str(tmp_path), "kernel-1.py311", SOURCES).load("signature") == ["code"]
