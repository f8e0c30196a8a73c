"""The codes of findings, made from builder/judge/codes.toml by `make docs`: mypy refuses any other."""

from __future__ import annotations

from typing import Literal, TypeAlias

FindingCode: TypeAlias = Literal[
    "WF101",  # unknown project
    "WF102",  # no sdist
    "WF103",  # hash mismatch
    "WF104",  # no matching release
    "WF105",  # unusable sdist
    "WF106",  # package index unreachable
    "WF107",  # Python version excluded by requires-python
    "WF108",  # missing patch
    "WF109",  # unresolved dependencies
    "WF110",  # circular build requirements
    "WF111",  # refused address
    "WF112",  # malformed package data
    "WF113",  # unreadable package data
    "WF114",  # held back by the cool-down
    "WF115",  # newer release held back
    "WF201",  # build error
    "WF202",  # missing header, library or program
    "WF203",  # build timeout
    "WF204",  # out of memory during the build
    "WF205",  # too many build processes
    "WF206",  # no native code built
    "WF207",  # unknown system package
    "WF208",  # failed patch
    "WF209",  # skipped ABI
    "WF210",  # wheel repair failure
    "WF211",  # unavailable build requirements
    "WF212",  # non-reproducible build
    "WF213",  # build failure after blocked network access
    "WF214",  # blocked network access during the build
    "WF215",  # wheel of another package
    "WF216",  # refused build output
    "WF217",  # disk limit exceeded during the build
    "WF218",  # build ended its own container
    "WF219",  # code for the processor of the build machine
    "WF220",  # no upstream wheel
    "WF221",  # upstream wheel in place of a failed build
    "WF222",  # build that lacks what upstream's wheel has
    "WF223",  # difference from upstream's wheel
    "WF224",  # pure-Python wheel of a native package
    "WF225",  # crate that the build cannot have
    "WF226",  # native code not known before the build
    "WF227",  # wheel without native code
    "WF301",  # extension module for another ABI
    "WF302",  # platform tag older than the code
    "WF303",  # failed audit tool
    "WF304",  # code compiled for the other build of CPython
    "WF305",  # unreadable wheel
    "WF306",  # unsafe archive
    "WF307",  # RECORD mismatch
    "WF308",  # metadata mismatch
    "WF309",  # tag mismatch
    "WF310",  # native code in purelib
    "WF311",  # platform wheel without native code
    "WF312",  # native code under the platform tag any
    "WF313",  # native code for another architecture
    "WF314",  # invalid ELF file
    "WF315",  # library outside the manylinux policy
    "WF316",  # library missing on a base
    "WF317",  # bundled library not on the search path
    "WF318",  # undefined symbol
    "WF319",  # use of private C API
    "WF320",  # C API outside the stable ABI
    "WF321",  # stable ABI tag for a free-threaded build
    "WF322",  # dependency on libpython
    "WF323",  # processor level above the baseline
    "WF324",  # executable stack
    "WF325",  # text relocations
    "WF326",  # library search path outside the wheel
    "WF327",  # missing RELRO
    "WF328",  # build paths in native code
    "WF329",  # grafted libraries without SBOM
    "WF330",  # files outside the package
    "WF331",  # bytecode files in the wheel
    "WF332",  # missing module export function
    "WF333",  # differences between bases
    "WF334",  # files of another package
    "WF335",  # copy of a library that belongs to the system
    "WF336",  # library left to the system
    "WF337",  # extension modules for other interpreters
    "WF338",  # libraries for one platform under the platform tag any
    "WF339",  # tag that no interpreter takes
    "WF340",  # extension suffix newer than the tag
    "WF341",  # object layout known under abi3t
    "WF342",  # abi3.abi3t wheel for one build alone
    "WF401",  # installation failure
    "WF402",  # error on import
    "WF403",  # crash on import
    "WF404",  # hang on import
    "WF405",  # dependency without wheel
    "WF406",  # missing optional dependency
    "WF407",  # import that depends on order
    "WF408",  # requires-python stricter than the code
    "WF409",  # crash in development mode
    "WF410",  # error in development mode
    "WF411",  # warning on import
    "WF412",  # failure with warnings as errors
    "WF413",  # crash or hang on concurrent import
    "WF414",  # error on concurrent import
    "WF415",  # crash or hang on second import
    "WF416",  # error on second import
    "WF417",  # import not tried on any base
    "WF418",  # requirement not served
    "WF501",  # GIL enabled by the import
    "WF502",  # GIL enabled by a submodule
    "WF503",  # wrong free-threading classifier
    "WF504",  # single-phase initialisation
    "WF505",  # no support for subinterpreters
    "WF506",  # error in a subinterpreter
    "WF507",  # crash or hang in a subinterpreter
    "WF508",  # contradictory GIL state
    "WF601",  # crash under threads
    "WF602",  # hang under threads
    "WF603",  # wrong results under threads
    "WF604",  # data race on freed memory
    "WF605",  # data race
    "WF606",  # data race outside the package's code
    "WF607",  # lock-free access
    "WF608",  # also fails in a single thread
    "WF609",  # race detector failure
    "WF610",  # no race detection
    "WF611",  # low coverage under threads
    "WF612",  # package test that fails in threads
    "WF613",  # package test that crashes in threads
    "WF614",  # package tests not run
    "WF615",  # failure seen only once
    "WF616",  # package tests run in one thread only
    "WF617",  # defines types but never locks
    "WF618",  # borrowed references
    "WF619",  # thread-unsafe C library functions
    "WF620",  # thread-safety measures changed between releases
    "WF621",  # test process ended by the package
    "WF622",  # answers not from the test program
    "WF623",  # native code not watched by the race detector
    "WF624",  # data race in generated code
    "WF625",  # crash or hang in a single thread too
    "WF626",  # failure of the race detector's build only
    "WF627",  # native dependencies not watched by the race detector
    "WF628",  # more races than are listed
    "WF629",  # race that harms nobody
    "WF701",  # application's call that crashes under threads
    "WF702",  # application's call that hangs under threads
    "WF703",  # application's call with wrong results under threads
    "WF901",  # base image unavailable
    "WF902",  # infrastructure failure
    "WF903",  # missing lock entry
    "WF904",  # evidence that cannot be judged
]
