"""Metrics are scraped under the rules of the main port."""

from __future__ import annotations

import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
from judger.errors import InvalidRequest
from judger.judge import Judge
from judger.observe.metrics import Metrics
from judger.server.callers import TokenFile, new_token
from judger.server.scrape import serving_metrics
from tests.judger.server.test_security import certificates

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates with openssl")


@pytest.fixture
async def metrics() -> Metrics:
    return Metrics(Judge(ScriptedEngine()))


def scraped(url: str, token: str = "", context: ssl.SSLContext | None = None) -> str:
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(asked, timeout=30, context=context) as response:
        return str(response.read().decode())


async def test_without_tokens_and_encryption_anybody_on_this_machine_may_scrape(metrics: Metrics) -> None:
    with serving_metrics(ServeConfig(metrics_port=0), metrics, None) as port:
        assert "judger_engine_up 1.0" in scraped(f"http://127.0.0.1:{port}/metrics")
    with serving_metrics(ServeConfig(), metrics, None) as port:
        assert port is None


async def test_where_callers_need_a_token_so_does_whoever_scrapes(metrics: Metrics, tmp_path: Path) -> None:
    token, table = new_token("prometheus")
    (tmp_path / "tokens").write_text(table)
    with serving_metrics(ServeConfig(metrics_port=0), metrics, TokenFile(tmp_path / "tokens")) as port:
        url = f"http://127.0.0.1:{port}/metrics"
        for wrong in ("", "wrong", f"{token}x"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                scraped(url, wrong)
            assert caught.value.code == 401
            assert b"judger_" not in caught.value.read()
        assert "judger_engine_up 1.0" in scraped(url, token)


@needs_openssl
async def test_where_the_main_port_is_encrypted_and_knows_its_clients_so_does_this_one(
    metrics: Metrics, tmp_path: Path
) -> None:
    certificates(tmp_path)
    config = ServeConfig(
        metrics_port=0,
        tls_cert=tmp_path / "server.pem",
        tls_key=tmp_path / "server.key",
        tls_client_ca=tmp_path / "ca.pem",
    )
    known = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    known.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
    stranger = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    with serving_metrics(config, metrics, None) as port:
        url = f"localhost:{port}/metrics"
        assert "judger_engine_up 1.0" in scraped(f"https://{url}", context=known)
        with pytest.raises((urllib.error.URLError, OSError)):
            scraped(f"https://{url}", context=stranger)
        with pytest.raises((urllib.error.URLError, OSError)):
            scraped(f"http://{url}")


@needs_openssl
async def test_whoever_never_says_a_word_holds_up_neither_others_nor_the_end(metrics: Metrics, tmp_path: Path) -> None:
    certificates(tmp_path)
    config = ServeConfig(metrics_port=0, tls_cert=tmp_path / "server.pem", tls_key=tmp_path / "server.key")
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    with serving_metrics(config, metrics, None) as port:
        assert port is not None
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
        assert "judger_engine_up 1.0" in scraped(f"https://localhost:{port}/metrics", context=context)
        ended = time.monotonic()
    assert time.monotonic() - ended < 9  # the silent ones are given up after ten seconds
    for one in silent:
        one.close()


async def test_a_taken_port_and_files_that_are_no_certificate_are_refused(metrics: Metrics, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = ServeConfig(metrics_port=taken.getsockname()[1])
        with pytest.raises(InvalidRequest, match="metrics_port"), serving_metrics(config, metrics, None):
            pass
    (tmp_path / "no.pem").write_text("-----BEGIN nothing")
    config = ServeConfig(metrics_port=0, tls_cert=tmp_path / "no.pem", tls_key=tmp_path / "no.pem")
    with pytest.raises(InvalidRequest, match="tls_cert"), serving_metrics(config, metrics, None):
        pass
