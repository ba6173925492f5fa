"""Tables are read strictly, and a fault costs its own row."""

import pytest

from contract.layouts.places import split_lines
from contract.layouts.tables import MAX_ROW_LINES, Row, header_of, rows_of, text_of

KNOWN = ("file_name", "text", "label")


def rows(text: str) -> list[Row]:
    return list(rows_of(split_lines([text.encode()]), ",", ["file_name", "text"], 0))


@pytest.mark.parametrize("mark", ["\t", ",", ";", "|"])
def test_what_parts_the_cells_is_told_by_the_columns_that_are_known(mark: str) -> None:
    assert header_of(mark.join(["File_Name", '" text "', "a-b"]) + "\r\n", KNOWN) == (
        mark,
        ["file_name", "text", "a-b"],
    )


def test_a_header_of_no_known_column_is_still_read() -> None:
    assert header_of("id,price\n", KNOWN) == (",", ["id", "price"])


def test_a_row_has_the_line_that_it_begins_in() -> None:
    first, second = rows('a.png,"red\ncircle"\nb.png,"say ""hi"""\n')
    assert (first.line, first.last_line, first.cells) == (1, 2, ["a.png", "red\ncircle"])
    assert (second.line, second.cells, second.end_bytes) == (3, ["b.png", 'say "hi"'], 38)


def test_a_quote_within_a_cell_that_has_none_around_it_is_text() -> None:
    assert rows('a.png,a 12" pipe\n')[0].cells == ["a.png", 'a 12" pipe']


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ('b.png,"12 inch', "opens here"),
        ('b.png,"red" circle', "stands within a quoted cell"),
        ("b.png", "fewer cells than the header (1 and 2)"),
        ("b.png,red,round", "more cells than the header (3 and 2)"),
        (f"b.png,{'x' * 140_000}", "is no table row: field larger"),
        ("b.png,re\rd", "is no table row: new-line character"),
    ],
)
def test_a_bad_row_is_told_by_its_own_line_and_the_others_are_read(bad: str, sentence: str) -> None:
    found = rows(f"a.png,one\n{bad}\n" + "".join(f"{n}.png,more\n" for n in range(5)))
    assert [row.line for row in found] == [*range(1, 8)]
    (fault,) = [row for row in found if isinstance(row.cells, str)]
    assert fault.line == 2 and sentence in fault.cells


def test_a_quote_that_closes_rows_later_takes_none_of_these_along() -> None:
    found = rows('a.png,"12 inch\nb.png,one\nc.png,two\nd.png,5"\n')
    assert [isinstance(row.cells, str) for row in found] == [True, False, False, False]


def test_many_quotes_that_never_close_are_each_their_own_rows_fault() -> None:
    found = rows("".join(f'{n}.png,"x{n}\n' for n in range(3 * MAX_ROW_LINES)))
    assert len(found) == 3 * MAX_ROW_LINES and all(isinstance(row.cells, str) for row in found)


def test_text_is_utf_8_with_or_without_a_mark() -> None:
    assert text_of("\ufeffé".encode(), first=True) == text_of("é".encode()) == "é"
    for mark in ("utf-16", "utf-16-be"):
        content = "\ufeffé".encode(mark) if mark != "utf-16" else "é".encode(mark)
        with pytest.raises(ValueError, match=r"UTF-16 .* save the file as UTF-8"):
            text_of(content, first=True)
    with pytest.raises(ValueError, match=r"not UTF-8 text \(byte 3\)"):
        text_of(b"caf\xe9")
    with pytest.raises(ValueError, match="longer than the 1,000,000 bytes"):
        text_of(b"x" * 1_000_002)
