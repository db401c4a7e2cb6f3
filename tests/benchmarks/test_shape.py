"""`make shape`: each figure of a made-up checkout is counted by hand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.shape import FULL_FOLDER, LONG_MODULE, shape, table

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "segment5b_lib/__init__.py": "",
    "segment5b_lib/store/__init__.py": "",
    "segment5b_lib/store/parquet.py": "def opened(path):\n    return pq.ParquetFile(path)\n",
    "segment5b_lib/store/query.py": "import duckdb\n\nCONNECTION = duckdb.connect()\n",
    "segment5b_lib/states/__init__.py": "",
    "segment5b_lib/states/one.py": """\
from segment5b_lib.gates import two

TOP: int = 10
_TOP = FIRST, LAST = 1, 2
__all__ = ["TOP"]


class Reader:
    def rows(self, document: dict[str, Any]) -> dict[str, dict[str, Any]]:
        with duckdb.connect() as connection:
            return connection.read_parquet(["a"]), pl.scan_parquet("b")
""",
    "segment5b_lib/gates/__init__.py": "",
    "segment5b_lib/gates/two.py": """\
from segment5b_lib.states.one import LAST, Reader

if True:
    TOP = 20
_TOP = 20
__all__ = []
QUERY = "select * from read_parquet(?)"


def read_table(rows: Mapping[str, Any]):
    return read_table(rows)
""",
    "tests/test_one.py": "def test():\n    assert True\n",
    "tests/notebooks/stored/one.ipynb": "{\n}\n",
}


@pytest.fixture
def checkout(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_every_figure_is_what_the_files_hold(checkout):
    figures = shape(checkout)
    one, two = "segment5b_lib.states.one", "segment5b_lib.gates.two"
    assert figures == {
        "files": 8,
        "lines": sum(text.count("\n") for name, text in FILES.items() if name.startswith("segment5b_lib/")),
        "cycles": [{"modules": 2, "shortest": [two, one, two]}],
        "cycles_at_load": 1,
        "cycles_without_face": 1,
        "upward": [{"importer": one, "imported": two, "line": 1, "kind": "load"}],
        "dict_str_any": {one: 2},
        "repeated_names": {"TOP": [two, one]},
        "repeated_private_names": {"_TOP": [two, one]},
        "parquet_openers": {f"{two}.<module>": 1, f"{one}.Reader.rows": 2},
        "bare_duckdb": {f"{one}.Reader.rows": 1},
        "stored_files": 1,
        "stored_lines": 2,
        "stored_bytes": 4,
        "test_files": 1,
        "test_lines": 2,
        "long_modules": {},
        "full_folders": {},
    }


def test_a_long_module_and_a_full_folder_are_listed(checkout):
    (checkout / "segment5b_lib/store/long.py").write_text("\n" * (LONG_MODULE + 1))
    for number in range(FULL_FOLDER + 1 - 4):
        (checkout / f"segment5b_lib/store/m{number}.py").write_text("\n" * LONG_MODULE)
    figures = shape(checkout)
    assert figures["long_modules"] == {"segment5b_lib.store.long": LONG_MODULE + 1}
    assert figures["full_folders"] == {"segment5b_lib/store": FULL_FOLDER + 1}


def test_the_table_says_what_is_counted(checkout):
    text = table(shape(checkout))
    assert "upward imports               1 (1 load)\n" in text
    assert "  segment5b_lib.states.one:1 → segment5b_lib.gates.two (load)\n" in text
    assert "  TOP: segment5b_lib.gates.two, segment5b_lib.states.one\n" in text


def test_the_command_prints_the_table_or_json(checkout):
    command = [sys.executable, "-m", "benchmarks", "shape", "--root", str(checkout)]
    assert _output(command) == table(shape(checkout)) + "\n"
    assert json.loads(_output([*command, "--json"])) == shape(checkout)


def _output(command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
