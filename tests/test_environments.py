from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import environments
from environments import environment

pytestmark = pytest.mark.slow  # each environment takes seconds


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(environments, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def made(cache: Path) -> list[str]:
    return sorted(folder.name for folder in cache.iterdir() if folder.is_dir())


def test_an_environment_is_made_once_for_each_content_even_at_the_same_time(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("# nothing\n")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda name: environment(file, name=name), ["tools", "tools"])
    assert first == second
    assert (first / "python").exists()
    assert len(made(cache)) == 1
    file.write_text("# still nothing\n")
    assert environment(file, name="tools") != first
    assert len(made(cache)) == 2


def test_what_was_left_half_done_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("")
    folder = environment(file, name="tools").parent
    (folder / "ready").unlink()
    (folder / "bin" / "python").unlink()
    assert (environment(file, name="tools") / "python").exists()


def test_what_cannot_be_installed_is_said_and_not_kept(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("--no-index\nno-such-tool==1.0\n")
    with pytest.raises(RuntimeError, match="no-such-tool=="):
        environment(file, name="tools")
    assert not list(cache.glob("*/ready"))
