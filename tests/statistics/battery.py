"""dieharder over a stream of words: a fixed choice of its tests, each fed from where the one before has stopped.

A test is run on several samples, and the p-values of the samples are held against the uniform law here: dieharder's own
Kolmogorov-Smirnov distance, from i/(n + 1), is too small for few samples and calls good generators too good.
Left out are the tests that its authors call suspect (OPSO, OQSO, DNA, sums), and those whose p-values are not uniform
at these sizes for NumPy's SFC64 either (GCD, minimum distances, the serial test of sixteen bits).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import IO, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

TESTS = {
    "birthdays": ("-d 0", 20),
    "overlapping permutations": ("-d 1", 20),
    "rank 32x32": ("-d 2", 5),
    "rank 6x8": ("-d 3", 20),
    "bitstream": ("-d 4", 20),
    "ones in a stream": ("-d 8", 20),
    "ones in bytes": ("-d 9", 20),
    "parking lot": ("-d 10", 20),
    "spheres": ("-d 12", 20),
    "squeeze": ("-d 13", 10),
    "runs": ("-d 15", 20),
    "craps": ("-d 16", 20),
    "monobit": ("-d 100", 20),
    "runs of bits": ("-d 101", 10),
    "triples of bits": ("-d 200 -n 3", 20),
    "quartets of bits": ("-d 200 -n 4", 10),
    "permutations": ("-d 202 -n 5", 10),
    "sums": ("-d 203 -n 0", 20),
    "lagged sums": ("-d 203 -n 3", 10),
    "uniformity": ("-d 204", 20),
    "bytes": ("-d 205", 1),
    "cosine transform": ("-d 206", 1),
    "fill tree": ("-d 208", 1),
    "blocks of ones": ("-d 209", 1),
}
"""Name to dieharder's options and the number of samples; the last four take one large sample."""
_INPUT, _OUTPUT = "-g 200 -p 1", "-c , -D test_name -D pvalues"
PIECE = 1 << 13
"""Words that are written at once."""
CERTAIN = 1e-6
"""dieharder's own word for `failed`: a p-value this near to 0 or to 1."""


class PValue(NamedTuple):
    """One p-value of one test."""

    test: str
    value: float

    @property
    def failed(self) -> bool:
        return min(self.value, 1 - self.value) < CERTAIN


def needs_dieharder() -> None:
    """Skip where dieharder is not installed; in CI, which installs it, its absence is an error."""
    if shutil.which("dieharder") is None:
        if os.environ.get("CI"):
            pytest.fail("dieharder is missing, and CI must not pass without it: apt-get install dieharder")
        pytest.skip("dieharder is not installed: apt-get install dieharder")


def p_values(stream: Iterator[NDArray[np.uint64]]) -> Iterator[PValue]:
    """The battery's p-values, test by test; both halves of every 64-bit word are tested."""
    pieces = _pieces(stream)
    for name, (options, samples) in TESTS.items():
        found = np.array([_sample(options, pieces) for _ in range(samples)])
        for values in found.T:
            yield PValue(name, float(stats.kstest(values, "uniform").pvalue if samples > 1 else values[0]))


def _sample(options: str, pieces: Iterator[NDArray[np.uint64]]) -> list[float]:
    """One sample's p-values; some tests look at two properties."""
    command = ["dieharder", *_INPUT.split(), *options.split(), *_OUTPUT.split()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None and process.stdout is not None
        _feed(process.stdin, pieces)
        output = process.stdout.read().decode()
    found = [float(line.split(",")[1]) for line in output.splitlines() if line.count(",") == 1]
    assert process.returncode == 0 and found, output
    return found


def _pieces(stream: Iterator[NDArray[np.uint64]]) -> Iterator[NDArray[np.uint64]]:
    for part in stream:
        flat = part.reshape(-1)
        yield from (flat[start : start + PIECE] for start in range(0, flat.size, PIECE))


def _feed(pipe: IO[bytes], pieces: Iterator[NDArray[np.uint64]]) -> None:
    """Write words until the reader has had enough; what it leaves of the last piece is lost."""
    try:
        for piece in pieces:
            pipe.write(piece.tobytes())
    except BrokenPipeError:
        return
    raise AssertionError("the stream has ended before dieharder had enough")
