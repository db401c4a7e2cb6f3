"""The pinned lines, the probe of the CPU that they were made with, and how what is found differs from them."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import numpy as np
from scipy import special

from tests.golden.digests import Pin

PINS: Final = Path(__file__).with_name("pins.txt")
_RELEASES: Final = ("duckdb", "numba", "numpy", "polars", "pyarrow", "scipy", "tzdata")
_DIGITS: Final = 20


@dataclass(frozen=True)
class Pinned:
    """What `pins.txt` holds: lines by name, the probe and the releases of the libraries that they were made with."""

    pins: dict[str, Pin]
    probe: str
    releases: str

    @classmethod
    def of(cls, pins: Mapping[str, Pin]) -> Pinned:
        """What was found, with this machine's probe and releases."""
        short = {name: Pin(pin.kind, pin.digest[:_DIGITS]) for name, pin in pins.items()}
        return cls(short, probe(), " ".join(f"{name}={metadata.version(name)}" for name in _RELEASES))

    @classmethod
    def read(cls) -> Pinned:
        """What is pinned."""
        probed, releases, *lines = PINS.read_text(encoding="utf-8").splitlines()
        rows = [line.rsplit(" ", 2) for line in lines]
        pins = {name: Pin(kind, digest) for name, kind, digest in rows}
        return cls(pins, probed.removeprefix("# probe "), releases.removeprefix("# releases "))

    def write(self) -> None:
        """Pin this."""
        lines = [f"{name} {pin.kind} {pin.digest}" for name, pin in sorted(self.pins.items())]
        head = [f"# probe {self.probe}", f"# releases {self.releases}"]
        PINS.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")


def differences(pinned: Mapping[str, Pin], found: Mapping[str, Pin], kinds: Iterable[str]) -> list[str]:
    """One line for each output that has changed, is gone or is new, with its parts. Digests of some classes only."""
    changes = {name for name in pinned.keys() & found.keys() if pinned[name] != found[name]}
    parts: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in pinned.keys() | found.keys():
        output, _, part = name.partition("#")
        if name in changes and pinned[name].kind in set(kinds):
            parts[output, "changed"].append(part)
        elif name not in changes and (name in pinned) != (name in found):
            parts[output, "gone" if name in pinned else "new"].append(part)
    return [f"{what} {output}: {', '.join(sorted(names))}" for (output, what), names in sorted(parts.items())]


def probe() -> str:
    """Digest of what the functions that our floats go through give here: other CPUs have other last bits."""
    x = np.linspace(-4.0, 4.0, 4099)
    positive = np.exp(x)
    spread = np.exp(-np.abs(np.subtract.outer(x[:64], x[:64])))
    found = [
        *(function(x) for function in (np.exp, np.expm1, np.sin, np.cos, np.tanh, special.ndtr, np.cumsum)),
        *(function(positive) for function in (np.log, np.log1p, np.sqrt, special.gammaln, special.kolmogorov)),
        *(special.ndtri(special.ndtr(x)), positive**0.37, special.betainc(2.5, 0.7, special.expit(x))),
        *(spread @ spread, np.linalg.solve(spread, x[:64]), special.stdtrit(7.0, special.ndtr(x)), _scalars(x)),
        *(np.array([positive.sum(), positive.mean(), positive.std(), positive @ x]), spread.sum(axis=0)),
    ]
    return hashlib.sha256(b"".join(np.ascontiguousarray(one, np.float64).tobytes() for one in found)).hexdigest()[
        :_DIGITS
    ]


def _scalars(x: np.ndarray) -> np.ndarray:
    """The C library's functions on one number at a time, as compiled kernels call them."""
    values = [float(value) for value in x]
    return np.array(
        [(math.exp(v), math.log(v + 5.0), math.lgamma(v + 5.0), math.cos(v), (v + 5.0) ** 0.37) for v in values]
    )
