"""`python -m ntklab.claims.report RECORD FOLDER`: the pages of a record again, nothing computed."""

import sys

from ntklab.claims.report import report_of, write_reports
from ntklab.errors import InputError
from ntklab.records import Record

if len(sys.argv) != 3:
    sys.exit("usage: python -m ntklab.claims.report RECORD FOLDER")
try:
    for path in write_reports(report_of(Record.read(sys.argv[1])), sys.argv[2]):
        sys.stdout.write(f"{path}\n")
except InputError as error:
    sys.stderr.write(f"Error: {error}\n")
    sys.exit(2)
