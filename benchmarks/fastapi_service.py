"""The ORM's calls behind FastAPI, with the same kind of token and the same shapes of bodies and answers."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

import jwt
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel

from benchmarks.contenders.http_client import AUDIENCE, ISSUER
from benchmarks.contenders.sqlalchemy_orm import open_views


class ViewReport(BaseModel):
    """What the page showed."""

    version: int


class Lookup(BaseModel):
    """The skills that are asked about."""

    skill_ids: list[str]


class ViewState(BaseModel):
    """A view, and whether the skill was updated since."""

    skill_id: str
    last_viewed_at: datetime
    last_viewed_version: int | None
    view_count: int
    is_updated: bool


class Visit(BaseModel):
    """Whether the skill was updated since the last visit, and how much feedback is new."""

    is_updated: bool
    feedback_count: int


class WhatsNewItem(BaseModel):
    """A skill that changed."""

    skill_id: str
    skill_name: str
    skill_slug: str
    category: str
    updated_at: datetime
    last_viewed_at: datetime
    view_count: int


def make_app(url: str, secret: str) -> FastAPI:
    """The service."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_views(url) as (large, _):
            app.state.views = large
            yield

    app = FastAPI(lifespan=lifespan)

    def read_user(request: Request) -> str:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            claims = jwt.decode(token, secret, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER)
        except jwt.PyJWTError as error:
            raise HTTPException(401) from error
        return str(claims["sub"])

    user = Annotated[str, Depends(read_user)]

    @app.post("/skills/{skill_id}/views", status_code=204)
    async def record(skill_id: str, report: ViewReport, user_id: user) -> None:  # type: ignore[valid-type]
        await app.state.views.record(user_id, skill_id, report.version)

    @app.post("/views/lookup")
    async def look_up(lookup: Lookup, user_id: user) -> dict[str, ViewState]:  # type: ignore[valid-type]
        states = await app.state.views.find_states(user_id, lookup.skill_ids)
        return {
            view.skill_id: ViewState(
                skill_id=view.skill_id,
                last_viewed_at=view.last_viewed_at,
                last_viewed_version=view.last_viewed_version,
                view_count=view.view_count,
                is_updated=updated,
            )
            for view, updated in states
        }

    @app.post("/skills/{skill_id}/visit")
    async def visit(skill_id: str, user_id: user) -> Visit:  # type: ignore[valid-type]
        is_updated, feedback_count = await app.state.views.visit(user_id, skill_id)
        return Visit(is_updated=is_updated, feedback_count=feedback_count)

    @app.get("/whats-new")
    async def whats_new(user_id: user) -> list[WhatsNewItem]:  # type: ignore[valid-type]
        items = await app.state.views.whats_new(user_id)
        return [WhatsNewItem(**dict(zip(WhatsNewItem.model_fields, item, strict=True))) for item in items]

    return app


if __name__ == "__main__":
    database_url, shared_secret, port = sys.argv[1:]
    uvicorn.run(make_app(database_url, shared_secret), host="127.0.0.1", port=int(port), access_log=False)
