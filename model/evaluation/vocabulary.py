"""A wide, plain vocabulary, whose answers span what an image model knows about. It has no data set's classes."""

from model.world.scene import BACKGROUNDS, COLOURS, COUNTS, POSITIONS, SHAPES, SIZES, TEXTURES, THINGS

EVERYDAY = (
    "dog", "cat", "bird", "fish", "horse", "cow", "sheep", "insect", "snake", "wild animal", "farm animal", "pet",
    "person", "child", "crowd", "face", "hand", "flower", "tree", "forest", "leaf", "mushroom", "fruit", "vegetable",
    "bread", "meal", "drink", "cake", "car", "truck", "bus", "train", "bicycle", "boat", "aeroplane", "road",
    "traffic sign", "bridge", "building", "house", "church", "city", "village", "street", "room", "kitchen", "office",
    "shop", "garden", "park", "beach", "sea", "river", "lake", "mountain", "desert", "field", "snow", "sky", "cloud",
    "sunset", "night", "storm", "fire", "rock", "sand", "satellite view", "map", "chair", "table", "bed", "lamp",
    "window", "door", "stairs", "bottle", "cup", "plate", "bag", "box", "book", "newspaper", "toy", "ball", "tool",
    "machine", "computer", "telephone", "camera", "screen", "clock", "musical instrument", "weapon", "clothes", "shoe",
    "hat", "jewellery", "medical scan", "cell under a microscope", "painting", "drawing", "cartoon", "logo",
    "photograph", "diagram", "text", "handwriting", "number", "letter", "pattern", "metal", "wood", "stone", "glass",
    "fabric", "plastic", "paper", "water", "skin", "fur", "sport", "game", "party", "work", "travel",
)  # fmt: skip
KINDS = (EVERYDAY, (*SHAPES, *THINGS), COLOURS, COUNTS, TEXTURES, SIZES, BACKGROUNDS, POSITIONS)
"""Words that are alternatives to one another."""
WORDS = tuple(dict.fromkeys(word for kind in KINDS for word in kind))
