"""How much of a feed is looked up, and how much of it is known beforehand."""

from msgspec import Struct


class FeedLimits(Struct, frozen=True):
    """`max_lookups`: where more skills than this would have to be looked up, the feed is walked instead. Looking 64 up
    costs about as much as everything else that a feed costs.

    `max_pending`: a checkpoint keeps this many items of a long feed: a few first pages.
    """

    max_lookups: int = 64
    max_pending: int = 32


DEFAULT_LIMITS = FeedLimits()
