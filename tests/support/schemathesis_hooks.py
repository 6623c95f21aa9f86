"""What schemathesis cannot read from the OpenAPI document: how to make text of our own formats."""

from base64 import b64decode
from datetime import UTC
from hashlib import sha256
from typing import Any

import schemathesis
from hypothesis import strategies
from schemathesis import Case, HookContext

from everyskill.model.feedback import FeedbackCursor
from everyskill.model.whats_new import FeedCursor
from everyskill.web.api.parameters import FEED_CURSOR_FORMAT, FEEDBACK_CURSOR_FORMAT
from everyskill.web.api.types import FILE_PATH_FORMAT

moments = strategies.datetimes(timezones=strategies.just(UTC))
cursors = strategies.builds(FeedCursor, moments, moments, strategies.uuids().map(str))
schemathesis.openapi.format(FEED_CURSOR_FORMAT, cursors.map(FeedCursor.encode))
feedback_cursors = strategies.builds(FeedbackCursor, moments, strategies.uuids().map(str))
schemathesis.openapi.format(FEEDBACK_CURSOR_FORMAT, feedback_cursors.map(FeedbackCursor.encode))
schemathesis.openapi.format(FILE_PATH_FORMAT, strategies.uuids().map("lib/{}.py".format))


@schemathesis.hook
def filter_case(context: HookContext, case: Case[Any]) -> bool:
    """No upload names a file twice, and each content is that of its hash, which JSON Schema cannot say."""
    body: Any = case.body
    files = body.get("files") if isinstance(body, dict) else None
    paths = [str(file.get("path")) for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    return len(set(paths)) == len(paths) and all(map(_is_whole, files if isinstance(files, list) else ()))


def _is_whole(file: Any) -> bool:
    content = file.get("content") if isinstance(file, dict) else None
    if not isinstance(content, str):
        return True
    try:
        data = b64decode(content, validate=True)
    except ValueError:
        return False
    return (len(data), sha256(data).hexdigest()) == (file.get("size"), file.get("hash"))
