"""What's New: the feed, its count, and marking it as seen."""

from litestar import Router, get, post
from litestar.params import JSONBody

from everyskill.model import WhatsNewPage
from everyskill.model.whats_new import DEFAULT_LIMIT
from everyskill.web.api import examples
from everyskill.web.api.bodies import Count, Marked, SeenUpTo
from everyskill.web.api.openapi import BODY_PROBLEMS, cacheable_responses, responses
from everyskill.web.api.parameters import FeedCursor, Limit, MaxCount, read_limit
from everyskill.web.auth.authentication import CurrentIdentity, CurrentTenant
from everyskill.web.moments import read_moment


@get("/", responses=cacheable_responses(WhatsNewPage, examples.FEED))
async def get_whats_new(
    tenant: CurrentTenant, identity: CurrentIdentity, limit: Limit = DEFAULT_LIMIT, cursor: FeedCursor = None
) -> WhatsNewPage:
    """What changed in the last 30 days since you looked, newest first. Hand `as_of` back to mark it as seen."""
    return await tenant.get_whats_new_page(identity.user_id, limit, cursor)


@get("/count", responses=cacheable_responses(Count, Count(3)))
async def count_whats_new(tenant: CurrentTenant, identity: CurrentIdentity, at_most: MaxCount = None) -> Count:
    """How many items the whole feed has. Where a number beside a bell will do, `at_most` makes it cheap."""
    most = None if at_most is None else read_limit(at_most)
    return Count(await tenant.count_whats_new(identity.user_id, most))


@post("/seen", status_code=200, responses=responses(200, Marked, Marked(3), 404, *BODY_PROBLEMS))
async def mark_all_seen(tenant: CurrentTenant, identity: CurrentIdentity, data: JSONBody[SeenUpTo]) -> Marked:
    """Take the badge from all that was updated up to `as_of`. What became visible later keeps it."""
    return Marked(await tenant.mark_all_seen(identity.user_id, read_moment("as_of", data.as_of)))


router = Router(
    "/whats-new",
    route_handlers=[get_whats_new, count_whats_new, mark_all_seen],
    tags=["What's New"],
)
