"""The description of the admin API (OpenAPI 3.1), made from the same tables as its answers."""

from __future__ import annotations

from typing import Any

from nestos import __version__
from nestos.updates.admin.actions import ACTIONS


def document() -> dict[str, Any]:
    """The whole description."""
    stream = _parameter("stream")
    reading = {
        "/v1/streams": _get("Every stream in short.", []),
        "/v1/streams/{stream}": _get("A stream's releases, with what nodes reported of each.", [stream]),
        "/v1/streams/{stream}/graph": _get(
            "The published update graph of one architecture.", [stream, _parameter("basearch", place="query")]
        ),
        "/v1/streams/{stream}/failures": _get(
            "Nodes that failed, with their reason, the newest first.",
            [stream, _parameter("version", place="query", needed=False), _limit()],
        ),
        "/v1/audit": _get("The newest changes, the newest first.", [_limit()]),
    }
    acting = {
        f"/v1/streams/{{stream}}/releases/{{version}}/{action.name}": {
            "post": {
                "operationId": action.name,
                "summary": f"{action.sentence} Needs the role {action.role.name.lower()}.",
                "parameters": [stream, _parameter("version")],
                "requestBody": {
                    "required": action.needs_reason,
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "properties": {"reason": {"type": "string", "maxLength": 1000}},
                                "required": ["reason"] if action.needs_reason else [],
                            }
                        }
                    },
                },
                "responses": _responses("The release as it is now."),
            }
        }
        for action in ACTIONS
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "NestOS releases",
            "version": __version__,
            "description": "Bearer tokens of a role: read, operate, admin. See docs/updates.md.",
        },
        "paths": reading | acting,
        "security": [{"token": []}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Error": {
                    "type": "object",
                    "properties": {"kind": {"type": "string"}, "value": {"type": "string"}},
                    "required": ["kind", "value"],
                }
            },
        },
    }


def _parameter(name: str, *, place: str = "path", needed: bool = True) -> dict[str, Any]:
    return {"name": name, "in": place, "required": needed, "schema": {"type": "string"}}


def _limit() -> dict[str, Any]:
    return {"name": "limit", "in": "query", "required": False, "schema": {"type": "integer", "minimum": 1}}


def _get(summary: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "get": {
            "summary": f"{summary} Needs the role read.",
            "parameters": parameters,
            "responses": _responses("The values."),
        }
    }


def _responses(good: str) -> dict[str, Any]:
    error = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    return {
        "200": {"description": good, "content": {"application/json": {}}},
        "400": {"description": "The question makes no sense."} | error,
        "401": {"description": "No token, or one that is not known."} | error,
        "403": {"description": "The token's role is not enough."} | error,
        "404": {"description": "There is no such stream or release."} | error,
        "409": {"description": "The release is not in a state for it."} | error,
    }
