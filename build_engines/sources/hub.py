"""Whether the hub that timm fetches weights from can be reached, asked quickly."""

import urllib.error
import urllib.request

from huggingface_hub import constants

from build_engines.artifact import BuildFailure

LOCAL_ALTERNATIVES = "give a local checkpoint with --weights PATH, or try the way through with --weights random"
_PATIENCE_S = 5.0


def require_reachable() -> None:
    """BuildFailure if the hub does not answer; its own client would retry for most of a minute before saying so.

    In offline mode nothing is asked: the hub's client then looks into its cache only.
    """
    if constants.is_offline_mode():
        return
    request = urllib.request.Request(constants.ENDPOINT, method="HEAD")  # noqa: S310  set by the user's environment
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_S):  # noqa: S310
            pass
    except urllib.error.HTTPError:
        return  # It answered; what it thinks of the front page does not matter.
    except OSError as error:
        raise BuildFailure(
            f"the hub that holds these weights cannot be reached ({error})", LOCAL_ALTERNATIVES
        ) from error
