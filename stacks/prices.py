"""List prices of us-east-1, as of 2026, and how much a machine does for them."""

USD_PER_HOUR = {
    "ml.c5.xlarge": 0.204,
    "ml.c7i.xlarge": 0.214,
    "ml.c7i.2xlarge": 0.428,
    "ml.g4dn.xlarge": 0.7364,
    "ml.g6.xlarge": 1.1267,
    "ml.g5.xlarge": 1.408,
}
"""On demand, of one instance: the same for an endpoint and for training."""
CPU_IMAGES_PER_S, GPU_IMAGES_PER_S = 8.0, 50.0
"""Trained on by one machine, assumed for a ViT-B/32: benchmarks/training.md has 2.1 for a CPU core, of which the
default has four; a T4 is taken for half of what its 8 TFLOPS of fp32 could do.
"""

FUNCTION_USD_PER_GB_S, FUNCTION_USD_PER_CALL = 0.0000166667, 0.20 / 1_000_000
"""Of a Lambda function on x86-64, by 1,024 MB of its memory. https://aws.amazon.com/lambda/pricing/"""
FUNCTION_IMAGE_S = 0.09
"""Of a function for one image, assumed for a ViT-B/32: benchmarks/zen5/serving.md has 44 ms of one core in fp32 for a
photograph and ten known labels, and Lambda's processors are taken for half as fast. Not measured on Lambda yet.
"""
FUNCTION_START_S = 10
"""Of a first call after a while without any, assumed: so long a function may start before Lambda begins anew. It is
paid for as any time of a call. Not measured on Lambda yet."""


def function_usd_per_s(memory_mb: int) -> float:
    """Of one that answers."""
    return memory_mb / 1024 * FUNCTION_USD_PER_GB_S


def function_usd_per_image(memory_mb: int, *, starting: bool = False) -> float:
    """Of one image that is sent alone to a function, which may have to start for it."""
    taken_s = FUNCTION_IMAGE_S + (FUNCTION_START_S if starting else 0)
    return taken_s * function_usd_per_s(memory_mb) + FUNCTION_USD_PER_CALL
