"""Plans a batch: lists its images and deals them out into shards, from wherever an earlier call stopped.

What was listed after the plan was last written is listed again by the next call; the shards it writes are the same.
"""

from collections.abc import Callable, Iterator
from itertools import islice

from contract.batches import (
    MAX_BATCH_IMAGES,
    MAX_NAME_CHARS,
    SHARD_IMAGES,
    Batch,
    Plan,
    Shard,
    ShardItem,
    done_prefix,
    done_shards,
    plan_key,
    shard_key,
)
from contract.documents import LOST
from contract.layouts.places import Line
from contract.layouts.said import json_object
from contract.layouts.tables import text_of
from contract.problems import BadRequest, shorten
from contract.sources import check_source
from lambdas.aws.clients import CONCURRENT_CALLS, concurrently
from lambdas.aws.executions import STEP_MS
from lambdas.aws.s3 import Store
from lambdas.stored.batches import read_plan

_EXAMPLE = '{"s3_key": …}'
STEP_IMAGES = CONCURRENT_CALLS * SHARD_IMAGES

Listed = tuple[ShardItem, Plan]
"""An item, and where the listing goes on behind it."""


def plan(store: Store, batch: Batch, left_ms: Callable[[], int]) -> Plan:
    """Go on listing until everything is or time is short. Raises BadRequest if there are no images, or too many."""
    found = read_plan(store, batch.id)
    while not found.complete and left_ms() > STEP_MS:
        found = _step(store, batch, found)
        store.write(plan_key(batch.id), found)
    return found


def missing_shards(store: Store, id: str) -> list[int]:
    """The shards of a planned batch that are still to be classified."""
    done = done_shards(store.keys(done_prefix(id)))
    return [shard for shard in range(read_plan(store, id).shards) if shard not in done]


def _step(store: Store, batch: Batch, found: Plan) -> Plan:
    """The next few shards, written side by side."""
    listed = list(islice(_items(store, batch, found), STEP_IMAGES))
    images = found.images + len(listed)
    if not images:
        raise BadRequest(f"there are no images in {batch.s3_prefix or batch.s3_key!r}: put some there")
    if images > MAX_BATCH_IMAGES:
        raise BadRequest(f"there are more than {MAX_BATCH_IMAGES:,} images, which one batch may have: make several")
    parts = [listed[start : start + SHARD_IMAGES] for start in range(0, len(listed), SHARD_IMAGES)]

    def write(number: int) -> None:
        shard = Shard(items=[item for item, _ in parts[number]])
        store.write(shard_key(batch.id, found.shards + number), shard.model_dump(exclude_none=True))

    list(concurrently(write, range(len(parts))))
    behind = listed[-1][1] if listed else found
    complete = len(listed) < STEP_IMAGES
    return behind.model_copy(update={"images": images, "shards": found.shards + len(parts), "complete": complete})


def _items(store: Store, batch: Batch, start: Plan) -> Iterator[Listed]:
    if batch.s3_prefix is not None:
        for key in store.keys(batch.s3_prefix, after=start.after):
            if not key.endswith("/"):  # what consoles make when they are asked for a folder
                yield ShardItem(place=key), Plan(after=key)
        return
    for line in store.lines(batch.s3_key or "", start.line, start.offset_bytes):
        place = f"{batch.s3_key} line {line.number}"
        yield _item(line, place), Plan(line=line.number, offset_bytes=line.end_bytes)


def _item(line: Line, place: str) -> ShardItem:
    try:
        said = json_object(text_of(line.content, first=line.number == 1), _EXAMPLE)
    except ValueError as error:
        return ShardItem(place=place, problem=f"the line {error}")
    key, name = said.get("s3_key"), said.get("name")
    if not isinstance(key, str):
        return ShardItem(place=place, problem=f"the line names no image: {_EXAMPLE} is needed")
    try:
        check_source(key)
    except ValueError as error:
        return ShardItem(place=place, problem=str(error))
    if key.endswith("/"):
        return ShardItem(place=place, problem=f"{shorten(key)!r} is a folder, and no image")
    return ShardItem(place=key, name=_kept(name))


def _kept(name: object) -> str | None:
    """What a line calls its image, as far as it is text that can be kept."""
    return LOST.sub("?", name[:MAX_NAME_CHARS]) if isinstance(name, str) and name else None
