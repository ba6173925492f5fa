"""What glibc does with memory that is freed. By itself it learns from the largest buffer freed so far to keep all that
are smaller, so that the memory of a list of images once sent stays with the process.
https://man7.org/linux/man-pages/man3/mallopt.3.html
"""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8

PHOTO_BYTES = 4 * 2**20
"""Above the file of a photo of 12 megapixels, and its pixels as far as they are decoded: they come again, and to make
room for 3 MB anew takes 2 ms. What is smaller and was freed may stay: as much as there was of it at a time.
"""
KEPT_BYTES = 16 * 2**20
LARGEST_KEPT_BYTES = 32 * 2**20
"""The most that glibc allows."""


def give_back() -> None:
    """Let every buffer of more than PHOTO_BYTES go back to the machine when it is freed, and what is free at the end of
    the heap beyond KEPT_BYTES. There is one heap for all threads: what one of them frees, the next one to ask takes.
    Elsewhere than with glibc nothing happens.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, PHOTO_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        libc.mallopt(_M_ARENA_MAX, 1)


def keep() -> None:
    """Let memory that is freed stay with the process, except buffers of more than LARGEST_KEPT_BYTES: a training step
    asks for the same ones as the step before it, and to have them taken away and made anew cost a small model a tenth
    of its time. Elsewhere than with glibc nothing happens.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, -1)
