import pytest

from contract.imports import AnnotationImport, AnnotationImportBody, ImportProblem, import_key, problems_prefix, view_of
from contract.problems import BadRequest, Problem
from contract.validation import validate

ID = "20260101120000-0a1b2c"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "0 of s3_key and s3_prefix are given"),
        ({"s3_key": "uploads/a", "s3_prefix": "uploads/"}, "2 of s3_key and s3_prefix are given"),
        ({"s3_key": "collections/a.jsonl"}, "what is imported lies under 'uploads/', got 'collections/a.jsonl'"),
        ({"s3_key": "uploads/a", "dataset": "Pets"}, "dataset: a dataset's name"),
    ],
)
def test_an_import_reads_from_one_place_among_the_uploads(asked: dict[str, object], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        validate(AnnotationImportBody, asked)


def test_a_long_key_is_quoted_as_cut() -> None:
    with pytest.raises(BadRequest, match=r"got 'a{59}…'"):
        validate(AnnotationImportBody, {"s3_key": "a" * 100})


def test_callers_see_how_far_it_is_and_the_first_of_its_problems() -> None:
    problem = ImportProblem(place="line 3", problem=Problem(**BadRequest("no").body()))
    asked = AnnotationImportBody(s3_key="uploads/a.jsonl", dataset="pets")
    found = AnnotationImport(
        id=ID, created="1", updated="2", asked=asked, records=3, stored=2, problems=1, first_problems=[problem]
    )
    view = view_of(found)
    assert (view.id, view.state, view.reason, view.dataset) == (ID, "running", None, "pets")
    assert (view.records, view.stored, view.problem_records, view.problems) == (3, 2, 1, [problem])
    assert view.problems_s3_prefix == problems_prefix(ID) == f"imports/{ID}/"


def test_a_document_of_a_later_version_is_read_all_the_same() -> None:
    asked = {"s3_key": "uploads/a.jsonl"}
    stored = {"id": ID, "created": "1", "updated": "2", "asked": asked, "field_of_tomorrow": 1}
    assert AnnotationImport.model_validate(stored).cursor.line == 0


def test_what_is_no_imports_id_is_no_part_of_a_key() -> None:
    assert import_key(ID) == f"imports/{ID}.json"
    with pytest.raises(BadRequest, match="one that POST /annotations/imports has answered"):
        import_key("20260101120000")
