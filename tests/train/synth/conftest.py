"""The wiki as a corpus, with its ports; FOLDOC as one where it is installed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from train.synth.build import Plan, make_ports
from train.synth.clues import Clues
from train.synth.corpus import IndexCorpus, open_corpus
from train.synth.extractive import ExtractiveWriter
from train.synth.foldoc import NoDictionary, read_foldoc, write_foldoc
from train.synth.ports import Capability, Ports
from train.synth.rows import Rows
from train.synth.subgraphs import Subgraphs
from train.synth.walks import Walks
from train.synth.work import work

from .wiki import write_wiki


@pytest.fixture(scope="session")
def wiki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wiki")
    write_wiki(folder)
    return folder


@pytest.fixture(scope="session")
def ports(wiki: Path, tmp_path_factory: pytest.TempPathFactory) -> Ports:
    out = tmp_path_factory.mktemp("synth")
    made, _ = make_ports(open_corpus(wiki, out), ExtractiveWriter(), Plan(out=out, date="2026-01-02"))
    return made


@pytest.fixture(scope="session")
def clues(ports: Ports) -> Clues:
    return Clues(ports)


def made(capability: Capability, folder: Path, count: int) -> Rows:
    """The rows of a capability's first briefs."""
    rows = Rows(folder, capability.name, capability.filters, {"corpus": "wiki", "seed": 0})
    asyncio.run(work(capability, rows, count, concurrency=4))
    return rows


@pytest.fixture(scope="session")
def asked(ports: Ports, clues: Clues, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """Questions over subgraphs."""
    return made(Subgraphs(ports, clues), tmp_path_factory.mktemp("asked"), 24)


@pytest.fixture(scope="session")
def walked(ports: Ports, clues: Clues, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """Questions over walks."""
    return made(Walks(ports, clues), tmp_path_factory.mktemp("walked"), 16)


@pytest.fixture(scope="session")
def foldoc(tmp_path_factory: pytest.TempPathFactory) -> IndexCorpus:
    """The entries whose headword begins with one of a few letters, with the links among them."""
    try:
        entries = read_foldoc()
    except NoDictionary as error:
        pytest.skip(str(error))
    out = tmp_path_factory.mktemp("foldoc")
    some = [entry for entry in entries if entry.headwords[0][0].lower() in "fhlm"]
    write_foldoc(some, out / "pages")
    return open_corpus(out / "pages", out)
