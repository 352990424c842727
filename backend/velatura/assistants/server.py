"""The tools behind the Model Context Protocol's official library, over standard input and output."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server

from velatura import __version__
from velatura.assistants.tools import Answer, Tool, Tools
from velatura.client.jobs import Job, Progress
from velatura_protocol.errors import VelaturaError

T = TypeVar("T")
LOOK = 0.1  # seconds between two looks at a running edit
INSTRUCTIONS = (
    "Velatura edits pictures by masks, words and sliders on this computer. Each tool is a method; a result is"
    " a new file with a recipe in it. Paths are relative to the first folder that the person has named."
)


def server(tools: Tools) -> Server:
    """A server that offers the tools."""

    async def listed(
        _context: ServerRequestContext, _parameters: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(tool) for tool in tools.listed()])

    async def called(
        context: ServerRequestContext, parameters: types.CallToolRequestParams
    ) -> types.CallToolResult:
        arguments = parameters.arguments or {}
        try:
            answer = await _in_thread(lambda: tools.told(parameters.name, arguments))
            if answer is None:
                job, out = await _in_thread(lambda: tools.begin(parameters.name, arguments))
                await _followed(job, context)
                result = await _in_thread(job.result)
                answer = await _in_thread(lambda: tools.end(result, out))
        except (VelaturaError, OSError) as error:
            return types.CallToolResult(content=[_text(_sentence(error))], is_error=True)
        return _answered(answer)

    return Server(
        "velatura",
        version=__version__,
        title="Velatura",
        instructions=INSTRUCTIONS,
        on_list_tools=listed,
        on_call_tool=called,
    )


def serve(tools: Tools) -> None:
    """Offer the tools on standard input and output until the assistant ends."""
    offered = server(tools)

    async def talk() -> None:
        async with stdio_server() as (reading, writing):
            await offered.run(reading, writing, offered.create_initialization_options())

    anyio.run(talk)


async def _followed(job: Job, context: ServerRequestContext) -> None:
    """Report the progress until the edit ends. An assistant that cancels the call cancels the edit."""
    told: Progress | None = None
    try:
        while not job.done:
            if job.progress is not told:
                told = job.progress
                await context.session.report_progress(told.fraction, 1.0, told.stage)
            await anyio.sleep(LOOK)
    except BaseException:
        job.cancel()
        raise


async def _in_thread(task: Callable[[], T]) -> T:
    return await anyio.to_thread.run_sync(task)


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.schema,
        annotations=types.ToolAnnotations(
            read_only_hint=tool.reads_only, destructive_hint=False, open_world_hint=False
        ),
    )


def _answered(answer: Answer) -> types.CallToolResult:
    content: list[types.ContentBlock] = [_text(answer.text)]
    if answer.thumbnail:
        data = base64.b64encode(answer.thumbnail).decode("ascii")
        content.append(types.ImageContent(data=data, mime_type="image/png"))
    return types.CallToolResult(content=content, structured_content=answer.facts)


def _text(text: str) -> types.TextContent:
    return types.TextContent(text=text)


def _sentence(error: VelaturaError | OSError) -> str:
    if isinstance(error, VelaturaError):
        return f"{error.message} {error.hint}".strip()
    return f"The file could not be used: {error.strerror or error}; give another name or folder."
