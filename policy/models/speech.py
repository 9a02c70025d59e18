"""A model that writes down speech, behind an OpenAI-compatible endpoint: POST /audio/transcriptions."""

from __future__ import annotations

import openai

from policy.config import SpeechConfig
from policy.errors import ConfigError, ModelError
from policy.whole import loads

__all__ = ["OpenAISpeech"]

_MOST_BYTES = 25 * 2**20
"""What OpenAI's endpoint takes."""


class OpenAISpeech:
    """A `policy.tools.media.Speech`."""

    def __init__(self, config: SpeechConfig, *, api_key: str | None = None) -> None:
        if not config.name:
            raise ConfigError("speech.name: the endpoint's name for the model is missing")
        self.name = config.name
        self._language = config.language
        self._client = openai.AsyncOpenAI(
            base_url=config.base_url, api_key=api_key or "none", timeout=config.timeout, max_retries=2
        )

    async def transcribe(self, data: bytes, file_name: str) -> str:
        """What is said; empty where nothing is. Raises ModelError."""
        if len(data) > _MOST_BYTES:
            raise ModelError(f"the recording has {len(data):,} bytes; {_MOST_BYTES:,} are taken")
        fields = {"language": self._language} if self._language else {}
        try:
            raw = await self._client.audio.transcriptions.with_raw_response.create(
                model=self.name, file=(file_name, data), response_format="json", **fields
            )
            value = loads(raw.http_response.content)
        except (openai.OpenAIError, ValueError) as error:
            raise ModelError(f"the endpoint failed: {str(error)[:300]}") from error
        text = value.get("text") if isinstance(value, dict) else None
        if not isinstance(text, str):
            raise ModelError("the endpoint sent a reply without a text")
        return text.strip()

    async def aclose(self) -> None:
        await self._client.close()
