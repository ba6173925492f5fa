"""What is known of a checkpoint: by its own word, by its name on the hub, by its README.md, or not at all."""

import pytest

from contract.checkpoints import CheckpointMetadata
from contract.model_cards import MAX_KNOWS_CHARS, UNKNOWN, UNKNOWN_LICENCE, ModelCard, head_of, model_card


@pytest.mark.parametrize(
    "model_id, languages, licence, knows",
    [
        ("openai/clip-vit-base-patch32", ["en"], "MIT", "photographs"),
        ("openai/clip-vit-large-patch14@0123456789ab", ["en"], "MIT", "OpenAI"),
        ("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", ["en"], "MIT", "LAION-2B"),
        ("laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K", ["en"], "MIT", "DataComp"),
        ("laion/CLIP-ViT-B-32-xlm-roberta-base-laion5B-s13B-b90k", ["multilingual"], "MIT", "LAION-5B"),
        ("google/siglip-base-patch16-224", ["en"], "Apache-2.0", "WebLI"),
        ("google/siglip2-base-patch32-256", ["multilingual"], "Apache-2.0", "WebLI"),
        ("facebook/metaclip-b32-400m", ["en"], "CC-BY-NC-4.0", "MetaCLIP"),
        ("facebook/metaclip-2-worldwide-b32", ["multilingual"], "CC-BY-NC-4.0", "MetaCLIP 2"),
        ("apple/DFN5B-CLIP-ViT-H-14", ["en"], "apple-amlr", "Filtering"),
        ("apple/MobileCLIP2-S0", ["en"], "apple-amlr", "DFNDR"),
        ("timm/vit_base_patch32_clip_224.openai", ["en"], "MIT", "OpenAI"),
    ],
)
def test_well_known_checkpoints_are_known_by_their_names(
    model_id: str, languages: list[str], licence: str, knows: str
) -> None:
    card = model_card(model_id)
    assert (card.languages, card.licence) == (languages, licence)
    assert knows in card.knows and card.knows.startswith("This model knows ") and card.knows.endswith(".")


@pytest.mark.parametrize("model_id", ["", "somebody/clip-vit-base-patch32", "evil/openai-clip", "base-0123456789ab"])
def test_a_name_that_only_looks_like_one_tells_nothing(model_id: str) -> None:
    assert model_card(model_id) == ModelCard(knows=UNKNOWN, languages=[], licence=UNKNOWN_LICENCE)


def test_a_checkpoint_of_the_hub_is_known_by_its_version_unless_it_says_otherwise() -> None:
    fetched = CheckpointMetadata(version="openai/clip-vit-base-patch32@3d74acf9a28c")
    assert fetched.card().licence == "MIT"
    own = fetched.model_copy(update={"knows": "This model knows welds.", "licence": "LicenseRef-ours"})
    assert (own.card().knows, own.card().licence, own.card().languages) == (
        "This model knows welds.",
        "LicenseRef-ours",
        ["en"],
    )


def card_in(readme: bytes) -> ModelCard:
    return model_card(said=head_of(readme))


@pytest.mark.parametrize(
    "head, languages, licence",
    [
        ("license: mit\nlanguage: en", ["en"], "mit"),
        ("language:\n- en\n- fr\nlicense: 'apache-2.0'  # as its authors say", ["en", "fr"], "apache-2.0"),
        ('language: [en, "de"]\ntags:\n- vision\nwidget:\n- src: https://x/cat.png', ["en", "de"], UNKNOWN_LICENCE),
        ("license: other\nlicense_name: apple-amlr", [], "apple-amlr"),
        ("license: other", [], "other"),
        ("license:\nlanguage:", [], UNKNOWN_LICENCE),
    ],
)
def test_the_head_of_a_readme_tells_languages_and_licence(head: str, languages: list[str], licence: str) -> None:
    for newline in ("\n", "\r\n"):
        card = card_in(f"---\n{head}\n---\n# A model\nlicense: none of this\n".replace("\n", newline).encode())
        assert (card.languages, card.licence, card.knows) == (languages, licence, UNKNOWN)


def test_the_data_sets_of_a_card_are_what_it_was_trained_on() -> None:
    assert "trained on laion/laion2B-en, mlfoundations/datacomp_1b" in (
        card_in(b"---\ndatasets:\n- laion/laion2B-en\n- mlfoundations/datacomp_1b\n---\n").knows
    )


@pytest.mark.parametrize(
    "readme", [b"", b"# CLIP\nlicense: mit", b"---\nlicense: mit", b"\xff\xfe\x00", b"---\n" + b"a: [" * 50_000]
)
def test_a_readme_without_a_head_tells_nothing(readme: bytes) -> None:
    assert card_in(readme) == ModelCard()


def test_what_is_fine_tuned_knows_what_its_parent_does_and_what_it_was_shown() -> None:
    tuned = model_card("openai/clip-vit-base-patch32").taught("It was fine-tuned on images of welds.")
    assert "photographs" in tuned.knows and tuned.knows.endswith("images of welds.")
    assert tuned.licence == "MIT"
    for _ in range(100):
        tuned = tuned.taught("It was fine-tuned on images of welds.")
    assert len(tuned.knows) <= MAX_KNOWS_CHARS and "photographs" in tuned.knows


@pytest.mark.parametrize(
    "licence",
    ["CC-BY-NC-4.0", "cc-by-nc-sa-4.0", "apple-amlr", "fair-noncommercial-research-license", "intel-research", "X NC"],
)
def test_a_commercial_stage_refuses_what_is_known_to_allow_no_commercial_use(licence: str) -> None:
    card = ModelCard(licence=licence)
    refusal = card.refusal("theirs", commercial=True)
    assert refusal is not None and "theirs" in refusal and licence in refusal and "commercial = false" in refusal
    assert card.refusal("theirs", commercial=False) is None


@pytest.mark.parametrize("licence", ["MIT", "Apache-2.0", "cc-by-4.0", "openrail", "ncsa", UNKNOWN_LICENCE, "other"])
def test_it_takes_any_other_and_what_nobody_knows(licence: str) -> None:
    assert ModelCard(licence=licence).refusal("theirs", commercial=True) is None
