"""Which folders that appeared are skills that vanished under another slug."""

import pytest

from everyskill.model import SkillFile, SkillFolder
from everyskill.skill_folders.moves import Move, find_moves, likeness_of


def skill(slug: str, body: str = "Steps.", *, front: str | None = None, script: str = "a") -> SkillFolder:
    content = f"---\n{f'name: {slug}' if front is None else front}\ndescription: Does it.\n---\n{body}\n"
    folder = SkillFolder.from_content(slug, name=slug, description="Does it.", content=content)
    return SkillFolder(
        slug=slug,
        name=slug,
        description="Does it.",
        category=None,
        content=content,
        files=(*folder.files, SkillFile("run.sh", 1, script * 64)),
    )


def moves(missing: list[SkillFolder], added: list[SkillFolder]) -> list[Move]:
    return find_moves(*({each.slug: likeness_of(each) for each in skills} for skills in (missing, added)))


def test_the_same_content_under_another_slug_was_moved() -> None:
    missing = [skill("a", front="name: x"), skill("b", "Others.")]
    added = [skill("c", front="name: x"), skill("d", "Unlike.")]
    assert moves(missing, added) == [Move("a", "c")]


def test_a_name_that_follows_the_folder_makes_no_difference() -> None:
    assert moves([skill("a")], [skill("b")]) == [Move("a", "b")]
    assert moves([skill("a", front="license: MIT\nname: a")], [skill("b", front="license: MIT\nname: b")])
    assert moves([skill("a", front="license: MIT")], [skill("b", front="license: MIT")])


@pytest.mark.parametrize(
    "other",
    [
        skill("b", "Other steps."),
        skill("b", script="b"),
        skill("b", front="name: b\nlicense: MIT"),
        skill("b", "name: b", front="name: a"),
    ],
    ids=["text", "script", "front matter", "name in the text"],
)
def test_any_other_difference_makes_it_another_skill(other: SkillFolder) -> None:
    assert moves([skill("a", "name: a", front="name: a"), skill("a")], [other]) == []


def test_what_is_there_more_than_once_was_not_moved() -> None:
    assert moves([skill("a"), skill("b")], [skill("c")]) == []
    assert moves([skill("a")], [skill("b"), skill("c")]) == []
    assert moves([], [skill("a")]) == moves([skill("a")], []) == []


def test_the_very_same_content_goes_before_what_is_alike() -> None:
    missing = [skill("a", front="name: x"), skill("b")]
    assert moves(missing, [skill("c", front="name: x"), skill("d")]) == [Move("a", "c"), Move("b", "d")]


def test_a_large_front_matter_without_end_takes_no_time() -> None:
    endless = SkillFolder.from_content("a", name="a", description="a", content="---\n" + "x: y\n" * 200_000)
    assert moves([endless], [endless]) == [Move("a", "a")]
