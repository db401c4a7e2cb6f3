"""Attaching run roots that somebody else made: what is found, what is refused, and that nothing in them changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from segment5b_lib.contract.words import Verdict
from segment5b_lib.engine.attach.attach import Attached, attach
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.engine.rerun import prepare_rerun
from segment5b_lib.engine.retention import latest_receipt, pin, prune, superseded
from segment5b_lib.engine.throwaway import throwaway
from segment5b_lib.errors import ConflictError, InputError, MissingInputError, Segment5BError, StaleError, UsageError
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import score, scorecard
from segment5b_lib.store.catalogue import find_run, list_runs
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World
from segment5b_lib.workbench.listing import about, runs
from segment5b_lib.workbench.open_run import OpenRun
from tests.engine_root import RUN_ID, edit_records, engine_root, fingerprint

ARRIVALS = "arrival_events_5B"


@pytest.fixture(scope="module")
def made(published_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published run and its world as the engine leaves them. Read-only by agreement; see `own_tree`."""
    return engine_root(published_run, tmp_path_factory.mktemp("engine"))


@pytest.fixture
def tree(made: Path, private_outputs: Path) -> Path:
    return made


@pytest.fixture
def own_tree(made: Path, private_outputs: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(made, tmp_path / "elsewhere" / made.name))


def arrival_files(root: Path) -> list[Path]:
    return sorted(root.glob("data/layer2/5B/arrival_events/*/*/*/*.parquet"))


def values(card: Scorecard) -> dict[str, tuple[object, ...]]:
    return {r.gate_id: (r.value, r.verdict, r.population, r.reason) for r in card.results}


def refused(kind: type[Segment5BError], code: str, *args: object, **options: str) -> Segment5BError:
    """What attaching says; it has left nothing behind."""
    with pytest.raises(kind) as caught:
        attach(*args, **options)  # type: ignore[arg-type]
    assert caught.value.code == code and not [run for run in list_runs() if run.attached]
    return caught.value


def test_an_engine_run_scores_exactly_as_the_run_it_was_made_from(tree: Path, published_run: Run) -> None:
    found = attach(tree)
    assert values(scorecard(find_run(RUN_ID[:6]))) == values(score(published_run))
    assert found.record.world_in == "tree" and found.record.judged_by == "tree"
    assert {f"{ARRIVALS}.ts_utc: text", "scenario_manifest_5A.horizon_end_utc: text"} <= set(found.record.normalised)
    assert set(found.record.verified) == {f"bundle of {s}" for s in ("1A", "1B", "2A", "2B", "3A", "3B", "5A", "5B")}


def test_attaching_reads_only(tree: Path) -> None:
    before = fingerprint(tree)
    attach(tree)
    run = find_run(RUN_ID)
    scorecard(run)
    about(run)
    assert fingerprint(tree) == before


def test_attaching_again_is_a_no_op(tree: Path, private_outputs: Path) -> None:
    first = attach(tree)
    before = fingerprint(private_outputs / "attached" / RUN_ID)
    again = attach(tree)
    assert not first.existed and again.existed and again.record == first.record
    assert fingerprint(private_outputs / "attached" / RUN_ID) == before


def test_people_see_times_as_times(tree: Path, published_run: Run) -> None:
    attach(tree)
    ours, theirs = OpenRun(published_run), OpenRun(find_run(RUN_ID))
    key = ["merchant_id", "arrival_seq"]
    times = [*key, "ts_utc", "ts_local_primary", "ts_local_settlement", "ts_local_operational"]
    frames = [run.arrivals().select(times).sort(key).collect() for run in (ours, theirs)]
    assert frames[0].equals(frames[1]) and frames[0].schema == frames[1].schema
    query = "select min(ts_utc), max(ts_local_primary), count(ts_local_settlement) from arrival_events_5B"
    assert ours.sql(query).equals(theirs.sql(query))


