"""What a process may do: the server and its decoders start as root where SageMaker wants that, and do not stay it."""

import os
import pwd


def drop_root(user: str) -> None:
    """Become `user` for good, in all threads, if this process is root: SageMaker wants containers to start as root, and
    strangers' images are decoded as somebody else. Raises KeyError if there is no such user.
    """
    if os.getuid() != 0:
        return
    account = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
