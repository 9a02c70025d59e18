"""Worlds: the same from the same seed, contradictory where they should be, readable by the agent's own search."""

from __future__ import annotations

import dataclasses
import json

import pytest

from policy.config import load_settings
from policy.index.store import LocalIndex
from policy.tools.authority import Authority
from policy.tools.open import OpenTool
from policy.tools.search import IndexProvider, SearchTool
from train.world.documents import write_documents
from train.world.folder import write_settings, write_world
from train.world.generate import generate
from train.world.kinds import KINDS
from train.world.size import SMALL


def test_a_seed_gives_one_world_and_another_seed_another():
    assert generate(4, structures=12) == generate(4, structures=12)
    one, other = generate(4, structures=24), generate(5, structures=24)
    shared = set(one.entities) & set(other.entities)
    assert all(one.entities[name].facts != other.entities[name].facts for name in shared)


def test_every_structure_has_a_contradiction_and_half_of_them_a_namesake():
    world = generate(1, structures=48)
    assert len(world.structures) == 48
    assert all(thing.false_value != thing.facts[thing.contested] for thing in world.structures)
    namesakes = [thing for thing in world.structures if thing.namesake]
    assert 24 <= len(namesakes) <= 36
    for thing in namesakes:
        other = world.entities[thing.namesake]
        assert (other.namesake, other.name.split()[0]) == (thing.id, thing.name.split()[0])
        assert other.kind != thing.kind


def test_links_lead_to_people_and_towns_that_exist():
    world = generate(2, structures=30)
    edges = list(world.edges())
    assert len(edges) >= 60
    assert {world.entities[target].kind for _, _, target in edges} == {"person", "town"}


@pytest.mark.parametrize("structures", [1, 10_000])
def test_more_things_than_there_are_names_for_are_refused(structures):
    with pytest.raises(ValueError, match=f"not {structures}"):
        generate(0, structures=structures)


def test_the_registry_tells_every_fact_once_and_the_blog_one_of_them_wrongly():
    world = generate(3, structures=16)
    documents = write_documents(world)
    for thing in world.structures:
        registry, blog, *gazette = documents[thing.id]
        told = [name for names in registry.facts for name in names]
        assert sorted(told) == sorted(thing.facts)
        text = " ".join(registry.paragraphs)
        assert all(thing.claim(name) in text for name in thing.facts)
        assert thing.claim(thing.contested, thing.false_value) in blog.paragraphs[0]
        assert thing.claim(thing.contested) not in " ".join(blog.paragraphs)
        assert all("Sources disagree" in note.paragraphs[0] for note in gazette)


def test_a_small_world_has_few_facts_of_few_values_and_calls_its_pages_by_numbers():
    worlds = [generate(seed, structures=60, size=SMALL) for seed in range(6)]
    values: dict[str, set[str]] = {}
    for world in worlds:
        documents = write_documents(world)
        assert len({documents[thing.id][0].key for thing in world.structures}) == 60
        for thing in world.structures:
            assert {"town", thing.contested} <= thing.facts.keys()
            assert len(thing.facts) == 4
            registry, blog = documents[thing.id]
            assert (registry.path, blog.path) == (f"registry/{thing.page}.md", f"blog/{thing.page}.md")
            assert len(thing.page) == 2
            assert blog.paragraphs == (thing.statement(thing.contested, value=thing.false_value),)
            values.setdefault("opened", set()).add(thing.facts.get("opened", "1720"))
    assert 12 <= len(values["opened"]) <= 24
    with pytest.raises(ValueError, match="from 2 to 80"):
        generate(0, structures=81, size=SMALL)


def test_passages_are_short():
    world = generate(3, structures=30)
    texts = [text for some in write_documents(world).values() for document in some for text in document.paragraphs]
    assert max(len(text.split()) for text in texts) <= 40


@pytest.fixture
def folder(tmp_path):
    world = generate(9, structures=20)
    documents = write_documents(world)
    write_world(world, documents, tmp_path / "world")
    write_settings(tmp_path / "world", tmp_path / "settings.toml")
    return world, documents, tmp_path


async def test_the_agents_tools_find_and_open_the_page_of_each_thing(folder):
    world, documents, root = folder
    settings = load_settings(root / "settings.toml")
    index = LocalIndex.open(settings.search.index)
    authority = Authority.load(settings.search.authority)
    tool = SearchTool(IndexProvider(index), order=authority.order, max_results=settings.search.max_results)
    for thing in world.structures:
        page = documents[thing.id][0]
        found = await tool.search([thing.name])
        assert len(found.sources) == 3
        assert any(source.key.startswith(page.key) for source in found.sources), thing.id
        opened = await OpenTool(index).open([page.key])
        assert [source.text for source in opened.sources] == list(page.paragraphs)
        assert opened.text.count("\n## ") == 0
    index.close()


def test_a_folder_written_again_holds_nothing_of_the_world_before(folder):
    _, _, root = folder
    other = generate(10, structures=8)
    documents = write_documents(other)
    write_world(other, documents, root / "world")
    files = {path.relative_to(root / "world/documents").as_posix() for path in root.rglob("*.md")}
    assert files == {document.path for some in documents.values() for document in some}
    assert json.loads((root / "world/world.json").read_text())["entities"][0] == _as_json(other)
    with_index = LocalIndex.open(root / "world/index.sqlite")
    assert with_index.num_passages == sum(len(d.paragraphs) for some in documents.values() for d in some)
    with_index.close()


def _as_json(world):
    first = dataclasses.asdict(next(iter(world.entities.values())))
    return {**first, "links": list(first["links"])}


def test_every_attribute_can_be_stated_asked_and_claimed():
    for kind in KINDS.values():
        for attribute in kind.attributes:
            assert "{v}" in attribute.says
            assert "{it}" in attribute.says
            assert "{it}" in attribute.ask
            assert attribute.claim.count("{v}") == 1
            assert attribute.claim in attribute.says
