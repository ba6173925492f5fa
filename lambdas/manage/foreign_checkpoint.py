"""A checkpoint that somebody brings along: is it one that the endpoint could load? Looked at without loading it."""

from collections.abc import Iterable, Iterator, Mapping

from contract.checkpoints import CheckpointMetadata, check_checkpoint
from contract.documents import MAX_FILE_BYTES
from contract.model_cards import MAX_HEAD_BYTES, ModelCard, head_of, model_card
from contract.models import README
from contract.problems import BadRequest, shorten
from contract.weights import FLOATS, Tensor, are_finite
from lambdas.aws.clients import concurrently
from lambdas.stored.registry import StoredCheckpoint

MAX_READ_BYTES = 64 * 1024 * 1024
"""Of weights that are no more than this, all are looked at: a caller waits."""
SMALL_BYTES = 64 * 1024
"""Of larger ones, the tensors that are no more than this: every norm, every bias, and what is learnt alone. One that
diverged has spoilt these too; the endpoint looks at the rest when it loads them, before anybody is answered.
"""


def read_foreign(checkpoint: StoredCheckpoint) -> tuple[CheckpointMetadata | None, ModelCard]:
    """Check the folder, and return its wordsight.json, if it has one, and what is known of the model.

    Raises BadRequest that says what is missing or wrong.
    """
    checked = check_checkpoint(checkpoint, checkpoint.prefix)
    _check_finite(checkpoint, {name: each for name, each in checked.tensors.items() if each.dtype in FLOATS})
    readme, metadata = checkpoint.read(README, size_bytes=MAX_HEAD_BYTES), checked.metadata
    return metadata, metadata.card(readme) if metadata else model_card(said=head_of(readme or b""))


def _check_finite(checkpoint: StoredCheckpoint, tensors: Mapping[str, Tensor]) -> None:
    total = sum(tensor.end - tensor.first for tensor in tensors.values())
    most = MAX_READ_BYTES if total <= MAX_READ_BYTES else SMALL_BYTES
    names = {tensor: name for name, tensor in tensors.items() if tensor.end - tensor.first <= most}

    def spoilt(run: list[Tensor]) -> str | None:
        first, end = run[0].first, run[-1].end
        content = checkpoint.read(run[0].file, first=first, size_bytes=end - first) or b""
        for tensor in run:
            if not are_finite(tensor.dtype, content[tensor.first - first : tensor.end - first]):
                return names[tensor]
        return None

    for name in concurrently(spoilt, _runs(names)):
        if name is not None:
            raise BadRequest(f"{shorten(name, 120)} holds numbers that are infinite or none (NaN): train it anew")


def _runs(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Those that lie side by side together, up to what is read at once."""
    run: list[Tensor] = []
    for tensor in sorted(tensors, key=lambda each: (each.file, each.first)):
        if tensor.end == tensor.first:
            continue
        follows = run and (tensor.file, tensor.first) == (run[-1].file, run[-1].end)
        if run and (not follows or tensor.end - run[0].first > MAX_FILE_BYTES):
            yield run
            run = []
        run.append(tensor)
    if run:
        yield run
