"""One C++ file: its text without comments and literals, its includes, its functions."""
import os
import re

LITERAL = re.compile(r"""
      R"(?P<delimiter>[^()\s]{0,16})\(.*?\)(?P=delimiter)"   # raw string
    | "(?:\\.|[^"\\\n])*"                                    # string
    | '(?:\\.|[^'\\\n])+'                                    # character
    | //[^\n]*                                               # comment
    | /\*.*?\*/
    """, re.VERBOSE | re.DOTALL)
DIGIT_SEPARATOR = re.compile(r"(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
NOT_A_FUNCTION = re.compile(r"^\s*(namespace|class|struct|enum|union|if|for|while|switch|else|do|"
                            r"try|catch|extern|return|[})])")

TYPE = re.compile(r"\b(class|struct|union)\b")


def blank(match):
    """As long as what it replaces, so that lines and columns stay."""
    text = match.group()
    if text.startswith("/"):
        return re.sub(r"[^\n]", " ", text)
    return '"' + re.sub(r"[^\n]", "_", text[1:-1]) + '"'


class Source:
    def __init__(self, root, name):
        self.name = name
        with open(os.path.join(root, name), encoding="utf-8") as file:
            self.text = file.read()
        self.line_count = self.text.count("\n")
        self.code = LITERAL.sub(blank, DIGIT_SEPARATOR.sub("_", self.text))

    def includes(self):
        """(line, whether it is <...>, path)"""
        for match in INCLUDE.finditer(self.text):
            yield self.line_of(match.start(2)), match[1] == "<", match[2]

    def line_of(self, position):
        return self.text.count("\n", 0, position) + 1

    def closing(self, opening):
        """Position of the bracket that closes the one at `opening`, or the end of the file."""
        pairs = {"{": "}", "(": ")", "[": "]"}
        own, other = self.code[opening], pairs[self.code[opening]]
        depth = 0
        for position in range(opening, len(self.code)):
            if self.code[position] == own:
                depth += 1
            elif self.code[position] == other:
                depth -= 1
                if depth == 0:
                    return position
        return len(self.code)

    def functions(self):
        """(name, line, lines) of what looks like a function body in formatted code."""
        for match in re.finditer(r"^( {0,8})(\S[^\n;]*) \{$", self.code, re.MULTILINE):
            head = self.head_before(match)
            before = head.partition("(")[0]
            if NOT_A_FUNCTION.match(head) or TYPE.search(before) or "(" not in head or "= [" in head:
                continue
            name = re.search(r"([\w:~]+|operator\S+)\s*\(", head)
            end = self.closing(match.end() - 1)
            first = self.line_of(match.start(2))
            yield name[1] if name else "?", first, self.line_of(end) - first + 1

    def head_before(self, match):
        """The whole declaration in front of a brace: parameters may stand on several lines."""
        start = max(self.code.rfind(mark, 0, match.start(2)) for mark in (";", "}", "{"))
        return self.code[start + 1:match.end()].strip()
