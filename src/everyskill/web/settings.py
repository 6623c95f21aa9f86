"""The settings of the HTTP service, read from the environment into one typed object and checked when it is made."""

import os
from collections.abc import Mapping
from ipaddress import ip_address
from secrets import token_urlsafe
from typing import Annotated

from msgspec import Meta, Struct, field

from everyskill.errors import InvalidSetting
from everyskill.settings import read_environment

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080
MIN_SECRET_BYTES = 32
DEFAULT_JWKS_SECONDS = 5.0
DEFAULT_JWKS_BYTES = 1024 * 1024

_SYMMETRIC = ("HS256", "HS384", "HS512")
_ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")

Port = Annotated[int, Meta(ge=0, le=65_535)]
Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class WebSettings(Struct, frozen=True, kw_only=True):
    """Each field is the environment variable EVERYSKILL_<FIELD>.

    `jwt_secret` or `jwks_url` verifies bearer tokens; `jwt_algorithms` (comma-separated) are the algorithms that may
    sign them; `jwt_issuer` and `jwt_audience` are what their `iss` and `aud` must say. The `*_claim` settings name the
    claims that hold the tenant, the role, the name and the email address.
    The keys at `jwks_url` must arrive within `jwks_timeout` seconds and have at most `jwks_limit` bytes.
    `session_secret` signs the session cookies of the pages; unset, sessions end with the process.
    `demo_sign_in` lets anybody sign in as any user, on loopback only; the sign-in page offers the users of
    `demo_tenant`.
    `body_limit` is the size in bytes of a body that publishes a skill, others of the API have a quarter of it;
    `body_timeout` is the seconds in which any must arrive. It may come in `free_pieces` of any size; more must be
    `piece_bytes` long on average.
    `form_limit` is the size in bytes of the body that a page's form may send, `form_fields` how many fields it has at
    most.
    `markdown_limit` is up to how many characters a SKILL.md is rendered, `render_timeout` the seconds that it may take,
    and `markdown_cache` how many bytes of HTML are kept.
    `head_timeout` is the seconds in which the head of a request must arrive, `send_timeout` those in which a client
    must read a response, `unread_limit` how many bytes may wait for that on all connections together, and
    `connection_limit` how many may be open.
    `busy_limit` is how many requests may be in progress before more are refused: of one tenant a quarter, and
    `unauthenticated_limit` of those that wait for a body and are not known to be of any.
    """

    host: str = DEFAULT_HOST
    port: Port = DEFAULT_PORT
    jwt_secret: str | None = None
    jwks_url: str | None = None
    jwks_timeout: Seconds = DEFAULT_JWKS_SECONDS
    jwks_limit: Count = DEFAULT_JWKS_BYTES
    jwt_algorithms: str | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    tenant_claim: str = "tenant"
    role_claim: str = "role"
    name_claim: str = "name"
    email_claim: str = "email"
    session_secret: str = field(default_factory=lambda: token_urlsafe(MIN_SECRET_BYTES))
    demo_sign_in: bool = False
    demo_tenant: str = "demo"
    body_limit: Count = 4 * 1024 * 1024
    body_timeout: Seconds = 20.0
    free_pieces: Count = 1_000
    piece_bytes: Count = 32
    form_limit: Count = 64 * 1024
    form_fields: Count = 64
    markdown_limit: Count = 128 * 1024
    markdown_cache: Count = 8 * 1024 * 1024
    render_timeout: Seconds = 0.2
    head_timeout: Seconds = 10.0
    send_timeout: Seconds = 30.0
    unread_limit: Count = 64 * 1024 * 1024
    connection_limit: Count = 1_000
    busy_limit: Count = 500
    unauthenticated_limit: Count = 50

    def __post_init__(self) -> None:
        """Raises InvalidSetting where fields contradict each other or are too weak."""
        if self.demo_sign_in and not is_loopback(self.host):
            raise InvalidSetting("EVERYSKILL_DEMO_SIGN_IN", f"only works on loopback, not on {self.host}")
        if self.jwt_secret and self.jwks_url:
            raise InvalidSetting("EVERYSKILL_JWKS_URL", "cannot stand beside EVERYSKILL_JWT_SECRET")
        if self.jwks_url and not self.jwks_url.startswith(("https://", "http://")):
            raise InvalidSetting("EVERYSKILL_JWKS_URL", "must begin with https:// or http://")
        for name, secret in (("JWT_SECRET", self.jwt_secret), ("SESSION_SECRET", self.session_secret)):
            if secret is not None and len(secret.encode()) < MIN_SECRET_BYTES:
                raise InvalidSetting(f"EVERYSKILL_{name}", f"must be at least {MIN_SECRET_BYTES} bytes long")
        if self.takes_tokens:
            self._check_tokens()

    @property
    def takes_tokens(self) -> bool:
        """Whether there is a key that could verify a bearer token."""
        return bool(self.jwt_secret or self.jwks_url)

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms that may sign a token: all of them symmetric or none."""
        if self.jwt_algorithms is None:
            return _SYMMETRIC[:1] if self.jwt_secret else _ASYMMETRIC[:1]
        return tuple(name.strip() for name in self.jwt_algorithms.split(","))

    def _check_tokens(self) -> None:
        for name, value in (("JWT_ISSUER", self.jwt_issuer), ("JWT_AUDIENCE", self.jwt_audience)):
            if not value:
                raise InvalidSetting(f"EVERYSKILL_{name}", "must be set where bearer tokens are taken")
        allowed = _SYMMETRIC if self.jwt_secret else _ASYMMETRIC
        if not set(self.algorithms) <= set(allowed):
            raise InvalidSetting("EVERYSKILL_JWT_ALGORITHMS", f"must be among {', '.join(allowed)} with this key")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, **chosen: object) -> "WebSettings":
        """Reads the settings; what is `chosen` and not None goes first. Raises InvalidSetting."""
        return read_environment(cls, environment, **chosen)


def is_loopback(host: str) -> bool:
    """Whether the host is localhost or a loopback address, which only this machine can reach."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
