"""How much of a source is read, for how long, and what an address may reach."""

from msgspec import Struct

from everyskill.settings import DEFAULT_SOURCE_BYTES, DEFAULT_SOURCE_SECONDS

MAX_REDIRECTS = 5
MAX_ENTRIES = 20_000
# Where an entry of an archive is this much smaller than its content, it is made to fill disks.
MAX_RATIO = 200


class Bounds(Struct, frozen=True, kw_only=True):
    """`max_bytes` holds for what is downloaded and again for what it unpacks to, `max_seconds` for all of a download.

    `schemes` are https, and those of http and ssh that were allowed. `private_hosts` allows hosts of the own network.
    """

    max_bytes: int = DEFAULT_SOURCE_BYTES
    max_seconds: float = DEFAULT_SOURCE_SECONDS
    max_entries: int = MAX_ENTRIES
    schemes: frozenset[str] = frozenset({"https"})
    private_hosts: bool = False
