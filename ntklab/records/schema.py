"""The form of a record, said once, and checked both when writing and when reading.

The descriptions below are JSON Schema (2020-12), so any validator in any language can use them;
`check` is a small validator for the words of that language which they use.
"""

from collections.abc import Mapping
from typing import Any

from ntklab.errors import InputError

SCHEMA = "ntklab/1"

_NUMBER_OR_NULL = {"type": ["number", "null"]}
_COUNT = {"type": "integer", "minimum": 0}
_TEXT_OR_NULL = {"type": ["string", "null"]}

#: A result row is flat: text, numbers, booleans and nulls, so that it is also a line of a CSV.
ROW: dict[str, Any] = {
    "type": "object",
    "required": ["reason"],
    "properties": {"reason": _TEXT_OR_NULL},
    "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
}

#: What every row of `ntklab spectrum` has. Figures of the spectrum are in float64.
SPECTRUM_ROW: dict[str, Any] = {
    **ROW,
    "required": [
        *("method", "task", "preset", "seed", "width", "tt_ranks", "params", "outputs"),
        *("engine", "output", "rank", "rank_bound", "rank_tolerance", "lambda_max"),
        *("lambda_min", "lambda_min_nonzero", "lambda_min_error", "condition", "trace"),
        *("effective_dimension", "seconds", "peak_memory_bytes", "reason"),
    ],
    "properties": {
        "method": {"type": "string"},
        "task": {"type": "string"},
        "preset": {"type": "string"},
        "seed": {"type": "integer"},
        "width": {"type": ["integer", "null"]},
        "tt_ranks": _TEXT_OR_NULL,
        "params": _COUNT,
        "outputs": _COUNT,
        "engine": {"type": "string"},
        "output": {"type": "string"},
        "rank": {"type": ["integer", "null"], "minimum": 0},
        "rank_bound": {"type": ["integer", "null"], "minimum": 0},
        "rank_tolerance": _NUMBER_OR_NULL,
        "lambda_max": _NUMBER_OR_NULL,
        "lambda_min": _NUMBER_OR_NULL,
        "lambda_min_nonzero": _NUMBER_OR_NULL,
        "lambda_min_error": _NUMBER_OR_NULL,
        # δ ≥ |σ_i(J) − σ_i in float64|: what the model's own arithmetic moves singular values by,
        # counted in the errors of eigenvalues as 2σδ + δ²; and all parts of these errors in words.
        # Rows of before these fields count the linear algebra alone.
        "sigma_error": _NUMBER_OR_NULL,
        "errors_count": _TEXT_OR_NULL,
        # max |K − K in float64| / max |K| on a few samples, of float32 rows.
        "kernel_error": _NUMBER_OR_NULL,
        "condition": _NUMBER_OR_NULL,
        "trace": _NUMBER_OR_NULL,
        "effective_dimension": _NUMBER_OR_NULL,
        "seconds": {"type": "number", "minimum": 0},
        "peak_memory_bytes": {"type": ["integer", "null"], "minimum": 0},
        "reason": _TEXT_OR_NULL,
    },
}

#: Figures that are null only where the row's `reason` says why.
EXPLAINED = (
    *("rank", "rank_tolerance", "lambda_max", "lambda_min", "lambda_min_nonzero"),
    *("lambda_min_error", "condition", "trace", "effective_dimension"),
)

#: The row description of each command; a command that is not here has `ROW`.
ROWS: dict[str, dict[str, Any]] = {"spectrum": SPECTRUM_ROW}

PROVENANCE: dict[str, Any] = {
    "type": "object",
    "required": ["versions", "device", "dtype", "threads", "commit", "started", "seconds"],
    "properties": {
        "command_line": _TEXT_OR_NULL,
        "versions": {
            "type": "object",
            "required": ["python", "torch", "numpy", "scipy", "ntklab"],
            "additionalProperties": {"type": "string"},
        },
        "device": {"type": "string"},
        "dtype": {"type": "string"},
        "tf32": {"type": ["boolean", "null"]},
        "threads": {"type": "integer", "minimum": 1},
        "commit": _TEXT_OR_NULL,
        "dirty": {"type": ["boolean", "null"]},
        "started": {"type": "string"},
        "seconds": {"type": "number", "minimum": 0},
    },
}


