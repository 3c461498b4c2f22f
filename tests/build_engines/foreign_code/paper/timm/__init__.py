"""A repository's own, older timm: it shares nothing but the name with the installed one."""

__version__ = "0.0.vendored"
