"""How much of a feed is looked up, and how much of it is known beforehand."""

from msgspec import Struct


class FeedLimits(Struct, frozen=True):
    """`max_lookups`: a feed looks at most so many skills up; where more are in question, it is walked.

    Looking 64 up costs about as much as all else that a feed takes.

    `max_pending`: a checkpoint knows so many items of a long feed: a few first pages.
    """

    max_lookups: int = 64
    max_pending: int = 32


DEFAULT_LIMITS = FeedLimits()
