"""The table of file contents: each once a tenant, under its hash. The application may never change one."""

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from everyskill.schema.base import Base, TextColumn


class SkillFileContents(Base):
    """The bytes of a file, and whether they are text. `skill_versions.files` names each by its SHA-256 in hex."""

    __tablename__ = "skill_file_contents"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
        CheckConstraint("hash = encode(sha256(content), 'hex')", name="hash"),
    )

    tenant_id: Mapped[TextColumn] = mapped_column(primary_key=True)
    hash: Mapped[TextColumn] = mapped_column(primary_key=True)
    is_text: Mapped[bool]
    content: Mapped[bytes] = mapped_column(LargeBinary)
