"""The admin address as a whole: answers are made in threads, the API's below ``/v1``, else the page's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from nestos.base.clock import Clock
from nestos.updates.admin.api import MOST_BODY, Api, Steering
from nestos.updates.admin.page import Page
from nestos.updates.admin.tokens import Tokens
from nestos.updates.answers import refusal
from nestos.updates.http import Listener, Request, response

_MOST_CONNECTIONS = 256


def listener(steering: Steering, tokens: Tokens, *, clock: Clock) -> Listener:
    """Answers operators."""
    api, page = Api(steering, tokens), Page(steering, tokens, clock=clock)

    def handler(request: Request) -> Awaitable[bytes]:
        is_for_programs = request.path.startswith("/v1/") or request.path == "/openapi.json"
        return asyncio.to_thread(api if is_for_programs else page, request)

    return Listener(handler, refuse=_refuse, most_connections=_MOST_CONNECTIONS, most_body=lambda _: MOST_BODY)


def _refuse(status: int, sentence: str) -> bytes:
    return response(status, refusal(status, "invalid_request", sentence).body.plain, more="Connection: close\r\n")