def test_it_is_listed_as_somebody_elses(tree: Path) -> None:
    attach(tree)
    (row,) = runs().to_dicts()
    assert row["attached"] and row["states"] == 6 and row["posture"] == "attached" and row["scale"] == "unstated"
    told = about(find_run(RUN_ID))
    assert told["attachment"]["root"] == str(tree)
    assert told["states"][1]["seconds"] > 0 and told["states"][1]["compute"] is None
    assert "steps with lanes" in " ".join(told["attachment"]["missing"])


def test_a_stated_scale_is_one_that_exists(tree: Path) -> None:
    refused(UsageError, "5B.WORLD.UNKNOWN_SCALE", tree, scale="huge")
    assert attach(tree, scale="tiny").run.world.scale == "tiny"


def test_prune_lists_it_and_leaves_it_alone(tree: Path, private_outputs: Path) -> None:
    before = fingerprint(tree)
    run = attach(tree).run
    home = fingerprint(private_outputs / "attached")
    assert superseded() == []
    receipt = prune(superseded())
    assert json.loads(receipt.read_text())["attached"] == [str(tree)] and latest_receipt() == receipt
    assert fingerprint(tree) == before and fingerprint(private_outputs / "attached") == home
    pin("baseline", run)
    assert find_run("@baseline").run_id == RUN_ID


@pytest.mark.parametrize("what", ["states", "rerun", "throwaway"])
def test_nothing_runs_in_it(tree: Path, what: str) -> None:
    run = attach(tree).run
    before = fingerprint(tree)
    with pytest.raises(UsageError) as caught:
        if what == "states":
            run_states(run, threads=1)
        elif what == "rerun":
            prepare_rerun(run, "S4", {}, threads=1)
        else:
            with throwaway(run):
                pass
    assert caught.value.code == "5B.ATTACH.READ_ONLY" and fingerprint(tree) == before


def test_a_run_of_that_id_takes_the_next_nonce(published_run: Run, own_world: World, tmp_path: Path) -> None:
    older = shutil.copytree(published_run.root, tmp_path / "older" / published_run.run_id)
    run = attach(older).run
    assert run.run_id == published_run.run_id and run.attachment and run.attachment.world_in == "outputs"
    again = create_run(own_world, published_run.policies, seed=42, posture="published")
    assert (again.receipt.nonce, again.attached) == (1, False)


@pytest.mark.parametrize("name", ["0", "_passed.flag", "index.json", "validation_report_5B.json"])
def test_a_byte_that_differs_from_a_digest_beside_it_is_refused(own_tree: Path, name: str) -> None:
    """Part 0 of 2B's site weights is named, with its digest, by 2B's bundle."""
    pattern = "data/layer1/2B/s1_site_weights/*/*/part-000000.parquet" if name == "0" else f"data/layer2/5B/*/*/{name}"
    (path,) = own_tree.glob(pattern)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises((InputError, MissingInputError)) as caught:
        attach(own_tree)
    assert caught.value.code in ("5B.S0.UPSTREAM_GATE_MISMATCH", "5B.STORE.NOT_PARQUET", "5B.STORE.NOT_JSON")
    assert not list_runs()


def test_a_byte_that_changes_later_is_refused(own_tree: Path) -> None:
    attach(own_tree)
    path = arrival_files(own_tree)[0]
    with path.open("r+b") as stream:
        stream.seek(100)
        stream.write(b"\xff")
    with pytest.raises(StaleError) as caught:
        scorecard(find_run(RUN_ID))
    assert caught.value.code == "5B.ATTACH.CHANGED" and str(path) in caught.value.where


def test_a_file_that_comes_later_is_refused(own_tree: Path) -> None:
    attach(own_tree)
    path = arrival_files(own_tree)[0]
    shutil.copy(path, path.with_name("part-00099.parquet"))
    with pytest.raises(StaleError, match=r"5B\.ATTACH\.CHANGED"):
        scorecard(find_run(RUN_ID))


def test_a_link_that_leads_out_is_refused(own_tree: Path, tmp_path: Path) -> None:
    path = arrival_files(own_tree)[0]
    outside = tmp_path / "outside.parquet"
    path.rename(outside)
    path.symlink_to(outside)
    error = refused(InputError, "5B.ATTACH.OUTSIDE", own_tree)
    assert error.found == str(outside)


