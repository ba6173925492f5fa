"""What glibc does with memory that is freed. By itself it learns from the largest buffer freed so far to keep all that
are smaller, so that the memory of a list of images once sent stays with the process.
https://man7.org/linux/man-pages/man3/mallopt.3.html
"""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

BODY_BYTES = 2**20
"""Above a photo, which comes again; below what makes a process grow."""
PICTURE_BYTES = 4 * 2**20
"""The same for the pixels of a photo, in a process that does nothing but decode."""
KEPT_BYTES = 16 * 2**20


def give_back(above_bytes: int) -> None:
    """Let every buffer that is larger go back to the machine when it is freed, and what is free at the end of the heap
    beyond KEPT_BYTES. Elsewhere than with glibc nothing happens.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, above_bytes)
        libc.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
