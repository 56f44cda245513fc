import csv
import io
import json

from ntklab.records import check_record

TINY = ("--task", "synthetic", "--samples", "12", "--steps", "20", "--method", "lora")


def test_prediction_beside_measurement_with_the_certificate(run):
    result = run("dynamics", "--alpha", "100", *TINY)
    assert result.exit_code == 0, result.stderr
    assert "NTK regime: yes, because the kernel drifted by" in result.stdout
    for word in ("measured", "predicted", "mode 1", "drift"):
        assert word in result.stdout


def test_csv_is_the_curve_and_json_the_record(run, tmp_path):
    result = run("dynamics", "--format", "csv", "--out", tmp_path, *TINY)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [int(row["step"]) for row in rows][-1] == 20
    first = rows[0]
    assert abs(float(first["predicted"]) / float(first["measured"]) - 1) < 1e-9
    modes = sum(float(v) for k, v in first.items() if k.startswith("mode_"))
    assert modes <= float(first["predicted"]) * (1 + 1e-9)
    record = json.loads(run("dynamics", "--format", "json", "--out", tmp_path, *TINY).stdout)
    check_record(record)
    assert record["results"][0]["lr_chosen_by"] == "half the stability limit"


def test_cross_entropy_has_a_mended_rate_and_a_figure(run, tmp_path):
    plot = tmp_path / "ce.pdf"
    result = run("dynamics", "--loss", "cross-entropy", "--lr", "0.01", "--plot", plot, *TINY)
    assert result.exit_code == 0, result.stderr
    assert "mended bound" in result.stdout
    assert plot.exists()


def test_all_methods_at_once_are_refused(run):
    result = run("dynamics", "--method", "all")
    assert result.exit_code == 2
    assert "choose one" in result.stderr
