"""A SKILL.md is split at its fences, whatever its line ends, and its front matter keeps the file's offsets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everyskill.model.skill_md import split_skill_md, without_installed_metadata

LINES = st.sampled_from(["---", "--- \t", "----", " ---", "name: x", "", "# Title", "\ufeff---", "---\r"])


@pytest.mark.parametrize(
    ("content", "front_matter", "body"),
    [
        pytest.param("---\nname: x\n---\n# X\n", "---\nname: x\n", "# X\n", id="front matter and body"),
        pytest.param("---\r\nname: x\r\n---\r\n# X\r\n", "---\r\nname: x\r\n", "# X\r\n", id="Windows line ends"),
        pytest.param("\ufeff---\nname: x\n---\n# X\n", "\ufeff---\nname: x\n", "# X\n", id="byte order mark"),
        pytest.param(
            "\ufeff\n \t\r\n---\nname: x\n---\nX", "\ufeff\n \t\r\n---\nname: x\n", "X", id="blank lines first"
        ),
        pytest.param("--- \t\nname: x\n---\t \nX", "--- \t\nname: x\n", "X", id="blanks after the fences"),
        pytest.param("---\n---\n", "---\n", "", id="nothing between the fences"),
        pytest.param("---\nname: x\n---", "---\nname: x\n", "", id="nothing below the closing fence"),
        pytest.param("---\nname: x\n---\n---\n", "---\nname: x\n", "---\n", id="a rule below the front matter"),
        pytest.param(
            "---\na: |\n  ---\n----\n--- x\n---\nX", "---\na: |\n  ---\n----\n--- x\n", "X", id="lines like fences"
        ),
    ],
)
def test_front_matter_ends_at_the_first_line_of_three_hyphens(content: str, front_matter: str, body: str) -> None:
    assert split_skill_md(content) == (front_matter, body)


@pytest.mark.parametrize(
    "content",
    ["", "# X\n---\n---\n", "\nx\n---\nname: x\n---\n", " ---\n---\n", "----\n---\n", "--- x\n---\n", "\ufeff"],
)
def test_a_file_without_an_opening_fence_is_all_body(content: str) -> None:
    assert split_skill_md(content) == (None, content)


@pytest.mark.parametrize(
    "content", ["---", "---\n", "---\nname: x\n", "---\r\nname: x\r\n ---\r\n", "---\n----\n--- x"]
)
def test_front_matter_that_is_never_closed_has_no_body(content: str) -> None:
    assert split_skill_md(content) == (content, None)


@given(st.lists(LINES).map("\n".join))
def test_the_parts_are_the_file_without_its_closing_fence(content: str) -> None:
    front_matter, body = split_skill_md(content)
    if front_matter is None or body is None:
        assert content in {front_matter, body}
        return
    assert content.startswith(front_matter)
    assert content.endswith(body)
    assert content[len(front_matter) : len(content) - len(body)].rstrip() == "---"


@pytest.mark.parametrize("repeated", ["---x\n", "\n", "--- ", " ", "---\r", "-"])
def test_no_content_takes_longer_than_its_length(repeated: str) -> None:
    # In the square of its length it would take hours.
    content = "---\n" + repeated * (2**20 // len(repeated))
    assert split_skill_md(content) == (content, None)
    assert split_skill_md(content[4:]) == (None, content[4:])
    assert without_installed_metadata(content) == content


AUTHORED = "---\nname: x\nmetadata:\n  author: me\n  local-pathology: no\n---\n# X\nmetadata:\n  local-path: y\n"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_installers_write_is_taken_off_and_nothing_else(line_end: str) -> None:
    written = "  github-repo: https://github.com/o/r\n  github-tree-sha: 0a\n  local-path: /home/me/x\n"
    installed = AUTHORED.replace("  author: me\n", "  author: me\n" + written)
    assert without_installed_metadata(installed.replace("\n", line_end)) == AUTHORED.replace("\n", line_end)


def test_a_metadata_block_that_holds_only_what_installers_wrote_goes_too() -> None:
    installed = "---\nmetadata:\n    github-ref: main\n    github-path: skills/x\nname: x\n---\nX\n"
    assert without_installed_metadata(installed) == "---\nname: x\n---\nX\n"
