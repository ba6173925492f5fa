"""What is told of starts, and that Lambdas' modules are imported."""

from benchmarks.serving.cold_start import NOW, Found, Start, import_s, lambda_modules, report

FOUND = Found(
    {"serve": [Start(3, 3.5, 4), Start(9, 9.5, 10), Start(4, 4.5, 5)], "function": [Start(3, 5.5, 4)] * 3},
    {
        NOW: {"lambdas.one.main": [0.1, 0.2, 0.9], "lambdas.two.main": [0.3, 0.4, 0.3]},
        "before": {"lambdas.one.main": [1.0]},
    },
)


def test_the_report_has_medians_of_rounds_and_for_each_bar_the_worst() -> None:
    lines = report(FOUND, 120).splitlines()
    assert "| B14 | ViT-B/32 on a CPU: process start to a healthy /ping | 4 s | ≤ 8 s | ≤ 5 s | aim met |" in lines
    assert "| B14 | the same as a function: to its first answer | 5.5 s | ≤ 6 s | ≤ 5 s | met |" in lines
    assert "| B15 | import of a Lambda's module on one core, the slowest | 0.3 s | ≤ 0.35 s | ≤ 0.25 s | met |" in lines
    assert "| serve | 4.00 | 4.50 | 5.00 |" in lines
    assert "| lambdas.one.main | 0.20 | 1.00 |" in lines and "| lambdas.two.main | 0.30 | – |" in lines


def test_every_lambda_is_imported() -> None:
    assert {"lambdas.classify.main", "lambdas.authorize.main"} <= {*lambda_modules()}
    assert 0 < import_s("lambdas.authorize.main") < 60
