"""What another Python team would write first: the same questions in Django's ORM, with a thread for each caller."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings
from django.db import connections, models, transaction
from django.db.models import Count, F, Q
from django.utils import timezone

from benchmarks.dataset import EXTREME, LARGE

BLOCKING = True
_MAX_CONNECTIONS = 10


def _configure(url: str) -> None:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username,
        "HOST": query["host"][0],
        "PORT": query.get("port", ["5432"])[0],
        "OPTIONS": {"pool": {"min_size": 1, "max_size": _MAX_CONNECTIONS, "timeout": 60}},
    }
    settings.configure(DATABASES={"default": database}, USE_TZ=True, INSTALLED_APPS=[])
    django.setup()


def _make_models() -> tuple[Any, Any, Any]:
    class Skill(models.Model):
        id = models.TextField(primary_key=True)
        name = models.TextField()
        slug = models.TextField()
        category = models.TextField()
        status = models.TextField()
        published_version = models.ForeignKey("SkillVersion", models.DO_NOTHING, related_name="+", null=True)
        updated_at = models.DateTimeField()

        class Meta:
            app_label, managed, db_table = "benchmarks", False, "skills"

    class SkillVersion(models.Model):
        id = models.TextField(primary_key=True)
        version = models.IntegerField()
        description = models.TextField()

        class Meta:
            app_label, managed, db_table = "benchmarks", False, "skill_versions"

    class SkillFeedback(models.Model):
        id = models.TextField(primary_key=True)
        skill = models.ForeignKey(Skill, models.DO_NOTHING, related_name="feedback")
        created_at = models.DateTimeField()

        class Meta:
            app_label, managed, db_table = "benchmarks", False, "skill_feedback"

    class View(models.Model):
        id = models.TextField(primary_key=True, db_default=models.Func(function="gen_random_uuid"))
        tenant_id = models.TextField()
        user_id = models.TextField()
        skill = models.ForeignKey(Skill, models.DO_NOTHING, related_name="views")
        last_viewed_at = models.DateTimeField()
        last_viewed_version = models.IntegerField(null=True)
        view_count = models.IntegerField()

        class Meta:
            app_label, managed, db_table = "benchmarks", False, "user_skill_views"

    return View, Skill, SkillFeedback


def _calls(view_model: Any, skill_model: Any, feedback_model: Any, tenant_id: str) -> dict[str, Callable[..., Any]]:
    def record(user_id: str, skill_id: str, version: int) -> None:
        view_model.objects.update_or_create(
            tenant_id=tenant_id,
            user_id=user_id,
            skill_id=skill_id,
            defaults={
                "last_viewed_at": timezone.now(),
                "last_viewed_version": version,
                "view_count": F("view_count") + 1,
            },
            create_defaults={"last_viewed_at": timezone.now(), "last_viewed_version": version, "view_count": 1},
        )

    def badges(user_id: str, skill_ids: Sequence[str]) -> set[str]:
        skills = skill_model.objects.select_related("published_version").in_bulk(list(skill_ids))
        views = view_model.objects.filter(tenant_id=tenant_id, user_id=user_id, skill_id__in=list(skill_ids))
        return {view.skill_id for view in views if _is_updated(view, skills[view.skill_id])}

    def visit(user_id: str, skill_id: str) -> tuple[bool, int]:
        with transaction.atomic():
            skill = skill_model.objects.select_related("published_version").get(pk=skill_id)
            view = view_model.objects.filter(tenant_id=tenant_id, user_id=user_id, skill_id=skill_id).first()
            since = view.last_viewed_at if view else timezone.now()
            new = feedback_model.objects.filter(skill_id=skill_id, created_at__gt=since).aggregate(new=Count("*"))[
                "new"
            ]
            record(user_id, skill_id, skill.published_version.version)
        return view is not None and _is_updated(view, skill), new

    def whats_new(user_id: str, limit: int = 10) -> list[Any]:
        window = Q(skill__updated_at__gte=timezone.now() - timedelta(days=30), skill__status="published")
        mine = view_model.objects.filter(window, tenant_id=tenant_id, user_id=user_id)
        newer = mine.filter(skill__updated_at__gt=F("last_viewed_at")).select_related("skill")
        return list(newer.order_by("-skill__updated_at", "skill_id")[:limit])

    return {"record": record, "badges": badges, "visit": visit, "whats_new": whats_new}


def _is_updated(view: Any, skill: Any) -> bool:
    newer = view.last_viewed_version is not None and skill.published_version.version > view.last_viewed_version
    return bool(newer or skill.updated_at > view.last_viewed_at)


def _returning(call: Callable[..., Any]) -> Callable[..., Any]:
    def calling(*arguments: Any) -> Any:
        try:
            return call(*arguments)
        finally:
            # As at the end of a request: the connection goes back to its pool.
            connections["default"].close()

    return calling


@asynccontextmanager
async def open_contender(url: str) -> AsyncIterator[dict[str, Callable[..., Any]]]:
    """All calls."""
    _configure(url)
    made = _make_models()
    calls = _calls(*made, LARGE) | {"whats_new_extreme": _calls(*made, EXTREME)["whats_new"]}
    yield {name: _returning(call) for name, call in calls.items()}
