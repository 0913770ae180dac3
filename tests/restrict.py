"""Runs a command under the system call filter of a systemd unit, as systemd would set it.

restrict.py UNIT COMMAND...   (SystemCallFilter=, SystemCallErrorNumber=, RestrictAddressFamilies=)
"""

import ctypes
import errno
import os
import re
import socket
import subprocess
import sys

ALLOW = 0x7FFF0000
ERRNO = 0x00050000


class Compare(ctypes.Structure):
    """scmp_arg_cmp of libseccomp."""

    _fields_ = [
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    ]


def setting(unit, name):
    return re.search(rf"^{name}=(.+)$", unit, re.M)[1]


def names_of(group):
    """The system calls of a group, groups in it included."""
    text = subprocess.check_output(
        ["systemd-analyze", "syscall-filter", "--no-pager", group], text=True
    )
    words = [line.strip() for line in text.splitlines()[1:] if not line.strip().startswith("#")]
    for word in filter(None, words):
        if word.startswith("@"):
            yield from names_of(word)
        else:
            yield word


def main(path, *command):
    unit = open(path).read()
    error = getattr(errno, setting(unit, "SystemCallErrorNumber"))
    families = [getattr(socket, word) for word in setting(unit, "RestrictAddressFamilies").split()]
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(lib.seccomp_init(ERRNO | error))
    resolve = lambda name: lib.seccomp_syscall_resolve_name(name.encode())
    for name in set(names_of(setting(unit, "SystemCallFilter"))) - {"socket"}:
        number = resolve(name)
        if number >= 0:
            assert lib.seccomp_rule_add_array(context, ALLOW, number, 0, None) == 0, name
    for family in families:
        only = (Compare * 1)(Compare(0, 4, family, 0))  # SCMP_CMP_EQ
        assert lib.seccomp_rule_add_array(context, ALLOW, resolve("socket"), 1, only) == 0
    assert lib.seccomp_load(context) == 0
    os.execvp(command[0], command)


main(*sys.argv[1:])
