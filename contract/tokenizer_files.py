"""A checkpoint's tokenizer: do its tokens have a row each in the text tower, and does it know the end of a text?

`tokenizer.json` is of Hugging Face's tokenizers; `vocab.json` with `merges.txt` the same in OpenAI's older form.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from contract.clip_config import LEGACY_END_TOKEN, TextTower, check_plain
from contract.documents import object_of
from contract.problems import BadRequest, shorten
from contract.validation import Stored, validate

TOKENIZERS = ("tokenizer.json", "vocab.json")
MERGES = "merges.txt"
SETTINGS = "tokenizer_config.json"
OTHERS = ("special_tokens_map.json", "added_tokens.json")
_END = "<|endoftext|>"

_Id = Annotated[int, Field(strict=True, ge=0)]
_Vocabulary = Annotated[dict[str, _Id], Field(min_length=1)]
_Object = dict[str, Any] | None


class _AddedToken(Stored):
    id: _Id
    content: str


class _Model(Stored):
    type: str = "BPE"
    vocab: _Vocabulary
    merges: list[str | list[str]]
    continuing_subword_prefix: str | None = None


class TokenizerFile(Stored):
    """`tokenizer.json`."""

    model: _Model
    added_tokens: tuple[_AddedToken, ...] = ()
    normalizer: _Object = None
    pre_tokenizer: _Object = None
    post_processor: _Object = None
    decoder: _Object = None
    truncation: _Object = None
    padding: _Object = None


class _Token(Stored):
    content: str


class Settings(Stored):
    """`tokenizer_config.json`."""

    tokenizer_class: str | None = None
    model_max_length: Annotated[float, Field(strict=True, gt=0)] | None = None
    bos_token: str | _Token | None = None
    eos_token: str | _Token | None = None
    pad_token: str | _Token | None = None
    unk_token: str | _Token | None = None
    mask_token: str | _Token | None = None
    split_special_tokens: Annotated[bool, Field(strict=True)] = False
    padding_side: Literal["right", "left"] = "right"
    truncation_side: Literal["right", "left"] = "right"
    model_input_names: list[str] = Field(default=["attention_mask"])
    added_tokens_decoder: dict[str, dict[str, Any]] = Field(default={})
    additional_special_tokens: list[str | _Token] | None = None
    extra_special_tokens: list[str | _Token] | dict[str, str | _Token] | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, given: Any) -> Any:
        check_plain(given, "auto_map", "fast_tokenizer_files")
        return given

    def tokens(self) -> dict[str, str]:
        """The special tokens that are named, by what each is for."""
        named = {
            role: getattr(self, role) for role in ("bos_token", "eos_token", "pad_token", "unk_token", "mask_token")
        }
        return {
            role: said.content if isinstance(said, _Token) else said for role, said in named.items() if said is not None
        }


class _HidingSettings(Settings):
    @model_validator(mode="after")
    def _hides_padding(self) -> Self:
        if "attention_mask" not in self.model_input_names:
            raise ValueError("model_input_names lacks 'attention_mask', by which a text's padding is passed over")
        return self


def check_tokenizer(read: Callable[[str], bytes | None], tower: TextTower) -> None:
    """`read` gives a file's content, or None where there is none. Raises BadRequest."""
    check_others(read)
    text = read(SETTINGS)
    settings = validated(SETTINGS, _HidingSettings, object_of(SETTINGS, text)) if text is not None else Settings()
    name, vocabulary = _vocabulary(read)
    highest = max(vocabulary, key=lambda token: vocabulary[token])
    if vocabulary[highest] >= tower.vocab_size:
        raise BadRequest(
            f"{name} gives {shorten(highest)!r} the number {vocabulary[highest]}, and the text tower has "
            f"{tower.vocab_size} rows: they are not of the same model"
        )
    end = settings.tokens().get("eos_token") or _END
    if end not in vocabulary:
        raise BadRequest(f"{name} lacks the token {shorten(end)!r}, which ends a text")
    if tower.eos_token_id not in (LEGACY_END_TOKEN, vocabulary[end]):
        raise BadRequest(
            f"{name} ends a text with the token {vocabulary[end]}, and config.json says eos_token_id "
            f"{tower.eos_token_id}: the model would read every text alike"
        )


def check_others(read: Callable[[str], bytes | None]) -> None:
    """Files that say more of the tokens, if they are there: whether they are JSON. Raises BadRequest."""
    for name in OTHERS:
        if (content := read(name)) is not None:
            object_of(name, content)


def _vocabulary(read: Callable[[str], bytes | None]) -> tuple[str, dict[str, int]]:
    """The file that says it, and every token's number."""
    name, older = TOKENIZERS
    if (content := read(name)) is not None:
        file = validated(name, TokenizerFile, object_of(name, content))
        if file.model.type != "BPE":
            raise BadRequest(f"{name} is of the type {shorten(file.model.type)!r}, allowed is 'BPE', as CLIP's is")
        check_merges(name, file.model)
        return name, file.model.vocab | {token.content: token.id for token in file.added_tokens}
    merges = read(MERGES)
    if not merges:
        raise BadRequest(f"{older} needs {MERGES} beside it")
    try:
        merges.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"{MERGES} is no text: {error}") from None
    return older, validated(older, _Older, {"vocab": object_of(older, read(older))}).vocab


class _Older(Stored):
    vocab: _Vocabulary


def check_merges(name: str, model: _Model) -> None:
    """Whether each merge joins two tokens into one that is there. Raises BadRequest."""
    skipped = len(model.continuing_subword_prefix or "")
    for number, merge in enumerate(model.merges):
        parts = merge.split(" ") if isinstance(merge, str) else merge
        if len(parts) != 2:
            raise BadRequest(f"{name}: merge {number} joins {len(parts)} tokens, and 2 are needed")
        for token in (*parts, parts[0] + parts[1][skipped:]):
            if token not in model.vocab:
                raise BadRequest(f"{name}: merge {number} needs the token {shorten(token)!r}, which is not in vocab")


def validated(name: str, model: Any, found: object) -> Any:
    """What a file says, as this model. Raises BadRequest that names the file."""
    try:
        return validate(model, found)
    except BadRequest as problem:
        raise BadRequest(f"{name}: {problem.detail}") from None
