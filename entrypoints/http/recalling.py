"""Routes that answer questions."""

from __future__ import annotations

import asyncio

from litestar import post
from litestar.params import JSONBody

from application.access.permits import Operation
from domain.recall import RecallAnswer
from entrypoints.http.access import needs
from entrypoints.http.problems import BODY, documented
from entrypoints.http.requests import Soma
from entrypoints.http.schemas_recall import RecallAnswers, RecallBatchBody, RecallBody

#: Of one batch, so that others get their turn at the model and the store.
QUESTIONS_AT_ONCE = 8


@post("/recall", opt=needs(Operation.RECALL), status_code=200, responses=documented(400, *BODY))
async def recall(data: JSONBody[RecallBody], soma: Soma) -> RecallAnswer:
    """Find the memories that answer a question; every hit says why."""
    return await soma.recall(data.asked(soma.home))


@post(
    "/recall/batch", opt=needs(Operation.RECALL), status_code=200, responses=documented(400, *BODY)
)
async def recall_batch(data: JSONBody[RecallBatchBody], soma: Soma) -> RecallAnswers:
    """Answer up to 100 questions in one call."""
    queries, answers = data.asked(soma.home), list[RecallAnswer]()
    for start in range(0, len(queries), QUESTIONS_AT_ONCE):
        some = queries[start : start + QUESTIONS_AT_ONCE]
        answers += await asyncio.gather(*(soma.recall(query) for query in some))
    return RecallAnswers(answers)


ROUTES = [recall, recall_batch]
