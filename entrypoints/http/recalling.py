"""Routes that answer questions."""

from __future__ import annotations

from litestar import post
from litestar.params import JSONBody

from application.permits import Operation
from domain.recall import RecallAnswer
from entrypoints.http.access import needs
from entrypoints.http.problems import documented
from entrypoints.http.requests import Soma
from entrypoints.http.schemas_recall import RecallAnswers, RecallBatchBody, RecallBody


@post("/recall", opt=needs(Operation.RECALL), status_code=200, responses=documented(400, 413))
async def recall(data: JSONBody[RecallBody], soma: Soma) -> RecallAnswer:
    """Find the memories that answer a question; every hit says why."""
    return await soma.recall(data.asked(soma.home))


@post("/recall/batch", opt=needs(Operation.RECALL), status_code=200, responses=documented(400, 413))
async def recall_batch(data: JSONBody[RecallBatchBody], soma: Soma) -> RecallAnswers:
    """Answer up to 100 questions in one call."""
    return RecallAnswers([await soma.recall(query) for query in data.asked(soma.home)])


ROUTES = [recall, recall_batch]
