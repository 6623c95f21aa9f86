"""Database URLs: `embedded:///path`, and the data folder that such a URL names."""

from pathlib import Path
from urllib.parse import unquote

import platformdirs

from everyskill.errors import InvalidSetting

SCHEME = "embedded"


def data_folder(url: str) -> Path:
    """The data folder that a URL names: `embedded:///var/lib/x`, or `embedded:` for the default one.

    The path is percent-decoded. The folder need not exist.

    Raises InvalidSetting unless the URL names nothing or an absolute path, with no host, query or fragment.
    """
    rest = url.removeprefix(f"{SCHEME}:").removeprefix("//")
    path = unquote(rest)
    if not path:
        return default_data_folder()
    if not path.startswith("/") or not path.isprintable() or not {"?", "#"}.isdisjoint(rest):
        raise InvalidSetting(
            "database URL", f"{url!r} must name an absolute path, as in embedded:///var/lib/everyskill"
        )
    return Path(path)


def default_data_folder() -> Path:
    """The data folder of `embedded:`, below the platform's user data directory, for root too. It need not exist.

    Its name carries PostgreSQL's major version, because another version cannot read it.
    """
    return platformdirs.user_data_path("everyskill") / "postgresql-18"
