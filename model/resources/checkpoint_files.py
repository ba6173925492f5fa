"""What a checkpoint's files are called: Hugging Face's names, and ours."""

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
"""One file, or an index of several."""
TOKENIZERS = ("tokenizer.json", "vocab.json")
PROCESSOR = "preprocessor_config.json"

METADATA = "wordsight.json"
"""Its version, where it comes from, and how good it was found to be."""
GOLDEN = "golden.jsonl"
"""Questions with the scores it gave when it was trained, so that an endpoint can be asked them."""
