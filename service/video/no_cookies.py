"""A jar that takes no cookies: what one caller's address sets must not go along to another's, nor be gathered."""

from http.cookiejar import CookieJar, DefaultCookiePolicy


def no_cookies() -> CookieJar:
    """The jar."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))
