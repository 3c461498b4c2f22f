"""Who may ask for what, and how much of it."""

from service.security.admin import AdminAccess
from service.security.caller import ANYONE, Caller, Priority, Scope
from service.security.own_pages import require_own_page

__all__ = ["ANYONE", "AdminAccess", "Caller", "Priority", "Scope", "require_own_page"]
