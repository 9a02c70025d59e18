"""A small world on disk, and the expert's episodes in it by the real agent."""

from __future__ import annotations

import pytest

from policy.config import load_settings
from train.expert.episodes import attempt_tasks
from train.expert.model import Habits
from train.tasks.draft import deal
from train.tasks.templates import TemplateWriter
from train.world.documents import write_documents
from train.world.folder import write_settings, write_world
from train.world.generate import generate


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """(world, documents, settings, tasks)"""
    folder = tmp_path_factory.mktemp("small")
    world = generate(11, structures=24)
    documents = write_documents(world)
    write_world(world, documents, folder / "world")
    write_settings(folder / "world", folder / "settings.toml")
    return world, documents, load_settings(folder / "settings.toml"), deal(world, 24, label="t")


@pytest.fixture
def attempt(small, tmp_path):
    """`await attempt(card, slip="key", ...)`: one episode with those habits."""
    _, documents, settings, _ = small

    async def run(card, **habits):
        writer = TemplateWriter()
        query = await writer.query(card, await writer.draft(card))
        done = await attempt_tasks(
            [(card, query)], documents, settings, tmp_path / "work", attempts=1, habits=lambda _: Habits(**habits)
        )
        return done[0]

    return run
