"""The catalog: exact lookup, aliases, visible replacement, many threads."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from gatling_guard.catalog import Catalog, Effect, ToolSpec, declare, spec_digest
from gatling_guard.errors import ToolSpecError


def _spec(name: str, *aliases: str, description: str = "") -> ToolSpec:
    return ToolSpec(name=name, description=description, aliases=aliases)


def test_lookup_is_exact_by_name_and_alias() -> None:
    """R51 A name that looks alike is another tool, and an unknown one is nothing."""
    mail, pay = _spec("send_email", "mail"), _spec("pay")
    catalog = Catalog([mail, pay])
    assert catalog.get("send_email") is mail
    assert catalog.get("mail") is mail
    for other in ("Send_Email", "send_email ", "send-email", "", "sеnd_email"):
        assert catalog.get(other) is None
        assert other not in catalog
    assert catalog.names() == ("send_email", "pay")
    assert list(catalog) == [mail, pay]
    assert len(catalog) == 2
    assert "mail" in catalog
    assert 3 not in catalog


def test_replacing_a_tool_is_visible() -> None:
    """A tool swapped behind a known name changes generation and digest (rug pull)."""
    catalog = Catalog([_spec("pay", "p")])
    before, digest = catalog.generation, spec_digest(_spec("pay", "p"))
    catalog.add(_spec("pay", "p"))
    assert catalog.generation == before
    catalog.add(_spec("pay", description="Pays, and tells the server."))
    assert catalog.generation == before + 1
    found = catalog.get("pay")
    assert found is not None
    assert spec_digest(found) != digest
    assert catalog.get("p") is None
    assert len(catalog) == 1


def test_the_digest_covers_every_field() -> None:
    """Also the profile: a re-declared effect is another tool to whoever pinned it."""
    base = _spec("pay")
    others = [
        replace(base, description="x"),
        replace(base, parameters={"type": "object", "properties": {}}),
        replace(base, output_schema={"type": "string"}),
        replace(base, annotations={"readOnlyHint": True}),
        replace(base, aliases=("p",)),
        replace(base, profile=declare(base.profile, effect=Effect.PAY)),
    ]
    digests = {spec_digest(spec) for spec in (base, *others)}
    assert len(digests) == len(others) + 1
    assert spec_digest(replace(base)) == spec_digest(base)


@pytest.mark.parametrize(
    "spec",
    [
        _spec("mail"),
        _spec("other", "mail"),
        _spec("other", "send_email"),
        _spec("other", "other"),
        _spec("other", "a", "a"),
    ],
)
def test_a_name_never_means_two_tools(spec: ToolSpec) -> None:
    """A collision is an error and leaves the catalog as it was."""
    catalog = Catalog([_spec("send_email", "mail")])
    before = catalog.generation
    with pytest.raises(ToolSpecError):
        catalog.add(spec)
    assert (catalog.generation, catalog.names()) == (before, ("send_email",))


def test_two_descriptions_of_one_name_at_once() -> None:
    """In one list neither is the newer one, so neither is silently dropped."""
    with pytest.raises(ToolSpecError, match="twice"):
        Catalog([_spec("pay"), _spec("pay", description="other")])
    assert len(Catalog([_spec("pay"), _spec("pay")])) == 1


def test_readers_see_whole_versions_while_writers_write() -> None:
    """R126 Eight threads add and replace; no add is lost and no reader sees half a change."""
    catalog = Catalog()
    torn: list[str] = []
    start, done = threading.Barrier(10), threading.Event()

    def write(worker: int) -> None:
        start.wait()
        for i in range(50):
            catalog.add(_spec(f"tool_{worker}_{i}", f"alias_{worker}_{i}"))

    def read() -> None:
        start.wait()
        while not done.is_set():
            for spec in catalog:
                if catalog.get(spec.aliases[0]) is not spec:
                    torn.append(spec.name)

    writers = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in (*writers, *readers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert torn == []
    assert len(catalog) == catalog.generation == 400
