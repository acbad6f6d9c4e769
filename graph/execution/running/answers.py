"""Builds answers: of the executor's results, of mutations' fields, and of errors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
from graphql import GraphQLError

from graph.errors import ErrorCode, Overloaded, RateLimited, RequestError
from graph.execution.failures import RequestRejected, failure, refusal, rejection, unavailability
from graph.execution.running.request import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graphql import ExecutionResult

    from graph.execution.planning.compile import Compiled
    from graph.execution.planning.cost import CostLimits
    from graph.execution.planning.plan import Plan
    from graph.execution.running.mutation_fields import FieldResult
    from graph.execution.running.work import Work
    from graph.selection import Value


def compiled_answer(
    compiled: Compiled, columns: Sequence[bytes], values: Sequence[Value]
) -> Answer:
    """The answer of a statement that answers all fields."""
    body = compiled.body(columns, {})
    if compiled.lists_of_ids and (errors := compiled.errors(values)):
        return _answer(body, errors)
    return Answer(body, cache_control=compiled.cache_control)


def build_answer(result: ExecutionResult, plan: Plan) -> Answer:
    """The answer of the executor; raises as `check`."""
    check(result.errors or [])
    if result.data is None:
        return failed(result.errors or [])
    return answer_of(orjson.dumps({"data": result.data}), result.errors or [], plan.cache_control)


def check(errors: Sequence[GraphQLError]) -> None:
    """Return if there can be an answer with these errors of fields.

    Raises:
        RequestRejected: a statement has found that the operation asks for too much.
        Unavailable: the database was lost on the way, and so is the whole answer.
    """
    if error := rejection(errors) or unavailability(errors):
        raise error


def answer_of(body: bytes, errors: Sequence[GraphQLError], cache_control: bytes | None) -> Answer:
    """An answer, which is not cached if it has errors."""
    return _answer(body, errors, cache_control=None if errors else cache_control)


def combined(done: Mapping[str, FieldResult]) -> Answer:
    """The answer of a mutation: each field has its text, or is null and has errors."""
    errors: list[GraphQLError] = []
    members, replayed = [], []
    for key, each in done.items():
        errors += each.errors
        members.append(b'"%s":%s' % (key.encode(), each.text or b"null"))
        if each.replayed:
            replayed.append(key)
    if errors and len(done) == 1 and unavailability(errors):
        return failed(errors)
    answer = _answer(b'{"data":{%s}}' % b",".join(members), errors)
    return extended(answer, "replayed", replayed) if replayed else answer


def extended(answer: Answer, name: str, value: Any) -> Answer:
    """The answer with one more extension."""
    member = b'"%s":%s' % (name.encode(), orjson.dumps(value))
    if answer.is_extended:
        body = b"%s,%s}}" % (answer.body[:-2], member)
    else:
        body = b'%s,"extensions":{%s}}' % (answer.body[:-1], member)
    return replace(answer, body=body, is_extended=True)


def with_cost(answer: Answer, work: Work, actual: Mapping[str, int], limits: CostLimits) -> Answer:
    """The answer with a report of its cost."""
    fields = work.price.most_expensive(work.values)
    return extended(answer, "cost", limits.report(work.price, work.values, actual, fields))


def answer_to(error: Exception) -> Answer:
    """The answer of a request that ended with an error; a defect is masked, and logged."""
    match error:
        case RequestRejected():
            return rejected(error)
        case RateLimited() | Overloaded():
            answer = rejected(RequestRejected.because(str(error), code=error.code))
            wait = error.retry_after_seconds
            return replace(answer, status=error.status, retry_after_seconds=wait)
        case RequestError():
            located = GraphQLError(str(error), original_error=error)
            return rejected(RequestRejected([located], code=error.code))
        case RecursionError():
            message = "The document is nested too deeply."
            return rejected(
                RequestRejected.because(message, code=ErrorCode.GRAPHQL_VALIDATION_FAILED)
            )
    return failed([GraphQLError(str(error), original_error=error)])


def rejected(rejected: RequestRejected) -> Answer:
    errors = [refusal(error, rejected.code) for error in rejected.errors]
    status = getattr(rejected.errors[0].original_error, "status", 400)
    return Answer(orjson.dumps({"errors": errors}), status=status, codes=_codes(errors))


def failed(errors: Sequence[GraphQLError]) -> Answer:
    """An answer without data: an error has propagated to the root."""
    # One snapshot and one connection: when the store was lost on the way, all of the answer is.
    if reason := unavailability(errors):
        error = {"message": str(reason), "extensions": {"code": reason.code}}
        return Answer(
            orjson.dumps({"errors": [error]}),
            status=reason.status,
            retry_after_seconds=reason.retry_after_seconds,
            codes=(reason.code,),
        )
    return _answer(b'{"data":null}', errors)


def _answer(
    body: bytes, errors: Sequence[GraphQLError], *, cache_control: bytes | None = None
) -> Answer:
    if not errors:
        return Answer(body, cache_control=cache_control)
    failures = [failure(error) for error in errors]
    body = body[:-1] + b',"errors":' + orjson.dumps(failures) + b"}"
    return Answer(body, cache_control=cache_control, codes=_codes(failures))


def _codes(errors: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(error["extensions"]["code"] for error in errors)