def record_schema(command: str) -> dict[str, Any]:
    """The JSON Schema of a whole record of one command.

    Example:
        >>> sorted(record_schema("spectrum")["required"])
        ['arrays', 'command', 'config', 'provenance', 'results', 'schema']
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["schema", "command", "config", "provenance", "results", "arrays"],
        "additionalProperties": False,
        "properties": {
            "$schema": {"type": "string"},
            "schema": {"const": SCHEMA},
            "command": {"type": "string"},
            "config": {"type": "object"},
            "provenance": PROVENANCE,
            "results": {"type": "array", "items": ROWS.get(command, ROW)},
            "arrays": _TEXT_OR_NULL,
        },
    }


def check(value: Any, schema: Mapping[str, Any], where: str = "record") -> None:
    """Refuse a value that does not fit its description.

    Args:
        value: JSON data (dicts, lists, strings, numbers, booleans, None).
        schema: a description in the words `type`, `const`, `minimum`, `required`, `properties`,
            `additionalProperties` and `items` of JSON Schema.
        where: the name of the value, for the sentence.

    Raises:
        InputError: naming the place, what was found and what was expected.

    Example:
        >>> check({"rank": -1}, {"properties": {"rank": {"minimum": 0}}})
        Traceback (most recent call last):
        ntklab.errors.InputError: record.rank is -1, but must be at least 0.
    """
    if "const" in schema and value != schema["const"]:
        raise InputError(f"{where} is {value!r}, but must be {schema['const']!r}.")
    if "type" in schema:
        _check_type(value, schema["type"], where)
    if "minimum" in schema and _is(value, "number") and value < schema["minimum"]:
        raise InputError(f"{where} is {value}, but must be at least {schema['minimum']}.")
    if isinstance(value, dict):
        _check_object(value, schema, where)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            check(item, schema["items"], f"{where}[{index}]")


def check_record(data: Any, where: str = "record") -> None:
    """Refuse data that is not a record: its shape, and a reason for every unexplained gap.

    Raises:
        InputError: with one sentence that names the place.
    """
    command = data.get("command") if isinstance(data, dict) else None
    check(data, record_schema(str(command)), where)
    for index, row in enumerate(data["results"]):
        gaps = [name for name in EXPLAINED if name in row and row[name] is None]
        if gaps and not row["reason"]:
            raise InputError(f"{where}.results[{index}].{gaps[0]} is null without a reason.")


def _check_object(value: dict[str, Any], schema: Mapping[str, Any], where: str) -> None:
    for name in schema.get("required", ()):
        if name not in value:
            raise InputError(f"{where} has no '{name}', which every record of its kind has.")
    known = schema.get("properties", {})
    extra = schema.get("additionalProperties", True)
    for name, item in value.items():
        if name in known:
            check(item, known[name], f"{where}.{name}")
        elif extra is False:
            raise InputError(f"{where} has an unknown key '{name}'.")
        elif isinstance(extra, Mapping):
            check(item, extra, f"{where}.{name}")


def _check_type(value: Any, types: str | list[str], where: str) -> None:
    types = [types] if isinstance(types, str) else types
    if not any(_is(value, name) for name in types):
        kind = type(value).__name__
        raise InputError(f"{where} is a {kind}, but must be {' or '.join(types)}.")


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):  # Python's bool is an int, JSON's is not a number
        return name == "boolean"
    if name == "integer":  # JSON Schema calls 1.0 an integer too
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "number": int | float,
        "boolean": bool,
        "null": type(None),
    }
    return isinstance(value, kinds[name])
