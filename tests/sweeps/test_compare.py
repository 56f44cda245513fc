from ntklab.sweeps import compare


def rows(method, values, **extra):
    return [{"method": method, "seed": s, "trace": v, **extra} for s, v in enumerate(values)]


def test_rows_that_differ_in_more_than_the_seed_are_not_mixed():
    given_rows = [
        *rows("lora", [1.0, 2.0, 3.0], data_condition="clean"),
        *rows("lora", [10.0], data_condition="noisy"),
        *rows("tera", [5.0, 7.0], data_condition="clean"),
    ]
    found = compare(given_rows, ["trace"])
    assert [(r["method"], r["data_condition"], r["trace"], r["seeds"]) for r in found] == [
        ("lora", "clean", 2.0, 3),
        ("lora", "noisy", 10.0, 1),
        ("tera", "clean", 6.0, 2),
    ]
    assert [r["reason"] for r in found] == [None, "one seed has no interval (trace)", None]
