"""The recipes of docs/recipes.md: what each says, which tests run it, and its blocks, ready for other addresses."""

import re
import shlex
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "recipes.md"

PROXY, ADMIN = "127.0.0.1:8080", "127.0.0.1:9464"
"""Where the document has streamgauge listen."""

_SERVE = re.compile(r"^([A-Z_]+=\S+[\s\\]+)*streamgauge serve\s")


class Recipe:
    """One section of the document."""

    def __init__(self, section):
        self.title, self.text = section.split("\n", 1)
        self._blocks = re.findall(r"^```(\w+)\n(.*?)^```$", self.text, re.DOTALL | re.MULTILINE)
        self.runs = re.findall(r"^(?:Run by `scripts/test (\w+)`|Not run by the tests)\.$", self.text, re.MULTILINE)

    def block(self, language):
        """Its only block in a language."""
        (text,) = [text for known, text in self._blocks if known == language]
        return text

    def serve(self):
        """The variables and the arguments that it starts streamgauge with."""
        (command,) = [text for language, text in self._blocks if language == "sh" and _SERVE.match(text)]
        words = shlex.split(command.replace("\\\n", " "))
        at = words.index("streamgauge")
        return dict(word.split("=", 1) for word in words[:at]), words[at + 1 :]

    def client(self):
        """A script for bash that runs every other block, in order; None where there is none."""
        run = {"sh": "%s", "python": "python - <<'END'\n%sEND\n", "js": "node --input-type=module - <<'END'\n%sEND\n"}
        calls = [run[language] % text for language, text in self._blocks if language in run and not _SERVE.match(text)]
        return "\n".join(calls) or None


RECIPES = {recipe.title: recipe for recipe in map(Recipe, DOCUMENT.read_text().split("\n## ")[1:])}
"""Every recipe by its title."""
