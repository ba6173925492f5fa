"""Folders as places: their names, lines and addresses."""

import os
from pathlib import Path

import pytest

from contract.layouts.places import MAX_LINE_BYTES, Directory, Line, is_hidden, shown, split_lines, suffix_of


def folder(root: Path, *names: str) -> Directory:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return Directory(root)


def test_names_are_sorted_as_a_bucket_sorts_keys_and_begin_behind_any_of_them(tmp_path: Path) -> None:
    place = folder(tmp_path, "a/b.png", "a-b/c.png", "a.png", "B/1.png")
    assert [*place.names()] == ["B/1.png", "a-b/c.png", "a.png", "a/b.png"]
    assert [*place.names("a-b/c.png")] == ["a.png", "a/b.png"]


def test_links_are_followed_and_never_in_a_circle(tmp_path: Path) -> None:
    place = folder(tmp_path / "set", "cat/1.png")
    folder(tmp_path / "elsewhere", "2.png")
    (tmp_path / "set" / "dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "cat" / "again").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "cat" / "3.png").symlink_to("gone.png")
    (tmp_path / "set" / "cat" / "itself.png").symlink_to("itself.png")
    os.mkfifo(tmp_path / "set" / "cat" / "pipe.png")
    assert [*place.names()] == ["cat/1.png", "cat/3.png", "cat/itself.png", "dog/2.png"]
    assert not place.exists("cat/3.png") and place.exists("dog/2.png") and not place.exists("z" * 300)


@pytest.mark.parametrize("chunk_bytes", [1, 3, 1000])
def test_lines_have_their_numbers_and_ends_however_they_are_read(chunk_bytes: int) -> None:
    content = "eins\r\n\n  \nzw\u2028ei\x0b\n\nvier".encode()
    chunks = [content[at : at + chunk_bytes] for at in range(0, len(content), chunk_bytes)]
    found = [*split_lines(chunks)]
    assert found == [
        Line(1, b"eins\r\n", 6),
        Line(4, "zw\u2028ei\x0b\n".encode(), 19),
        Line(6, b"vier", 24),
    ]
    assert [*split_lines([content[19:]], 4, 19)] == found[2:]


def test_of_a_line_too_long_only_the_beginning_is_kept() -> None:
    long = [b"x" * 700_000] * 4
    first, second = split_lines([*long, b"y\nnext"])
    assert len(first.content) == MAX_LINE_BYTES + 2 and first.end_bytes == 2_800_002
    assert second == Line(2, b"next", 2_800_006)


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        (".DS_Store", True),
        ("cat/._1.png", True),
        (".ipynb_checkpoints/1.png", True),
        ("__MACOSX/cat/1.png", True),
        ("@eaDir/1.png", True),
        ("cat/thumbs.db", True),
        ("cat/Desktop.ini", True),
        ("cat/1.png", False),
        ("cat.d/1..png", False),
    ],
)
def test_what_systems_leave_is_known(name: str, hidden: bool) -> None:
    assert is_hidden(name) is hidden


def test_a_suffix_is_what_follows_the_last_full_stop_of_a_name() -> None:
    assert [suffix_of(name) for name in ("a.b/C.JPG", "0.05.png", ".png", "a.b/c", "x.")] == [
        ".jpg",
        ".png",
        "",
        "",
        ".",
    ]


def test_an_address_is_found_by_its_longest_ending(tmp_path: Path) -> None:
    place = folder(tmp_path, "shop/x.jpg", "x.jpg")
    assert place.address("s3://bucket/2026/shop/x.jpg") == "shop/x.jpg"
    assert place.address("uploads/elsewhere/x.jpg") == "x.jpg"
    assert place.address("s3://bucket/gone/y.jpg") == "gone/y.jpg"
    assert place.address("s3://bucket/../x.jpg") is None and place.address("s3://bucket") is None


def test_a_name_that_is_no_text_can_be_shown() -> None:
    assert shown(os.fsdecode(b"caf\xe9 \xc3\xa9")) == "caf\\udce9 é"
