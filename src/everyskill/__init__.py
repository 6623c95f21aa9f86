"""EverySkill tells each person what changed in a catalog of AI skills since they last looked.

    import everyskill

    async with everyskill.connect() as database:
        acme = database.tenant("acme")
        await acme.record_skill_view("ann", skill_id, current_version=3)
        print(await acme.get_whats_new_for_user("ann"))

The errors are in `everyskill.errors`, the values in `everyskill.model`, the tables in `everyskill.schema`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everyskill.errors import EverySkillError
    from everyskill.handles import Database, Tenant, connect
    from everyskill.model import (
        ChangeItem,
        NewUserSkillView,
        Skill,
        SkillFolder,
        UserSkillView,
        Visit,
        WhatsNewItem,
        WhatsNewPage,
    )

_HOMES = {
    "Database": "everyskill.handles",
    "Tenant": "everyskill.handles",
    "connect": "everyskill.handles",
    "EverySkillError": "everyskill.errors",
    "ChangeItem": "everyskill.model",
    "NewUserSkillView": "everyskill.model",
    "Skill": "everyskill.model",
    "SkillFolder": "everyskill.model",
    "UserSkillView": "everyskill.model",
    "Visit": "everyskill.model",
    "WhatsNewItem": "everyskill.model",
    "WhatsNewPage": "everyskill.model",
}

__all__ = [
    "ChangeItem",
    "Database",
    "EverySkillError",
    "NewUserSkillView",
    "Skill",
    "SkillFolder",
    "Tenant",
    "UserSkillView",
    "Visit",
    "WhatsNewItem",
    "WhatsNewPage",
    "connect",
]


def __getattr__(name: str) -> object:
    # On first use only: the command line answers --help without importing the driver.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
