"""What ``bapa doctor --server`` found, in words."""

from __future__ import annotations

from collections.abc import Iterator

from bapa.doctor.server import Examination
from bapa.doctor.verdict import Kind, Pointing

_SAYS: dict[Kind, str] = {
    "in use": "in use: answers follow the place of what is asked about",
    "ignored": "ignored: image positions have no effect",
    "shared": "shared: all tokens of an image stand at one position",
    "shifted": "shifted: content is taken to be somewhere else than it is",
    "swapped": "swapped: rows are taken for columns",
    "wrong": "wrong, in none of the known ways: transformers tells these places, the server does not",
    "cannot be told": "cannot be told",
}
_AS_TRANSFORMERS = "in use: answers are those of transformers with the model's own positions"


def rows(found: Examination) -> Iterator[tuple[str, str]]:
    """The table, as (name, value); the verdict stands first."""
    verdict = found.verdict
    why = f": {verdict.why}" if verdict.why else ""
    follows = any(point.at for point in verdict.pointing)
    yield "positions", f"{_SAYS[verdict.kind] if follows or verdict.kind != 'in use' else _AS_TRANSFORMERS}{why}"
    yield "server", f"{found.url}, model {found.model}"
    cut = f" of {found.planned} (time was up)" if found.asked < found.planned else ""
    yield (
        "asked",
        f"{found.asked} questions{cut} in {found.seconds:.0f} s; {found.with_logprobs} answered with probabilities",
    )
    for point in verdict.pointing:
        yield f"{point.line}s", _pointing(point)
    yield "control", f"{verdict.seen} of {verdict.controls} right on whether a digit is there"
    for number, like in enumerate(verdict.likeness):
        name = "transformers" if number == 0 else f"… {like.kind}"
        yield (
            name,
            f"same answer in {like.same} of {like.questions}, {like.distance:.3f} apart, with {like.says}",
        )
    if found.left_out:
        yield "not taken", f"{', '.join(found.left_out)}: asked without; the prompt may begin otherwise than there"
    if found.example:
        yield "not read", repr(found.example[:80])
    if verdict.kind == "cannot be told" and not verdict.likeness:
        yield "to decide", "name the model, so that transformers is asked the same: --against MODEL"


def _pointing(point: Pointing) -> str:
    if not point.read:
        return f"none of {point.unread} answers names a place"
    unread = f" ({point.unread} name no place)" if point.unread else ""
    if point.at is None:
        return f"{point.agree} of {point.read} answers name the place of the target, 1 in 3 by chance{unread}"
    return (
        f"{point.agree} of {point.read} answers name {'the place of ' * (point.at == 'the target')}{point.at}{unread}"
    )
