"""SKILL.md folders on disk."""

from pathlib import Path

BROKEN = "---\nname: [\n---\n"


def write_skill(root: Path, path: str, *, description: str = "Does it.", body: str = "Steps.") -> Path:
    """Writes a SKILL.md below root."""
    file = root / path / "SKILL.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"---\nname: {file.parent.name}\ndescription: {description}\n---\n\n{body}\n")
    return file
