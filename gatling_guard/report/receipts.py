"""From receipts to explanations. A receipt may be old, cut short or changed: nothing is trusted.

Sees: what `pipeline.receipt` recorded. Does not see: what the ledger cut to fit; energy whose
shares were cut is told as such, so that the shares still add up (R45).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gatling_guard.report.advice import advise
from gatling_guard.report.types import (
    Argument,
    Change,
    Explanation,
    Ground,
    Link,
    Mended,
    Node,
    Rule,
    ShareOf,
    Source,
)

_EPSILON = 1e-9
_MOST = 1e9
"""Of one figure. Entries may be forged: sums of what is read must stay finite."""


def explained(body: Mapping[str, Any], **fields: Any) -> Explanation:
    """An explanation of one receipt, advice included; `fields` come from the entry around it."""
    total, shares = _shares(body, str(fields.get("node") or body.get("node") or ""))
    profile = _mapping(body.get("profile"))
    reasons = _texts(body.get("reasons")) or _texts([body.get("error")])
    rules = tuple(_rules(body.get("findings")))
    bands = _list(body.get("thresholds"))
    numbers = tuple(_number(item) for item in bands[:2])
    arguments = tuple(_arguments(body.get("lineage")))
    node = str(fields.pop("node", "") or body.get("node") or "")
    found = Explanation(
        decision_id=_text(body.get("decision_id")), tool=_text(body.get("tool")) or "?",
        action=_text(body.get("action")) or "?", mode=_text(body.get("mode")) or "enforce",
        would=_text(body.get("would")), node=node, role=_text(body.get("role")),
        policy=_text(body.get("policy")), version=_text(body.get("version")),
        hold_id=_text(body.get("hold_id")), approved_by=_text(body.get("approved_by")),
        why=reasons[0] if reasons else "", by=_by(body, rules, reasons), reasons=reasons,
        effect=_text(profile.get("effect")),
        reversible=profile["reversible"] if type(profile.get("reversible")) is bool else None,
        arguments=arguments, rules=rules,
        authority=(*_grounds(body.get("grounds")), *_grant(body.get("grant"))),
        shares=shares, total=total, repair=_mended(body),
        unrepaired=_text(body.get("unrepaired")),
        thresholds=(numbers[0], numbers[1]) if len(numbers) == 2 else None,
        **fields,
    )  # fmt: skip
    return _with(found, why=found.why or _quiet(found), actions=advise(found))


def drawing(bodies: Mapping[str, Mapping[str, Any]]) -> tuple[tuple[Node, ...], tuple[Link, ...]]:
    """Nodes and links of calls, from their receipts by call id, in the order of the calls."""
    nodes: dict[str, Node] = {}
    links: dict[tuple[str, str, str], Link] = {}
    for call, body in bodies.items():
        leaves = tuple(_arguments(body.get("lineage")))
        worst = max((leaf.tier for leaf in leaves if not leaf.named), default=1)
        energy = _number(_mapping(body.get("energy")).get("total"))
        action = _text(body.get("would")) or _text(body.get("action"))
        repair = body.get("repair")
        if action == "repair" and isinstance(repair, Mapping):  # of what ran
            energy = _number(repair.get("energy"))
        for leaf in leaves:
            for source in leaf.sources:
                if source.call and source.call != call:
                    nodes.setdefault(source.call, Node(source.call, source.tool, ""))
                    _link(links, Link(source.call, call, leaf.argument, source.tier))
        by = _text(body.get("approved_by"))
        nodes[call] = Node(call, _text(body.get("tool")), action, energy, worst, by)
    return tuple(nodes.values()), tuple(links.values())


def _link(links: dict[tuple[str, str, str], Link], link: Link) -> None:
    key = (link.source, link.target, link.label)
    if key not in links or links[key].tier < link.tier:
        links[key] = link


def planned(body: Mapping[str, Any]) -> tuple[tuple[Node, ...], tuple[Link, ...]]:
    """Nodes and links of a whole plan, from its receipt."""
    parts = {_text(part.get("node")): part for part in _mappings(body.get("parts"))}
    nodes, found = drawing(parts)
    links = {(link.source, link.target, link.label): link for link in found}
    tiers = {node.id: node.tier for node in nodes}
    known = {(link.source, link.target) for link in found}
    for edge in _list(body.get("edges")):
        source, target, argument = ([_text(item) for item in _list(edge)] + ["", "", ""])[:3]
        if source in tiers and target in tiers and (source, target) not in known:
            label = argument.strip("/").split("/")[0]
            _link(links, Link(source, target, label, tiers[source]))
    return nodes, tuple(links.values())


def parts_of(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The receipts of a plan's calls."""
    return iter(_mappings(body.get("parts")))


def _with(found: Explanation, **fields: Any) -> Explanation:
    from dataclasses import replace

    return replace(found, **fields)


