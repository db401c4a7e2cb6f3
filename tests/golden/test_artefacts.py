"""Every artefact that a phase declares is written, fits its schema, and is refused without any one of its fields."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest

from segment5b_lib.phases.engine.envelope import Artefact, Body, artefact_model, artefact_schema, content
from segment5b_lib.phases.engine.table import PHASES
from tests.golden.digests import Outputs

KINDS = [kind for phase in PHASES.values() for kind in phase.artefacts]


def document_of(golden: Outputs, kind: type[Body]) -> Any:
    written = re.compile(rf".*/segment5b_{kind.ARTEFACT}(\.attempt-\d+)?\.json")
    found = [path for name, (path, *_) in golden.files.items() if written.fullmatch(name)]
    assert found, f"no phase of the tiny world has written {kind.ARTEFACT}"
    return json.loads(found[0].read_bytes())


def alternatives(form: dict[str, Any]) -> list[jsonschema.Draft202012Validator]:
    """One validator for each schema that may hold, which looks for missing fields before it reads those there are."""
    definitions = form["$defs"]
    schemas = [definitions[each["$ref"].rpartition("/")[2]] for each in form["anyOf"]]
    return [
        jsonschema.Draft202012Validator({"required": each["required"], **each, "$defs": definitions})
        for each in schemas
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.ARTEFACT)
def test_a_schema_refuses_an_artefact_without_one_of_its_fields(golden: Outputs, kind: type[Body]) -> None:
    document = document_of(golden, kind)
    assert set(document) == set(kind.model_fields) | set(Artefact.model_fields)
    form = artefact_schema(kind)
    jsonschema.Draft202012Validator.check_schema(form)
    validator = jsonschema.Draft202012Validator(form)
    validator.validate(document)
    either = alternatives(form)
    for name in document:
        less = {key: value for key, value in document.items() if key != name}
        assert not any(each.is_valid(less) for each in either), name
    with_error = {**document, "error": {"code": "5B.X.Y", "what": "it broke"}}
    assert validator.is_valid(with_error) == (not kind.model_fields), "an error leaves the envelope alone"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.ARTEFACT)
def test_an_artefact_is_read_as_it_was_written(golden: Outputs, kind: type[Body]) -> None:
    document = document_of(golden, kind)
    read = artefact_model(kind).model_validate_json(json.dumps(document))
    assert json.loads(content(read, None)) == document


def test_no_two_artefacts_have_one_name() -> None:
    names = [kind.ARTEFACT for kind in KINDS]
    assert len(set(names)) == len(names)
