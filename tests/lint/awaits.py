"""What GCC 12.2 compiles wrongly around co_await.

It destroys twice any aggregate or capturing-lambda temporary in a full expression with co_await.
So such a statement may hold names and calls only. The check relies on clang-format: a brace that
opens a block has a space before it, one that opens an initialiser has not.
"""
import re

LAMBDA_START = re.compile(r"(?<![\w\])])\s*\[(?P<captures>[^\[\]]*)\]\s*(?=[({])")
BINDING = re.compile(r"\bauto(?: const)?[&\s]*\[[^\]]*\]")
AGGREGATE_BEFORE = re.compile(r"(?:[^\s]|\breturn |[=,(] )$")
RESULT_USED = re.compile(r"\(\s*co_await\b")


def statement(source, position):
    """(first, end) of the statement around the co_await at `position`."""
    code = source.code
    first = max(code.rfind(mark, 0, position) for mark in ";{}") + 1
    depth, end = 0, position
    while end < len(code):
        char = code[end]
        if char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif char == ";":
            break
        elif char == "{" and code[end - 1] == " " and depth <= 0 and code[end - 2] == ")":
            break  # the block of an if, while or for
        elif char == "{":
            end = source.closing(end)
        end += 1
    return first, end


def problem(source, position):
    code = source.code
    first, end = statement(source, position)
    text = code[first:end]
    if first > 0 and code[first - 1] == "{" and AGGREGATE_BEFORE.search(code[:first - 1]):
        return "co_await inside an initialiser's braces"
    if "{" in text:
        return "braces in a statement with co_await: name the object on the line before"
    if LAMBDA_START.search(BINDING.sub("", text)):
        return "a lambda in a statement with co_await: name it on the line before"
    for match in RESULT_USED.finditer(text):
        after = source.closing(first + match.start()) + 1
        if code[after:after + 2] == "->" or code[after:after + 1] == ".":
            return "member of the result of co_await: name the result first"
    return None


def capturing_coroutines(source):
    """A lambda's captures die with the lambda, not with the coroutine which its call started."""
    for match in LAMBDA_START.finditer(source.code):
        if not match["captures"].strip():
            continue
        body = source.code.find("{", match.end())
        if body < 0 or ";" in source.code[match.end():body]:
            continue
        text = source.code[body:source.closing(body)]
        if re.search(r"\bco_(await|return|yield)\b", without_inner_lambdas(text)):
            yield source.line_of(match.start("captures"))


def without_inner_lambdas(body):
    inner = re.compile(r"\[[^\[\]]*\]\s*(?:\([^()]*\))?[^;{}]*\{[^{}]*\}")
    return inner.sub("", body)


def check(sources):
    found = []
    for source in sources:
        for match in re.finditer(r"\bco_await\b", source.code):
            if what := problem(source, match.start()):
                found.append(f"{source.name}:{source.line_of(match.start())}: {what}")
        for line in capturing_coroutines(source):
            found.append(f"{source.name}:{line}: a coroutine lambda with captures")
    return found
