"""Serving beside its peers."""

from benchmarks.serving.requests import SIZES_PX
from benchmarks.serving.throughput import COMPARED_WITH_TRANSFORMERS, PATIENT, QUICK, VARIANTS, Stand
from contract.containers import ServeSettings


def test_the_variants_are_told_by_the_servers_own_names() -> None:
    told = {name for variant in (*COMPARED_WITH_TRANSFORMERS.values(), PATIENT) for name in variant}
    assert told <= {field.alias for field in ServeSettings.model_fields.values()}
    assert VARIANTS.items() <= COMPARED_WITH_TRANSFORMERS.items()


def test_a_smoke_run_measures_what_every_case_needs() -> None:
    assert {"VGA", "12 MP"} <= set(QUICK.sizes) <= set(SIZES_PX)
    assert [case.name for case in Stand([], QUICK, workers=2).cases()][:2] == ["VGA thin", "12 MP thin"]
