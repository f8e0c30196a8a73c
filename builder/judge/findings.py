"""The table of finding codes: how bad each is, which verdict it forces, what it means and what to do.

WF1xx sources · WF2xx build · WF3xx ABI · WF4xx load · WF5xx GIL and interpreters · WF6xx threads · WF9xx the farm itself.
docs/findings.md is generated from here.
"""

from __future__ import annotations

from dataclasses import dataclass

from builder.judge.explanations import EXPLANATIONS
from builder.store.hashing import digest
from builder.verdicts import Severity, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """One kind of finding.

    Attributes:
        title: a few words for a table.
        verdict: the verdict it forces, or None where it is only worth knowing.
        meaning: what was found, for someone who has never heard of it.
        remedy: what to do about it.
    """

    code: str
    severity: Severity
    title: str
    verdict: Verdict | None
    meaning: str
    remedy: str

    @property
    def matters(self) -> str:
        """Why one should care."""
        return EXPLANATIONS[self.code][0]

    @property
    def confirm(self) -> str:
        """How to see it by hand."""
        return EXPLANATIONS[self.code][1]


def _error(code: str, title: str, verdict: Verdict | None, meaning: str, remedy: str) -> Code:
    return Code(
        code=code,
        severity=Severity.ERROR,
        title=title,
        verdict=verdict,
        meaning=meaning,
        remedy=remedy,
    )


def _warning(code: str, title: str, verdict: Verdict | None, meaning: str, remedy: str) -> Code:
    return Code(
        code=code,
        severity=Severity.WARNING,
        title=title,
        verdict=verdict,
        meaning=meaning,
        remedy=remedy,
    )


def _info(code: str, title: str, meaning: str, remedy: str) -> Code:
    return Code(
        code=code, severity=Severity.INFO, title=title, verdict=None, meaning=meaning, remedy=remedy
    )


_B = Verdict.BUILD_FAILURE
_I = Verdict.IMPORT_FAILURE
_A = Verdict.ABI_MISMATCH
_T = Verdict.THREAD_UNSAFE
_G = Verdict.GIL_REQUIRED
_R = Verdict.RACY
_P = Verdict.UNPROVEN
_U = Verdict.UNDETERMINED

