"""Files are read within limits, and written whole or not at all, whenever the writer is interrupted or killed."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from astro_xcom.errors import SettingError
from astro_xcom.files import read_file, replace_files
from hostile.world import contents, project, run

SEED = 20261128
WRITER = """
import sys
from itertools import count
from pathlib import Path
from astro_xcom.files import replace_files
for number in count(int(sys.argv[2])):
    text = f"{number} ".encode() * 20000
    replace_files({Path(sys.argv[1], "a", name): text for name in ("one", "two", "three")})
    print(number, flush=True)
"""


def whole(text: bytes) -> bool:
    return len({*text.split()}) == 1 and len(text.split()) == 20000


def writer(folder: Path, first: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(first)], stdout=subprocess.PIPE)


def test_what_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "z").mkdir()
    before = contents(tmp_path)
    with pytest.raises(SettingError, match=r"/z: cannot be written: is a directory"):
        replace_files({tmp_path / "a": b"new", tmp_path / "b" / "c" / "d": b"new", tmp_path / "z": b"new"})
    assert contents(tmp_path) == before


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_so_does_what_is_interrupted(fault: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("old")
    before = contents(tmp_path)

    def fail(descriptor: int) -> None:
        raise fault

    monkeypatch.setattr("astro_xcom.files.os.fsync", fail)
    with pytest.raises((SettingError, KeyboardInterrupt)):
        replace_files({tmp_path / "a": b"new", tmp_path / "b" / "c": b"new"})
    assert contents(tmp_path) == before


def test_what_is_the_same_already_is_not_touched(tmp_path: Path) -> None:
    place = tmp_path / "a"
    replace_files({place: b"text"})
    before = place.stat()
    replace_files({place: b"text"})
    assert place.stat() == before


def test_what_a_killed_process_left_is_used_and_gone(tmp_path: Path) -> None:
    (tmp_path / ".a.new").write_text("half of a")
    replace_files({tmp_path / "a": b"text"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("old")
    (tmp_path / "a").symlink_to("theirs")
    replace_files({tmp_path / "a": b"new"})
    assert not (tmp_path / "a").is_symlink()
    assert (tmp_path / "theirs").read_text() == "old"


@pytest.mark.parametrize("link", ["elsewhere", "out"])
def test_links_are_not_followed_out_of_a_folder(link: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / link)
    place = tmp_path / "out" / "link" / "a"
    if link == "out":
        replace_files({place: b"new"}, below=tmp_path / "out")
        assert (tmp_path / "out" / "a").read_bytes() == b"new"
    else:
        with pytest.raises(SettingError, match="a link leads out of"):
            replace_files({place: b"new"}, below=tmp_path / "out")
        assert not list((tmp_path / "elsewhere").iterdir())


def test_a_staged_file_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("old")
    (tmp_path / ".a.new").symlink_to("theirs")
    with pytest.raises(SettingError, match="cannot be written"):
        replace_files({tmp_path / "a": b"new"})
    assert (tmp_path / "theirs").read_text() == "old"


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("mkfifo a", "is no regular file"),
        ("ln -s /dev/zero a", "is no regular file"),
        ("mkdir a", "is a directory"),
        ("ln -s a a", "too many levels of symbolic links"),
        ("head -c 101 /dev/zero > a", "is larger than 100 bytes"),
        ("true", "no such file"),
    ],
)
def test_what_is_no_file_of_a_sensible_size_is_refused(made: str, message: str, tmp_path: Path) -> None:
    subprocess.run(["bash", "-c", made], cwd=tmp_path, check=True)
    with pytest.raises(SettingError, match=f"cannot be read: .*{message}"):
        read_file(tmp_path / "a", largest=100)


@pytest.mark.parametrize("name", ["a\0b", "a" * 5000])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match="cannot be read"):
        read_file(Path(name))


def test_a_pipe_that_somebody_writes_into_is_read() -> None:
    reader, end = os.pipe()
    os.write(end, b"text")
    os.close(end)
    assert read_file(Path(f"/dev/fd/{reader}")) == b"text"
    os.close(reader)


# ---- processes


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_whole_files(tmp_path: Path) -> None:
    random_ = random.Random(SEED)
    for attempt in range(100):
        process = writer(tmp_path, attempt * 1000)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(random_.random() / 50)
        process.kill()
        process.wait()
        process.stdout.close()
        assert all(whole((tmp_path / "a" / name).read_bytes()) for name in ("one", "two", "three")), f"seed {SEED}"
    replace_files({tmp_path / "a" / name: b"last" for name in ("one", "two", "three")})
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["one", "three", "two"]


@pytest.mark.slow
def test_two_writers_at_once_write_one_after_the_other(tmp_path: Path) -> None:
    writers = [writer(tmp_path, first) for first in (1, 1_000_000)]
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for name in ("one", "two", "three"):
            place = tmp_path / "a" / name
            assert not place.exists() or whole(place.read_bytes())
    for each in writers:
        assert each.poll() is None, "a writer failed"
        each.send_signal(signal.SIGSTOP)
    for each in writers:
        each.kill()
        each.wait()


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = project(tmp_path_factory.mktemp("synthesis"))
    ended = run(folder, "main.py", env={})
    assert ended.code == 0, ended.err
    return folder


def changed(synthesized: Path, folder: Path) -> Path:
    """The project with other settings, so that a synthesis has something to write."""
    shutil.copytree(synthesized, folder)
    file = folder / "deployments.yaml"
    file.write_text(file.read_text().replace("us-east-1", "eu-west-1"))
    return folder


def of_stacks(folder: Path) -> dict[str, bytes]:
    return {str(place.relative_to(folder)): place.read_bytes() for place in folder.rglob("*") if place.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long), (signal.SIGKILL, -9)],
)
def test_an_interrupted_synthesis_is_all_old_or_all_new(
    number: signal.Signals, code: int, synthesized: Path, tmp_path: Path
) -> None:
    old = of_stacks(synthesized / "cdktf.out")
    folder = changed(synthesized, tmp_path / "new")
    started = time.monotonic()
    assert run(folder, "main.py", env={}).code == 0
    takes = time.monotonic() - started
    new = of_stacks(folder / "cdktf.out")
    assert new != old
    random_ = random.Random(SEED)
    for attempt in range(5):
        again = changed(synthesized, tmp_path / f"again {attempt}")
        process = subprocess.Popen(
            [sys.executable, "main.py"], cwd=again, stderr=subprocess.PIPE, start_new_session=True
        )
        time.sleep(0.2 + random_.random() * takes)
        os.killpg(process.pid, number)  # as a terminal does
        _, said = process.communicate(timeout=60)
        assert process.returncode in (0, code, -number), said  # -number: before Python began
        assert b"Traceback" not in said
        assert said.count(b"\n") <= 1
        found = of_stacks(again / "cdktf.out")
        assert found == new or (process.returncode and found == old) or number == signal.SIGKILL


@pytest.mark.slow
def test_two_syntheses_at_once_end_well(synthesized: Path, tmp_path: Path) -> None:
    folder = changed(synthesized, tmp_path / "two")
    both = [subprocess.Popen([sys.executable, "main.py"], cwd=folder, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [each.wait(timeout=120) for each in both] == [0, 0]
    alone = changed(synthesized, tmp_path / "one")
    assert run(alone, "main.py", env={}).code == 0
    assert of_stacks(folder / "cdktf.out") == of_stacks(alone / "cdktf.out")
