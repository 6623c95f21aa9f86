"""Knows which plugin a skill belongs to, from the manifests of plugins and marketplaces above it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from everyskill.errors import SkillFolderError
from everyskill.skill_folders.folder_errors import OnWarning, folder_warning, translate_os_errors
from everyskill.skill_folders.walk import real_path

MAX_MANIFEST_SIZE = 4 * 1024 * 1024
_PLUGIN = ".claude-plugin/plugin.json"
_MARKETPLACES = (".claude-plugin/marketplace.json", ".github/plugin/marketplace.json")
# Where manifests lie, below any folder.
MANIFESTS = (_PLUGIN, *_MARKETPLACES)


class Plugin(Struct, frozen=True):
    """A plugin as its manifest or its marketplace describes it. `skills` are the folders that it names, if it does."""

    name: str | None
    category: str | None
    folder: str
    skills: frozenset[str] = frozenset()

    def holds(self, folder: str) -> bool:
        """Whether a skill folder is one of the plugin's."""
        is_below = not self.folder or f"{folder}/".startswith(f"{self.folder}/")
        return folder in self.skills or (not self.skills and is_below)


class Manifests:
    """The manifests of one tree, each read once."""

    def __init__(self, real_root: str, on_warning: OnWarning) -> None:
        self._real_root = real_root
        self._on_warning = on_warning
        self._plugins: dict[str, list[Plugin]] = {}

    def find_plugin(self, path: str) -> Plugin | None:
        """The plugin of the skill folder at that path within the tree, by the manifest nearest to it."""
        for above in _folders_from(path):
            if above not in self._plugins:
                self._plugins[above] = list(self._read_all(above))
            # The first that names the skill itself, else the first that it lies in.
            holding = [plugin for plugin in self._plugins[above] if plugin.holds(path)]
            if holding:
                return max(holding, key=lambda plugin: (path in plugin.skills, len(plugin.folder)))
        return None

    def _read_all(self, folder: str) -> Iterator[Plugin]:
        plugin = self._read(folder, _PLUGIN)
        if plugin:
            yield Plugin(_text(plugin, "name"), _text(plugin, "category"), folder)
        for name in _MARKETPLACES:
            marketplace = self._read(folder, name)
            listed = marketplace.get("plugins")
            metadata = marketplace.get("metadata")
            base = _text(metadata, "pluginRoot") if isinstance(metadata, dict) else None
            for entry in listed if isinstance(listed, list) else ():
                if isinstance(entry, dict):
                    yield from self._listed(entry, folder, base)

    def _listed(self, entry: dict[str, Any], folder: str, base: str | None) -> Iterator[Plugin]:
        source, skills = entry.get("source", "."), entry.get("skills")
        if not isinstance(source, str):
            return
        at = _join(folder, source)
        if base is not None and not self._is_folder(at):
            at = _join(_join(folder, base), source)
        named = [path for path in skills if isinstance(path, str)] if isinstance(skills, list) else []
        yield Plugin(_text(entry, "name"), _text(entry, "category"), at, frozenset(_join(at, path) for path in named))

    def _is_folder(self, path: str) -> bool:
        return os.path.isdir(f"{self._real_root}/{path}")  # noqa: PTH112 - Path.is_dir raises some errors

    def _read(self, folder: str, name: str) -> dict[str, Any]:
        """What a manifest says; nothing where there is none, or none that can be used, which is told."""
        file = f"{self._real_root}/{folder}/{name}"
        if not os.path.lexists(file):
            return {}
        try:
            found = msgspec.json.decode(self._read_bytes(file))
            if isinstance(found, dict):
                return found
            reason = "is no JSON object"
        except SkillFolderError as error:
            reason = error.reason
        except (msgspec.DecodeError, RecursionError) as error:
            reason = f"is no JSON: {error}"
        self._on_warning(folder_warning(file, f"{reason}, so it is left out"))
        return {}

    def _read_bytes(self, file: str) -> bytes:
        with translate_os_errors(file):
            real = Path(real_path(file, self._real_root))
            if not real.is_file():
                raise SkillFolderError(file, None, "is no file")
            with real.open("rb") as stream:
                data = stream.read(MAX_MANIFEST_SIZE + 1)
        if len(data) > MAX_MANIFEST_SIZE:
            raise SkillFolderError(file, None, "is larger than 4 MiB")
        return data


def _folders_from(path: str) -> Iterator[str]:
    """A folder and those above it within the tree, the tree itself last, as `""`."""
    while path:
        yield path
        path = path.rpartition("/")[0]
    yield ""


def _join(folder: str, path: str) -> str:
    joined = os.path.normpath(f"{folder or '.'}/{path}")
    return "" if joined == "." else joined


def _text(manifest: dict[str, Any], key: str) -> str | None:
    value = manifest.get(key)
    return value.strip() if isinstance(value, str) and value.strip() and "\0" not in value else None