CODES = {
    code.code: code
    for code in (
        _error("WF101", "unknown name", _B, "The package index knows no project of this name.",
               "Correct the table's name in matrix.toml, or point pip's index setting at the index that has it."),
        _error("WF102", "no sdist", _B, "The release has wheels only, so there is nothing to build from.",
               "Choose a release that has an sdist with `version`, or give a local one with `sdist`."),
        _error("WF103", "wrong hash", _B, "A file is not the one its sha256 promises. It was not used.",
               "Find out who changed the file. If the change is legitimate, correct `sha256` in matrix.toml."),
        _error("WF104", "no matching release", _B, "No release of the project satisfies `version`.",
               "Widen `version` in matrix.toml. Pre-releases and yanked releases have to be named."),
        _error("WF105", "unusable sdist", _B, "The sdist is missing, damaged, or of another package.",
               "Correct `sdist` in matrix.toml, or make the sdist anew with `python -m build --sdist`."),
        _error("WF106", "index silent", _U, "The package index did not answer, so the farm cannot tell what it has.",
               "Run `wheelfarm doctor`, then run again. What was finished is kept."),
        _error("WF107", "Python excluded", _B, "The release's requires-python leaves this Python out, so pip would not install it.",
               "Choose a newer release, or patch the metadata if the code works."),
        _error("WF108", "patch missing", _B, "A patch that matrix.toml names is not there.", "Correct `patches` in matrix.toml."),
        _warning("WF109", "dependencies unknown", None, "What the package needs at run time could not be resolved.",
                 "Read the detail; a pin in the matrix may contradict the package's own requirements."),
        _warning("WF110", "circular build requirements", None, "Packages of the matrix need one another to be built, so none can be first: each "
                 "is built with the index's release of the next, not with the farm's own wheel.",
                 "Pin one of them so that the next one's build requirement does not admit it, or leave one out of the matrix."),
        _error("WF201", "build error", _B, "The build stopped with an error.", "Read the log; the first error is quoted."),
        _error("WF202", "missing header, library or program", _B, "The build needs something of the system that is not installed.",
               "Add the system package that has it to `apt`."),
        _error("WF203", "build timed out", _B, "The build did not end in the time it may take.", "Raise `timeout_s` if it is honest work."),
        _error("WF204", "build out of memory", _B, "The build needed more memory than it may have.", "Raise `memory` if it is honest work."),
        _error("WF205", "build forked too much", _B, "The build started more processes than it may have.", "Mend the build."),
        _error("WF206", "no native code built", _B, "The build made no wheel for the ABI, or one without extension modules: "
               "extensions that are optional are left out in silence when they do not compile.",
               "Read the log for the compiler's error."),
        _error("WF207", "unknown system package", _B, "The base's distribution has no package of this name.",
               "Correct `apt`; names differ between distributions, and a table by distribution is possible."),
        _error("WF208", "patch does not apply", _B, "A patch of the matrix does not fit the sdist.", "Make it anew against this release."),
        _warning("WF209", "skipped", _U, "The matrix says not to build this ABI.", "Remove `skip` from matrix.toml to have it judged."),
        _error("WF210", "repair failed", _B, "auditwheel could not make a manylinux wheel of what was built.",
               "See the log: a library is too new for any policy, or cannot be found."),
        _error("WF211", "build requirements unavailable", _B, "What the build backend needs could not be installed.",
               "A build requirement may not support this Python yet; see the log."),
        _info("WF212", "not reproducible", "Built twice from the same inputs, the wheel came out with other bytes. The members that differ are named.",
              "Look for times, paths, random names or the order of a directory in what the build writes; SOURCE_DATE_EPOCH is set."),
        _error("WF213", "reached beyond the index", _B, "The build failed, and it had asked for a host other than the package index. Builds reach nothing else.",
               "Bring what it downloads along: in the sdist by a patch, on the system by `apt`; or have it built without."),
        _warning("WF214", "asked beyond the index", None, "While it was built it asked for a host other than the package index. It was refused, and the "
                 "build went on without.", "Look whether something optional is missing from the wheel, and bring along what it downloads."),
        _error("WF301", "extension for another ABI", _A, "An extension module's suffix names another ABI than the wheel's tag, "
               "so the interpreter will not find it (PEP 3149).", "Mend the build: it takes the suffix from another interpreter."),
        _error("WF302", "platform tag too good", _A, "The wheel needs a newer C or C++ library than its platform tag promises (PEP 600). "
               "The object, symbol and version that need it are named.", "Rebuild on an older base, or let auditwheel set the tag."),
        _warning("WF303", "not auditable", _U, "auditwheel could not judge the wheel.", "Read the detail."),
        _error("WF304", "compiled for the other build", _A, "The machine code was compiled for CPython with the GIL and the tag is for CPython without it, "
               "or the reverse, whatever the file is called. The two lay objects out differently in memory.",
               "Rebuild with the interpreter that the tag names; a shared compiler cache or build folder may have mixed them."),
        _error("WF305", "unreadable wheel", _I, "The file is no whole zip archive with a wheel's name, or a member of it is damaged.",
               "Download or build it again, and compare its hash with the index's."),
        _error("WF306", "unsafe archive", _I, "Unpacking the archive would write outside its folder, make something other than a plain file, fill the "
               "disk, or depend on which of two members with one name wins.", "Do not install it; find out who made it."),
        _error("WF307", "RECORD disagrees", _A, "RECORD is missing, or does not list exactly the files in the wheel with their right hashes.",
               "Build it again; a tool that edits wheels has to write RECORD anew (`wheel unpack`, `wheel pack`)."),
        _error("WF308", "metadata disagrees", _A, "The file name, the .dist-info folder, METADATA and WHEEL do not agree on name, version or format, or one "
               "of them is missing.", "Build it again; wheels are not to be renamed."),
        _error("WF309", "tags disagree", _A, "The tags in the file name and in the WHEEL file differ (PEP 427).",
               "Set tags with `wheel tags`, which changes both; do not rename the file."),
        _error("WF310", "native code in purelib", _A, "Root-Is-Purelib is true although there is native code, so it is installed where files for all "
               "machines belong.", "Have the build backend declare the extension; setuptools does when `ext_modules` is not empty."),
        _warning("WF311", "nothing native inside", None, "The tag is for one interpreter and machine, and no native code is inside: extensions that are optional "
                 "are left out in silence when they do not compile.", "Read the build's log for the compiler's error, or tag it `py3-none-any`."),
        _error("WF312", "native code for any platform", _A, "The wheel claims to run on any platform and holds native code.",
               "Give it a platform tag: `auditwheel repair`, or the build backend's own setting."),
        _error("WF313", "for another machine", _A, "A native file is for another processor than the platform tag.", "Build it on the machine, or for it."),
        _error("WF314", "not a native file", _I, "A file with the suffix of native code is no ELF file, or is damaged.",
               "Build it again; a Git LFS pointer or an editor's mishap is a usual cause."),
        _error("WF315", "library that no policy promises", _A, "Native code needs a library of the system that the manylinux tag does not let it count on.",
               "Run `auditwheel repair`, which puts the library into the wheel."),
        _warning("WF316", "library missing on a base", None, "Native code needs a library that the tag lets it count on, and that a base does not have "
                 "installed.", "Install the system package that has it where the wheel is used."),
        _error("WF317", "library not reached", _I, "A library in the wheel is needed, and lies where the dynamic linker does not look.",
               "Run `auditwheel repair` on the wheel as it was built, or set its RUNPATH to $ORIGIN and the way to the library."),
        _error("WF318", "symbol that nothing has", _I, "Native code needs a symbol that neither the interpreter nor a library it loads has, so the import must "
               "fail. Where CPython removed it, the detail says since when and what replaces it.",
               "Choose a newer release of the package, or patch it."),
        _info("WF319", "private C API", "It uses functions of CPython that are not public: a later release may change them without notice.",
              "Nothing now; before the next Python, look for a newer release."),
        _error("WF320", "outside the stable ABI", _A, "An abi3 wheel uses C API that is not in the stable ABI, or only in a newer release than its tag "
               "promises (PEP 384).", "Raise `Py_LIMITED_API` and the tag together, or use other API."),
        _error("WF321", "stable ABI without the GIL", _A, "A wheel claims that the stable ABI serves a free-threaded build: abi3 never does, and abi3t begins "
               "with 3.15 (PEP 703, PEP 803).", "Build a wheel for cp314t of its own."),
        _error("WF322", "needs libpython", _A, "Native code needs the interpreter as a shared library, which most interpreters for Linux are not.",
               "Link extension modules without `-lpython3.x` (`python3-config --ldflags` without `--embed`)."),
        _error("WF323", "needs a newer processor", _A, "Native code declares that it needs a newer x86-64 processor than the platform tag means.",
               "Compile without `-march=x86-64-v2` or above, or choose code at run time."),
        _error("WF324", "executable stack", _I, "Loading a library would make the stack executable. glibc refuses that since 2.41.",
               "Mark assembler sources with `.section .note.GNU-stack`, or link with `-z noexecstack`."),
        _warning("WF325", "text relocations", None, "Loading a library writes to its code, which hardened systems refuse.", "Compile all of it with -fPIC."),
        _warning("WF326", "search path of another machine", None, "A library looks for others in a fixed folder, or outside the folder it is installed to.",
                 "Set RUNPATH to `$ORIGIN` and a way inside the wheel, or remove it with `patchelf --remove-rpath`."),
        _warning("WF327", "no RELRO", None, "A library's tables of functions stay writable after it is loaded.", "Link with `-z relro -z now`."),
        _info("WF328", "folders of the build machine", "Native code names folders of the machine it was built on.",
              "Compile with `-ffile-prefix-map=$PWD=.` (`--remap-path-prefix` for Rust), and strip."),
        _info("WF329", "grafted libraries without SBOM", "Libraries of a system were put into the wheel, and nothing in it says of which version, or not of all "
              "of them.",
              "Repair it with auditwheel 6.5 or newer, which writes an SBOM (PEP 770)."),
        _warning("WF330", "files beside other packages", None, "The wheel installs something outside its own packages: data, or modules under a name that "
                 "others use too.", "Leave it out of the build (`packages`, `exclude`), or move it into the package."),
        _warning("WF331", "compiled Python shipped", None, "The wheel ships .pyc files, which installers write themselves for the right Python.",
                 "Remove __pycache__ from what is built."),
        _error("WF332", "no init function", _I, "An extension module does not export the function that import looks for, PyInit_ and its name.",
               "Name module, file and function alike, and declare it with PyMODINIT_FUNC."),
        _info("WF333", "bases differ", "The same source built on two bases gave wheels that need different things.",
              "Nothing: the one of the base with the oldest C library is served."),
        _error("WF401", "does not install", _I, "pip refuses to install the wheel from the farm's index.", "Read pip's message."),
        _error("WF402", "import fails", _I, "Importing the package or one of its native modules raises an exception.",
               "Read the exception; a system library that auditwheel leaves outside may be missing."),
        _error("WF403", "import crashes", _I, "The interpreter dies while importing.", "See the log for the stack."),
        _error("WF404", "import hangs", _I, "The import does not end.", "See the log."),
        _error("WF405", "dependency without wheel", _I, "A native package it needs has no wheel for this ABI.",
               "Mend that package first, or choose a release that does not need it."),
        _warning("WF406", "optional module needs more", None, "A native module needs a package that the metadata does not require.",
                 "Install that package to use the module."),
        _warning("WF407", "import depends on order", None, "A native module imports only after others of the package were imported: alone, in a "
                 "fresh process, it fails.", "Import the package first, or ask its maintainers to import what the module needs."),
        _error("WF408", "requires-python contradicts", _I, "The wheel's requires-python leaves this Python out, so pip refuses it, yet everything in it "
               "installs and imports there once that is ignored.", "Patch requires-python (`patches`), or ask the maintainers to widen it."),
        _error("WF409", "crashes in development mode", _I, "Importing under `-X dev` kills the interpreter. Development mode changes nothing that valid "
               "code can notice but checks memory (PYTHONMALLOC=debug): the import damages memory, and an ordinary one survives by luck.",
               "See the stack in the log; report it to the maintainers with `python -X dev -c 'import …'`."),
        _warning("WF410", "fails in development mode", None, "Importing raises an exception under `-X dev` only.",
                 "Run its tests with `python -X dev`; the exception says what development mode objects to."),
        _info("WF411", "warns when imported", "The package's own code causes a warning while it is imported; a DeprecationWarning names what a later "
              "Python takes away.", "Nothing now; before the next Python, look for a newer release."),
        _warning("WF412", "mishandles warnings as errors", None, "With `-W error` importing dies or fails although no warning of the package's own is "
                 "shown without it: its code does not cope with a warning that becomes an exception.", "Do not run it with `-W error`."),
        _error("WF413", "breaks when threads import it at once", _T, "Importing by many threads at once crashes or hangs, which importing by one does not.",
               "Import it once, in the main thread, before threads start."),
        _warning("WF414", "fails when threads import it at once", None, "Some threads that import it at the same moment get an exception.",
                 "Import it once, in the main thread, before threads start."),
        _error("WF415", "crashes when imported again", None, "Importing once more after deletion from `sys.modules` crashes or hangs. Programs do not do that, "
               "test tools and reloaders do.", "Do not delete its modules from `sys.modules`."),
        _warning("WF416", "cannot be imported again", None, "Importing once more after deletion from `sys.modules` raises an exception.",
                 "Do not delete its modules from `sys.modules`."),
        _error("WF501", "import turns the GIL on", _G, "Importing the package turns the GIL back on for the whole process, because "
               "an extension module does not declare that it works without it (PEP 703, `Py_mod_gil`).",
               "Stay on cp314 for this package, or ask its maintainers for free-threaded support."),
        _error("WF502", "submodule turns the GIL on", _G, "A native submodule turns the GIL back on when it is imported, which may be late. It was found by importing "
               "each native module of the wheel.",
               "Avoid the submodule, or stay on cp314 for this package."),
        _warning("WF503", "classifier contradicts", None, "The metadata has the trove classifier `Programming Language :: Python :: Free Threading`, "
                 "but importing the package turns the GIL back on.", "Believe the measurement, and tell the maintainers."),
        _info("WF504", "single-phase initialisation", "An extension module is initialised in one phase (PEP 489): one copy of its state serves the whole "
              "process, and no subinterpreter with its own GIL loads it.", "Nothing, unless you use subinterpreters."),
        _info("WF505", "not for subinterpreters", "An extension module does not declare that it works in interpreters with their own GIL "
              "(PEP 684, `Py_mod_multiple_interpreters`), so they refuse to load it.", "Nothing, unless you use subinterpreters."),
        _warning("WF506", "fails in a subinterpreter", None, "Importing in a subinterpreter with its own GIL raises an exception, though the module "
                 "declares that it supports that.", "Do not use it in subinterpreters."),
        _error("WF507", "crashes in a subinterpreter", None, "Importing in a subinterpreter with its own GIL, or the end of that interpreter, crashes or "
               "hangs, though the module declares that it supports that.", "Do not use it in subinterpreters."),
        _error("WF601", "crashes under threads", _T, "Threads that call it at the same time make the process die. The same calls in one thread do not.",
               "Guard the calls with a lock of your own, keep one object per thread where one is shared, or stay on cp314. Send the replay to the maintainers."),
        _error("WF602", "hangs under threads", _T, "Threads that call it at the same time wait for each other for ever, or never end. The same calls in "
               "one thread do.", "Keep one object per thread, or stay on cp314. Send the replay to the maintainers."),
        _error("WF603", "wrong results under threads", _T, "Threads that call it at the same time get results, or leave a state, that the same calls "
               "alone never give.", "Guard the calls with a lock of your own, keep one object per thread where one is shared, or stay on cp314. Send the replay to the maintainers."),
        _error("WF604", "race on memory that is given back", _T, "While one thread uses memory, another gives it back, and nothing orders the two.",
               "Guard the calls with a lock of your own, keep one object per thread where one is shared, or stay on cp314. Send the replay to the maintainers."),
        _error("WF605", "data race", _R, "Two threads access the same memory at the same time, at least one of them writes, and nothing orders "
               "them. What then happens is undefined in C and C++; no harm was seen here.",
               "Guard the calls with a lock of your own, or keep one object per thread where one is shared. Send the replay to the maintainers."),
        _info("WF606", "race outside the package's code", "Threads raced in code that nobody wrote for this package: the interpreter's own, or the "
              "runtime of a code generator.", "Nothing: newer releases of the interpreter or of the generator mend these."),
        _info("WF607", "lock-free access", "An atomic access that the package makes on purpose meets a plain one. Whether something else orders the two "
              "cannot be seen from outside.", "Nothing, unless another finding names the same place."),
        _warning("WF608", "harm without threads", None, "Calls crash, hang or give changing results in one thread too: a mistake, but none of threading.",
                 "Send the replay to the maintainers."),
        _warning("WF609", "race detector not working", _U, "The race detector did not see the race of a module that is known to race, or saw one in a "
                 "module that is known not to. What it says of other packages here is worth nothing.",
                 "Run `wheelfarm doctor`. Kernels that place memory at random beyond 28 bits stop the sanitizer: `sysctl vm.mmap_rnd_bits=28`."),
        _info("WF610", "not examined for races", "The package could not be compiled with ThreadSanitizer, so its races were not looked for.",
              "See the log; a build that brings compiler flags of its own is the usual cause."),
        _info("WF611", "little was exercised", "Of the package's native callables, few could be called by threads without knowing more about them.",
              "Give expressions that make its objects as `recipes` in matrix.toml, or raise `--effort`."),
        _warning("WF612", "own test fails in threads", None, "A test of the package's own passes alone and fails when several threads run it at once. "
                 "The fault may be the test's.", "Read the test; `pytest --parallel-threads=4` shows it."),
        _error("WF613", "own test crashes in threads", _T, "The package's own tests pass alone and end the process when several threads run them at once.",
               "Stay on cp314, or do not share its objects between threads."),
        _info("WF614", "own tests not run", "The package's own tests could not be used.", "Nothing: what else was done under threads stands."),
        _warning("WF615", "seen once", _P, "A crash or a hang under threads was seen, and not shown again by a program of its own.",
                 "Run again with `--effort deep`."),
        _info("WF616", "own tests in one thread", "pytest-run-parallel ran some of the package's own tests in one thread only: they use what it knows to be "
              "unsafe, or say so themselves.", "Nothing; those tests prove nothing about threads."),
        _info("WF617", "no lock in sight", "An extension module says that it needs no GIL and makes types, yet uses nothing that takes a lock: neither the "
              "interpreter's critical sections nor mutexes. Types that never change need none.", "Look at what the race detector says of it."),
        _info("WF618", "borrowed references", "An extension module uses functions that return a borrowed reference, or walk a container: safe only while no "
              "other thread can change the container.", "Use the function that returns a strong reference, such as PyDict_GetItemRef, or hold a critical section."),
        _info("WF619", "C library calls that share state", "An extension module uses functions of the C library that POSIX does not promise to be safe among "
              "threads.", "Use the variant that takes a buffer, such as localtime_r or strtok_r."),
        _info("WF620", "made otherwise for threads", "Two releases differ in what their compiled code shows of how it was made for threads.",
              "Read the release notes: locks that are new hint at faults that the older release has."),
        _warning("WF901", "base not to be had", _U, "The base could not be had, so nothing is known about it.",
                 "Run `wheelfarm doctor`; leave the base out of `[farm] bases` if it is not needed."),
        _warning("WF902", "farm could not tell", _U, "The infrastructure failed, not the package.",
                 "Run again; what was finished is kept. `wheelfarm doctor` checks this machine."),
        _warning("WF903", "not in the lock", _U, "With `--locked`, something was needed that no earlier run fetched, so the same build could not be repeated.",
                 "Run once without `--locked`, or bring wheelhouse/store/index/ from the machine that did."),
    )
}  # fmt: skip
"""Every code, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One judged fact about a package on an ABI.

    Attributes:
        detail: what was seen, for a person.
        where: the module, file or stage it is about.
        bases: where it was seen.
        remedy: what to do in this very case; empty for the code's own.
        script: a program that shows it again, if there is one.
        race: whether that program needs the race detector's interpreter.
        advisory: it does not count for the verdict, because another base made up for it.
    """

    code: str
    detail: str
    where: str = ""
    bases: tuple[str, ...] = ()
    remedy: str = ""
    log: str = ""
    script: str = ""
    race: bool = False
    advisory: bool = False

    @property
    def kind(self) -> Code:
        """Its row of the table."""
        return CODES[self.code]

    @property
    def verdict(self) -> Verdict | None:
        """The verdict it forces."""
        return None if self.advisory else self.kind.verdict

    def make_id(self, name: str, version: str, abi: str) -> str:
        """Return an id that stays the same from run to run."""
        return digest(name, version, abi, self.code, self.where)[:12]
