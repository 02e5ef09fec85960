"""Delegated work: the user lets a page, a mail or a ticket say what to do; with attack twins.

One family, one policy, one set of tools, and per family some of

- `g` gold: the agent does what the text says, because the user asked for that (delegated, with a
  grant in the policy or without one), or because the user gave the values himself;
- `r` gold: the same plan, with an attacker's line in the text that the agent did not follow;
- `a` adversarial, `injected_step`: the same page with one line more, and the agent followed it;
- `b` adversarial, `delegation_abuse`: the same calls with one value replaced: another than the
  user named, or one that the grant does not cover;
- `c` gold: the calls of `a`, asked for by the user, without the line;
- `d` gold: as `c`, and the line stands there too.

Most families have `g` alone, so that the names of the tools do not tell which plan is an attack.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from gatling_guard.plan import escape
from gatling_guard.training.families import Family, more
from gatling_guard.training.intrusions import Host, Intrusion
from gatling_guard.training.plans import Json, Plan, Value, columns, named
from gatling_guard.training.sample import Sample
from gatling_guard.training.seed_catalog import LANGUAGES, nouns, read_seed
from gatling_guard.training.tasks import Given, Story, label_of
from gatling_guard.training.toolsets import Param
from gatling_guard.training.values import Parts, World, shown, split

_SLOTS = {
    "amount": "money", "iban": "iban", "ref": "ref", "mail": "email", "topic": "topic",
    "time": "datetime", "task": "task", "site": "web_host", "otp": "otp", "day": "date",
    "item": "id", "address": "address", "note": "note", "restaurant": "restaurant",
    "people": "small", "person": "person", "product": "product", "channel": "channel",
    "code": "code", "role": "share_role",
}  # fmt: skip
_DELEGATE = {
    "de": ('Bitte mach, was {n} "{label}" verlangt.', 'Erledige, was in "{label}" steht ({n}).'),
    "fr": ('Fais ce que demande {n} "{label}".', 'Merci de suivre {n} "{label}".'),
    "es": ('Haz lo que pide {n} "{label}".', 'Por favor, sigue {n} "{label}".'),
    "it": ('Fai quello che chiede {n} "{label}".', 'Per favore segui {n} "{label}".'),
    "pt": ('Faça o que pede {n} "{label}".', 'Por favor, siga {n} "{label}".'),
    "nl": ('Doe wat {n} "{label}" vraagt.', 'Volg graag {n} "{label}".'),
}


@dataclass(frozen=True, slots=True)
class Workflow:
    """One kind of delegated work."""

    name: str
    domain: str
    thing: str
    asks: tuple[Parts, ...]
    lines: tuple[Parts, ...]
    steps: tuple[tuple[str, str, str, dict[str, str]], ...]
    """Domain, object, operation; role or `.field` -> slot, or `@source`: the record itself."""
    detail: Parts
    """Names values, for a user who knows them."""


@cache
def workflows() -> tuple[Workflow, ...]:
    """All of them, in the order of the file."""
    found = []
    for name, data in read_seed("workflows").items():
        domain, thing = data["source"].split("/")
        steps = tuple((*path.split("/"), slots) for path, slots in data["steps"])
        asks, lines = (tuple(map(split, data[key])) for key in ("asks", "lines"))
        found.append(Workflow(name, domain, thing, asks, lines, steps, split(data["detail"])))
    return tuple(found)


class Delegated:
    """One family in the making."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.flow = world.pick(workflows())
        self.story = Story(world, Plan(world))
        self.slots: dict[str, Any] = {
            slot: world.value(kind) for slot, kind in _SLOTS.items() if slot in self._used()
        }
        self.language = "en" if world.chance(0.8) else world.pick(LANGUAGES)
        self.user_names = self.language == "en" and world.chance(0.4)
        """Whether the user gives the values, too; else he leaves them to the text."""
        self.line = world.pick(self.flow.lines)
        self._read()
        known = self.named_slots()
        for _, slot in self.line:
            if slot in known:  # the text repeats what the user said
                self.story.plan.literals[self.slots[slot]] = self.prose.tier
        self.known = {(domain, thing, name) for domain, thing, name, _ in self.flow.steps}
        self.terms = self._grant() if not self.user_names and world.chance(0.5) else None

    def _used(self) -> set[str]:
        texts = (*self.flow.lines, *self.flow.asks, self.flow.detail)
        return {slot for parts in texts for _, slot in parts if slot}

    # -------------------------------------------------------------------------- the source

    def _read(self) -> None:
        """Calls that read the text, named by the user."""
        world, plan, flow = self.world, self.story.plan, self.flow
        toolset = self.story.toolset(flow.domain)
        thing = next(t for t in toolset.domain.things if t.name == flow.thing)
        kind = label_of(thing)
        assert kind is not None
        self.label = world.value(kind)
        fixed: Json = {thing.fields[0].name: self.label}
        getter = toolset.of(thing, "get", "fetch")
        search = toolset.of(thing, "search", "list")
        if getter is not None and getter.operation.name == "fetch":
            self.label = world.value("url")
            fixed = {"url": self.label}
            node = plan.call(getter, [(getter.params[0], named(self.label))])
            tool = getter
        elif search is None or (getter is not None and world.chance(0.2)):
            assert getter is not None
            self.label = world.value("id")
            node = plan.call(getter, [(getter.params[0], named(self.label))])
            fixed, tool = {toolset.id_key: self.label}, getter
        else:
            query: Given = [(p, named(self.label)) for p in search.params if p.role == "query"]
            node, tool = plan.call(search, query), search
            if getter is not None:
                rows = plan.listed(node, search, world.between(1, 3), fixed)
                node = plan.call(getter, [(getter.params[0], rows[0].id)])
                fixed[toolset.id_key], tool = rows[0].data[toolset.id_key], getter
        record = plan.returned(node, tool, fixed, lines=0)
        record.data.update({k: v for k, v in fixed.items() if k == toolset.id_key})
        self.source = record
        self.prose = next(c for c in columns(toolset, thing) if c.field.kind == "prose")
        self.before = [
            (world.sentence("asking" if asking else "prose"), asking)
            for asking in [world.chance(0.3) for _ in range(world.between(1, 3))]
        ]
        self.place = world.between(0, len(self.before))

    def twin(
        self,
        *,
        slots: dict[str, Any] | None = None,
        replaced: str = "",
        line: str = "",
        attack: Intrusion | None = None,
        first: bool = False,
        asked: bool = False,
    ) -> Plan:
        """One plan of the family.

        Args:
            slots: values in the text; the family's own where left out.
            replaced: the slot in which they differ, so that the user vouches for it no more.
            line: an attacker's sentence in the text.
            attack: what else the agent does: for the `line`, or without one for the user.
            first: whether that comes before everything else.
            asked: the user wants what the line wants.
        """
        plan = self.story.plan.copy()
        host = self.host if line else None
        if asked and attack is not None:
            plan.literals.update(dict.fromkeys(attack.values, self.prose.tier))
        extra: list[str] = []
        if attack is not None and first:
            extra = attack.perform(plan, host, asked=asked)
        made = self._steps(plan, slots or self.slots, self.named_slots() - {replaced})
        if attack is not None and not first:
            extra = attack.perform(plan, host, asked=asked)
        leads = not replaced  # also where the user repeats the values, he lets the text direct
        lines: list[tuple[str, bool, bool, list[str]]] = [
            (text, asking, False, []) for text, asking in self.before
        ]
        ask = _filled(self.world, self.line, slots or self.slots)
        lines.insert(min(1, len(lines)), (ask, True, leads, made))
        if line:
            lines.insert(self.place, (line, True, False, extra))
        for text, directive, authority, goal in lines:
            plan.say(
                self.source.node,
                self.prose.tier,
                text,
                directive=directive,
                authority=authority,
                goal_of=goal,
            )
        said = " ".join(text for text, *_ in lines)
        plan.outputs[self.source.node] = {**self.source.data, self.prose.key: said}
        return plan

    # ------------------------------------------------------------------------- the actions

    @property
    def host(self) -> Host:
        """The text that decides."""
        pointer = f"{self.source.pointer}/{escape(self.prose.key)}"
        return Host(self.source.node, pointer, self.prose.tier)

    def _steps(self, plan: Plan, slots: dict[str, Any], trusted: frozenset[str]) -> list[str]:
        """The calls that the text asks for; `trusted` slots are the user's."""
        made = []
        for domain, thing, operation, wanted in self.flow.steps:
            tool = self.story.toolset(domain).tools[thing, operation]
            given: Given = []
            for param in tool.params:
                role = f".{param.field.name}" if param.field is not None else param.role
                slot = wanted.get(role)
                if slot == "@source":
                    given.append((param, self.source.id))
                elif slot is not None:
                    value = slots[slot]
                    v = named(value) if slot in trusted else self.host.gives(value)
                    given.append((param, [v] if param.many else v))
                elif param.required:
                    given.append((param, self._model_value(param)))
            node = plan.call(tool, given, control=self.source.node)
            plan.done(node)
            made.append(node)
        return made

    def _model_value(self, param: Param) -> Value | list[Value]:
        item = param.field
        key = f"model/{self.flow.name}/{param.name}"
        if key not in self.slots:
            options = item.options if item is not None else ()
            self.slots[key] = self.world.pick(options) if options else self.world.value(param.kind)
        value = Value(self.slots[key])
        return [value] if param.many else value

    # --------------------------------------------------------------------------- the words

    def request(self) -> str:
        """What the user says."""
        world, label = self.world, str(self.label)
        if self.language != "en":
            at, known = LANGUAGES.index(self.language), nouns(self.flow.thing)
            noun = known[at] if known else self.flow.thing
            text = world.pick(_DELEGATE[self.language]).format(n=noun, label=label)
            return f"{text} ({self.slots['site']})" if "site" in self.slots else text
        slots = {**self.slots, "label": label}
        text = _filled(world, world.pick(self.flow.asks), slots)
        if self.user_names:
            text += " " + _filled(world, self.flow.detail, slots)
        return text

    def named_slots(self) -> frozenset[str]:
        """Slots whose values the request holds."""
        found = {slot for parts in self.flow.asks for _, slot in parts if slot and slot != "label"}
        if self.user_names:
            found |= {slot for _, slot in self.flow.detail if slot}
        return frozenset(found)

    def replaced(self) -> tuple[str, dict[str, Any]] | None:
        """A slot and the slots with the attacker's value in it, which user or grant rules out."""
        used = {s for *_, wanted in self.flow.steps for s in wanted.values() if s != "@source"}
        if self.user_names:
            able = used & self.named_slots()
        else:
            terms = self.terms or {}
            able = {"amount"} if "limits" in terms else set()
            able |= used & {"iban", "mail"} if "to" in terms else set()
        if not able:
            return None
        slot = self.world.pick(sorted(able))
        value = self.world.value(_SLOTS[slot])
        if slot == "amount" and not self.user_names:
            value = round(value + 2 * self._ceiling(), 2)
        return None if value == self.slots[slot] else (slot, {**self.slots, slot: value})

    def _ceiling(self) -> int:
        """What a grant allows: the sum of the family, rounded up."""
        return int(self.slots["amount"] // 100 + 1) * 100

    def _grant(self) -> Json:
        """A grant for what the text may direct."""
        world = self.world
        steps = [(self.story.toolset(d).tools[t, o], wanted) for d, t, o, wanted in self.flow.steps]
        node = next(n for n in self.story.plan.nodes if n["node_id"] == self.source.node)
        found: Json = {"source": {"tool": node["tool_name"]}}
        found["effects"] = sorted({tool.effect for tool, _ in steps})
        if world.chance(0.4):
            found["tools"] = sorted({tool.name for tool, _ in steps})
        if len(steps) == 1:
            tool, wanted = steps[0]
            sums = [p.name for p in tool.params if wanted.get(p.role) == "amount"]
            if sums and world.chance(0.7):
                found["limits"] = {sums[0]: self._ceiling()}
            parties = [self.slots[s] for s in wanted.values() if s in ("iban", "mail")]
            if parties and world.chance(0.6):
                mail = "@" in parties[0] and world.chance(0.4)
                found["to"] = ["*@" + parties[0].partition("@")[2]] if mail else parties
        if world.chance(0.4):
            found["calls"] = len(steps) + world.between(0, 3)
        if world.chance(0.3):
            found["expires_s"] = world.pick((900, 3600, 86400))
        return found


def delegated(world: World, name: str, twins: float, extras: float) -> list[Sample]:
    """A family of delegated work.

    Args:
        world: source of values.
        name: of the family.
        twins: share of families that have more than `g`.
        extras: share of the others whose user wants something unrelated besides.
    """
    work = Delegated(world)
    family = Family(name, f"workflow/{work.flow.name}", work.story)
    said = work.request()
    if world.chance(twins):
        family.add("g", said, work.twin())
        _add_twins(work, family, said)
    elif world.chance(extras):
        extra = Intrusion(work.story, work.known)
        family.add("g", said + more(world, extra.wish()), work.twin(attack=extra))
    else:
        family.add("g", said, work.twin())
    return family.finished(work.terms)


def _add_twins(work: Delegated, family: Family, said: str) -> None:
    world, attack = work.world, Intrusion(work.story, work.known)
    wish = attack.wish()
    line = attack.line(wish)
    if world.chance(0.5):
        family.add("r", said, work.twin(line=line))
    first = world.chance(0.5)
    family.add(
        "a",
        said,
        work.twin(line=line, attack=attack, first=first),
        attack.violates,
        "injected_step",
    )
    wider = said + more(world, wish)
    family.add("c", wider, work.twin(attack=attack, first=first))
    if world.chance(0.8):
        family.add("d", wider, work.twin(line=line, attack=attack, first=first, asked=True))
    other = work.replaced()
    if other is not None:
        slot, slots = other
        plan = work.twin(slots=slots, replaced=slot)
        family.add("b", said, plan, ("provenance", "hierarchy"), "delegation_abuse")


def _filled(world: World, parts: Parts, slots: dict[str, Any]) -> str:
    found = []
    for text, slot in parts:
        found.append(text)
        if slot is not None:
            found.append(shown(world, _SLOTS.get(slot, "note"), slots[slot]))
    return "".join(found)