def test_a_folder_that_is_a_link_is_refused_too(own_tree: Path, tmp_path: Path) -> None:
    folder = arrival_files(own_tree)[0].parent
    folder.rename(tmp_path / "outside")
    folder.symlink_to(tmp_path / "outside")
    refused(InputError, "5B.ATTACH.OUTSIDE", own_tree)


@pytest.mark.parametrize("name", ["policies", "reports", "logs/layer2/5B/rng/audit"])
def test_documents_that_lie_elsewhere_are_refused(own_tree: Path, tmp_path: Path, name: str) -> None:
    (own_tree / name).rename(tmp_path / "outside")
    (own_tree / name).symlink_to(tmp_path / "outside")
    refused(InputError, "5B.ATTACH.OUTSIDE", own_tree)


@pytest.mark.parametrize("name", ["run_receipt.json", "world.json", "markers/S1.json"])
def test_documents_of_another_shape_are_refused(own_tree: Path, name: str) -> None:
    path = own_tree / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("[]")
    refused(InputError, "5B.STORE.NOT_AN_OBJECT", own_tree)


def test_a_link_that_comes_later_is_refused(own_tree: Path, tmp_path: Path) -> None:
    attach(own_tree)
    path = arrival_files(own_tree)[0]
    path.rename(tmp_path / "outside.parquet")
    path.symlink_to(tmp_path / "outside.parquet")
    with pytest.raises(StaleError, match=r"5B\.ATTACH\.CHANGED"):
        scorecard(find_run(RUN_ID))


@pytest.mark.parametrize("column", ["ts_local_primary", "site_id", "bucket_index"])
def test_a_column_of_another_type_is_refused(own_tree: Path, column: str) -> None:
    path = arrival_files(own_tree)[0]
    table = pq.read_table(path, partitioning=None)
    at = table.schema.get_field_index(column)
    other = pl.Series(column, [1.5] * table.num_rows).to_arrow()
    pq.write_table(table.set_column(at, column, other), path)
    error = refused(InputError, "5B.STORE.SCHEMA_MISMATCH", own_tree)
    assert column in error.where


def test_text_that_is_no_time_is_told(own_tree: Path) -> None:
    path = arrival_files(own_tree)[0]
    table = pq.read_table(path, partitioning=None)
    at = table.schema.get_field_index("ts_utc")
    other = pl.Series("ts_utc", ["yesterday"] * table.num_rows).to_arrow()
    pq.write_table(table.set_column(at, "ts_utc", other), path)
    attach(own_tree)
    reasons = {r.gate_id: r.reason for r in scorecard(find_run(RUN_ID)).results}
    assert "a text is not the time that its column promises" in reasons["T1"]


def test_two_runs_in_one_tree_ask_which(own_tree: Path) -> None:
    (log,) = own_tree.glob("logs/layer2/5B/rng/audit/*/*/run_id=*")
    other = "0" * 31 + "1"
    log.with_name(f"run_id={other}").mkdir()
    error = refused(UsageError, "5B.ATTACH.WHICH_RUN", own_tree)
    assert RUN_ID in error.expected and other in error.expected
    refused(UsageError, "5B.ATTACH.WHICH_RUN", own_tree, run_id="f")
    assert attach(own_tree, run_id=RUN_ID[:8]).run.run_id == RUN_ID


def test_places_that_contradict_each_other_are_refused(own_tree: Path) -> None:
    edit_records(own_tree, lambda record: {**record, "seed": 43})
    error = refused(InputError, "5B.ATTACH.IDENTITY_DISAGREES", own_tree)
    assert "43" in error.found and "42" in error.found


def test_an_id_that_could_be_a_path_is_refused(own_tree: Path) -> None:
    edit_records(own_tree, lambda record: {**record, "run_id": "../../../etc"})
    refused(InputError, "5B.ATTACH.NOT_AN_ID", own_tree)


