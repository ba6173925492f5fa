"""Giving up root. SageMaker wants containers to start as root; strangers' images are decoded as somebody else."""

import os
import pwd


def drop_root(user: str) -> None:
    """Become `user` for good, in all threads, if this process is root; do nothing if it is not.

    Raises KeyError if there is no such user.
    """
    if os.getuid() != 0:
        return
    account = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
