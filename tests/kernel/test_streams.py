import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment5b_lib.errors import InputError
from segment5b_lib.kernel import streams
from segment5b_lib.kernel.philox import philox2x64
from segment5b_lib.kernel.streams import FAMILIES, stream_key, stream_keys
from tests.kernel.witness import GROUP, ROOT, SCENARIO, SEED, SERIES, STREAMS, read, stream_lines
from tests.reference import randomness

PART = st.one_of(st.text(max_size=12), st.integers(0, 2**64 - 1))
FIELDS = st.lists(st.one_of(st.text(max_size=4), st.binary(max_size=4)), max_size=5)


@pytest.mark.parametrize(("row", "stream"), list(zip(read("streams.txt"), STREAMS, strict=True)))
def test_golden_key_and_block_of_every_family(row, stream):
    family, domain, (low, high) = stream
    found = stream_key(family, ROOT, SEED, SCENARIO, *domain)
    words = philox2x64(np.uint64(low), np.uint64(high), np.uint64(found))
    expected = [family, f"{found:016x}", str(low), str(high), *(f"{int(word):016x}" for word in words)]
    assert row == [*expected, *(str(part) for part in domain)]


def test_golden_file_is_what_its_script_writes():
    assert [line.split() for line in stream_lines()][1:] == read("streams.txt")


def test_every_family_has_a_golden_stream_and_a_row_of_documentation():
    assert [family for family, _, _ in STREAMS] == list(FAMILIES)
    rows = {line.split()[0]: line for line in streams.__doc__.splitlines() if line.startswith("S")}
    for family, law in FAMILIES.items():
        assert law.counter_low in rows[family] and law.counter_high in rows[family]
        assert ("both:" in rows[family]) == (len(law.lanes) == 2)


@given(st.lists(PART, min_size=4, max_size=4), st.integers(0, 2**64 - 1))
def test_key_equals_the_witness(domain, seed):
    assert stream_key(streams.BUCKET_COUNT, ROOT, seed, "s", *domain) == randomness.stream_key(
        streams.BUCKET_COUNT, ROOT, seed, "s", *domain
    )


@given(FIELDS, FIELDS)
def test_different_fields_hash_different_bytes(a, b):
    raw_a, raw_b = ([x if isinstance(x, bytes) else x.encode() for x in fields] for fields in (a, b))
    assert (streams._fields(*a) == streams._fields(*b)) == (raw_a == raw_b)


@given(st.lists(PART, min_size=4, max_size=4))
def test_families_share_no_key_for_the_same_domain(domain):
    keys = {stream_key(family, ROOT, SEED, SCENARIO, *domain[: len(law.domain)]) for family, law in FAMILIES.items()}
    assert len(keys) == len(FAMILIES)


def test_structured_counters_are_unique_within_a_family():
    where = {
        "bucket_index": lambda bucket, draw: bucket,
        "draw": lambda bucket, draw: draw,
        "0": lambda *_: 0,
    }
    for law in FAMILIES.values():
        events = [(bucket, draw) for bucket in range(50) for draw in range(50 if law.counter_low == "draw" else 1)]
        counters = {(where[law.counter_low](*e), where[law.counter_high](*e)) for e in events}
        assert len(counters) == len(events)


def test_every_part_of_the_key_matters():
    base = (streams.ARRIVAL_TIME, ROOT, SEED, SCENARIO, *SERIES)
    changed = [
        (streams.ARRIVAL_EDGE_PICK, *base[1:]),
        (base[0], "0" * 64, *base[2:]),
        (*base[:2], SEED + 1, *base[3:]),
        (*base[:3], "stress_v1", *base[4:]),
        (*base[:4], SERIES[0] + 1, *base[5:]),
        (*base[:5], "FR", *base[6:]),
        (*base[:6], "Europe/Paris", *base[7:]),
        (*base[:7], "mixed"),
    ]
    keys = [stream_key(*fields) for fields in (base, *changed)]
    assert all(a != b for a, b in itertools.combinations(keys, 2))


def test_many_keys_are_the_single_ones_in_order():
    domains = [(f"{GROUP}{i}",) for i in range(20)]
    keys = stream_keys(streams.LATENT_VECTOR, ROOT, SEED, SCENARIO, domains)
    assert keys.dtype == np.uint64
    assert keys.tolist() == [stream_key(streams.LATENT_VECTOR, ROOT, SEED, SCENARIO, *d) for d in domains]
    assert stream_keys(streams.LATENT_VECTOR, ROOT, SEED, SCENARIO, []).shape == (0,)


def test_numpy_integers_are_integers():
    common = (streams.BUCKET_COUNT, ROOT, SEED, SCENARIO)
    expected = randomness.stream_key(*common, *SERIES)
    assert stream_key(*common, np.uint64(SERIES[0]), *SERIES[1:]) == expected


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("S9.unknown.v1", ROOT, SEED, SCENARIO, GROUP), "5B.KERNEL.STREAM_FAMILY"),
        ((streams.LATENT_VECTOR, ROOT.upper(), SEED, SCENARIO, GROUP), "5B.KERNEL.STREAM_ROOT"),
        ((streams.LATENT_VECTOR, ROOT[1:], SEED, SCENARIO, GROUP), "5B.KERNEL.STREAM_ROOT"),
        ((streams.LATENT_VECTOR, ROOT + "\n", SEED, SCENARIO, GROUP), "5B.KERNEL.STREAM_ROOT"),
        ((streams.LATENT_VECTOR, ROOT, -1, SCENARIO, GROUP), "5B.KERNEL.STREAM_SEED"),
        ((streams.LATENT_VECTOR, ROOT, 2**64, SCENARIO, GROUP), "5B.KERNEL.STREAM_SEED"),
        ((streams.LATENT_VECTOR, ROOT, SEED, SCENARIO), "5B.KERNEL.STREAM_DOMAIN"),
        ((streams.BUCKET_COUNT, ROOT, SEED, SCENARIO, *SERIES, 0), "5B.KERNEL.STREAM_DOMAIN"),
    ],
)
def test_bad_input(arguments, code):
    with pytest.raises(InputError) as caught:
        stream_key(*arguments)
    assert caught.value.code == code
