"""Pin everything as it is now: `python -m tests.golden.renew`; `--documents FOLDER` only writes what is digested."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.golden.digests import EXACT, FLOAT, WORLD, Outputs
from tests.golden.outputs import golden_outputs
from tests.golden.pins import PINS, Pinned, differences
from tests.notebooks.prepare import prepared


def main() -> None:
    """Make the outputs, then say what differs from the pins and replace them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--documents", type=Path, help="write the masked documents there, and leave the pins as they are"
    )
    wanted = parser.parse_args().documents
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        outputs = Outputs(golden_outputs(prepared(base / "prepared"), base / "golden"))
        if wanted:
            _write_documents(outputs, wanted)
        else:
            _renew(Pinned.of(outputs.pins()))


def _renew(found: Pinned) -> None:
    before = Pinned.read().pins if PINS.is_file() else {}
    found.write()
    print(*differences(before, found.pins, (EXACT, WORLD, FLOAT)) or ["nothing has changed"], sep="\n")


def _write_documents(outputs: Outputs, folder: Path) -> None:
    for name, text in outputs.documents():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
