"""What every container is allowed: the options by both ways to create one, and the list of system calls."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builder.engine import containment

PROFILE = json.loads(containment.PROFILE.read_text())
ALLOWED = "SCMP_ACT_ALLOW"
NEVER = [
    "acct",
    "add_key",
    "bpf",
    "chroot",
    "clock_settime",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "memfd_secret",
    "modify_ldt",
    "mount",
    "mount_setattr",
    "move_mount",
    "name_to_handle_at",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "quotactl",
    "reboot",
    "request_key",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "swapoff",
    "swapon",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "vhangup",
]


def rules_of(name: str) -> list[dict[str, Any]]:
    return [rule for rule in PROFILE["syscalls"] if name in rule["names"]]


def test_what_is_not_listed_is_refused():
    assert PROFILE["defaultAction"] == "SCMP_ACT_ERRNO"
    assert PROFILE["architectures"] == ["SCMP_ARCH_X86_64"]


@pytest.mark.parametrize("name", NEVER)
def test_no_call_that_widens_what_a_container_reaches(name: str):
    assert rules_of(name) == []


def test_a_call_is_listed_once_unless_its_arguments_count():
    names = [name for rule in PROFILE["syscalls"] if "args" not in rule for name in rule["names"]]
    assert len(names) == len(set(names))
    for rule in PROFILE["syscalls"]:
        assert rule["comment"]


def test_no_call_makes_a_namespace():
    (rule,) = rules_of("clone")
    (argument,) = rule["args"]
    namespaces = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000  # fmt: skip
    assert argument == {"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": namespaces, "valueTwo": 0}

    (rule,) = rules_of("clone3")
    assert (rule["action"], rule["errnoRet"]) == ("SCMP_ACT_ERRNO", 38)


def test_sockets_are_of_few_families_and_protocols():
    families = set()
    for rule in rules_of("socket"):
        arguments = {argument["index"]: argument for argument in rule["args"]}
        family = arguments[0]["value"]
        families.add(family)
        if family in {2, 10}:
            assert arguments[1]["valueTwo"] in {1, 2}  # stream or datagram, never raw
            assert arguments[2]["value"] in {0, 6, 17}
        if family == 16:
            assert arguments[2]["value"] == 0

    assert families == {1, 2, 10, 16}


def test_the_sanitizer_may_turn_address_randomization_off():
    values = {rule["args"][0]["value"] for rule in rules_of("personality")}
    assert values == {0, 8, 0x40000, 0x40008, 0xFFFFFFFF}


@pytest.mark.parametrize("kind", containment.KINDS, ids=lambda kind: kind.name)
def test_both_ways_to_create_a_container_allow_the_same(kind: containment.Kind):
    options = containment.create_options(kind, 123 << 20)
    arguments = containment.create_arguments(kind, 123 << 20)

    assert options["cap_drop"] == ["ALL"]
    assert "--cap-drop=ALL" in arguments
    assert [f"--cap-add={name}" for name in options["cap_add"]] == [
        argument for argument in arguments if argument.startswith("--cap-add=")
    ]
    for name, value in options["sysctls"].items():
        assert f"--sysctl={name}={value}" in arguments
    for ulimit in options["ulimits"]:
        assert f"--ulimit={ulimit.name}={ulimit.hard}:{ulimit.hard}" in arguments

    no_new_privileges, profile = options["security_opt"]
    assert no_new_privileges == "no-new-privileges"
    assert json.loads(profile.removeprefix("seccomp=")) == PROFILE
    assert f"--security-opt=seccomp={containment.PROFILE}" in arguments
    most = (123 << 20) + (4 << 30)
    assert f"--ulimit=fsize={most}:{most}" in arguments


def test_capabilities_are_few_and_each_has_its_reason():
    capabilities = {kind.name: set(kind.capabilities) for kind in containment.KINDS}
    assert capabilities == {
        "program": set(),
        "supervised": {"SETUID", "SETGID", "KILL"},
        "build": set(),
        "service": set(),
    }
    for kind in containment.KINDS:
        assert all(kind.capabilities.values())


def test_a_build_unpacks_archives_without_giving_files_to_others():
    assert "--env=TAR_OPTIONS=--no-same-owner" in containment.create_arguments(
        containment.BUILD, 1 << 30
    )
