"""The report of two servers in turns; that they can be measured, the command shows."""

from benchmarks.serving.beside import report
from benchmarks.serving.client import Sample
from benchmarks.serving.load import Load


def load(cpu_ms: float, per_s: int) -> Load:
    return Load([Sample(0.0, 1.0, 200)] * per_s, 1.0, cpu_ms * per_s / 1000, 0.1, 0.25, 0.0, 0)


def test_a_report_judges_the_middle_of_the_rounds_each_with_its_own_turn() -> None:
    fast, slow = load(4.0, 200), load(5.0, 100)
    rounds = [(fast, slow), (fast, fast), (slow, slow)]
    turns = {(model, size): rounds for model in ("thin", "ViT-B/32") for size in ("VGA", "12 MP")}
    turns["thin", "12 MP"] = turns["ViT-B/32", "VGA"] = [(slow, fast)]
    text = report(turns, "abc1234", 120)
    assert "beside commit abc1234" in text and "25% were idle" in text
    assert "| ≤ 1.03x | ≤ 1x | aim met |" in text and "| 1.25x | ≤ 1.03x | ≤ 1x | missed by 21 % |" in text
    assert "| 0.5x | ≥ 0.97x | ≥ 1x | missed by 48 % |" in text
    assert "| thin | VGA | 4.0 | 5.0 | 200.0 | 100.0 | 1.000 | 1.000 |" in text
    assert "| thin | 12 MP | 5.0 | 4.0 | 100.0 | 200.0 | 1.250 | 0.500 |" in text
