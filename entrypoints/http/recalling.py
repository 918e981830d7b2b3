"""Routes that answer questions."""

from __future__ import annotations

from litestar import post
from litestar.params import JSONBody

from domain.recall import RecallAnswer
from entrypoints.http.problems import documented
from entrypoints.http.requests import Soma
from entrypoints.http.schemas_recall import RecallAnswers, RecallBatchBody, RecallBody


@post("/recall", status_code=200, responses=documented(400, 413))
async def recall(data: JSONBody[RecallBody], container: Soma) -> RecallAnswer:
    """Find the memories that answer a question; every hit says why."""
    return await container.recall()(data.asked())


@post("/recall/batch", status_code=200, responses=documented(400, 413))
async def recall_batch(data: JSONBody[RecallBatchBody], container: Soma) -> RecallAnswers:
    """Answer up to 100 questions in one call."""
    use_case = container.recall()
    return RecallAnswers([await use_case(query) for query in data.asked()])


ROUTES = [recall, recall_batch]
