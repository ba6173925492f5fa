"""The command line: everything the API can do, from a shell. It speaks HTTP to the API and to nothing else."""
