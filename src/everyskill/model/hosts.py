"""Finds the hosts that a text names."""

import re
from collections.abc import Iterator

# Of this machine, or of nobody (RFC 2606).
_IGNORED = ("127.0.0.1", "0.0.0.0", "[::1]", "localhost", "example.com", "example.net", "example.org")  # noqa: S104
_IGNORED_ENDINGS = tuple(f".{host}" for host in _IGNORED)

# Of any scheme, behind whatever stands before "@".
_IN_ADDRESS = re.compile(r"://(?:[^\s/@\"'<>]*@)?(\[[0-9a-fA-F:.]+\]|\w(?:[\w.-]*\w)?)")
# Without "://" a host looks like an attribute or a file, so its last part is one of a few and its place tells.
_HOST = (
    r"((?:[a-z0-9][a-z0-9-]*\.)+"
    r"(?:ai|app|biz|br|ca|ch|cloud|cn|co|com|de|dev|edu|eu|fr|gov|in|io|jp|kr|net|nl|onion|online|org|ru|site|tech|tk"
    r"|top|uk|us|xyz)|\d{1,3}(?:\.\d{1,3}){3})"
)
_QUOTED = re.compile(rf"[\"'`](?i:{_HOST})(?=[\"'`:/])")
_BARE = re.compile(rf"(?<![\w.-]){_HOST}(?![\w-]|\.\w)", re.IGNORECASE)
# The words first: nearly every line has none of them, and an expression takes ten times as long to say so.
_WORDS = ("curl", "wget", "ssh", "scp", "sftp", "rsync", "nc ", "ncat", "telnet", "ping ", "dig ", "nslookup", "git ")
_NETWORK_COMMAND = re.compile(
    r"\b(?:curl|wget|ssh|scp|sftp|rsync|nc|ncat|telnet|ping|dig|nslookup|git (?:clone|fetch|pull|push|remote))\b"
)


def find_hosts(text: str) -> Iterator[str]:
    """The hosts in addresses, in quotes, and on lines with a command that reaches them; in time linear in the text."""
    found = _IN_ADDRESS.findall(text) + _QUOTED.findall(text)
    for line in _lines_with_words(text):
        if _NETWORK_COMMAND.search(line):
            found += _BARE.findall(line)
    return (host for host in map(str.lower, found) if not f".{host}".endswith(_IGNORED_ENDINGS))


def _lines_with_words(text: str) -> Iterator[str]:
    for word in _WORDS:
        at = text.find(word)
        while at >= 0:
            start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
            yield text[start : end if end >= 0 else None]
            at = text.find(word, end) if end >= 0 else -1
