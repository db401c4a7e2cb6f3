"""Second witness of the kernels: plain Python and SciPy, nothing of segment5b_lib.

`python -m tests.kernel.witness` writes the known answers `vectors/streams.txt` and `vectors/draws.txt`. A
change of those files is a breaking change of every run's bytes and belongs in the changelog.
"""

import math
from fractions import Fraction
from pathlib import Path

from scipy import stats

from tests.reference.randomness import normal, philox2x64, stream_key, uniform

VECTORS = Path(__file__).parent / "vectors"

ROOT = "8f3a" * 16
SEED = 20260101
SCENARIO = "baseline_v1"
SERIES = (1234567890123456789, "GB", "Europe/London", "card_present")
GROUP = "g|baseline|office_hours|card_present|physical|zg07|b05"
STREAMS = (
    ("S2.latent_vector.v2", (GROUP,), (2159, 0)),
    ("S3.bucket_count.v2", SERIES, (2159, 0)),
    ("S4.arrival_time.v2", SERIES, (7, 2159)),
    ("S4.arrival_site_pick.v2", SERIES, (7, 2159)),
    ("S4.arrival_edge_pick.v2", SERIES, (7, 2159)),
)
ALIAS_PROB, ALIAS_OTHER = [2**32 - 1, 1, 2**31, 2**32 - 1], [0, 0, 0, 3]  # weights 5 : 0 : 1 : 2
COUNT_CASES = ((0.05, 2.0), (3.5, 12.0), (30.0, 30.0), (255.0, 200.0), (400.0, 12.0), (20_000.0, 77.5))


def ou(stream, sigma, length, buckets):
    phi = math.exp(-1 / length)
    z = [sigma * normal(stream, 0)]
    for bucket in range(1, buckets):
        z.append(phi * z[-1] + sigma * math.sqrt(1 - phi * phi) * normal(stream, bucket))
    return z


def count(bucket, stream, mu, kappa=None):
    u = uniform(philox2x64(bucket, 0, stream)[0])
    law = stats.poisson(mu) if kappa is None else stats.nbinom(kappa, kappa / (kappa + mu))
    return int(law.ppf(u))


def alias_pick(draw, stream):
    u = Fraction(uniform(philox2x64(draw, 0, stream)[0])) * len(ALIAS_PROB)
    return math.floor(u) if u % 1 < Fraction(ALIAS_PROB[math.floor(u)], 2**32) else ALIAS_OTHER[math.floor(u)]


def stream_lines():
    yield f"# root {ROOT} seed {SEED} scenario {SCENARIO}: family key low high block[0] block[1] domain"
    for family, domain, counter in STREAMS:
        stream = stream_key(family, ROOT, SEED, SCENARIO, *domain)
        block = " ".join(f"{word:016x}" for word in philox2x64(*counter, stream))
        text = " ".join(map(str, domain))
        yield f"{family} {stream:016x} {counter[0]} {counter[1]} {block} {text}"


def draw_lines():
    yield "# latent <sigma> <length>: Z of buckets 0..5"
    yield "# count <mu> <kappa or poisson>: counts of buckets 0..11"
    yield "# alias <key>: picks 0..23"
    stream = stream_key("S2.latent_vector.v2", ROOT, SEED, SCENARIO, GROUP)
    yield "latent 0.4 12.0 " + " ".join(f"{z:.15e}" for z in ou(stream, 0.4, 12.0, 6))
    stream = stream_key("S3.bucket_count.v2", ROOT, SEED, SCENARIO, *SERIES)
    for mu, kappa in COUNT_CASES:
        for label, law in ((str(kappa), kappa), ("poisson", None)):
            yield f"count {mu} {label} " + " ".join(str(count(b, stream, mu, law)) for b in range(12))
    stream = stream_key("S4.arrival_edge_pick.v2", ROOT, SEED, SCENARIO, *SERIES)
    yield f"alias {stream:016x} " + " ".join(str(alias_pick(j, stream)) for j in range(24))


def read(name):
    lines = (VECTORS / name).read_text(encoding="utf-8").splitlines()
    return [line.split() for line in lines if not line.startswith("#")]


if __name__ == "__main__":
    for name, lines in (("streams.txt", stream_lines()), ("draws.txt", draw_lines())):
        (VECTORS / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
