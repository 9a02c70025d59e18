"""The wiki as a corpus, with its ports; FOLDOC as one where it is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from train.synth.build import Plan, make_ports
from train.synth.clues import Clues
from train.synth.corpus import IndexCorpus, open_corpus
from train.synth.extractive import ExtractiveWriter
from train.synth.foldoc import NoDictionary, read_foldoc, write_foldoc
from train.synth.ports import Ports

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
