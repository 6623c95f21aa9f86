"""Which files of a skill are kept: SKILL.md always, and the others by path as far as the limits go."""

from hypothesis import given
from hypothesis import strategies as st

from everyskill.model.kept_files import FileLimits, choose_files
from everyskill.model.skills import SKILL_FILE_NAME, SkillFile

SMALL = FileLimits(file_bytes=100, skill_files=3, skill_bytes=150)


def listed(**sizes: int) -> list[SkillFile]:
    return [SkillFile(path, size, "0" * 64) for path, size in sizes.items()]


def test_a_file_that_is_too_large_is_left_out_and_says_so() -> None:
    kept, [left_out] = choose_files(listed(a=100, b=101), SMALL)
    assert [file.path for file in kept] == ["a"]
    assert (left_out.path, left_out.reason) == ("b", "has more than 100 bytes: only its hash is kept")


def test_what_has_no_room_leaves_it_to_smaller_files_behind_it() -> None:
    kept, [left_out] = choose_files(listed(a=100, b=60, c=50), SMALL)
    assert [file.path for file in kept] == ["a", "c"]
    assert left_out.reason == "is beyond the 150 bytes of a skill: only its hash is kept"


def test_the_last_files_by_path_are_beyond_the_number_of_files() -> None:
    kept, [left_out] = choose_files(listed(d=1, c=1, b=1, a=1), SMALL)
    assert [file.path for file in kept] == ["a", "b", "c"]
    assert (left_out.path, left_out.reason) == ("d", "is beyond the 3 files of a skill: only its hash is kept")


@given(st.lists(st.tuples(st.sampled_from([SKILL_FILE_NAME, *"abcde"]), st.integers(0, 200)), unique_by=lambda x: x[0]))
def test_each_file_is_either_kept_or_named_and_skill_md_is_kept(sizes: list[tuple[str, int]]) -> None:
    files = listed(**dict(sizes))
    kept, left_out = choose_files(files, SMALL)
    assert sorted([*(file.path for file in kept), *(file.path for file in left_out)]) == sorted(dict(sizes))
    assert SKILL_FILE_NAME not in {file.path for file in left_out}
    assert len(kept) <= SMALL.skill_files