def _by(body: Mapping[str, Any], rules: tuple[Rule, ...], reasons: tuple[str, ...]) -> str:
    head = reasons[0] if reasons else ""
    if head.startswith("hold.") and not head.startswith(("hold.rule", "hold.tool")):
        return "person"
    if "error" in body or head.startswith("guard.error"):
        return "error"
    if any(rule.action in ("block", "hold") for rule in rules):
        return "rule"
    return "energy"


def _quiet(found: Explanation) -> str:
    """Why a call without reasons was let through."""
    if found.thresholds is None:
        return f"energy {found.total:.1f}, and no rule applies"
    return f"no rule applies, and energy {found.total:.1f} is below {found.thresholds[0]:g}"


def _shares(body: Mapping[str, Any], node: str) -> tuple[float, tuple[ShareOf, ...]]:
    """The total and shares that sum to it: what is missing of a term is a share of its own."""
    energy = _mapping(body.get("energy"))
    found: list[ShareOf] = []
    for item in _list(body.get("shares")):
        fields = _list(item)
        if len(fields) < 4:
            continue
        edge = [_text(end) for end in _list(fields[5])] if len(fields) > 5 else []
        pair = (edge[0], edge[1]) if len(edge) == 2 else None
        where = _text(fields[4]) if len(fields) > 4 else ""
        texts = (_text(fields[0]), _text(fields[1]))
        found.append(ShareOf(*texts, _number(fields[2]), _text(fields[3]), where, pair))
    total = _number(energy.get("total"))
    terms = [str(name) for name in energy if name != "total"]
    for term in terms:
        left = _number(energy[term]) - sum(s.value for s in found if s.term == term)
        if abs(left) > _EPSILON:
            found.append(ShareOf(term, node, left, "not recorded in detail"))
    left = total - sum(share.value for share in found)
    if abs(left) > _EPSILON:
        found.append(ShareOf("other", node, left, "not recorded in detail"))
    return total, tuple(found)


def _arguments(value: object) -> Iterator[Argument]:
    for leaf in _mappings(value):
        yield Argument(
            path=_text(leaf.get("path")), argument=_text(leaf.get("argument")) or _top(leaf),
            kind=_text(leaf.get("kind")), value=_text(leaf.get("value")),
            tier=_tier(leaf.get("tier")), named=leaf.get("named") is True,
            sources=tuple(_source(origin) for origin in _mappings(leaf.get("origins"))),
            empty=leaf.get("value") == "",
        )  # fmt: skip


def _top(leaf: Mapping[str, Any]) -> str:
    return _text(leaf.get("path")).strip("/").split("/")[0]


def _source(origin: Mapping[str, Any]) -> Source:
    texts = (_text(origin.get(name)) for name in ("call", "tool", "path", "quote"))
    source, match = _text(origin.get("source")), _text(origin.get("match"))
    return Source(source, match, _tier(origin.get("tier")), *texts)


def _grounds(value: object) -> Iterator[Ground]:
    for item in _list(value):
        fields = [_text(field) for field in _list(item)]
        if len(fields) == 3:
            yield Ground(*fields)


def _grant(value: object) -> Iterator[Ground]:
    """The grant that was used: which source may direct what, and who said so."""
    grant = _mapping(value)
    if grant:
        sources = ", ".join(_text(item) for item in _list(grant.get("source")))
        by = f", by {_text(grant.get('by'))}" if grant.get("by") else ""
        text = f"{sources} may direct this: {_text(grant.get('reason'))}{by}"
        yield Ground("grant", _text(grant.get("basis")), text)


def _mended(body: Mapping[str, Any]) -> Mended | None:
    """The repair that was made, or the one that is offered."""
    offered = not isinstance(body.get("repair"), Mapping)
    data = _mapping(body.get("offer") if offered else body.get("repair"))
    if not data:
        return None
    texts = _texts(data.get("edits"))
    kinds, places = _list(data.get("kinds")), _list(data.get("places"))
    changes = []
    for at, text in enumerate(texts):
        place = _list(places[at]) if at < len(places) else []
        node, where = ([_text(item) for item in place] + ["", ""])[:2]
        changes.append(Change(_text(kinds[at]) if at < len(kinds) else "", node, where, text))
    return Mended(
        tuple(changes), offered, body.get("only_offer") is True, _texts(data.get("holds")),
        _number(data.get("cost")), _number(data.get("similarity")), data.get("minimal") is True,
        int(_number(data.get("explored"))), _number(data.get("energy")),
        _text(data.get("before")), _text(data.get("after")),
    )  # fmt: skip


def _rules(value: object) -> Iterator[Rule]:
    for item in _list(value):
        fields = [_text(field) for field in _list(item)]
        if len(fields) >= 3:
            yield Rule(*fields[:4])


def _text(value: object) -> str:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")  # so that no call's id is a bend of the drawing
    return "" if value is None else str(value)[:200]


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in _list(value) if isinstance(item, str) and item)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return 0.0
    return float(max(-_MOST, min(_MOST, value)))


def _tier(value: object) -> int:
    """What is not readable counts as public."""
    return value if type(value) is int and value in (1, 2, 3) else 3


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [item for item in _list(value) if isinstance(item, Mapping)]
