"""The files of skills over HTTP: byte for byte, with a strong ETag, and nothing active."""

import base64
import io
import zipfile
from hashlib import sha256

import httpx
import pytest
from litestar import Litestar
from msgspec.structs import replace

from everyskill.handles import Tenant
from everyskill.model import SkillFile
from tests.support.http_clients import bearer, client_of, code_of
from tests.support.skills import folder, with_script

SCRIPT = b"echo one\n"


async def test_files_are_listed_and_read_as_they_were_published(ann: httpx.AsyncClient, acme: Tenant) -> None:
    await acme.publish_skill(with_script("echo one\n", "bin/run it.sh"))
    await acme.publish_skill(with_script("echo two\n", "bin/run it.sh"))
    listed = (await ann.get("/v1/skills/pdf/files", params={"version": 1})).json()
    assert [file["path"] for file in listed] == ["SKILL.md", "bin/run it.sh"]
    response = await ann.get("/v1/skills/pdf/files/bin/run%20it.sh", params={"version": 1})
    assert (response.status_code, response.content) == (200, SCRIPT)
    assert response.headers["etag"] == f'"{sha256(SCRIPT).hexdigest()}"'
    again = await ann.get(
        "/v1/skills/pdf/files/bin/run%20it.sh?version=1", headers={"If-None-Match": response.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert (await ann.get("/v1/skills/pdf/files/bin/run%20it.sh")).content == b"echo two\n"


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("page.html", b"<script>alert(1)</script>", "text/plain; charset=utf-8"),
        ("image.svg", b"<svg onload='alert(1)'/>", "text/plain; charset=utf-8"),
        ("code.js", b"alert(1)", "text/plain; charset=utf-8"),
        ("notes.md", b"# Notes", "text/markdown; charset=utf-8"),
        ("logo.png", b"\x89PNG\0", "image/png"),
        ("page.html", b"<script>alert(1)</script>\0", "application/octet-stream"),
    ],
)
async def test_nothing_of_a_file_is_active(
    ann: httpx.AsyncClient, acme: Tenant, path: str, content: bytes, kind: str
) -> None:
    skill, file = folder(), SkillFile.of(path, content)
    await acme.publish_skill(replace(skill, files=(*skill.files, file), contents={file.hash: content}))
    response = await ann.get(f"/v1/skills/pdf/files/{path}")
    assert (response.headers["content-type"], response.content) == (kind, content)
    assert response.headers["content-disposition"].startswith("attachment")
    assert response.headers["content-security-policy"].startswith("sandbox")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"].startswith("private")


async def test_a_zip_of_a_version_is_whole(ann: httpx.AsyncClient, acme: Tenant) -> None:
    await acme.publish_skill(with_script("echo one\n"))
    response = await ann.get("/v1/skills/pdf/zip")
    assert response.headers["content-type"] == "application/zip"
    assert "pdf-v1.zip" in response.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "pdf/SKILL.md": b"one",
            "pdf/run.sh": SCRIPT,
        }


async def test_what_cannot_be_read_says_why(ann: httpx.AsyncClient, acme: Tenant) -> None:
    await acme.publish_skill(replace(with_script("echo one\n"), contents={}))
    for path, code in (
        ("pdf/files/run.sh", "file_not_kept"),
        ("pdf/zip", "file_not_kept"),
        ("pdf/files/nothing", "skill_file_not_found"),
        ("pdf/files?version=2", "version_not_found"),
        ("nothing/files", "skill_not_found"),
        ("nothing/files/x", "skill_not_found"),
    ):
        response = await ann.get(f"/v1/skills/{path}")
        assert (response.status_code, code_of(response)) == (404, code), path
    assert code_of(await ann.get("/v1/skills/pdf/files?version=null")) == "invalid_version"


async def test_a_skill_is_published_with_its_files_and_a_note(app: Litestar, acme: Tenant) -> None:
    await acme.publish_skill(folder())
    file = {"path": "run.sh", "size": 9, "hash": sha256(SCRIPT).hexdigest()}
    body = {"name": "Pdf", "description": "Reads.", "content": "two", "note": "A typo"}
    async with client_of(app, bearer(role="admin")) as admin:
        files = [file | {"content": base64.b64encode(SCRIPT).decode()}]
        published = await admin.put("/v1/skills/pdf", json=body | {"files": files})
        wrong = await admin.put("/v1/skills/pdf", json=body | {"files": [file | {"content": "AAAA"}]})
    assert (published.status_code, wrong.status_code, code_of(wrong)) == (200, 400, "invalid_text")
    assert (await acme.read_file("pdf", "run.sh")).content == SCRIPT
    assert (await acme.list_versions("pdf"))[0].note == "A typo"
