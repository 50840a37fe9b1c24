"""The command that answers questions about a face."""

from pathlib import Path
from typing import Any

import click

from nonesuch.captions.asking.ask_face import ask_face
from nonesuch.captions.thresholds import PRECISIONS
from nonesuch.cli import options


@click.command(cls=options.SectionedCommand)
@click.argument("image", metavar="IMAGE", type=options.PATH)
@click.argument("question", metavar="QUESTION")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="0.9",
    show_default=True,
    help="A fact is stated where statements like it are right in at least this share of labelled photographs.",
)
@click.option("--thresholds", type=options.PATH, help="What calibrate-captions wrote; needed for heads of your own.")
@click.option("--model", default="perceiver", show_default=True, help="The perception heads, by name or file.")
@options.device
@options.dtype
def ask(image: Path, question: str, **chosen: Any) -> None:
    """Answer a question about a face of a picture, or say that it cannot be told.

    QUESTION is an English question about age, hair colour, gender, where someone looks, or about what captions state:
    glasses, a hat, a smile, a beard and so on. It may say whose face is meant: by what is known of it ("the smiling
    woman with glasses"), by its place ("the second person from the right"), or both. Of several that fit, the largest
    is meant. "Who", "where" and "how many" are answered with places, counted from the left.

    What the heads give are a model's guesses from looks. Ethnicity, emotions, identity and attractiveness are never
    told. An image of 112x112 counts as aligned; in others faces of 40 pixels and more are looked for.

    \b
    Examples:
      nonesuch ask party.jpg "how old is the woman with glasses?"
      nonesuch ask party.jpg "is the second person from the right smiling?"
      nonesuch ask party.jpg "who is smiling?" --precision 0.95
      nonesuch ask party.jpg "describe the man on the left"
    """
    found = ask_face(image, question, **chosen)
    click.echo(found.text)
    if found.face is not None and found.box is not None and found.faces > 1:
        left, top, right, bottom = found.box
        where = f"x {left:.0f} to {right:.0f}, y {top:.0f} to {bottom:.0f}"
        click.echo(f"the face that is meant: {found.face} of {found.faces} from the left ({where})")
