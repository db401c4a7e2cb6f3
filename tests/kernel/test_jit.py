import importlib
import pkgutil
from pathlib import Path

import pytest
from numba.core.dispatcher import Dispatcher

from segment5b_lib import kernel
from segment5b_lib.kernel._jit import SOURCES

MODULES = [module.name for module in pkgutil.iter_modules(kernel.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_every_kernel_takes_its_flags_from_the_one_decorator(name):
    module = importlib.import_module(f"segment5b_lib.kernel.{name}")
    for function in vars(module).values():
        if isinstance(function, Dispatcher):
            options = function.targetoptions
            assert options["nogil"] and options["error_model"] == "numpy"
            assert not options.get("fastmath") and not options.get("parallel")
            assert function._cache._cache_file._source_stamp == SOURCES
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert name == "_jit" or "njit" not in source
