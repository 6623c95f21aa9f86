"""Why a request is refused before it reaches the catalog: each error has its HTTP status in problems.py."""

from dataclasses import dataclass

from everyskill.errors import EverySkillError


class RequestRefused(EverySkillError):
    """The request itself is at fault, not what it asks for."""

    code = "refused"


class NotSignedIn(RequestRefused):
    """The request carries neither a bearer token nor a session cookie."""

    code = "not_signed_in"
    sentence = "Sign in, or send a bearer token."


class InvalidToken(RequestRefused):
    """A token that was not accepted. It does not say why, so that nobody can probe which tenants exist."""

    code = "invalid_token"
    sentence = "This token is not valid here."


class UnknownPerson(RequestRefused):
    """A demo sign-in as a user who does not exist."""

    code = "unknown_person"
    sentence = "There is no such user in such a tenant. Add one with: everyskill users add"


class CsrfFailed(RequestRefused):
    """A write without the CSRF token of its session, or one that the browser says another site made."""

    code = "csrf_failed"
    sentence = "This form is out of date. Load the page again and repeat what you did."


class NeedsHttps(RequestRefused):
    """A sign-in over plain HTTP from another machine, where the browser would drop the session cookie."""

    code = "needs_https"
    sentence = "Signing in from another machine needs https://, or your browser would not keep you signed in."


class BodyTooSlow(RequestRefused):
    """A body that did not arrive within `body_timeout`, or of somebody unknown who gave way to later ones."""

    code = "body_too_slow"
    sentence = "The body of the request did not arrive in time."


class ClientGone(RequestRefused):
    """The client disconnected before its body had arrived."""

    code = "client_gone"
    sentence = "The request ended before its body had arrived."


@dataclass(eq=False)
class NotAllowed(RequestRefused):
    """The user is signed in, but does not have the role that the call needs."""

    needed: str
    code = "not_allowed"
    sentence = "Only a user with the role {needed} may do this."


@dataclass(eq=False)
class TooManyFields(RequestRefused):
    """A form with more fields than any page sends."""

    highest: int
    code = "too_many_fields"
    sentence = "A form may have at most {highest} fields."


class BadEscape(RequestRefused):
    """A form with a % that is not followed by two hexadecimal digits, as no browser sends one."""

    code = "bad_escape"
    sentence = "In a form, % must be followed by two hexadecimal digits; the sign itself is %25."


@dataclass(eq=False)
class RepeatedField(RequestRefused):
    """A form that gives a field more than once, as no page does."""

    name: str
    code = "repeated_field"
    sentence = "Give the field {name!r} once."


@dataclass(eq=False)
class TooManyParts(RequestRefused):
    """A body of more names and texts than the largest that could be accepted has."""

    highest: int
    code = "too_many_parts"
    sentence = "The body has too many parts: a list may have at most {highest:,} items."


class NotJson(RequestRefused):
    """A body whose Content-Type is not application/json."""

    code = "unsupported_media_type"
    sentence = "Send the body as application/json."


@dataclass(eq=False)
class UnknownParameter(RequestRefused):
    """A query parameter that the call does not take: misspelt, it would change nothing and nobody would notice."""

    name: str
    known: tuple[str, ...]
    code = "unknown_parameter"

    def __str__(self) -> str:
        return f"There is no query parameter {self.name!r} here. This call takes {', '.join(self.known) or 'none'}."


@dataclass(eq=False)
class RepeatedParameter(RequestRefused):
    """A query parameter that was given more than once, where the call takes one value."""

    name: str
    code = "repeated_parameter"
    sentence = "Give the query parameter {name!r} once."


class HeadersTooLarge(RequestRefused):
    """The address, the headers and the cookies are too long together."""

    code = "headers_too_large"
    sentence = "The address and the headers are too long together. Many ids go to POST /v1/views/lookup."


class HostUnreadable(RequestRefused):
    """A Host header that does not parse, so that no URL can be made with it."""

    code = "host_unreadable"
    sentence = "The Host header is not a host and a port."


class TooBusy(RequestRefused):
    """Too many requests are in progress already: of this tenant, or `busy_limit` of nobody known yet."""

    code = "too_busy"
    sentence = "The service is busy. Try again in a moment."


class KeysUnavailable(RequestRefused):
    """The identity provider's keys cannot be fetched, so no token can be verified."""

    code = "keys_unavailable"
    sentence = "Tokens cannot be verified at the moment. Try again later."
