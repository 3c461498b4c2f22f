"""Tokens of an identity provider: which are taken, which are not, and what becomes of them when it is away."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import RSAAlgorithm

from service.errors import ErrorKind, ServiceError
from service.security.caller import Allowance
from service.security.rate import Rate
from service.security.token_keys import TokenKeys, UnusableTokenKeys
from service.security.tokens import TokenRules, Tokens
from tests.service.security.issuer import AUDIENCE, NAME, Issuer, published

RULES = TokenRules(NAME, AUDIENCE, "scope", Allowance(Rate(5, 1)))


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Issuer:
    """One with one key."""
    return Issuer()


def tokens_of(issuer: Issuer, folder: Path, rules: TokenRules = RULES) -> Tokens:
    """What checks its tokens, by keys from a file."""
    file = folder / "jwks.json"
    file.write_bytes(issuer.jwks())
    return Tokens(TokenKeys(str(file)), rules)


async def refusal(tokens: Tokens, token: str) -> str:
    """What is said to who brings a token that is not taken."""
    with pytest.raises(ServiceError) as caught:
        await tokens.caller(token)
    assert caught.value.kind is ErrorKind.UNAUTHENTICATED
    return caught.value.message


async def test_a_good_token_is_its_subjects(issuer: Issuer, tmp_path: Path) -> None:
    """The subject is the caller, its scopes are those that mean something here, and all's limits hold."""
    tokens = tokens_of(issuer, tmp_path)
    for _ in range(2):
        caller = await tokens.caller(issuer.token())
        assert (caller.id, caller.scopes, caller.allowance) == ("jwt:carol", {"infer"}, Allowance(Rate(5, 1)))


async def test_subjects_that_begin_alike_are_two(issuer: Issuer, tmp_path: Path) -> None:
    """However long their common beginning is: what belongs to one is nothing to the other."""
    tokens = tokens_of(issuer, tmp_path)
    spiffe = "spiffe://example.org/" + "a" * 200
    one, other = [await tokens.caller(issuer.token(sub=spiffe + end)) for end in ("/one", "/two")]
    assert one.id != other.id
    assert not other.may_see(one.id)
    assert "subject" in await refusal(tokens, issuer.token(sub="a" * 256))


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": int(time.time()) - 3600}, "expired"),
        ({"exp": None}, "exp"),
        ({"exp": "never"}, "token"),
        ({"nbf": int(time.time()) + 3600}, "not yet valid"),
        ({"iss": "https://other.example"}, "issuer"),
        ({"iss": None}, "iss"),
        ({"aud": "somebody else"}, "udience"),
        ({"aud": None}, "aud"),
        ({"sub": None}, "sub"),
        ({"sub": 7}, "ubject"),
    ],
    ids=["old", "endless", "no time", "too early", "other issuer", "no issuer", "other", "nobody", "no one", "number"],
)
async def test_a_token_that_says_the_wrong_thing_is_refused(
    issuer: Issuer, tmp_path: Path, claims: dict[str, Any], why: str
) -> None:
    """A good signature is not enough: time, issuer, audience and subject must all be there and right."""
    assert why in await refusal(tokens_of(issuer, tmp_path), issuer.token(**claims))


async def test_clocks_may_differ_by_half_a_minute(issuer: Issuer, tmp_path: Path) -> None:
    """A token that was over ten seconds ago is still taken."""
    token = issuer.token(exp=int(time.time()) - 10)
    assert (await tokens_of(issuer, tmp_path).caller(token)).id == "jwt:carol"


async def test_tokens_of_other_keys_are_refused(issuer: Issuer, tmp_path: Path) -> None:
    """Neither a key of the same id, nor none at all, nor the public key taken for a shared secret will do."""
    tokens, thief = tokens_of(issuer, tmp_path), Issuer()
    assert "Signature" in await refusal(tokens, thief.token())
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    unsigned = jwt.encode(claims, None, "none", {"kid": "first"})
    assert "alg" in await refusal(tokens, unsigned)
    shared = jwt.encode(claims, "0" * 64, "HS256", {"kid": "first"})
    assert "alg" in await refusal(tokens, shared)
    assert "does not name" in await refusal(tokens, issuer.token(header={"kid": "unheard of"}))


DEEP = base64.urlsafe_b64encode(b"[" * 9000).decode()


@pytest.mark.parametrize(
    "text", ["", "a", "a.b.c", "." * 40, "\ud800.é.x", "e30.e30.e30", "A" * 20_000, f"{DEEP}.e30.e30"], ids=range(8)
)
async def test_what_is_no_token_is_refused(issuer: Issuer, tmp_path: Path, text: str) -> None:
    """Whatever is brought, it is a refusal and no failure."""
    assert "the token is not taken" in await refusal(tokens_of(issuer, tmp_path), text)


