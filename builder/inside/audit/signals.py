"""What native code shows, unloaded, of how it was made for threads. Signs, not proofs.

Facts: `locks`, what it can wait for others with; `types`, whether it makes types; `borrowed`, functions it uses that
hand out a reference which another thread may drop; `libc`, functions it uses that POSIX does not promise to be safe
among threads; `writable`, bytes of static data that it may write, the interpreter's own structures counted too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .elf import Elf

LOCKS = frozenset({
    "PyMutex_Lock", "PyCriticalSection_Begin", "PyCriticalSection2_Begin", "PyCriticalSection_BeginMutex",
    "PyCriticalSection2_BeginMutex", "PyThread_acquire_lock", "PyThread_acquire_lock_timed",
    "pthread_mutex_lock", "pthread_mutex_trylock", "pthread_rwlock_rdlock", "pthread_rwlock_wrlock",
    "pthread_spin_lock", "pthread_once", "mtx_lock", "call_once", "sem_wait", "_ZSt15get_once_mutexv",
    "__cxa_guard_acquire",
})  # fmt: skip
# Section 2.9.1 of POSIX.1-2017 and safety attributes of the GNU C library's manual.
UNSAFE = frozenset({
    "asctime", "ctime", "gmtime", "localtime", "strtok", "strerror", "rand", "srand", "drand48", "lrand48",
    "mrand48", "srand48", "setlocale", "localeconv", "setenv", "unsetenv", "putenv", "clearenv", "getpwnam",
    "getpwuid", "getpwent", "getgrnam", "getgrgid", "getgrent", "gethostbyname", "gethostbyaddr",
    "getservbyname", "getservbyport", "getlogin", "ttyname", "ptsname", "tmpnam", "hcreate", "hsearch",
    "ecvt", "fcvt", "inet_ntoa", "l64a", "crypt", "lgamma", "lgammaf", "strsignal", "dirname", "basename",
    "__xpg_basename", "getopt", "nl_langinfo", "getmntent", "getutent", "getutxent",
})  # fmt: skip
BORROWED = frozenset({
    "PyDict_GetItem", "PyDict_GetItemWithError", "PyDict_GetItemString", "_PyDict_GetItem_KnownHash",
    "PyDict_SetDefault", "PyDict_Next", "PyList_GetItem", "PyWeakref_GetObject",
})  # fmt: skip
_TYPES = "PyType_From"
_READY = "PyType_Ready"
_WRITABLE = (".data", ".bss")


def find_signs(imported: Iterable[str], elf: Elf) -> dict[str, Any]:
    """Return the signs of one native file, by the names that the top of this module explains.

    Args:
        imported: names of the file's undefined symbols.
        elf: the file.
    """
    names = frozenset(imported)
    makes_types = any(name.startswith(_TYPES) or name == _READY for name in names)

    writable_bytes = 0
    for section in _WRITABLE:
        if section in elf.sections:
            _, _, size = elf.sections[section]
            writable_bytes += size

    return {
        "locks": sorted(names & LOCKS),
        "types": makes_types,
        "borrowed": sorted(names & BORROWED),
        "libc": sorted(names & UNSAFE),
        "writable": writable_bytes,
    }
