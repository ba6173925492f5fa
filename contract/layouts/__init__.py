"""The layouts that datasets come in, read by one reader: for the command line, for imports and for training.

`find` tells which layout a place has, `rows` reads it from any row on, `said` is what a row says, and `found` what is
kept of all that between two steps. docs/datasets.md has a table of what is understood. A place is a folder of this
machine, what lies below a prefix in a bucket, or a tar; a fault costs its own row, and every file that is not read is
counted with the reason.
"""
