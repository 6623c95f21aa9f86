"""Why a request is turned away before it reaches the catalog."""

from dataclasses import dataclass

from everyskill.errors import EverySkillError


class Refusal(EverySkillError):
    """The request itself is at fault, not what it asks for."""

    code = "refused"


class NotSignedIn(Refusal):
    """Neither a bearer token nor a session came along."""

    code = "not_signed_in"
    sentence = "Sign in, or send a bearer token."


class InvalidToken(Refusal):
    """A token that does not let anybody in. It says no more, so that nobody learns which tenants exist."""

    code = "invalid_token"
    sentence = "This token is not valid here."


class UnknownPerson(Refusal):
    """A demo sign-in as somebody who is not there."""

    code = "unknown_person"
    sentence = "There is no such user in such a tenant. Add one with: everyskill users add"


class CsrfFailed(Refusal):
    """A write with a session's cookie but without the session's token: another site may have sent it."""

    code = "csrf_failed"
    sentence = "This form is out of date. Load the page again and repeat what you did."


class NeedsHttps(Refusal):
    """A sign-in over plain HTTP from another machine."""

    code = "needs_https"
    sentence = "Signing in from another machine needs https://, or your browser would not keep you signed in."


class BodyTooSlow(Refusal):
    """A body that did not arrive in time; it held a place that others wait for."""

    code = "body_too_slow"
    sentence = "The body of the request did not arrive in time."


class ClientGone(Refusal):
    """The client hung up before its body had arrived."""

    code = "client_gone"
    sentence = "The request ended before its body had arrived."


@dataclass(eq=False)
class NotAllowed(Refusal):
    """Known, but not entitled."""

    needed: str
    code = "not_allowed"
    sentence = "Only a user with the role {needed} may do this."


class NotJson(Refusal):
    """A body of another media type than the API reads."""

    code = "unsupported_media_type"
    sentence = "Send the body as application/json."


class HeadersTooLarge(Refusal):
    """An address, headers and cookies that are together longer than any honest request's."""

    code = "headers_too_large"
    sentence = "The address and the headers are too long together. Many ids go to POST /v1/views/lookup."


class HostUnreadable(Refusal):
    """A Host header that names no host, so that no address can be made with it."""

    code = "host_unreadable"
    sentence = "The Host header is not a host and a port."


class TooBusy(Refusal):
    """More requests are under way than this process takes on."""

    code = "too_busy"
    sentence = "The service is busy. Try again in a moment."


class KeysUnavailable(Refusal):
    """The identity provider's keys cannot be fetched, so no token can be judged."""

    code = "keys_unavailable"
    sentence = "Tokens cannot be verified at the moment. Try again later."