def test_arrivals_of_other_parameters_are_refused(own_tree: Path) -> None:
    path = arrival_files(own_tree)[0]
    table = pq.read_table(path, partitioning=None)
    at = table.schema.get_field_index("parameter_hash")
    pq.write_table(table.set_column(at, "parameter_hash", pl.Series(["0" * 64] * table.num_rows).to_arrow()), path)
    refused(InputError, "5B.ATTACH.IDENTITY_DISAGREES", own_tree)


def test_policies_are_the_runs_own_or_lent_by_name(own_tree: Path) -> None:
    policy = own_tree / "policies" / "validation_policy_5B.yaml"
    policy.write_text(policy.read_text().replace("tolerance_seconds: 0.5", "tolerance_seconds: 0.6"))
    assert "--posture" in refused(InputError, "5B.ATTACH.POLICIES_DIFFER", own_tree).next_step
    shutil.rmtree(own_tree / "policies")
    assert "--posture" in refused(UsageError, "5B.ATTACH.NO_POLICIES", own_tree).next_step
    found = attach(own_tree, posture="remediated")
    assert found.record.judged_by == "remediated" and any("remediated" in line for line in found.record.missing)
    assert found.run.policies.routing.physical_router.zone_binding == "row_zone"


def test_without_a_world_the_gates_that_need_it_say_so(
    published_run: Run, private_outputs: Path, tmp_path: Path
) -> None:
    root = engine_root(published_run, tmp_path / "bare", world=False, records=(), policies=False)
    found = attach(root, posture="published")
    assert found.record.world_in == "absent"
    assert any("upstream world" in line for line in found.record.missing)
    assert any(line.startswith("the run records of S0") for line in found.record.missing)
    card, whole = scorecard(find_run(RUN_ID)), score(published_run)
    silent = {r.gate_id: r.reason for r in card.results if r.verdict.value == "not_measured"}
    assert set(silent) == {"T11", "T3", "T7", "A2", "A2.profile", "A4"}
    assert silent["A2"].startswith("site_timezones has no files")
    spoken = {name: value for name, value in values(card).items() if name not in silent}
    assert spoken == {name: value for name, value in values(whole).items() if name not in silent}


def test_the_world_may_lie_elsewhere(
    published_run: Run, own_world: World, reopened_world: World, tmp_path: Path
) -> None:
    root = engine_root(published_run, tmp_path / "engine", world=False)
    refused(InputError, "5B.RUN.WRONG_WORLD", root, world=str(reopened_world.root))
    shutil.move(own_world.root, elsewhere := tmp_path / "worlds" / own_world.mf)
    run = attach(root, world=str(elsewhere)).run
    assert run.world.root == elsewhere and run.attachment and run.attachment.world_in == "named"
    assert values(scorecard(find_run(RUN_ID))) == values(score(published_run))


def test_without_the_audit_log_streams_are_not_traced(own_tree: Path) -> None:
    shutil.rmtree(own_tree / "logs")
    found = attach(own_tree)
    assert any(line.startswith("rng_root") for line in found.record.missing)
    assert scorecard(find_run(RUN_ID)).result("A1").verdict.value == "not_measured"


def test_local_text_without_a_mark_keeps_the_local_time_contract(
    civil_time_run: Run, private_outputs: Path, tmp_path: Path
) -> None:
    attach(engine_root(civil_time_run, tmp_path / "engine", marked=False))
    assert values(scorecard(find_run(RUN_ID))) == values(score(civil_time_run))
    assert scorecard(find_run(RUN_ID)).result("T12").value == 1.0


