"""Files in tar shards are read where they lie, and a shard from front to back."""

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from model.data.shards import file_bytes, in_reading_order, members_bytes


def sharded(path: Path, members: Sequence[str]) -> None:
    """A shard whose members hold their own names."""
    with tarfile.open(path, "w") as shard:
        for name in members:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            shard.addfile(member, io.BytesIO(name.encode()))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "loose.jpg").write_bytes(b"loose")
    sharded(tmp_path / "0.tar", ["z.jpg", "b.jpg", "a.jpg"])
    sharded(tmp_path / "1.tar", ["z.jpg", "folder/a.jpg"])
    return tmp_path


def test_a_name_is_a_file_or_a_member_of_a_shard(directory: Path) -> None:
    assert file_bytes(directory, "loose.jpg") == b"loose"
    assert file_bytes(directory, "1.tar/folder/a.jpg") == b"folder/a.jpg"
    for absent in ("gone.jpg", "0.tar/gone.jpg", "gone.tar/a.jpg"):
        with pytest.raises(FileNotFoundError):
            file_bytes(directory, absent)


def test_a_shards_members_come_as_they_lie_however_they_are_asked_for(directory: Path) -> None:
    names = ["0.tar/a.jpg", "1.tar/folder/a.jpg", "0.tar/z.jpg", "loose.jpg", "0.tar/b.jpg", "1.tar/z.jpg"]
    found = [(name, read()) for name, read in in_reading_order(directory, names)]
    in_shards = ["0.tar/z.jpg", "0.tar/b.jpg", "0.tar/a.jpg", "1.tar/z.jpg", "1.tar/folder/a.jpg"]
    assert [name for name, _ in found] == ["loose.jpg", *in_shards]
    assert all(data == name.partition(".tar/")[2].encode() for name, data in found[1:])


def test_what_is_absent_is_found_out_when_it_is_read(directory: Path) -> None:
    reads = dict(in_reading_order(directory, ["0.tar/gone.jpg", "0.tar/a.jpg", "gone.jpg"]))
    assert reads["0.tar/a.jpg"]() == b"a.jpg"
    for name in ("0.tar/gone.jpg", "gone.jpg"):
        with pytest.raises(FileNotFoundError):
            reads[name]()


def test_a_shard_is_read_member_by_member_and_not_held_in_memory(directory: Path) -> None:
    members = members_bytes(directory / "0.tar", ["a.jpg", "z.jpg"])
    assert next(members) == ("z.jpg", b"z.jpg")
    assert next(members) == ("a.jpg", b"a.jpg")


def test_a_broken_shards_members_are_told_so_and_the_others_are_read(directory: Path) -> None:
    whole = (directory / "1.tar").read_bytes()
    (directory / "1.tar").write_bytes(whole[:600])
    reads = dict(in_reading_order(directory, ["1.tar/z.jpg", "0.tar/a.jpg"]))
    assert reads["0.tar/a.jpg"]() == b"a.jpg"
    with pytest.raises(OSError, match=r"1\.tar is no tar shard, or cut off"):
        reads["1.tar/z.jpg"]()
