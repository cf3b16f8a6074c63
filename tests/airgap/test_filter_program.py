"""The seccomp program, run by an interpreter of classic BPF that knows nothing of how it was written."""

from __future__ import annotations

import errno
import platform
import struct
from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlb_offline.airgap.filters import PUBLISHED, Profile, digest, program

MACHINES = {
    # struct seccomp_data's arch (linux/audit.h) and the numbers of the calls that are looked at (unistd.h).
    "x86_64": (
        0xC000003E,
        {"socket": 41, "sendto": 44, "sendmsg": 46, "recvmsg": 47, "listen": 50, "socketpair": 53, "setsockopt": 54}
        | {"ptrace": 101, "recvmmsg": 299, "sendmmsg": 307, "process_vm_readv": 310, "process_vm_writev": 311}
        | {"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "pidfd_getfd": 438}
        | {"ioctl": 16, "add_key": 248, "request_key": 249, "keyctl": 250, "mount": 165, "move_mount": 429}
        | {"fsopen": 430, "fsconfig": 431, "setns": 308, "unshare": 272, "bpf": 321, "init_module": 175}
        | {"finit_module": 313},
    ),
    "aarch64": (
        0xC00000B7,
        {"socket": 198, "socketpair": 199, "listen": 201, "sendto": 206, "setsockopt": 208, "sendmsg": 211}
        | {"recvmsg": 212, "ptrace": 117, "recvmmsg": 243, "sendmmsg": 269, "process_vm_readv": 270}
        | {"process_vm_writev": 271, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427}
        | {"pidfd_getfd": 438, "ioctl": 29, "add_key": 217, "request_key": 218, "keyctl": 219, "mount": 40}
        | {"move_mount": 429, "fsopen": 430, "fsconfig": 431, "setns": 268, "unshare": 97, "bpf": 280}
        | {"init_module": 105, "finit_module": 273},
    ),
}
DENIED = (
    *("recvmsg", "recvmmsg", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "add_key", "request_key", "keyctl"),
    *("mount", "move_mount", "fsopen", "fsconfig", "setns", "unshare", "bpf", "init_module", "finit_module"),
)
LOOKED_INTO = {Profile.UNIX: {"socket", "socketpair", "ioctl"}}
LOOKED_INTO[Profile.TCP] = LOOKED_INTO[Profile.UNIX] | {"sendto", "sendmsg", "sendmmsg", "setsockopt"}
ALLOWED, KILLED = "allowed", "killed"
NO_SOCKET, NOT_PERMITTED = errno.EACCES, errno.EPERM
CLOEXEC, NONBLOCK = 0x80000, 0x800
FASTOPEN = 0x20000000

word = st.integers(0, 2**32 - 1)
long = st.integers(0, 2**64 - 1)
high = st.integers(0, 2**32 - 1).map(lambda bits: bits << 32)
machines = pytest.mark.parametrize("machine", MACHINES)
profiles = pytest.mark.parametrize("profile", Profile)


@cache
def instructions(profile: Profile, machine: str) -> list[tuple[int, int, int, int]]:
    return list(struct.iter_unpack("=HBBI", program(profile, machine)))


def ends(profile: Profile, machine: str, nr: int, *args: int, arch: int | None = None) -> str | int:
    """What becomes of a system call: ``allowed``, ``killed``, or the errno it gives (filter.rst, seccomp(2))."""
    arch = MACHINES[machine][0] if arch is None else arch
    data = struct.pack("<IIQ6Q", nr, arch, 0x7F00_0000_1234, *args, *[0] * (6 - len(args)))
    accumulator = at = 0
    while True:
        code, then, otherwise, k = instructions(profile, machine)[at]
        at += 1
        match code:
            case 0x20:  # ld [k]
                assert k % 4 == 0
                (accumulator,) = struct.unpack_from("<I", data, k)
            case 0x54:  # and #k
                accumulator &= k
            case 0x15:
                at += then if accumulator == k else otherwise
            case 0x35:
                at += then if accumulator >= k else otherwise
            case 0x45:
                at += then if accumulator & k else otherwise
            case 0x06:
                return {0x7FFF0000: ALLOWED, 0x80000000: KILLED}.get(k) or errno_of(k)
            case _:
                pytest.fail(f"an instruction that no filter needs: {code:#x}")


def errno_of(action: int) -> int:
    assert action >> 16 == 5, "neither to allow, to kill nor SECCOMP_RET_ERRNO"
    return action & 0xFFFF


def number(machine: str, name: str) -> int:
    return MACHINES[machine][1][name]


@machines
@profiles
def test_the_program_is_one_that_the_kernel_takes(profile: Profile, machine: str) -> None:
    code = instructions(profile, machine)
    assert 0 < len(code) <= 4096
    for at, (kind, then, otherwise, _k) in enumerate(code):
        if kind & 7 == 5:  # BPF_JMP: distances have no sign, so every jump is forward
            assert at + 1 + max(then, otherwise) < len(code)
        else:
            assert (then, otherwise) == (0, 0)
    assert code[-1][0] == 0x06


@machines
@profiles
def test_the_published_digests_are_those_of_the_programs(profile: Profile, machine: str) -> None:
    """Golden: whoever changes the filter adds a digest, for reports name it and are verified for years."""
    assert PUBLISHED[digest(program(profile, machine))] is profile


def test_every_digest_that_was_ever_published_is_still_known() -> None:
    """Lines are added here, never taken away."""
    assert {name: profile.value for name, profile in PUBLISHED.items()} == {
        "7e39affd35231adbfbac3af643e29ab911b51da2e875ae6206340b8a54ae04c1": "unix",
        "3641be4829b889e6605f84f833dec9a56508692e166b39a94fac302b0a2825c0": "tcp",
        "cc7a6dbbafe594aeec614d10e05e93da2307541020ddd11f26a48a08566490bc": "unix",
        "0374ba0a24e191c5a0735614d09b108b5749d09c6e98cd80cf3f7edd357b8eda": "tcp",
    }


def test_no_other_machine_has_a_program() -> None:
    with pytest.raises(KeyError):
        program(Profile.UNIX, "riscv64")


def test_numbers_are_those_of_this_machines_headers() -> None:
    header = {"x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "/usr/include/asm-generic/unistd.h"}
    try:
        with open(header[platform.machine()], encoding="ascii") as file:  # noqa: PTH123 - a plain look
            words = [line.split() for line in file if line.startswith("#define __NR")]
    except (OSError, KeyError):
        pytest.skip("the kernel's headers are not installed")
    named = {line[1].removeprefix("__NR_").removeprefix("3264_"): line[2] for line in words if len(line) == 3}
    known = {name: named[name] for name in MACHINES[platform.machine()][1] if name in named}
    assert known
    assert known == {name: str(number(platform.machine(), name)) for name in known}


@machines
@profiles
@given(nr=word, arch=word, args=st.lists(long, min_size=6, max_size=6))
@example(nr=359, arch=0x40000003, args=[1] * 6)  # i386: socket
@example(nr=102, arch=0x40000003, args=[1] * 6)  # i386: socketcall
@example(nr=281, arch=0x40000028, args=[1] * 6)  # arm: socket
def test_a_call_of_another_architecture_kills(
    profile: Profile, machine: str, nr: int, arch: int, args: list[int]
) -> None:
    if arch != MACHINES[machine][0]:
        assert ends(profile, machine, nr, *args, arch=arch) == KILLED


@profiles
@given(nr=st.integers(0, 2**31 - 1), args=st.lists(long, min_size=6, max_size=6))
@example(nr=41, args=[1] * 6)
@example(nr=0x3FFFFFFF, args=[0] * 6)
def test_a_call_of_x32_kills(profile: Profile, nr: int, args: list[int]) -> None:
    assert ends(profile, "x86_64", 0x40000000 | nr, *args) == KILLED
    assert ends(profile, "x86_64", 0x80000000 | nr, *args) == KILLED


@machines
@profiles
@pytest.mark.parametrize("name", DENIED)
@given(args=st.lists(long, min_size=6, max_size=6))
def test_what_takes_descriptors_or_memory_of_others_is_denied(
    profile: Profile, machine: str, name: str, args: list[int]
) -> None:
    assert ends(profile, machine, number(machine, name), *args) == NOT_PERMITTED


@machines
@profiles
@given(nr=word, args=st.lists(long, min_size=6, max_size=6))
def test_every_other_call_goes_through(profile: Profile, machine: str, nr: int, args: list[int]) -> None:
    looked_at = {*DENIED, *LOOKED_INTO[profile], *(("listen",) if profile is Profile.TCP else ())}
    if nr in {number(machine, name) for name in looked_at} or (machine == "x86_64" and nr >= 0x40000000):
        return
    assert ends(profile, machine, nr, *args) == ALLOWED


@machines
@profiles
def test_of_the_first_thousand_calls_none_but_those_named_is_touched(profile: Profile, machine: str) -> None:
    """With arguments that every rule refuses: -1 has all flags, and is no family."""
    touched = {nr for nr in range(1000) if ends(profile, machine, nr, *[2**64 - 1] * 6) != ALLOWED}
    names = {*DENIED, "socket", "socketpair"} | (
        {"listen", "sendto", "sendmsg", "sendmmsg"} if profile == "tcp" else set()
    )
    assert touched == {number(machine, name) for name in names}


@machines
@given(domain=st.one_of(st.integers(0, 64), word), above=high, kind=long, protocol=long)
@example(domain=1, above=2 << 32, kind=1, protocol=0)
@example(domain=2, above=1 << 32, kind=1, protocol=0)
def test_unix_only_makes_unix_sockets_whatever_stands_in_the_high_bits(
    machine: str, domain: int, above: int, kind: int, protocol: int
) -> None:
    expected = ALLOWED if domain == 1 else NO_SOCKET
    for name in ("socket", "socketpair"):
        assert ends(Profile.UNIX, machine, number(machine, name), above | domain, kind, protocol) == expected


@machines
@given(
    domain=st.one_of(st.sampled_from([1, 2, 10]), st.integers(0, 64), word),
    kind=st.one_of(st.sampled_from([1, 2, 3, 5, 6, 10]), st.integers(0, 15)),
    flags=st.sampled_from([0, CLOEXEC, NONBLOCK, CLOEXEC | NONBLOCK, 0xFFFFFFF0]),
    protocol=st.one_of(st.sampled_from([0, 6, 17, 132, 262]), word),
    above=st.lists(high, min_size=3, max_size=3),
)
@example(domain=2, kind=1, flags=CLOEXEC | NONBLOCK, protocol=6, above=[0] * 3)
@example(domain=10, kind=1, flags=0, protocol=262, above=[0] * 3)
@example(domain=2, kind=2, flags=CLOEXEC, protocol=0, above=[0] * 3)
def test_tcp_makes_unix_sockets_and_plain_tcp_streams(
    machine: str, domain: int, kind: int, flags: int, protocol: int, above: list[int]
) -> None:
    words = (above[0] | domain, above[1] | kind | flags, above[2] | protocol)
    plain = domain in {2, 10} and kind == 1 and protocol in {0, 6}
    expected = ALLOWED if domain == 1 or plain else NO_SOCKET
    assert ends(Profile.TCP, machine, number(machine, "socket"), *words) == expected
    paired = ALLOWED if domain == 1 else NO_SOCKET
    assert ends(Profile.TCP, machine, number(machine, "socketpair"), *words) == paired


@machines
@profiles
@given(request=st.one_of(st.sampled_from([0x5412, 0x541C, 0x400454CA, 0x5411, 0x5401, 0x8913]), word), above=high)
def test_of_requests_to_devices_only_typing_and_tunnels_are_denied(
    profile: Profile, machine: str, request: int, above: int
) -> None:
    """TIOCSTI, TIOCLINUX, TUNSETIFF (asm-generic/ioctls.h, linux/if_tun.h)."""
    expected = NOT_PERMITTED if request in {0x5412, 0x541C, 0x400454CA} else ALLOWED
    assert ends(profile, machine, number(machine, "ioctl"), 3, above | request) == expected


@machines
@pytest.mark.parametrize(("name", "place"), [("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)])
@given(args=st.lists(long, min_size=6, max_size=6))
def test_tcp_fast_open_cannot_be_sent(machine: str, name: str, place: int, args: list[int]) -> None:
    nr = number(machine, name)
    opening = [*args[:place], args[place] | FASTOPEN, *args[place + 1 :]]
    plain = [*args[:place], args[place] & ~FASTOPEN, *args[place + 1 :]]
    assert ends(Profile.TCP, machine, nr, *opening) == NOT_PERMITTED
    assert ends(Profile.TCP, machine, nr, *plain) == ALLOWED
    # Where there are no TCP sockets there is nothing to look for.
    assert ends(Profile.UNIX, machine, nr, *opening) == ALLOWED


@machines
@given(
    level=st.one_of(st.sampled_from([1, 6, 41]), word),
    option=st.one_of(st.sampled_from([1, 23, 24, 29, 30, 31]), word),
    above=st.lists(high, min_size=2, max_size=2),
    rest=st.lists(long, min_size=3, max_size=3),
)
@example(level=6, option=23, above=[0, 0], rest=[0] * 3)
@example(level=6, option=30, above=[1 << 32, 1 << 32], rest=[0] * 3)
def test_tcp_fast_open_cannot_be_set(machine: str, level: int, option: int, above: list[int], rest: list[int]) -> None:
    words = (rest[0], above[0] | level, above[1] | option, *rest[1:])
    expected = NOT_PERMITTED if level == 6 and option in {23, 30} else ALLOWED
    assert ends(Profile.TCP, machine, number(machine, "setsockopt"), *words) == expected


@machines
@given(args=st.lists(long, min_size=6, max_size=6))
def test_only_the_tcp_profile_denies_to_listen(machine: str, args: list[int]) -> None:
    """Under it a Unix socket cannot listen either: a filter cannot see what kind of socket a descriptor is."""
    assert ends(Profile.TCP, machine, number(machine, "listen"), *args) == NOT_PERMITTED
    assert ends(Profile.UNIX, machine, number(machine, "listen"), *args) == ALLOWED