async def test_a_token_that_wants_more_than_is_known_is_refused(issuer: Issuer, tmp_path: Path) -> None:
    """What a token calls critical (RFC 7515, section 4.1.11) and nobody here knows is no detail."""
    token = issuer.token(header={"crit": ["of great weight"], "of great weight": True})
    assert "not taken" in await refusal(tokens_of(issuer, tmp_path), token)


@pytest.mark.parametrize(
    ("claim", "claims", "scopes"),
    [
        ("scope", {"scope": "a infer b admin"}, {"infer", "admin"}),
        ("scp", {"scp": ["infer", 7]}, {"infer"}),
        ("realm_access.roles", {"realm_access": {"roles": ["metrics"]}}, {"metrics"}),
        ("https://vitrail/scopes", {"https://vitrail/scopes": ["admin"]}, {"admin"}),
        ("scope", {"scope": None}, set()),
        ("a.b", {"a": "b"}, set()),
    ],
    ids=["words", "list", "within", "with dots", "none", "no object"],
)
async def test_scopes_come_from_a_claim(
    issuer: Issuer, tmp_path: Path, claim: str, claims: dict[str, Any], scopes: set[str]
) -> None:
    """As words, as a list, or within an object; what is none of ours means nothing."""
    tokens = tokens_of(issuer, tmp_path, TokenRules(NAME, AUDIENCE, claim, Allowance()))
    assert (await tokens.caller(issuer.token(**claims))).scopes == scopes


async def test_a_token_is_forgotten_with_its_key(issuer: Issuer, tmp_path: Path) -> None:
    """Once the issuer has taken a key back, a token that was checked before is none any more."""
    tokens, token = tokens_of(issuer, tmp_path), issuer.token()
    await tokens.caller(token)
    issuer.rotate("second", keep=False)
    (tmp_path / "jwks.json").write_bytes(issuer.jwks())
    await tokens.keys.look()
    assert "does not name" in await refusal(tokens, token)
    assert (await tokens.caller(issuer.token(key_id="second"))).id == "jwt:carol"


async def test_a_new_key_is_fetched_when_a_token_names_it(issuer: Issuer) -> None:
    """The issuer is asked where a key is unknown, and not again for a while, whatever tokens say."""
    with published(issuer):
        clock = Clock()
        tokens = Tokens(TokenKeys(issuer.url, clock), RULES)
        assert (await tokens.caller(issuer.token())).id == "jwt:carol"
        issuer.rotate("second")
        clock.now += 60.0
        assert (await tokens.caller(issuer.token(key_id="second"))).id == "jwt:carol"
        for number in range(5):
            await refusal(tokens, issuer.token(header={"kid": f"unheard of {number}"}))
        assert issuer.asked == 2


async def test_known_keys_count_while_the_issuer_is_away(issuer: Issuer) -> None:
    """An issuer that cannot be reached ends nothing; one that never could is not the caller's mistake."""
    with published(issuer):
        clock = Clock()
        tokens, later = (Tokens(TokenKeys(issuer.url, clock), RULES) for _ in range(2))
        await tokens.caller(issuer.token())
        issuer.away = True
        clock.now += 3600.0
        await tokens.keys.look()
        assert (await tokens.caller(issuer.token(sub="dave"))).id == "jwt:dave"
        with pytest.raises(ServiceError) as caught:
            await later.caller(issuer.token())
        assert caught.value.kind is ErrorKind.ENGINE_UNAVAILABLE


@pytest.mark.parametrize("source", ["http://issuer.example/keys", "ftp://issuer.example/keys", "nowhere.json"])
def test_keys_come_from_where_nobody_can_change_them(source: str) -> None:
    """Over the network by https only; a file that is not there is told at the start."""
    with pytest.raises(UnusableTokenKeys, match=r"issuer|nowhere"):
        TokenKeys(source)


def test_shared_secrets_and_weak_kinds_are_no_keys(tmp_path: Path) -> None:
    """A set that holds a secret that both sides know has nothing that can be used here."""
    file = tmp_path / "jwks.json"
    file.write_text('{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}')
    with pytest.raises(UnusableTokenKeys, match="no public key"):
        TokenKeys(str(file))


async def test_rsa_keys_are_taken_too(tmp_path: Path) -> None:
    """As many providers have them: RS256 and PS256, where the key does not say which."""
    key = rsa.generate_private_key(65537, 2048)
    public = {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "r"}
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [public]}))
    tokens = Tokens(TokenKeys(str(tmp_path / "jwks.json")), RULES)
    claims = {"iss": NAME, "aud": AUDIENCE, "sub": "erin", "exp": int(time.time()) + 60}
    for algorithm in ("RS256", "PS256"):
        assert (await tokens.caller(jwt.encode(claims, key, algorithm, {"kid": "r"}))).id == "jwt:erin"
    other = ec.generate_private_key(ec.SECP256R1())
    assert "alg" in await refusal(tokens, jwt.encode(claims, other, "ES256", {"kid": "r"}))
