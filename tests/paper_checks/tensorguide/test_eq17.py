from ntklab.claims import Effort, Measured, Verdict
from paper_checks.tensorguide.eq17 import CHECK, library_complexity, settings, tried


def judged(row):
    return CHECK.judge(Measured({"kernels": 1, **row}, [row])).verdict


def test_holds_for_all_methods():
    assert CHECK.judge(CHECK.measure(Effort())).verdict is Verdict.OK


def test_a_wrong_constant_is_found_out():
    def doubled(K, n_samples, radius):
        return 2 * library_complexity(K, n_samples, radius)

    method, setting = settings()[0]
    assert judged(tried(method, setting, 0)) is Verdict.OK
    assert judged(tried(method, setting, 0, doubled)) is Verdict.FALSE
