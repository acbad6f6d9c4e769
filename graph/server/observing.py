"""Notes the requests of a connection's scope, and ends those that got no answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.execution.running.observation import Observation

if TYPE_CHECKING:
    from starlette.types import Scope

    from graph.execution.running.execute import Execution
    from graph.execution.running.request import Request
    from graph.viewer import Viewer

REQUESTS = "graph.requests"
VIEWER = "graph.viewer"


def note(scope: Scope, request: Request, viewer: Viewer) -> None:
    """Note a request that is about to be executed; a batch has several."""
    scope.setdefault(REQUESTS, []).append(request)
    scope[VIEWER] = viewer


def end_unanswered(scope: Scope, code: str) -> None:
    """Note the end of the requests that have no answer: refused, too slow, or left alone.

    A request that could not be read is one as well.
    """
    observations = [request.observation for request in scope.get(REQUESTS, ())]
    for observation in observations or [scope.setdefault("graph.unread", Observation())]:
        if observation.seconds is None:
            end(scope, observation, code)


def end(scope: Scope, observation: Observation, code: str) -> None:
    """Note the end of one request without an answer, and count it."""
    execution: Execution = scope["state"]["execution"]
    observation.end((code,))
    if execution.counts is not None:
        execution.counts.add(observation)
