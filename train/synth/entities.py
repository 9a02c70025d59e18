"""A page for each thing that a corpus says something of: the graph of triples, for corpora whose files are not linked.

A writer reads triples out of every passage; what a triple says has to stand in its passage. The pages are Markdown
files that link to one another, so that they are a corpus like any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from policy.sources import Source
from train.synth import graph as graphs
from train.synth import words
from train.synth.brief import IS, Brief, Fact
from train.synth.corpus import IndexCorpus
from train.synth.forms import Triples
from train.synth.work import Progress, each
from train.synth.writer import Prompt, Unwritten, Writer
from train.tasks.funnel import Funnel

__all__ = ["linked", "read_triples", "write_pages"]

NOT_SAID, UNREADABLE = "not in the passage", "unreadable"
_PASSAGES = 4
"""Of those that name a thing, how many its page repeats."""


async def read_triples(
    corpus: IndexCorpus, writer: Writer, *, concurrency: int, progress: Progress | None = None
) -> tuple[list[Fact], Funnel]:
    """What the passages of a corpus state, in their order, and how many triples were dropped.

    Raises what the writer raises but Unwritten.
    """
    passages = [one for key in corpus.documents() for one in corpus.passages(key)]
    funnel = Funnel("triples")
    funnel.expect(UNREADABLE, NOT_SAID)
    found: dict[int, list[Fact]] = {}
    if progress is not None:
        progress.start("passages", len(passages), 0)

    async def read(numbered: tuple[int, Source]) -> None:
        number, passage = numbered
        found[number] = await _facts(passage, writer, funnel)
        if progress is not None:
            progress.step(funnel.kept)

    await each(enumerate(passages), read, concurrency=concurrency)
    return [fact for number in sorted(found) for fact in found[number]], funnel


async def _facts(passage: Source, writer: Writer, funnel: Funnel) -> list[Fact]:
    brief = Brief(id=passage.key, kind="triples", passages=(passage,))
    try:
        triples = (await writer.write(Prompt("triples", brief), Triples)).triples
    except Unwritten as error:
        funnel.total += 1
        funnel.drop(UNREADABLE, str(error))
        return []
    facts = []
    for one in triples:
        funnel.total += 1
        fact = Fact(
            " ".join(one.subject.split()), " ".join(one.relation.split()), " ".join(one.object.split()), passage.key
        )
        # The subject as it is written there, and hardly a word of the object that the passage has not.
        said = set(words.content(words.plain(passage.text)))
        wanted = set(words.content(fact.object))
        if words.is_named(passage.text, [fact.subject]) and wanted and len(wanted & said) >= 0.9 * len(wanted):
            facts.append(fact)
        else:
            funnel.drop(NOT_SAID, fact.text)
    return facts


def write_pages(corpus: IndexCorpus, facts: Sequence[Fact], folder: Path) -> int:
    """A file for each thing that a fact defines; how many. What another run left in the folder is taken away."""
    graph = graphs.from_triples(facts)
    defined = {fact.subject: fact for fact in reversed(facts) if fact.relation == IS and fact.subject in graph}
    files: dict[str, str] = {}
    for name in defined:
        base = re.sub(r"[^\w]+", "-", name.lower()).strip("-")
        if base and base not in files.values():
            files[name] = base
    names = {tuple(word.lower() for word in words.tokens(name)): name for name in files}
    by_name: dict[str, list[Source]] = {}
    for key in corpus.documents():
        for passage in corpus.passages(key):
            for name in dict.fromkeys(linked(passage.text, names, str)[1]):
                by_name.setdefault(name, []).append(passage)
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob("*.md")) - {folder / f"{base}.md" for base in files.values()}:
        stale.unlink()
    for name, base in files.items():
        others = {key: other for key, other in names.items() if other != name}

        def link(other: str) -> str:
            return f"[{other}]({files[other]}.md)"

        said = [f"{fact.subject} {fact.relation} {fact.object.rstrip('.')}." for fact in facts if fact.subject == name]
        shown = [one.text for one in by_name.get(name, [])[:_PASSAGES]]
        parts = [
            linked(words.plain(" ".join(part.split())), others, link)[0] for part in (*dict.fromkeys(said), *shown)
        ]
        (folder / f"{base}.md").write_text(f"---\ntitle: {name}\n---\n" + "\n\n".join(parts) + "\n", encoding="utf-8")
    return len(files)


def linked(text: str, names: Mapping[tuple[str, ...], str], link: Callable[[str], str]) -> tuple[str, list[str]]:
    """The text with each of the names as a link, the longest where several begin at one place; and the names."""
    spans = [(found.start(), found.end()) for found in words.TOKEN.finditer(text)]
    sizes = sorted({len(name) for name in names}, reverse=True)
    said = [text[start:end].lower() for start, end in spans]
    out, found_names, at, done = "", [], 0, 0
    while at < len(spans):
        for size in sizes:
            name = names.get(tuple(said[at : at + size]))
            if name is not None:
                out += text[done : spans[at][0]] + link(name)
                done = spans[at + size - 1][1]
                found_names.append(name)
                at += size
                break
        else:
            at += 1
    return out + text[done:], found_names
