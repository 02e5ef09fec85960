"""Places for the calls of a plan: layers along the data flow, few crossings, nothing random.

Sees: nodes and links. A link against the order (receipts may be wrong) is drawn and moves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gatling_guard.report.types import Link, Node

WIDTH, HEIGHT = 206.0, 68.0
"""Of one call's box, in SVG user units."""
SHOWN = 36
"""Most calls drawn."""
FEW = 14
"""Up to so many calls, those that have nothing to do with the decision are drawn too."""
WIDE = 1080.0
"""A wider drawing is turned, so that the flow goes downwards, where that makes it narrower."""
_MARGIN, _SWEEPS = 14.0, 6

Point = tuple[float, float]
Key = tuple[str, str]


@dataclass
class Layout:
    """Where things stand, in SVG user units."""

    downwards: bool = False
    corners: dict[str, Point] = field(default_factory=dict)
    """Upper left corner of each box."""
    routes: dict[Key, list[Point]] = field(default_factory=dict)
    """Points of each link, ends included, in the direction of the flow."""
    width: float = 0.0
    height: float = 0.0


def selected(nodes: Sequence[Node], links: Sequence[Link], focus: str) -> list[Node]:
    """The calls worth drawing: what the decision rests on, what was stopped, and what feeds it."""
    if len(nodes) <= FEW:
        return list(nodes)
    into: dict[str, list[str]] = {}
    for link in links:
        into.setdefault(link.target, []).append(link.source)
    stopped = [node.id for node in nodes if node.action in ("block", "hold")]
    costly = [n.id for n in sorted(nodes, key=lambda n: -n.energy) if n.energy > 0.0]
    chosen: dict[str, None] = {}
    for start in ([focus] if focus else []) + stopped + costly:
        queue = [start]
        while queue and len(chosen) < SHOWN:
            name = queue.pop(0)
            if name not in chosen:
                chosen[name] = None
                queue += into.get(name, [])
    found = [node for node in nodes if node.id in chosen]
    return found or list(nodes[:FEW])


def placed(nodes: Sequence[Node], links: Iterable[Link], wide: float = WIDE) -> Layout:
    """Lay out a drawing; equal input gives equal output."""
    names = [node.id for node in nodes]
    known = set(names)
    pairs = list(dict.fromkeys(
        (k.source, k.target) for k in links
        if k.source in known and k.target in known and k.source != k.target
    ))  # fmt: skip
    order = _topological(names, pairs)
    at = {name: place for place, name in enumerate(order)}
    forward = [pair for pair in pairs if at[pair[0]] < at[pair[1]]]
    linked = {name for pair in forward for name in pair}
    depth = _layers(order, forward)
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for name in order:
        if name in linked:
            layers[depth[name]].append(name)
    chains = _with_bends(layers, depth, forward)
    slots = _slots(layers, chains)
    found = Layout(downwards=_turned(layers, slots, wide))
    _draw(found, layers, slots, known)
    _loose(found, [name for name in names if name not in linked], wide)
    _route(found, layers, slots, chains, known)
    for pair in pairs:
        if pair not in found.routes:
            found.routes[pair] = [_middle(found, pair[0]), _middle(found, pair[1])]
    _grow(found)
    return found


def _topological(names: Sequence[str], pairs: Sequence[Key]) -> list[str]:
    """By data flow and, among equals, as given. A cycle is cut at its first call."""
    waiting = {name: {s for s, t in pairs if t == name} for name in names}
    order: list[str] = []
    while waiting:
        name = next((n for n, before in waiting.items() if not before), next(iter(waiting)))
        del waiting[name]
        order.append(name)
        for before in waiting.values():
            before.discard(name)
    return order


def _layers(order: Sequence[str], pairs: Sequence[Key]) -> dict[str, int]:
    depth = dict.fromkeys(order, 0)
    into: dict[str, list[str]] = {}
    for source, target in pairs:
        into.setdefault(target, []).append(source)
    for name in order:
        depth[name] = max((depth[source] + 1 for source in into.get(name, [])), default=0)
    # A source stands right before the first call that uses it: long links say nothing.
    out: dict[str, list[str]] = {}
    for source, target in pairs:
        out.setdefault(source, []).append(target)
    for name in reversed(order):
        if name in out and name not in into:
            depth[name] = max(0, min(depth[target] for target in out[name]) - 1)
    return depth


def _with_bends(
    layers: list[list[str]], depth: dict[str, int], pairs: Sequence[Key]
) -> dict[Key, list[str]]:
    """The chain of each link; one that passes layers gets a bend in each of them."""
    chains: dict[Key, list[str]] = {}
    for number, (source, target) in enumerate(pairs):
        chain = [source]
        for layer in range(depth[source] + 1, depth[target]):
            bend = f"\0{number}/{layer}"  # no call's name: names are one line of visible text
            layers[layer].append(bend)
            chain.append(bend)
        chains[source, target] = [*chain, target]
    return chains


def _slots(layers: list[list[str]], chains: dict[Key, list[str]]) -> dict[str, float]:
    """The position of each item across the flow, in boxes."""
    near: dict[str, list[str]] = {}
    for chain in chains.values():
        for before, after in zip(chain, chain[1:], strict=False):
            near.setdefault(before, []).append(after)
            near.setdefault(after, []).append(before)
    slot = {name: float(place) for layer in layers for place, name in enumerate(layer)}
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wanted = {n: _mean([slot[o] for o in near.get(n, [n])]) for n in layer}
            layer.sort(key=lambda name: wanted[name])
            _spread(layer, wanted, slot)
    return _without_gaps(slot)


