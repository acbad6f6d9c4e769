"""Turns requests into work: documents are read, variables coerced, operations planned."""

from __future__ import annotations

from asyncio import sleep
from dataclasses import replace
from typing import TYPE_CHECKING

from graph.database.worlds import world_of
from graph.errors import MethodNotAllowed, RequestError
from graph.execution.documents.subscriptions import AFTER, FIRST
from graph.execution.failures import RequestRejected
from graph.execution.planning.access import Access
from graph.execution.planning.cost import PriceList
from graph.execution.planning.variables import SETTLED
from graph.execution.running.work import Work

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql.execution.values import VariableValues

    from graph.database.table_sizes import TableSizes
    from graph.database.worlds import World
    from graph.execution.documents.document import Documents
    from graph.execution.documents.operation import Operation
    from graph.execution.documents.persisted import Persisted
    from graph.execution.documents.subscriptions import Source
    from graph.execution.live.hub import Hub
    from graph.execution.planning.plan import Plan
    from graph.execution.running.concurrency import Limiters
    from graph.execution.running.request import Request
    from graph.selection import Value
    from graph.viewer import Viewer


# Of the event loop, before a new text is read. A request on a new connection needs four: it is
# accepted, read, answered, and its answer is written.
_TURNS_OF_OTHERS = 4


class Planner:
    """Reads, checks and plans requests. One per application."""

    def __init__(
        self,
        documents: Documents,
        persisted: Persisted,
        sizes: TableSizes,
        hub: Hub | None,
        limiters: Limiters,
        *,
        compiles: bool,
    ) -> None:
        self.documents = documents
        self._persisted = persisted
        self._sizes = sizes
        self._hub = hub
        self._compiles = compiles
        self._takes_any = persisted.takes_any
        self._shares = compiles and persisted.takes_any
        self._limiters = limiters

    async def read(self, request: Request, viewer: Viewer) -> Work:
        """Read, check and plan a request. Raises as `planned` and `operation`.

        Raises:
            Overloaded: its text is new, and it would be refused in the end.
        """
        if self.documents.is_known(request.query):
            return self.planned(self.operation(request), request, viewer)
        if (work := self.shared(request, viewer)) is not None:
            return work
        # One at a time, and others in between: a crowd of new texts would hold up the loop.
        self._limiters.check_new(request.client)
        await self._limiters.reading.acquire(request.client)
        try:
            for _ in range(_TURNS_OF_OTHERS):
                await sleep(0)
            return self.planned(self.operation(request), request, viewer)
        finally:
            self._limiters.reading.release()

    def shared(self, request: Request, viewer: Viewer) -> Work | None:
        """The work for a text that differs from known ones in literals only.

        None if the text must be read by itself, as when something is refused: errors have places.
        """
        text = request.query
        if text is None or request.document is not None or not self._shares:
            return None
        if (shared := self.documents.shared(text)) is None:
            return None
        document, literals = shared
        try:
            operation = document.operation(request.operation_name)
            work = self.planned(operation, request, viewer, literals)
        except RequestRejected:
            return None
        return work if work.is_statement and not work.errors else None

    def planned(
        self,
        operation: Operation,
        request: Request,
        viewer: Viewer,
        literals: Mapping[str, Value] | None = None,
    ) -> Work:
        """Check and plan an operation; `literals` are the values of its document's slots.

        Raises:
            RequestRejected: it is invalid, or the viewer may not see what it selects.
            MethodNotAllowed: it is for queries only, and this is none.
        """
        if request.only_query and operation.is_mutation:
            raise MethodNotAllowed("Only queries may be sent by GET; use POST.")
        variables = operation.variables.coerced(request.variables)
        variables.coerced.update(literals or {})
        if self._hub is not None:
            variables.coerced[SETTLED] = self._hub.settled or 0
            if operation.is_subscription:
                source = self._hub.source(operation)
                work = self._planned_source(source, variables, request, viewer)
                work.subscription = operation
                return work
        work = self.work(operation, variables, request, world_of(viewer))
        work.access.check(viewer)
        return work

    def _planned_source(
        self, source: Source, variables: VariableValues, request: Request, viewer: Viewer
    ) -> Work:
        """Check and plan the query of a subscription; raises as `_planned`."""
        after = request.last_event_id or source.after(variables)
        variables.coerced.update({AFTER: after, FIRST: 1})
        try:
            work = self.work(source.query, variables, request, world_of(viewer))
        except RequestRejected as rejected:
            raise source.placed(rejected) from None
        work.source = source
        work.access.check(viewer, source.path)
        return work

    def operation(self, request: Request) -> Operation:
        """The operation to run; its document is cached, or parsed now.

        Raises:
            RequestRejected: the document does not exist or is invalid, or lacks the operation.
        """
        query, document = request.query, request.document
        if document is not None or not self._takes_any:
            try:
                query = self._persisted.text(query, document, is_hash=request.document_is_hash)
            except RequestError as error:
                raise RequestRejected.because(str(error), code=error.code) from None
        assert query is not None  # noqa: S101  a request has one of them
        return self.documents.read(query).operation(request.operation_name)

    def work(
        self, operation: Operation, variables: VariableValues, request: Request, world: World
    ) -> Work:
        """The operation, compiled to a statement or planned for the standard executor.

        Raises:
            RequestRejected: an argument has an invalid value.
        """
        self._sizes.refresh_if_due()
        plan: Plan | None = None
        if request.takes_parts and operation.is_query and operation.may_have_parts:
            plan = operation.plan(variables)
            if plan.has_parts:
                prices = PriceList([*plan.charges, *plan.charges_of_parts], plan.scans)
                price, access = prices.price(self._sizes, world), Access(plan)
                return Work(
                    operation, variables, plan.values, price, access, plan=plan, has_parts=True
                )
        if operation.is_query:
            compile_ = operation.compiled if self._compiles else operation.uncompiled
            compiled, values = compile_(variables)
            price = compiled.prices.price(self._sizes, world)
            if compiled.plan is not None:
                plan = replace(compiled.plan, values=values)
            return Work(operation, variables, values, price, compiled.access, compiled, plan=plan)
        mutation, values = operation.mutation(variables)
        price = mutation.prices.price(self._sizes, world)
        return Work(operation, variables, values, price, mutation.access, mutation=mutation)
