"""The files of skills: their list, each of them as it is, and all of a version in one zip. Nothing of it is active."""

from pathlib import PurePosixPath
from urllib.parse import quote

from litestar import Response, Router, get
from litestar.response import Stream

from everyskill.model import FileContent, FileEntry
from everyskill.web.api import examples
from everyskill.web.api.etags import matches
from everyskill.web.api.openapi import raw_responses, skill_responses
from everyskill.web.api.parameters import FilePath, FileVersion, SkillName, read_version
from everyskill.web.auth.authentication import CurrentTenant
from everyskill.web.headers import NO_SNIFF, PRIVATE
from everyskill.web.requests import AnyRequest

# What no browser runs; a text of any other name is plain, and whatever else is bytes.
_TEXT_TYPES = {".md": "text/markdown", ".csv": "text/csv", ".json": "application/json"}
_OTHER_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".pdf": "application/pdf",
    ".zip": "application/zip",
}
_ZIP = "application/zip"
# Should a browser show it all the same: no scripts, no forms, nothing of anywhere else.
_INACTIVE = {"Content-Security-Policy": "sandbox; default-src 'none'", **PRIVATE, **NO_SNIFF}


@get("/skills/{skill:str}/files", responses=skill_responses(list[FileEntry], examples.FILES))
async def list_files(tenant: CurrentTenant, skill: SkillName, *, version: FileVersion = None) -> list[FileEntry]:
    """The files of a version; `is_text` is null where only the hash is kept."""
    return await tenant.list_files(skill, read_version(version))


@get("/skills/{skill:str}/files/{path:path}", responses=raw_responses("*/*", examples.FILE, 404))
async def read_file(
    request: AnyRequest, tenant: CurrentTenant, skill: SkillName, path: FilePath, *, version: FileVersion = None
) -> Response[bytes]:
    """A file of a version, byte for byte. Its ETag is its SHA-256."""
    file = await tenant.read_file(skill, path.removeprefix("/"), read_version(version))
    etag = f'"{file.hash}"'
    headers = _INACTIVE | _attached(PurePosixPath(file.path).name) | {"ETag": etag}
    if matches(request.headers.get("If-None-Match", ""), etag):
        return Response(b"", status_code=304, headers=headers)
    return Response(file.content, media_type=_media_type(file), headers=headers)


@get("/skills/{skill:str}/zip", responses=raw_responses(_ZIP, examples.ARCHIVE, 404))
async def get_archive(tenant: CurrentTenant, skill: SkillName, *, version: FileVersion = None) -> Stream:
    """A zip of a version, in a folder of the skill's slug."""
    archive = await tenant.get_archive(skill, read_version(version))
    return Stream(archive.pieces, media_type=_ZIP, headers=_INACTIVE | _attached(archive.file_name))


def _media_type(file: FileContent) -> str:
    suffix = PurePosixPath(file.path).suffix.lower()
    if file.is_text:
        return _TEXT_TYPES.get(suffix, "text/plain")
    return _OTHER_TYPES.get(suffix, "application/octet-stream")


def _attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}


router = Router("/", route_handlers=[list_files, read_file, get_archive], tags=["Skills"])