def test_series_without_a_country_and_without_a_summary(
    published_run: Run, private_outputs: Path, tmp_path: Path
) -> None:
    """Streams are keyed with a country, so that A1 cannot be compared; A3 samples rows by their key, so other ones."""
    root = engine_root(published_run, tmp_path / "engine", keyed=False)
    shutil.rmtree(root / "logs")
    found = attach(root)
    run = find_run(RUN_ID)
    assert "s3_bucket_counts_5B.legal_country_iso: absent, every row's is ''" in found.record.normalised
    assert any(line.startswith("s4_arrival_summary_5B") for line in found.record.missing)
    assert run.complete
    ours, theirs = values(score(published_run)), values(scorecard(run))
    assert {name for name, value in ours.items() if theirs[name] != value} == {"A1", "A3"}
    assert theirs["A1"][1] is Verdict.NOT_MEASURED and theirs["A3"][1:] == ours["A3"][1:]
    whose = [Evidence(one).row_zones.to_dicts() for one in (published_run, run)]
    assert whose[0] == whose[1]
    assert OpenRun(run).sql("select distinct legal_country_iso from s3_bucket_counts_5B").rows() == [("",)]
    assert OpenRun(run).arrivals().select("legal_country_iso").unique().collect().rows() == [("",)]


def test_one_marked_text_breaks_the_local_time_contract(own_tree: Path) -> None:
    """T12 judges texts by what they say: the same digits with a `Z` are no wall clock."""
    attach(own_tree)
    result = scorecard(find_run(RUN_ID)).result("T12")
    assert result.value == 0.0 and {row["reader_type"] for row in result.detail["columns"]} == {"TEXT WITH Z"}


def test_a_root_that_is_gone_is_told(own_tree: Path) -> None:
    attach(own_tree)
    own_tree.rename(own_tree.with_name("moved"))
    with pytest.raises(MissingInputError) as caught:
        find_run(RUN_ID)
    assert caught.value.code == "5B.ATTACH.ROOT_GONE" and caught.value.where == str(own_tree)
    assert runs()["run_id"].to_list() == [RUN_ID]


def test_what_is_no_run_root_is_told(tmp_path: Path, private_outputs: Path) -> None:
    refused(MissingInputError, "5B.ATTACH.NO_FOLDER", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    refused(MissingInputError, "5B.ATTACH.NO_DATA", tmp_path / "empty")


def test_our_own_outputs_are_not_attached(published_run: Run, outputs: Path, own_run: Run) -> None:
    refused(UsageError, "5B.ATTACH.OWN_OUTPUTS", own_run.root)
    refused(UsageError, "5B.ATTACH.OWN_OUTPUTS", own_run.root.parent.parent.parent)
    error = None
    try:
        attach(published_run.root)
    except ConflictError as conflict:
        error = conflict
    assert error and error.code == "5B.ATTACH.ALREADY_OURS"


def test_the_same_run_from_another_folder_is_a_conflict(tree: Path, tmp_path: Path) -> None:
    attach(tree)
    other = shutil.copytree(tree, tmp_path / "second" / tree.name)
    with pytest.raises(ConflictError, match=r"5B\.ATTACH\.OTHER_ROOT"):
        attach(other)


@pytest.mark.parametrize(
    ("planted", "missing"),
    [
        ({"durations": {}}, "status and durations.wall_ms in the run records of S4"),
        ({"rows_in": 1, "rows_out": 2, "threads": 2}, "machine, steps with lanes in the run records of S4"),
    ],
)
def test_what_records_do_not_say_is_named(own_tree: Path, planted: dict[str, object], missing: str) -> None:
    edit_records(own_tree, lambda record: {**record, **planted} if record["state"] == "S4" else record)
    assert missing in attach(own_tree).record.missing


def test_a_state_that_failed_last_is_not_complete(own_tree: Path) -> None:
    edit_records(own_tree, lambda record: {**record, "status": "FAIL"} if record["state"] == "S5" else record)
    run: Attached = attach(own_tree)
    assert run.run.marker("S5") is None and run.run.marker("S4") is not None


def test_a_record_that_is_no_json_is_told(own_tree: Path) -> None:
    (path,) = own_tree.rglob("segment_state_runs.jsonl")
    path.write_text("{not json\n")
    error = refused(InputError, "5B.ATTACH.RECORD_UNREADABLE", own_tree)
    assert error.where.endswith("line 1")
