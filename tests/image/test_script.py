"""The script of the media, with an engine that only writes down what it is told: needs no image."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from image_world import REPOSITORY, SCRIPT, put_script
from release import sign

from mlb_offline import __version__

VERSION = "1.2.3"
SOMEBODY = (12345, 999)
PROGRAMS = ("cat", "cut", "dirname", "getent", "grep", "id", "openssl", "readlink", "sed", "sh", "sha256sum", "stat")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")

# What it says of itself is set by FAKE_…; what it is told to run and to load goes to $FAKE_LOG.
ENGINE = r"""#!/bin/sh
case "$1 ${0##*/}" in
  --version*) echo "${FAKE_VERSION:-${0##*/} version 4}" ;;
  "info docker") [ "${FAKE_DOCKER:-works}" = works ] || exit 1; echo "${FAKE_SECURITY:-[]}" ;;
  "info podman") echo "${FAKE_ROOTLESS:-true}" ;;
  load*) cat > "$FAKE_LOG/loaded" ;;
  *) printf '%s\n' "${0##*/}" "$@" > "$FAKE_LOG/told" ;;
esac
"""


@dataclass(frozen=True)
class Told:
    code: int
    err: str
    words: list[str]

    def after(self, flag: str) -> str:
        return self.words[self.words.index(flag) + 1]


@dataclass(frozen=True)
class Place:
    """A server of a hospital: media, work folder, and a PATH with the engines that are installed."""

    base: Path

    @property
    def media(self) -> Path:
        return self.base / "media"

    @property
    def work(self) -> Path:
        return self.base / "work"

    def install(self, *engines: str) -> None:
        for name in engines:
            (self.base / "bin" / name).write_text(ENGINE)
            (self.base / "bin" / name).chmod(0o755)

    def script(
        self, *words: object, script: str = SCRIPT, where: Path | None = None, who: int | None = None, **more: str
    ) -> Told:
        told = self.base / "log" / "told"
        told.unlink(missing_ok=True)
        environment = {
            "PATH": str(self.base / "bin"),
            "FAKE_LOG": str(self.base / "log"),
            "HOME": str(self.base / "home"),
        }
        done = subprocess.run(
            ["sh", script, *map(str, words)],
            executable="/bin/sh",
            cwd=where or self.work,
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=30,
            user=who,
            group=None if who is None else SOMEBODY[1],
            extra_groups=None if who is None else [],
        )
        return Told(done.returncode, done.stderr, told.read_text().splitlines() if told.exists() else [])

    def write(self, name: str, content: bytes) -> None:
        (self.media / name).write_bytes(content)

    def list(self, *names: str) -> None:
        """``SHA256SUMS`` with these names, in this order."""
        lines = [f"{hashlib.sha256((self.media / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
        (self.media / "SHA256SUMS").write_text("".join(lines))

    @property
    def loaded(self) -> bytes | None:
        file = self.base / "log" / "loaded"
        return file.read_bytes() if file.exists() else None


@pytest.fixture
def place() -> Iterator[Place]:
    base = Path(tempfile.mkdtemp(prefix="mlb-s-")).resolve()
    base.chmod(0o755)
    for name in ("bin", "work", "log", "home", "socket"):
        (base / name).mkdir()
    (base / "log").chmod(0o777)
    put_script(base / "media", VERSION)
    # Exactly these programs, so that no engine of this machine is found.
    for name in PROGRAMS:
        program = shutil.which(name)
        assert program, f"{name} is needed"
        (base / "bin" / name).symlink_to(program)
    yield Place(base)
    shutil.rmtree(base)


# ---- media


def a_release(place: Place) -> Place:
    place.install("podman")
    for number in range(3):
        place.write(f"mlb-offline-{VERSION}-amd64.tar.part-00{number}", f"part {number};".encode())
    sign(place.media, None)
    return place


def test_the_parts_named_in_the_signed_list_are_loaded_in_order(place: Place) -> None:
    a_release(place)
    done = place.script("load")
    assert done.code == 0, done.err
    assert place.loaded == b"part 0;part 1;part 2;"
    assert "Verified OK" in done.err


def test_a_whole_image_is_loaded(place: Place) -> None:
    place.install("docker")
    place.write(f"mlb-offline-{VERSION}-amd64.tar", b"whole")
    sign(place.media, None)
    assert place.script("load").code == 0
    assert place.loaded == b"whole"


@pytest.mark.parametrize(
    "name",
    [
        f"mlb-offline-{VERSION}-aaa.tar",
        f"mlb-offline-{VERSION}-amd64.tar",
        f"mlb-offline-{VERSION}-amd64.tar.part-003",
        "setup.sh",
        ".hidden",
    ],
)
@pytest.mark.parametrize("unsigned", ["", "yes"])
def test_a_file_that_is_not_listed_is_refused(place: Place, name: str, unsigned: str) -> None:
    a_release(place).write(name, b"added")
    done = place.script("load", MLB_UNSIGNED=unsigned)
    assert done.code == 4
    assert f"{name} is not in SHA256SUMS" in done.err
    assert place.loaded is None


def test_a_folder_on_the_media_does_no_harm(place: Place) -> None:
    (a_release(place).media / "System Volume Information").mkdir()
    assert place.script("check").code == 0


@pytest.mark.parametrize("lost", ["SHA256SUMS.sig", "release.pub.pem", "openssl"])
def test_media_that_cannot_be_checked_are_refused_unless_that_is_meant(place: Place, lost: str) -> None:
    a_release(place)
    (place.base / "bin" / lost if lost == "openssl" else place.media / lost).unlink()
    if lost == "release.pub.pem":
        place.list(
            *(path.name for path in sorted(place.media.iterdir()) if path.name not in {"SHA256SUMS", "SHA256SUMS.sig"})
        )
    done = place.script("load")
    assert done.code == 4
    assert lost in done.err
    assert place.loaded is None
    meant = place.script("load", MLB_UNSIGNED="yes")
    assert meant.code == 0, meant.err
    assert "THE SIGNATURE WAS NOT CHECKED" in meant.err
    assert place.loaded is not None


@pytest.mark.parametrize("unsigned", ["", "yes"])
def test_a_list_that_was_written_anew_is_refused(place: Place, unsigned: str) -> None:
    a_release(place).write(f"mlb-offline-{VERSION}-aaa.tar", b"added")
    place.list(*(path.name for path in sorted(place.media.iterdir()) if not path.name.startswith("SHA256SUMS")))
    done = place.script("load", MLB_UNSIGNED=unsigned)
    assert done.code == 4
    assert "not signed" in done.err
    assert place.loaded is None


def parts(*numbers: str) -> list[str]:
    return [f"mlb-offline-{VERSION}-amd64.tar.part-{number}" for number in numbers]


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (parts("001", "000"), 4),
        (parts("001", "002"), 4),
        ([*parts("000"), f"mlb-offline-{VERSION}-arm64.tar.part-001"], 4),
        ([f"mlb-offline-{VERSION}-amd64.tar", *parts("000")], 4),
        ([f"mlb-offline-{VERSION}-amd64.tar", f"mlb-offline-{VERSION}-arm64.tar"], 4),
        (["mlb-offline-9.9.9-amd64.tar"], 3),
    ],
)
def test_a_list_must_name_one_image_of_this_version(place: Place, names: list[str], code: int) -> None:
    place.install("docker")
    for name in names:
        place.write(name, b"x")
    place.list("mlb-offline.sh", *names)
    assert place.script("load", MLB_UNSIGNED="yes").code == code
    assert place.loaded is None


def test_a_list_with_paths_in_it_is_refused(place: Place) -> None:
    (place.base / "outside.tar").write_bytes(b"x")
    place.list("mlb-offline.sh", "../outside.tar")
    done = place.script("check", MLB_UNSIGNED="yes")
    assert done.code == 4
    assert "another form" in done.err


# ---- folders


def test_the_script_is_out_of_reach_of_the_container(place: Place) -> None:
    place.install("podman")
    for folder in (place.media, place.base):
        for words in (("doctor",), ("bridge", f"unix:{folder}/model.sock", "127.0.0.1:1")):
            done = place.script(*words, script=str(place.media / "mlb-offline.sh"), where=folder)
            assert (done.code, done.words) == (2, [])
            assert "holds this script" in done.err
            assert "含有本脚本" in done.err
    # Not by another name either.
    (place.base / "alias").symlink_to("media")
    (place.base / "bin" / "mlb").symlink_to(place.media / "mlb-offline.sh")
    assert place.script("doctor", where=place.base / "alias").code == 2
    assert place.script("doctor", script=str(place.base / "bin" / "mlb"), where=place.media).code == 2
    assert place.script("doctor").code == 0


def test_no_whole_home_and_no_whole_machine_is_a_work_folder(place: Place) -> None:
    place.install("podman")
    script = str(place.media / "mlb-offline.sh")
    (place.base / "house" / "me" / "work").mkdir(parents=True)
    home = place.base / "house" / "me"
    for folder, code in ((Path("/"), 2), (home, 2), (home.parent, 2), (home / "work", 0)):
        assert place.script("doctor", script=script, where=folder, HOME=str(home)).code == code


def test_a_colon_in_a_folder_is_refused_with_a_word(place: Place) -> None:
    place.install("podman")
    odd = place.base / "a:b"
    odd.mkdir()
    script = str(place.media / "mlb-offline.sh")
    for words, where in (
        (("doctor",), odd),
        (("--mount", odd, "doctor"), place.work),
        (("doctor", "--target", f"unix:{odd}/model.sock"), place.work),
        (("bridge", f"unix:{odd}/model.sock", "127.0.0.1:1"), place.work),
    ):
        done = place.script(*words, script=script, where=where)
        assert (done.code, done.words) == (2, [])
        assert "must not contain ':'" in done.err
        assert "冒号" in done.err


def volumes(told: Told) -> list[str]:
    return [told.words[number + 1] for number, word in enumerate(told.words) if word == "--volume"]


def test_what_is_mounted_and_what_the_command_is(place: Place) -> None:
    place.install("podman")
    extra = place.base / "with blank"
    extra.mkdir()
    sockets = place.base / "socket"
    target = f"unix:{sockets}/model.sock"
    done = place.script("--mount", extra, "--mount", sockets, "run", "--target", target, f"--target={target}", "a b")
    assert done.code == 0, done.err
    assert sorted(volumes(done)) == sorted(
        [f"{place.work}:{place.work}:rw", f"{extra}:{extra}:ro", f"{sockets}:{sockets}:ro"]
    )
    image = f"localhost/mlb-offline:{VERSION}"
    command = ["run", "--target", target, f"--target={target}", "a b"]
    assert done.words[done.words.index(image) :] == [image, *command]
    assert done.after("--network") == "none"
    assert f"MLB_COMMAND='{SCRIPT}' --mount '{extra}' --mount '{sockets}'" in done.words
    assert place.script("--mount", place.base / "nowhere", "run").code == 2
    assert place.script("run", "--target", f"unix:{place.base}/nowhere/x.sock").code == 5


def test_the_health_check_is_for_runs_alone(place: Place) -> None:
    place.install("podman")
    bridge = ("bridge", f"unix:{place.base}/socket/model.sock", "127.0.0.1:1")
    for words, watched in ((("run",), True), (("doctor",), False), (bridge, False)):
        done = place.script(*words)
        assert done.code == 0, done.err
        assert ("--no-healthcheck" not in done.words) is watched
    assert volumes(done) == [f"{place.base}/socket:{place.base}/socket:rw"]
    assert done.after("--network") == "host"


# ---- users and engines


@root_only
def test_whom_root_runs_it_as(place: Place) -> None:
    place.install("docker")
    os.chown(place.work, *SOMEBODY)
    os.chown(place.base / "socket", 4321, 432)
    bridge = ("bridge", f"unix:{place.base}/socket/model.sock", "127.0.0.1:1")
    assert place.script("doctor").after("--user") == "12345:999"
    assert place.script(*bridge).after("--user") == "4321:432"
    assert place.script("doctor", SUDO_UID="1000", SUDO_GID="100").after("--user") == "1000:100"
    assert place.script("doctor", SUDO_UID="0", SUDO_GID="0").after("--user") == "12345:999"
    assert place.script("doctor", SUDO_UID="1000", SUDO_GID="100", MLB_USER="7:8").after("--user") == "7:8"


@root_only
@pytest.mark.parametrize(
    ("engine", "answers", "user", "kept"),
    [
        ("podman", {}, "12345:999", True),
        ("podman", {"FAKE_ROOTLESS": "false"}, "12345:999", False),  # such as through sudo
        ("docker", {"FAKE_VERSION": "podman version 4.3.1"}, "12345:999", True),  # the package podman-docker
        ("docker", {}, "12345:999", False),
        ("docker", {"FAKE_SECURITY": "[name=seccomp,profile=builtin name=rootless]"}, "0:0", False),
    ],
)
def test_whose_files_a_user_without_root_writes(
    place: Place, engine: str, answers: dict[str, str], user: str, kept: bool
) -> None:
    place.install(engine)
    done = place.script("doctor", who=SOMEBODY[0], **answers)
    assert done.code == 0, done.err
    assert done.after("--user") == user
    assert ("keep-id" in done.words) is kept


def test_which_engine_is_taken(place: Place) -> None:
    assert "neither docker nor podman" in place.script("doctor").err
    place.install("docker")
    unusable = place.script("doctor", FAKE_DOCKER="down")
    assert unusable.code == 3
    assert "docker is installed but cannot be used" in unusable.err
    assert "无法使用" in unusable.err
    assert place.script("doctor").words[0] == "docker"
    place.install("podman")
    assert place.script("doctor").words[0] == "docker"
    assert place.script("doctor", FAKE_DOCKER="down").words[0] == "podman"
    assert place.script("doctor", MLB_ENGINE="podman --log-level=error").words[:3] == [
        "podman",
        "--log-level=error",
        "run",
    ]


def test_from_a_checkout_the_script_knows_its_version(place: Place) -> None:
    place.install("podman")
    done = place.script("demo", script=str(REPOSITORY / "deploy" / "mlb-offline.sh"))
    assert f"localhost/mlb-offline:{__version__}" in done.words


@pytest.mark.parametrize("making", [["genpkey", "-algorithm", "RSA"], ["genpkey", "-algorithm", "ed25519"]])
def test_a_release_is_signed_with_a_key_of_the_publisher(
    place: Place, making: list[str], make_key: Callable[[list[str]], Path]
) -> None:
    key = make_key(making)
    if "ed25519" in making:
        with pytest.raises(SystemExit, match="EC"):
            sign(place.media, key)
    else:
        sign(place.media, key)
        assert place.script("check").code == 0


@pytest.fixture
def make_key(tmp_path: Path) -> Callable[[list[str]], Path]:
    def make(words: list[str]) -> Path:
        key = tmp_path / "key.pem"
        subprocess.run(["openssl", *words, "-out", str(key)], check=True, capture_output=True)
        return key

    return make
