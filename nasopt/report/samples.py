"""The inputs of a report with what both networks answer to them, side by side; pictures are part of the page."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

from nasopt.report.units import percent, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nasopt.results import Answer, Sample

__all__ = ["cards", "lead"]


def lead(samples: Sequence[Sample], source: str) -> str:
    """What the samples show, and what they come to.

    Args:
        samples: at least one.
        source: what they are drawn from, in words; empty where it is not known.

    Returns:
        HTML.
    """
    first, number = samples[0], len(samples)
    drawn = f"{plural(number, 'input')} that nothing was learnt from{f', drawn from {escape(source)}' if source else ''}."
    mean = sum(sample.likeness for sample in samples) / number
    match first.kind:
        case "class":
            said = f"both networks put the same class first for {round(mean * number)} of {number}"
        case "mask":
            said = f"both networks give {percent(mean)} of the pixels the same class"
        case "heatmap":
            said = f"both on the scale of the original's answer, their correlation {mean:.3f} on average"
        case _:
            said = f"the correlation of both is {mean:.3f} on average"
    return f"{drawn} Output <code>{escape(first.output)}</code>: {said}."


def cards(samples: Sequence[Sample]) -> str:
    """A card a sample: the input where it is an image, the original's answer, the result's.

    Args:
        samples: all of one kind.

    Returns:
        HTML.
    """
    classes = bool(samples[0].before.classes)
    made = "\n".join((_class_card if classes else _picture_card)(sample) for sample in samples)
    return f'<div class="samples{" classes" if classes else ""}">\n{made}\n</div>'


def _class_card(sample: Sample) -> str:
    same = sample.likeness == 1
    picture = "" if sample.picture is None else _image(sample.picture, "the input")
    return (
        f'<div class="sample{"" if same else " other"}{"" if picture else " bare"}">{picture}'
        f"{_classes('before', sample.before, '')}{_classes('after', sample.after, '' if same else 'differs')}</div>"
    )


def _classes(name: str, answer: Answer, remark: str) -> str:
    rows = "".join(
        f'<div class="row"><span>{place}</span><span>{percent(score)}</span></div>'
        f'<div class="track"><i style="width:{min(max(score, 0.0), 1.0):.2%}"></i></div>'
        for place, score in answer.classes
    )
    said = f'<b class="bad">{remark}</b>' if remark else ""
    return f'<div class="{name}"><div class="name"><span>{name}</span>{said}</div>{rows}</div>'


def _picture_card(sample: Sample) -> str:
    pictures = [("input", sample.picture), ("before", sample.before.picture), ("after", sample.after.picture)]
    figures = "".join(f"<figure>{_image(png, name)}<figcaption>{name}</figcaption></figure>" for name, png in pictures if png is not None)
    alike = f"{percent(sample.likeness)} of the pixels alike" if sample.kind == "mask" else f"correlation {sample.likeness:.3f}"
    return f'<div class="sample"><div class="pictures">{figures}</div><div class="alike">{alike}</div></div>'


def _image(png: bytes, name: str) -> str:
    return f'<img src="data:image/png;base64,{b64encode(png).decode()}" alt="{name}">'
