"""Processor, memory, disks, clock and kernel, on machines that are not this one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from doctor_setup import found_by

from mlb_offline.airgap.modes import Mode
from mlb_offline.doctor.clock import BUILT, check_clock
from mlb_offline.doctor.cpu import Cpu, best_variant, check_cpu, parse_flags, read_cpu
from mlb_offline.doctor.disk import FULL, SHORT, Mount, Place, check_local, check_space, mount_of, nearest, parse_mounts
from mlb_offline.doctor.memory import GIB, Memory, Model, check_memory, read_memory
from mlb_offline.doctor.system import System, check_measured, check_system
from mlb_offline.errors import Exit
from mlb_offline.installation import Image

HASWELL = "sse4_2 avx f16c fma avx2 bmi2"
SKYLAKE = HASWELL + " avx512f avx512cd avx512vl avx512dq avx512bw"
ICELAKE = SKYLAKE + " avx512vbmi avx512_vnni"


@pytest.mark.parametrize(
    ("flags", "variant"),
    [
        (ICELAKE, "icelake"),
        (SKYLAKE + " avx512_vnni", "skylakex"),  # Cascade Lake has VNNI, but not VBMI
        (HASWELL + " avx512f", "haswell"),  # Knights Landing
        (HASWELL.replace("bmi2", ""), "x64"),
        ("sse2", "x64"),
    ],
)
def test_the_variant_is_the_best_that_the_processor_can_run(flags: str, variant: str) -> None:
    cpuinfo = f"processor\t: 0\nmodel name\t: any\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: none\n"
    assert best_variant(parse_flags(cpuinfo)) == variant


def test_the_variant_named_is_the_one_that_llama_cpp_takes() -> None:
    from mlb_offline.target.llama import cpu_variant, load

    cpu = read_cpu()
    if cpu.machine != "x86_64":
        pytest.skip("the variants of x86 only")
    load()
    assert cpu_variant() == best_variant(cpu.flags)


def test_an_old_processor_matters_only_where_a_model_is_computed() -> None:
    old = Cpu("x86_64", frozenset({"sse2"}), 2)
    assert found_by(check_cpu(old, in_process=False))["cpu.variant"].level == "ok"
    found = found_by(check_cpu(old, in_process=True))["cpu.variant"]
    assert found.level == "warning"
    assert "host-passthrough" in found.remedy


def test_arm_is_named_by_its_features_and_other_machines_are_refused() -> None:
    arm = Cpu("aarch64", parse_flags("Features\t: fp asimd asimddp i8mm\n"), 64)
    assert "asimddp, i8mm" in found_by(check_cpu(arm, in_process=True))["cpu.variant"].message
    assert found_by(check_cpu(Cpu("riscv64", frozenset(), 4), in_process=False))["cpu.machine"].exit_code is Exit.EGRESS


def machine(root: Path, **files: str) -> Path:
    """A file tree of /proc and /sys; ``__`` in a name stands for a slash."""
    base = {
        "proc__meminfo": "MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:   12582912 kB\n",
        "proc__swaps": "Filename\tType\tSize\tUsed\tPriority\n",
        "proc__self__cgroup": "0::/\n",
    }
    for name, text in (base | files).items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="ascii")
    return root


SWAP = "Filename\tType\tSize\tUsed\tPriority\n/dev/sda2\tpartition\t1\t0\t-2\n"


def test_without_a_limit_the_machine_decides(tmp_path: Path) -> None:
    memory = read_memory(machine(tmp_path))
    assert (memory.total, memory.available, memory.limit, memory.room) == (16 * GIB, 12 * GIB, None, 12 * GIB)
    assert not memory.swap


def test_the_limit_of_a_container_counts_without_what_is_only_cache(tmp_path: Path) -> None:
    group = {
        "memory.max": f"{4 * GIB}\n",
        "memory.current": f"{3 * GIB}\n",
        "memory.stat": f"anon 1\ninactive_file {2 * GIB}\n",
    }
    root = machine(tmp_path, **{f"sys__fs__cgroup__{name}": text for name, text in group.items()})
    memory = read_memory(root)
    assert (memory.limit, memory.room) == (4 * GIB, 3 * GIB)


def test_a_limit_further_up_counts_too(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        proc__self__cgroup="0::/a/b\n",
        **{"sys__fs__cgroup__a__memory.max": str(GIB), "sys__fs__cgroup__a__b__memory.max": "max\n"},
    )
    assert read_memory(root).limit == GIB


def test_the_first_version_of_control_groups_is_read_too(tmp_path: Path) -> None:
    files = {
        "sys__fs__cgroup__memory__memory.limit_in_bytes": str(2 * GIB),
        "sys__fs__cgroup__memory__memory.usage_in_bytes": str(GIB),
        "sys__fs__cgroup__memory__memory.memsw.limit_in_bytes": str(2 * GIB),
    }
    root = machine(tmp_path, proc__self__cgroup="4:cpu,cpuacct:/x\n3:memory:/docker/abc\n", proc__swaps=SWAP, **files)
    memory = read_memory(root)
    assert (memory.limit, memory.room, memory.swap) == (2 * GIB, GIB, False)
    (root / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert read_memory(root).limit is None


def test_swap_is_a_warning_unless_the_container_has_none(tmp_path: Path) -> None:
    root = machine(tmp_path, proc__swaps=SWAP)
    found = found_by(check_memory(read_memory(root), []))["memory.swap"]
    assert found.level == "warning"
    assert "swapoff" in found.remedy
    machine(tmp_path, proc__swaps=SWAP, **{"sys__fs__cgroup__memory.swap.max": "0\n"})
    assert "memory.swap" not in found_by(check_memory(read_memory(root), []))


@pytest.mark.parametrize(("room", "level"), [(4 * GIB, "ok"), (2 * GIB, "ok"), (GIB, "warning"), (GIB // 4, "failure")])
def test_without_a_model_two_gigabytes_are_wanted(room: int, level: str) -> None:
    memory = Memory(16 * GIB, room, None, room, swap=False)
    assert found_by(check_memory(memory, []))["memory.room"].level == level


@pytest.mark.parametrize(("room", "level", "code"), [(8, "ok", 0), (6, "warning", 0), (5, "failure", 3)])
def test_a_model_needs_its_weights_and_room_for_its_cache(room: int, level: str, code: int) -> None:
    # 5 GB of file: 5.1 GiB with buffers, and 160 KiB × 8,192 tokens = 1.25 GiB of cache.
    model = Model("judge.gguf", 5 * 10**9, 8192)
    assert model.cache == 160 * 1024 * 8192
    memory = Memory(64 * GIB, room * GIB, room * GIB, room * GIB, swap=False)
    found = found_by(check_memory(memory, [model]))["memory.room"]
    assert (found.level, int(found.exit_code)) == (level, code)
    assert "judge.gguf" in found.message


def test_two_models_are_added_up() -> None:
    memory = Memory(64 * GIB, 8 * GIB, None, 8 * GIB, swap=False)
    models = [Model("a.gguf", 5 * 10**9, 4096), Model("b.gguf", 5 * 10**9, 4096)]
    assert found_by(check_memory(memory, models[:1]))["memory.room"].level == "ok"
    assert found_by(check_memory(memory, models))["memory.room"].level == "failure"


@pytest.mark.parametrize(
    ("place", "free", "level"),
    [
        ("out", FULL - 1, "failure"),
        ("out", FULL, "warning"),
        ("out", SHORT, "ok"),
        ("state", FULL - 1, "warning"),
        ("temporary", FULL, "ok"),
    ],
)
def test_little_space_stops_a_run_only_where_it_writes(place: Place, free: int, level: str) -> None:
    found = found_by(check_space(place, Path("/x"), free))[f"disk.{place}"]
    assert (found.level, found.exit_code) == (level, Exit.BAD_INPUT if level == "failure" else Exit.DONE)


MOUNTINFO = (
    "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
    "30 27 0:50 / /srv/share rw shared:5 - nfs4 server:/x rw\n"
    "31 30 0:51 / /srv/share/local rw - xfs /dev/sdb rw\n"
    "32 27 0:52 / /mnt/my\\040disk rw - fuse.sshfs a@b:/ rw\n"
    "33 27 0:53 / /over rw - cifs //s/x rw\n"
    "34 27 0:54 / /over rw - tmpfs tmpfs rw\n"
)


@pytest.mark.parametrize(
    ("path", "kind", "remote"),
    [
        ("/srv/share/run", "nfs4", True),
        ("/srv/share/local/run", "xfs", False),
        ("/srv/shared", "ext4", False),  # no folder of /srv/share
        ("/mnt/my disk/k.json", "fuse.sshfs", True),
        ("/over/x", "tmpfs", False),  # mounted over the other
    ],
)
def test_a_path_belongs_to_the_deepest_and_latest_mount(path: str, kind: str, remote: bool) -> None:
    mount = mount_of(Path(path), parse_mounts(MOUNTINFO))
    assert mount is not None
    assert (mount.kind, mount.remote) == (kind, remote)


@pytest.mark.parametrize("kind", ["nfs", "cifs", "smb3", "9p", "ceph", "glusterfs", "lustre", "fuse.s3fs"])
def test_network_file_systems_are_known(kind: str) -> None:
    assert Mount("/", kind).remote


@pytest.mark.parametrize("kind", ["ext4", "xfs", "overlay", "tmpfs", "btrfs", "zfs", "fuseblk", "fuse.overlayfs"])
def test_local_file_systems_are_not_taken_for_them(kind: str) -> None:
    assert not Mount("/", kind).remote


def test_a_place_on_the_network_is_named_by_its_option() -> None:
    places = {"--out": Path("/srv/share/run"), "--key": Path("/home/k")}
    found = found_by(check_local(places, parse_mounts(MOUNTINFO)))["disk.network"]
    assert found.level == "warning"
    assert "--out (nfs4)" in found.message
    assert "--key" not in found.message
    assert found_by(check_local({"--key": Path("/home/k")}, parse_mounts(MOUNTINFO)))["disk.network"].level == "ok"


def test_the_nearest_folder_is_found_through_links_and_dots(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    real = (tmp_path / "real").resolve()
    assert nearest(tmp_path / "link" / "new" / "run") == real
    assert nearest(tmp_path / "nowhere" / ".." / "real" / "run") == real


NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "since", "signed", "level"),
    [
        (NOW, None, None, "ok"),
        (NOW, "2027-02-01T00:00:00Z", "2027-02-20T00:00:00Z", "ok"),
        (NOW, "2027-03-02T00:00:00Z", None, "ok"),  # within a day: another time zone
        (datetime(1970, 1, 1, tzinfo=UTC), None, None, "failure"),
        (BUILT.replace(year=2025), None, None, "failure"),
        (NOW, "2027-03-09T00:00:00Z", None, "failure"),
        (NOW, None, "2027-03-09T00:00:00Z", "failure"),
    ],
)
def test_the_clock_is_not_before_what_is_known(now: datetime, since: str, signed: str, level: str) -> None:
    found = found_by(check_clock(now, since=since, signed=signed))["clock.sane"]
    assert (found.level, found.exit_code) == (level, Exit.TRUST if level == "failure" else Exit.DONE)


STATUS = "Name:\tpython\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n"


def test_an_ordinary_process_on_a_new_kernel_is_well() -> None:
    found = found_by(check_system(System("6.8.0-45-generic", STATUS, 4, Mode.UNIX_ONLY)))
    assert {one.level for one in found.values()} == {"ok"}


def test_what_an_odd_kernel_lacks_is_said() -> None:
    old = System("4.18.0-553.el8.x86_64", STATUS.replace("Seccomp", "Sec"), 0, Mode.UNIX_ONLY)
    found = found_by(check_system(old))
    assert found["kernel.release"].level == "warning"
    assert found["kernel.seccomp"].exit_code is Exit.EGRESS
    assert found["kernel.landlock"].level == "ok"  # it is no condition under unix-only


def test_without_landlock_for_ports_a_tcp_mode_is_weaker_still() -> None:
    for mode, abi, level in ((Mode.LOOPBACK, 3, "warning"), (Mode.INTERNAL, 4, "ok")):
        assert found_by(check_system(System("6.1.0", STATUS, abi, mode)))["kernel.landlock"].level == level


def test_privileges_are_a_warning() -> None:
    system = System("6.8.0", STATUS.replace("CapEff:\t0", "CapEff:\ta"), 4, Mode.UNIX_ONLY)
    found = found_by(check_system(system))["kernel.privileges"]
    assert found.level == "warning"
    assert "--cap-drop ALL" in found.remedy


def test_an_image_is_told_from_an_installation() -> None:
    assert "5678" in found_by(check_measured(Image("ab" * 32, 5678)))["kernel.image"].message
    assert found_by(check_measured(None))["kernel.image"].level == "ok"
