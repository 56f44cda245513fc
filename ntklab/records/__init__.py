"""Records of runs: one format, checked both ways, and folders that a run can resume."""

from ntklab.records.provenance import collect, now
from ntklab.records.record import Record
from ntklab.records.run_folder import Cell, RunFolder, cell_id
from ntklab.records.schema import SCHEMA, check_record, record_schema
from ntklab.records.values import fingerprint, plain, to_json, without_gaps
from ntklab.tables import shown, typeset

__all__ = [  # noqa: RUF022 — grouped by use
    # the record
    "Record",
    "SCHEMA",
    "record_schema",
    "check_record",
    # where it comes from
    "collect",
    "now",
    # folders of finished cells
    "RunFolder",
    "Cell",
    "cell_id",
    # values
    "plain",
    "without_gaps",
    "to_json",
    "fingerprint",
    "shown",
    "typeset",
]
