"""Which effect a tool has, judged by its name and its description.

Sees: the verb, the head noun that decides what a general verb means, and whether a second source
agrees. Does not see: what the code does. A tool that lies about itself is believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gatling_guard.catalog import lexicon as lex
from gatling_guard.catalog.evidence import Evidence, from_description, from_name, from_prefix
from gatling_guard.catalog.names import base_form, segments, sentence, singular, words
from gatling_guard.catalog.types import Effect


@dataclass(frozen=True, slots=True)
class Guess:
    """The effect that all sources together suggest."""

    effect: Effect
    confidence: float
    verb: str = ""
    known: bool = True
    """Whether any verb or data noun was recognised."""


def guess_effect(
    name: str, description: str, arguments: Iterable[str], actions: Iterable[str] = ()
) -> Guess:
    """The effect of a tool.

    Args:
        name: as the model sees it.
        description: free text.
        arguments: names of the arguments, nested ones too.
        actions: verbs that an argument ("action") may say; the worst of them counts.
    """
    args = frozenset(arguments)
    guess = _plain_guess(name, description, args)
    if _brings_code(name, guess.verb, args):
        guess = Guess(Effect.EXECUTE, 0.8, guess.verb)
    elif guess.effect is Effect.READ and _hands_over(name, guess.verb, args):
        guess = Guess(Effect.SEND, min(guess.confidence, 0.7), guess.verb)
    chosen = [a for a in actions if a in lex.VERBS]
    worst = max(chosen, key=lambda a: lex.RISK[lex.VERBS[a]], default="")
    if worst and lex.RISK[lex.VERBS[worst]] > lex.RISK[guess.effect]:
        return Guess(lex.VERBS[worst], 0.8, worst)
    return guess


def _plain_guess(name: str, description: str, args: frozenset[str]) -> Guess:
    runs = _runs_code(name, description, args) or _calls_http(args)
    if runs is not None:
        return runs
    said = None if _repeats(name, description) else from_description(description, args)
    guess = _combine(from_name(name, args), said)
    guess = guess or _by_noun(segments(name)[-1:]) or _combine(from_prefix(name, args), None)
    guess = guess or _by_noun(segments(name)) or Guess(Effect.WRITE, 0.3, known=False)
    if guess.effect is Effect.READ and (
        args & lex.OUTPUT_PLACES or _matches(lex.SAVES, description)
    ):
        return Guess(Effect.WRITE, min(guess.confidence, 0.7), guess.verb)
    if guess.confidence <= 0.5 and guess.effect in lex.GIVING and args and not _carries(args):
        return Guess(Effect.READ, 0.5, guess.verb)  # A noun: there is nothing to send or pay with.
    if guess.effect is Effect.WRITE and _matches(lex.CHARGES, description):
        return Guess(Effect.PAY, min(guess.confidence, 0.7), guess.verb)
    if guess.effect is Effect.READ and _also_changes(name, description, args):
        return Guess(Effect.STATE_CHANGING_READ, guess.confidence, guess.verb)
    return guess


def _matches(pattern: str, description: str) -> bool:
    return re.search(pattern, description[:2000], re.IGNORECASE) is not None


def _repeats(name: str, description: str) -> bool:
    """A description that is the name once more says nothing more."""
    return (segments(name) or ((),))[-1] == sentence(description)


def _carries(args: frozenset[str]) -> bool:
    """Whether any argument holds what is sent or paid, or who gets it."""
    telling = lex.CONTENT_HEADS | lex.RECIPIENT_HEADS | lex.RECIPIENT_ARGS | lex.PAID_WITH
    return any(not telling.isdisjoint(words(arg) or (arg,)) for arg in args)


def _also_changes(name: str, description: str, args: frozenset[str]) -> bool:
    """Mail is marked as read, a session is opened, a one-time thing is used up."""
    tokens = words(name)
    if _matches(lex.MARKS_READ, description) or not lex.UNREAD.isdisjoint(tokens):
        return True
    if not lex.ONE_TIME.isdisjoint(tokens[-1:]):
        return True
    secret = any(not lex.CREDENTIALS.isdisjoint(words(arg)) for arg in args)
    opened = not lex.SESSIONS.isdisjoint(tokens[-1:]) or _matches(lex.OPENS_SESSION, description)
    return secret and opened


def _brings_code(name: str, verb: str, args: frozenset[str]) -> bool:
    """A packager that is told to fetch or run something: `pip_install`, `docker.pull`."""
    tokens = words(name)
    told = verb in lex.FETCHING_CODE or not lex.FETCHING_CODE.isdisjoint(tokens[-1:])
    packagers = lex.PACKAGERS | (lex.MAYBE_PACKAGERS if args & lex.PACKAGES else frozenset())
    return told and not packagers.isdisjoint(tokens)


def _hands_over(name: str, verb: str, args: frozenset[str]) -> bool:
    """A read whose result goes where an argument says: `export(destination)`, a webhook.

    A look at rules or webhooks may be narrowed by where they lead.
    """
    tokens = {singular(token) for token in words(name)}
    if not (lex.FORWARDERS | {"rule", "filter", "redirect"}).isdisjoint(tokens):
        return False
    split = {arg: words(arg) or (arg,) for arg in args}
    posted = {a for a, s in split.items() if s[-1] in lex.URL_HEADS and s[0] in lex.TOWARDS}
    if args & lex.FORWARDING or any("webhook" in split[arg] for arg in posted):
        return True
    handed = verb in lex.HANDING_OVER or not lex.HANDING_OVER.isdisjoint(words(name)[:1])
    urls = {a for a, s in split.items() if s[-1] in lex.URL_HEADS}
    return handed and bool(posted or args & lex.DESTINATIONS or (verb in lex.EXPORTING and urls))


def _runs_code(name: str, description: str, args: frozenset[str]) -> Guess | None:
    """A tool that is handed code, a command or SQL executes it, however it is called."""
    parts = segments(name)
    tokens = parts[-1] if parts else ()
    if not _takes_code(tokens, description, args):
        return None
    if any(phrase in description[:2000].lower() for phrase in lex.READ_ONLY_PHRASES):
        return Guess(Effect.READ, 0.6, "query")
    return Guess(Effect.EXECUTE, 0.9, "run")


def _takes_code(tokens: Sequence[str], description: str, args: frozenset[str]) -> bool:
    verb = next((token for token in tokens if token in lex.VERBS), "")
    if verb in lex.CODE_AS_TEXT:
        return False
    if args & {"sql", "sql_query"}:
        return True
    if "query" in args and ("sql" in tokens or "sql" in sentence(description)):
        return True
    if args & lex.EXPRESSIONS and _evaluates(tokens, verb, description):
        return True
    running = verb in lex.RUNNING
    commanded = "command" in tokens and lex.VERBS.get(verb) not in (None, Effect.READ)
    return bool(args & lex.CODE_ARGS) and (
        running or commanded or not lex.SHELLS.isdisjoint(tokens)
    )


def _evaluates(tokens: Sequence[str], verb: str, description: str) -> bool:
    """Whether an expression is code: anything evaluated is, unless it is said to be arithmetic."""
    said = words(description[:2000])
    if verb not in lex.RUNNING and all(base_form(w, lex.RUNNING) is None for w in said[:8]):
        return False
    if not (lex.LANGUAGES | {"eval"}).isdisjoint((*tokens, *said)):
        return True
    return verb in lex.RUNNING and lex.ARITHMETIC.isdisjoint((*tokens, *said))


def _calls_http(args: frozenset[str]) -> Guess | None:
    """A general HTTP client: what it does is up to its arguments, so the worse of them."""
    if "method" in args and args & {"url", "uri", "endpoint"} and args & lex.HTTP_BODIES:
        return Guess(Effect.SEND, 0.8, "request")
    return None


def _combine(named: Evidence | None, said: Evidence | None) -> Guess | None:
    """Name first, description second; where they differ the worse counts, with less confidence."""
    if named is None and said is None:
        return None
    if named is None or said is None:
        only = named or said
        assert only is not None
        return Guess(only.effect, (0.8 if named else 0.65) if only.strong else 0.5, only.verb)
    if named.effect is said.effect:
        return Guess(named.effect, 0.95 if named.strong or said.strong else 0.7, named.verb)
    return _conflict(named, said)


def _conflict(named: Evidence, said: Evidence) -> Guess:
    if named.verb == said.verb:
        # The two name different objects of one verb.
        return Guess(max(named, said, key=lambda e: e.risk).effect, 0.8, named.verb)
    if said.verb in lex.GOALS:
        return Guess(named.effect, 0.6, named.verb)  # "SensorVerification: maintains ..."
    if said.strong and said.verb in lex.FIGURES and not named.strong:
        return Guess(Effect.READ, 0.6, said.verb)  # "loan_repayment: Calculates ..."
    modelled = named.verb in lex.LIGHT and said.verb in {"build", "create", "fit", "train"}
    if modelled and named.effect is Effect.READ:
        return Guess(Effect.READ, 0.6, named.verb)  # "run_regression: Builds a model".
    if not named.strong and said.strong:
        # "SmartLockStatus: Retrieves the state": the noun in the name is no verb.
        grave = named.effect is not Effect.WRITE and named.verb not in lex.AMBIGUOUS
        worse = named if grave and named.risk > said.risk else said
        return Guess(worse.effect, 0.6, worse.verb)
    if said.strong and said.verb in lex.FIGURES and named.effect is Effect.WRITE:
        return Guess(Effect.READ, 0.6, said.verb)  # "add: Calculates the sum".
    if named.verb in lex.MAKING and said.verb in lex.MAKING | lex.LIGHT | {"create", "build"}:
        return Guess(named.effect, 0.6, named.verb)  # "generate_chart: Creates a chart".
    if named.verb in lex.CATCH_ALL and said.strong:
        return Guess(max(named, said, key=lambda e: e.risk).effect, 0.6, said.verb)
    grave = said.effect in (Effect.DELETE, Effect.PAY, Effect.PERMIT)
    meant = said.verb not in lex.AMBIGUOUS or said.verb in lex.GRAVE
    if grave and said.strong and meant and named.effect is Effect.WRITE:
        return Guess(said.effect, 0.6, said.verb)
    reads = named.effect in (Effect.READ, Effect.STATE_CHANGING_READ)
    if reads and said.strong and said.verb not in lex.LIGHT:
        return Guess(max(named, said, key=lambda e: e.risk).effect, 0.55, said.verb)
    return Guess(named.effect, 0.75 if named.strong else 0.5, named.verb)


def _by_noun(parts: Sequence[tuple[str, ...]]) -> Guess | None:
    """A bare noun ("balance", "weather.current") names what is returned."""
    tokens = [token for part in parts for token in part]
    nouns = {singular(token) for token in tokens} | set(tokens)
    if nouns & (lex.READING_NOUNS | lex.COMPUTE_NOUNS):
        return Guess(Effect.READ, 0.5)
    if tokens and singular(tokens[-1]) != tokens[-1]:
        # A plural ("leagues") lists things, more likely than not; unsure, so the worse of the two.
        return Guess(Effect.WRITE, 0.4)
    return None
