"""Reads .claude-plugin/marketplace.json: which folders of a tree are skills of its plugins."""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from everyskill.errors import InvalidSource
from everyskill.skill_sources.entries import link_target
from everyskill.skill_sources.source import MARKETPLACE

MAX_MANIFEST_BYTES = 1024 * 1024


class Plugin(Struct, frozen=True):
    """A plugin of a marketplace. `source` is a relative path, or an object that names another repository."""

    name: str
    source: str | dict[str, Any] = "./"
    skills: list[str] | str | None = None


class Marketplace(Struct, frozen=True):
    """The paths below which its plugins have skills, and what was not followed, a sentence each."""

    folders: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def takes(self, path: str) -> bool:
        """Whether a folder of the tree is a skill of a plugin: each one, where all plugins are elsewhere."""
        return not self.folders or any(folder in {"", path} or path.startswith(f"{folder}/") for folder in self.folders)


class _Metadata(Struct, frozen=True):
    plugin_root: str | None = msgspec.field(name="pluginRoot", default=None)


class _Manifest(Struct, frozen=True):
    plugins: list[Plugin]
    metadata: _Metadata | None = None


def read_marketplace(address: str, root: Path) -> Marketplace:
    """What the manifest of a folder says; of one that has none, that everything is taken. Raises InvalidSource."""
    file = root / MARKETPLACE
    # What is a link may lead out of the tree.
    if not file.is_file() or file.is_symlink() or file.parent.is_symlink():
        return Marketplace()
    with file.open("rb") as stream:
        return parse_marketplace(address, stream.read(MAX_MANIFEST_BYTES + 1))


def parse_marketplace(address: str, data: bytes) -> Marketplace:
    """Raises InvalidSource for a manifest that cannot be read, or names a path outside of the tree."""
    manifest = _decode(address, data)
    base = (manifest.metadata and manifest.metadata.plugin_root) or "."
    folders: dict[str, None] = {}
    notes = []
    for plugin in manifest.plugins:
        if isinstance(plugin.source, str):
            folders |= dict.fromkeys(_folders_of(address, base, plugin))
        else:
            notes.append(f"the plugin {plugin.name} is elsewhere and was not followed: {_elsewhere(plugin.source)}")
    return Marketplace(tuple(folders), tuple(notes))


def _decode(address: str, data: bytes) -> _Manifest:
    if len(data) > MAX_MANIFEST_BYTES:
        raise InvalidSource(address, f"{MARKETPLACE} has more than {MAX_MANIFEST_BYTES:,} bytes")
    try:
        return msgspec.json.decode(data, type=_Manifest)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidSource(address, f"{MARKETPLACE} cannot be read: {error}") from error


def _folders_of(address: str, base: str, plugin: Plugin) -> list[str]:
    # A name without "./" is looked for in the folder of plugins, where the manifest names one.
    own = str(plugin.source)
    top = _within(address, plugin, own if own.startswith(("./", "/")) else f"{base}/{own}")
    named = [plugin.skills] if isinstance(plugin.skills, str) else plugin.skills or ["."]
    return [_within(address, plugin, f"{top or '.'}/{path}") for path in named]


def _within(address: str, plugin: Plugin, path: str) -> str:
    found = link_target("manifest", path)
    if found is None or "\0" in path:
        raise InvalidSource(address, f"{MARKETPLACE}: the plugin {plugin.name} names {path!r}, outside of the tree")
    return "" if found == "." else found


def _elsewhere(source: dict[str, Any]) -> str:
    facts = [str(source[key]) for key in ("url", "repo", "package", "path", "ref") if source.get(key)]
    return " ".join(facts)[:200] or str(source.get("source", "unknown"))[:200]
