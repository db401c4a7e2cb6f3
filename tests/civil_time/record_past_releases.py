"""Make `past_releases.json`: what each older release of the tz database says where the pinned one says otherwise.

pip download --no-deps --dest WHEELS tzdata==2025.2        (for each release)
python tests/civil_time/record_past_releases.py WHEELS/*.whl
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import zipfile
from importlib import resources
from pathlib import Path

import numpy as np

from segment5b_lib.civil_time import tzif
from segment5b_lib.civil_time.oracle import offsets_of, pinned_zone
from segment5b_lib.civil_time.tz_databases import RECORD_FILE, zone_of

START, END = tzif.year_start(1970), tzif.year_start(tzif.EXPANDED_THROUGH_YEAR + 1)


def wheel(path: Path) -> tuple[str, dict[str, bytes]]:
    """Release tag and zone files of a `tzdata` wheel."""
    with zipfile.ZipFile(path) as archive:
        (release,) = re.findall(r'IANA_VERSION = "(\w+)"', archive.read("tzdata/__init__.py").decode())
        names = archive.read("tzdata/zones").decode().split()
        return release, {name: archive.read(f"tzdata/zoneinfo/{name}") for name in names}


def differs(tzid: str, content: bytes) -> bool:
    """Whether a zone file's offsets differ from the pinned ones: around every change of either, by zoneinfo."""
    changes = np.concatenate([
        tzif.read_zone(tzid).utc_seconds, tzif.step_function(content, tzif.EXPANDED_THROUGH_YEAR, tzid).utc_seconds
    ])  # fmt: skip
    inside = changes[(changes > START) & (changes < END)]
    probes = np.concatenate([[START], inside - 1, inside])
    return bool((offsets_of(zone_of(content), probes) != offsets_of(pinned_zone(tzid), probes)).any())


def record(wheels: list[Path]) -> dict[str, object]:
    """The document: releases, their wheels, the zones in which they differ, and the files of those zones once each."""
    files: dict[str, str] = {}
    releases: dict[str, object] = {}
    for path in wheels:
        release, contents = wheel(path)
        zones: dict[str, str | None] = {}
        for tzid in tzif.zone_names():
            content = contents.get(tzid)
            if content is None or differs(tzid, content):
                zones[tzid] = None if content is None else hashlib.sha256(content).hexdigest()
            if content is not None and tzid in zones:
                files[hashlib.sha256(content).hexdigest()] = base64.b64encode(content).decode()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        releases[release] = {"wheel": path.name, "wheel_sha256": digest, "zones": zones}
    return {"pinned": tzif.IANA_RELEASE, "releases": releases, "files": files}


if __name__ == "__main__":
    target = resources.files("segment5b_lib.civil_time").joinpath(RECORD_FILE)
    document = record([Path(name) for name in sys.argv[1:]])
    Path(str(target)).write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="ascii")
