"""How much of a feed is looked up, and how much of it is known beforehand."""

from msgspec import Struct


class FeedLimits(Struct, frozen=True):
    """`max_lookups`: a user with more views than this, and with more changes since the checkpoint, gets a walked feed.
    Looking 64 skills up costs about as much as everything else that a feed costs. Pending skills come on top.

    `max_pending`: a walk reads at least this many items for its checkpoint: a few first pages of a long feed.
    """

    max_lookups: int = 64
    max_pending: int = 32


DEFAULT_LIMITS = FeedLimits()
