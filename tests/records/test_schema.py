import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.records.schema import SPECTRUM_ROW, check, check_record, record_schema

values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.floats(-3, 3),
        st.sampled_from(["a", "b", "ntklab/1"]),
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=8,
)
types = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])
schemas = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
            "minimum": st.integers(-2, 2),
            "const": st.sampled_from(["a", 1.5, None]),
            "required": st.lists(st.sampled_from(["a", "b"]), unique=True),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": types,
            "items": inner,
            "properties": st.dictionaries(st.sampled_from(["a", "b"]), inner),
            "additionalProperties": st.just(False) | inner,
        },
    ),
    max_leaves=6,
)


@given(values, schemas)
def test_the_small_checker_agrees_with_jsonschema(value, schema):
    try:
        check(value, schema)
        accepted = True
    except InputError:
        accepted = False
    assert accepted == jsonschema.Draft202012Validator(schema).is_valid(value)


def test_the_descriptions_are_valid_json_schema():
    for command in ("spectrum", "reproduce"):
        jsonschema.Draft202012Validator.check_schema(record_schema(command))


def record(row, provenance):
    return {
        "schema": "ntklab/1",
        "command": "spectrum",
        "config": {},
        "provenance": provenance,
        "results": [row],
        "arrays": None,
    }


def test_a_complete_record_is_accepted_by_both(spectrum_row, provenance):
    check_record(record(spectrum_row, provenance))
    jsonschema.validate(record(spectrum_row, provenance), record_schema("spectrum"))


@pytest.mark.parametrize("name", SPECTRUM_ROW["required"])
def test_every_required_field_is_required(name, spectrum_row, provenance):
    del spectrum_row[name]
    with pytest.raises(InputError, match=rf"results\[0\] has no '{name}'"):
        check_record(record(spectrum_row, provenance))


def test_a_gap_needs_a_reason(spectrum_row, provenance):
    spectrum_row["condition"] = None
    with pytest.raises(InputError, match="condition is null without a reason"):
        check_record(record(spectrum_row, provenance))
    spectrum_row["reason"] = "the kernel is zero"
    check_record(record(spectrum_row, provenance))


def test_rows_are_flat(spectrum_row, provenance):
    spectrum_row["eigenvalues"] = [1.0, 2.0]
    with pytest.raises(InputError, match="eigenvalues is a list"):
        check_record(record(spectrum_row, provenance))


@pytest.mark.parametrize("bad", [None, [], "record", {"schema": "ntklab/0"}])
def test_what_is_no_record_is_refused(bad):
    with pytest.raises(InputError):
        check_record(bad)
