"""``uwsd fetch``: results become files, whole, in their folder, under names of our making."""

from pathlib import Path

import pytest

from tests.client.conftest import NewServer, Uwsd

TEXT = "text/plain"


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("result_id", "name"),
    [
        ("../../x", "x.txt"),
        ("/etc/passwd", "etc_passwd.txt"),
        ("a\x7f\x9b31mb\u202e", "a_31mb_.txt"),
        (".bashrc", "bashrc.txt"),
        ("..", "result.txt"),
        ("-rf", "rf.txt"),
        ("C:\\con.csv", "C_con.csv"),
        ("x" * 300, "x" * 100 + ".txt"),
        ("table.vot", "table.vot"),
    ],
)
def test_a_result_id_cannot_leave_the_folder(
    new_server: NewServer, uwsd: Uwsd, tmp_path: Path, result_id: str, name: str
) -> None:
    job = new_server().add(results={result_id: (TEXT, b"1")})
    run = uwsd("fetch", job, "-o", str(tmp_path / "a" / "b"))
    assert (run.exit_code, run.stdout) == (0, f"{tmp_path}/a/b/{name}\n")
    assert _names(tmp_path / "a" / "b") == [name]
    assert _names(tmp_path) == ["a"]


def test_ids_that_make_the_same_name_become_two_files(
    new_server: NewServer, uwsd: Uwsd, tmp_path: Path
) -> None:
    job = new_server().add(results={"a/b": (TEXT, b"1"), "A_B": (TEXT, b"2")})
    assert uwsd("fetch", job, "-o", str(tmp_path)).exit_code == 0
    assert _names(tmp_path) == ["A_B-2.txt", "a_b.txt"]


def test_the_media_type_gives_the_suffix(new_server: NewServer, uwsd: Uwsd, tmp_path: Path) -> None:
    kinds = ["application/x-votable+xml;serialization=td", "image/fits", "image/png", "foo/bar"]
    job = new_server().add(results={f"r{n}": (kind, b"") for n, kind in enumerate(kinds)})
    assert uwsd("fetch", job, "-o", str(tmp_path)).exit_code == 0
    assert _names(tmp_path) == ["r0.vot", "r1.fits", "r2.png", "r3"]


def test_only_the_results_that_are_named_are_fetched(
    new_server: NewServer, uwsd: Uwsd, tmp_path: Path
) -> None:
    job = new_server().add(results={"a": (TEXT, b"1"), "b": (TEXT, b"2")})
    assert uwsd("fetch", job, "b", "-o", str(tmp_path)).exit_code == 0
    assert _names(tmp_path) == ["b.txt"]
    run = uwsd("fetch", job, "c", "-o", str(tmp_path))
    assert run.exit_code == 4
    assert "has no result c" in run.stderr


def test_a_job_without_results_is_said_to_have_none(
    new_server: NewServer, uwsd: Uwsd, tmp_path: Path
) -> None:
    run = uwsd("fetch", new_server().add("QUEUED"), "-o", str(tmp_path))
    assert run.exit_code == 4
    assert "has no results: QUEUED" in run.stderr


def test_a_file_that_is_there_stays_unless_forced(
    new_server: NewServer, uwsd: Uwsd, tmp_path: Path
) -> None:
    job = new_server().add(results={"a": (TEXT, b"new")})
    (tmp_path / "a.txt").write_text("old")
    assert uwsd("fetch", job, "-o", str(tmp_path)).exit_code == 2
    assert (tmp_path / "a.txt").read_text() == "old"
    assert uwsd("fetch", job, "-o", str(tmp_path), "--force").exit_code == 0
    assert (tmp_path / "a.txt").read_text() == "new"


def test_a_link_in_the_place_of_the_file_is_not_followed(
    new_server: NewServer, uwsd: Uwsd, tmp_path: Path
) -> None:
    job = new_server().add(results={"a": (TEXT, b"new")})
    (tmp_path / "a.txt").symlink_to(tmp_path / "target")
    assert uwsd("fetch", job, "-o", str(tmp_path)).exit_code == 2
    assert uwsd("fetch", job, "-o", str(tmp_path), "--force").exit_code == 0
    assert _names(tmp_path) == ["a.txt"]


def test_what_is_not_of_the_size_announced_leaves_nothing(
    new_server: NewServer, uwsd: Uwsd, tmp_path: Path
) -> None:
    job = new_server(lying_sizes=True).add(results={"a": (TEXT, b"1234")})
    run = uwsd("fetch", job, "-o", str(tmp_path))
    assert run.exit_code == 5
    assert "gave 4 bytes, but its job says 5" in run.stderr
    assert _names(tmp_path) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_transfer_that_breaks_off_goes_on_where_it_was(
    new_server: NewServer, uwsd: Uwsd, tmp_path: Path, ranges: bool
) -> None:
    content = bytes(range(256)) * 4096
    server = new_server(cut=3, ranges=ranges)
    job = server.add(results={"a": ("application/octet-stream", content)})
    run = uwsd("fetch", job, "-o", str(tmp_path))
    if ranges:
        assert (tmp_path / "a.bin").read_bytes() == content
    else:  # it breaks off at the same byte again: no use to go on
        assert run.exit_code == 5
        assert _names(tmp_path) == []


def test_a_result_may_be_on_another_server(
    new_server: NewServer, uwsd: Uwsd, tmp_path: Path
) -> None:
    storage = new_server()
    there = f"{storage.add(results={'x': (TEXT, b'far')})}/results/0"
    job = new_server(elsewhere=there).add(results={"a": (TEXT, b"far")})
    assert uwsd("fetch", job, "-o", str(tmp_path)).exit_code == 0
    assert (tmp_path / "a.txt").read_bytes() == b"far"


def test_a_redirect_to_a_local_file_is_not_followed(
    new_server: NewServer, uwsd: Uwsd, tmp_path: Path
) -> None:
    job = new_server(elsewhere="file:///etc/hostname").add(results={"a": (TEXT, b"1")})
    assert uwsd("fetch", job, "-o", str(tmp_path)).exit_code == 5
    assert _names(tmp_path) == []


def test_one_result_goes_to_a_pipe_as_it_is(new_server: NewServer, uwsd: Uwsd) -> None:
    job = new_server().add(results={"a": (TEXT, b"\x1b\x00\xff"), "b": (TEXT, b"")})
    assert uwsd("fetch", job, "a", "-o", "-").stdout_bytes == b"\x1b\x00\xff"
    assert uwsd("fetch", job, "-o", "-").exit_code == 2


def test_a_folder_that_cannot_be_written_to_is_said_so(
    new_server: NewServer, uwsd: Uwsd, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    job = new_server().add(results={"a": (TEXT, b"1")})
    run = uwsd("fetch", job, "-o", str(tmp_path / "file"))
    assert run.exit_code == 2
    assert "cannot be written: " in run.stderr