def _without_gaps(slot: dict[str, float]) -> dict[str, float]:
    """The same places with nothing but calls between the first and the last."""
    result: dict[str, float] = {}
    last = at = 0.0
    for place, (name, value) in enumerate(sorted(slot.items(), key=lambda item: item[1])):
        at += min(1.0, value - last) if place else 0.0
        result[name], last = at, value
    return result


def _spread(layer: Sequence[str], wanted: dict[str, float], slot: dict[str, float]) -> None:
    """As near to where they want to be as their order and their size allow."""
    last = None
    for name in layer:
        step = 0.0 if last is None else (_size(last) + _size(name)) / 2
        slot[name] = wanted[name] if last is None else max(wanted[name], slot[last] + step)
        last = name
    shift = _mean([slot[name] - wanted[name] for name in layer]) if layer else 0.0
    for name in layer:
        slot[name] -= shift


def _size(name: str) -> float:
    return 0.45 if name.startswith("\0") else 1.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _pitch(downwards: bool) -> tuple[float, float]:
    """From layer to layer, and from slot to slot."""
    return (HEIGHT + 50.0, WIDTH + 22.0) if downwards else (WIDTH + 150.0, HEIGHT + 20.0)


def _turned(layers: list[list[str]], slots: dict[str, float], wide: float) -> bool:
    most = max(slots.values(), default=0.0) + 1
    (along, _), (_, across) = _pitch(False), _pitch(True)
    return len(layers) * along > wide and most * across < len(layers) * along


def _draw(found: Layout, layers: list[list[str]], slots: dict[str, float], known: set[str]) -> None:
    along, across = _pitch(found.downwards)
    for place, layer in enumerate(layers):
        for name in layer:
            if name not in known:
                continue
            a, b = _MARGIN + place * along, _MARGIN + slots[name] * across
            found.corners[name] = (b, a) if found.downwards else (a, b)
    _grow(found)


def _loose(found: Layout, names: Sequence[str], wide: float) -> None:
    """Calls without any data flow, in rows under the rest."""
    top = found.height + (16.0 if found.corners else _MARGIN - found.height)
    room = int(wide // (WIDTH + 22.0))
    columns = min(max(3, int((found.width + 30.0) // (WIDTH + 22.0))), 6, max(1, room))
    for place, name in enumerate(names):
        row, column = divmod(place, columns)
        x = _MARGIN + column * (WIDTH + 22.0)
        found.corners[name] = (x, top + row * (HEIGHT + 20.0))
    _grow(found)


def _grow(found: Layout) -> None:
    """Room for all boxes, links and, beside links that go downwards, their labels."""
    bends = [point for route in found.routes.values() for point in route]
    beside = 150.0 if found.downwards else _MARGIN
    rights = [x + WIDTH + _MARGIN for x, _ in found.corners.values()]
    rights += [x + beside for x, _ in bends]
    lows = [y + HEIGHT + _MARGIN for _, y in found.corners.values()] + [y + 8 for _, y in bends]
    found.width = max([found.width, *rights])
    found.height = max([found.height, *lows])


def _route(
    found: Layout, layers: list[list[str]], slots: dict[str, float],
    chains: dict[Key, list[str]], known: set[str],
) -> None:  # fmt: skip
    along, across = _pitch(found.downwards)
    depth = {name: place for place, layer in enumerate(layers) for name in layer}
    out: dict[str, list[Key]] = {}
    into: dict[str, list[Key]] = {}
    for pair in chains:
        out.setdefault(pair[0], []).append(pair)
        into.setdefault(pair[1], []).append(pair)
    for pair, chain in chains.items():
        leaving = sorted(out[pair[0]], key=lambda p: (slots[chains[p][1]], p))
        coming = sorted(into[pair[1]], key=lambda p: (slots[chains[p][-2]], p))
        points = [_port(found, pair[0], leaving.index(pair), len(leaving), True)]
        for bend in chain[1:-1]:
            a = _MARGIN + depth[bend] * along + (HEIGHT if found.downwards else WIDTH) / 2
            b = _MARGIN + slots[bend] * across + (WIDTH if found.downwards else HEIGHT) / 2
            points.append((b, a) if found.downwards else (a, b))
        points.append(_port(found, pair[1], coming.index(pair), len(coming), False))
        found.routes[pair] = points


def _port(found: Layout, name: str, place: int, count: int, leaving: bool) -> Point:
    """Where a link touches a box: its ends are spread over the side."""
    x, y = found.corners[name]
    side = WIDTH if found.downwards else HEIGHT
    step = min(84.0 if found.downwards else 15.0, (side - 14.0) / max(1, count - 1))
    off = side / 2 + (place - (count - 1) / 2) * (step if count > 1 else 0.0)
    if found.downwards:
        return (x + off, y + (HEIGHT if leaving else 0.0))
    return (x + (WIDTH if leaving else 0.0), y + off)


def _middle(found: Layout, name: str) -> Point:
    x, y = found.corners[name]
    return x + WIDTH / 2, y + HEIGHT / 2
