"""Renders chat templates: the whole of the process beside the program in which foreign templates run.

Standard input and output are one socket. Each message is four bytes of length, least significant first, and JSON.
The first request has the "templates" by name, the "variables" that they may read and the time "now" that they are
told; the answer is {}. Every later one has "template", the name of one, "messages", and "tools" where there are any;
the answer has
  text    what the template makes of them
  spans   [begin, end, owner] in bytes of the text, rising and apart: what the messages say (owner is their number)
          and the strings of the tools (-1); all else is the template's
  known   whether the spans are right; where not, they are empty
  all     whether they are all: what messages say is nowhere else
  ends    only on request ("ends": true): of each message but the last, where the text ends that is made of the
          messages up to it, -1 where that is no beginning of the whole
  dated   whether the template has asked for the time
or, of any request, "error", a sentence.

Before the first template is seen, the process gives away what it could reach: see confine().
"""

import ctypes
import datetime
import json
import os
import platform
import re
import resource
import struct
import sys

OPENS, CLOSES, MARKS = 0x100000, 0xF0000, 0xFFF0
MARK = re.compile("[\U000F0000-\U0010FFFF]")
# What templates cut contents at, such as </think>: marks stand between these, never within.
TAG = re.compile(r"<[^<>\s]{1,40}>|\[/?[A-Z_]{1,40}\]")
# Members that templates compare with words of their own.
NAMES = {"role", "type", "id", "tool_call_id", "name"}
MOST_ENDS = 256


def send(message):
    data = json.dumps(message).encode()
    data = struct.pack("<I", len(data)) + data
    while data:
        data = data[os.write(1, data):]


def receive_bytes(n):
    parts = []
    while n > 0:
        part = os.read(0, min(n, 1 << 20))
        if not part:
            os._exit(0)  # the program has gone
        parts.append(part)
        n -= len(part)
    return b"".join(parts)


def receive():
    return json.loads(receive_bytes(struct.unpack("<I", receive_bytes(4))[0]))


def confine():
    """Leaves the process its memory, and reading and writing what it has open: descriptors 0 to 2. Every other
    system call fails, those that open files or sockets and start processes among them; the kernel sees to it, so
    that code which gets past Jinja2's own sandbox gains nothing. Cannot be undone."""
    # read, write, memory, signals, futex, clocks, random numbers, the end
    calls = {
        "x86_64": (0xC000003E, [0, 1, 9, 10, 11, 12, 13, 14, 15, 24, 25, 28, 60, 96, 131, 201, 202, 219, 228, 231, 318]),
        "aarch64": (0xC00000B7, [63, 64, 93, 94, 98, 113, 124, 128, 132, 134, 135, 139, 169, 214, 215, 216, 222, 226, 233, 278]),
    }
    machine = platform.machine()
    if machine not in calls:
        raise OSError("no list of system calls is known for " + machine)
    architecture, allowed = calls[machine]
    program = [(0x20, 0, 0, 4), (0x15, 1, 0, architecture), (0x06, 0, 0, 0x80000000), (0x20, 0, 0, 0)]
    program += [(0x15, len(allowed) - i, 0, call) for i, call in enumerate(allowed)]
    program += [(0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]  # EPERM; allowed
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    os.closerange(3, 4096)
    for limit, value in (("AS", 2 << 30), ("CORE", 0), ("FSIZE", 0), ("NOFILE", 3), ("NPROC", 0)):
        resource.setrlimit(getattr(resource, "RLIMIT_" + limit), (value, value))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong]
    described = Program(len(program), ctypes.addressof(code))
    set_no_new_privileges, set_seccomp, filter_mode = 38, 22, 2
    for arguments in ((set_no_new_privileges, 1, None, 0, 0), (set_seccomp, filter_mode, ctypes.addressof(described), 0, 0)):
        if prctl(*arguments) != 0:
            raise OSError(os.strerror(ctypes.get_errno()))


def make_environment(now, asked):
    """As the library `transformers` documents it for chat templates."""
    from jinja2 import exceptions, ext, nodes, sandbox

    class Generation(ext.Extension):
        """{% generation %}, which marks what the model writes; the text is the same."""

        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            return nodes.Scope(body).set_lineno(line)

    def raise_exception(message):
        raise exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def strftime_now(form):
        asked.append(form)
        return now.strftime(form)

    environment = sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, ext.loopcontrols])
    environment.filters["tojson"] = tojson
    environment.globals.update(raise_exception=raise_exception, strftime_now=strftime_now)
    return environment


def warm_up():
    """Loads what Jinja2 and json load when they first need it: later they could not."""
    import jinja2.debug, jinja2.ext, jinja2.sandbox  # noqa: E401
    import linecache, pprint, random, textwrap, traceback, urllib.parse  # noqa: E401, F401

    environment = make_environment(datetime.datetime.now(), [])
    for template in ("{{ strftime_now('%d %B %Y %H:%M') }}{% for x in [1, 2] %}{{ {'a': 1.5, 'b': 'x'} | tojson(indent=4) }}"
                     "{% break %}{% endfor %}{% generation %}{% set n = namespace(a=1) %}{% endgeneration %}"
                     "{{ 'a b' | title | wordwrap(10) }}{{ [3, 1] | sort | list | pprint }}",
                     "{{ raise_exception('x') }}", "{{ undefined.x }}", "{{ 1 / 0 }}", "{% if %}"):
        try:
            environment.from_string(template).render()
        except Exception as error:
            traceback.format_exception_only(type(error), error)


class Marked:
    """Strings whose parts stand between two marks, by which they are found again in what a template made of them."""

    def __init__(self):
        self.leaves = []  # (owner, text)
        self.pieces = []  # by mark: (leaf, begin, end) in its text

    def wrap(self, text, owner):
        leaf = len(self.leaves)
        self.leaves.append((owner, text))
        out, done = [], 0
        borders = [0] + [at for tag in TAG.finditer(text) for at in tag.span()] + [len(text)]
        for begin, end in zip(borders[::2], borders[1::2]):
            # White space stays outside, so that a template may strip it.
            begin += len(text[begin:end]) - len(text[begin:end].lstrip())
            end -= len(text[begin:end]) - len(text[begin:end].rstrip())
            if begin >= end:
                continue
            mark = len(self.pieces)
            self.pieces.append((leaf, begin, end))
            out += [text[done:begin], chr(OPENS + mark % MARKS), text[begin:end], chr(CLOSES + mark % MARKS)]
            done = end
        return "".join(out) + text[done:]

    def copy(self, value, owner):
        if isinstance(value, str):
            return self.wrap(value, owner)
        if isinstance(value, list):
            return [self.copy(item, owner) for item in value]
        if isinstance(value, dict):
            return {key: item if key in NAMES else self.copy(item, owner) for key, item in value.items()}
        return value

    def usable(self):
        return len(self.pieces) <= MARKS and not any(MARK.search(text) for _, text in self.leaves)

    def piece_text(self, mark):
        leaf, begin, end = self.pieces[mark]
        return self.leaves[leaf][1][begin:end]

    def from_marks(self, plain, marked):
        """[begin, end, mark] by the marks; None where the template did other things with marked contents."""
        if MARK.sub("", marked) != plain:
            return None
        found, opened, at, done = [], None, 0, 0

        def ends_open():  # its closing mark was cut off: as far as the text is that of the content
            mark, begin = opened
            text, n = self.piece_text(mark), 0
            while n < len(text) and plain[begin + n:begin + n + 1] == text[n]:
                n += 1
            found.append([begin, begin + n, mark])

        for match in MARK.finditer(marked):
            at += match.start() - done
            done = match.end()
            code = ord(match[0])
            if code >= OPENS:
                if opened:
                    ends_open()
                opened = (code - OPENS, at)
                continue
            mark = code - CLOSES
            if opened and opened[0] == mark:
                found.append([opened[1], at, mark])
            else:
                if opened:
                    ends_open()
                text, n = self.piece_text(mark), 0
                while n < min(len(text), at) and plain[at - n - 1] == text[-n - 1]:
                    n += 1
                found.append([at - n, at, mark])
            opened = None
        if opened:
            ends_open()
        return found

    def from_search(self, plain):
        """[begin, end, mark] where all contents are found one behind the other, otherwise None."""
        found, at = [], 0
        for mark in range(len(self.pieces)):
            text = self.piece_text(mark)
            at = plain.find(text, at)
            if at < 0:
                return None
            found.append([at, at + len(text), mark])
            at += len(text)
        return found

    def joined(self, plain, found):
        """[begin, end, owner]: with the tags and the white space of the contents where they are as they were."""
        spans, last = [], None
        for begin, end, mark in sorted(found):
            leaf, first, behind = self.pieces[mark]
            owner, text = self.leaves[leaf]
            floor = spans[-1][1] if spans else 0
            begin = max(begin, floor)
            if begin >= end:
                continue
            if last is not None and self.pieces[last][0] == leaf and last + 1 == mark and \
                    plain[floor:begin] == text[self.pieces[last][2]:first]:
                spans[-1][1] = end
            else:
                if mark == 0 or self.pieces[mark - 1][0] != leaf:
                    if plain[max(floor, begin - first):begin] == text[:first]:
                        begin -= first
                spans.append([begin, end, owner])
            if mark + 1 == len(self.pieces) or self.pieces[mark + 1][0] != leaf:
                if plain[end:end + len(text) - behind] == text[behind:]:
                    spans[-1][1] += len(text) - behind
            last = mark
        return spans


def find_spans(render, messages, tools, plain):
    """The spans, or None, and whether they are all."""
    for with_tools in [True, False] if tools else [False]:  # some templates translate the words of tools
        marked = Marked()
        marked_tools = marked.copy(tools, -1) if with_tools else tools
        copies = [marked.copy(message, i) for i, message in enumerate(messages)]
        if not marked.usable():
            return None, False
        try:
            found = marked.from_marks(plain, render(copies, marked_tools))
        except Exception:  # the template tests what contents say
            continue
        if found is not None:
            return marked.joined(plain, found), True
    found = marked.from_search(plain)
    return None if found is None else marked.joined(plain, found), False


def find_ends(render, messages, plain):
    ends = []
    step = 1 + len(messages) // MOST_ENDS
    for n in range(1, len(messages)):
        try:
            text = render(messages[:n]) if n % step == 0 else None
        except Exception:  # half a conversation may be none
            text = None
        ends.append(len(text.encode()) if text is not None and plain.startswith(text) else -1)
    return ends


def in_bytes(text, positions):
    """Of rising positions in characters."""
    out, done, n = [], 0, 0
    for position in positions:
        n += len(text[done:position].encode())
        done = position
        out.append(n)
    return out


def without_nulls(messages):
    """What `transformers` hands to templates: no members that are null, the reasoning under each of its names."""
    out = []
    for message in messages:
        message = {key: value for key, value in message.items() if value is not None}
        for key in ("reasoning_content", "thinking", "reasoning"):
            if key in message:
                message = {"thinking": message[key], **message, "reasoning_content": message[key]}
                break
        out.append(message)
    return out


def without_parts(message):
    """With the content's parts in one text where all are texts."""
    content = message.get("content")
    if not isinstance(content, list):
        return message
    texts = [part.get("text") if isinstance(part, dict) else part for part in content]
    return {**message, "content": "".join(texts)} if all(isinstance(text, str) for text in texts) else message


class Template:
    def __init__(self, text, environment):
        # One that was made for contents in parts asks for their text.
        self.has_parts = re.search(r"""\.text\b|["']text["']""", text) is not None
        self.compiled = environment.from_string(text)

    def render(self, messages, tools, more):
        values = {"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": False}
        return self.compiled.render(**{**values, **more})


class Renderer:
    def __init__(self, request):
        self.asked = []
        self.variables = request["variables"]
        environment = make_environment(datetime.datetime.fromisoformat(request["now"]), self.asked)
        self.templates = {name: Template(text, environment) for name, text in request["templates"].items()}

    def answer(self, request):
        template = self.templates[request["template"]]
        messages, tools = without_nulls(request["messages"]), request.get("tools")
        more = {**self.variables, **request.get("more", {})}

        def render(some, some_tools=tools):
            return template.render(some, some_tools, more)

        joined = [without_parts(message) for message in messages]
        try:
            messages = messages if template.has_parts else joined
            plain = render(messages)
        except Exception:
            if joined == messages:
                raise
            messages = joined
            plain = render(messages)
        spans, are_all = find_spans(render, messages, tools, plain)
        borders = in_bytes(plain, [at for span in spans or [] for at in span[:2]])
        answer = {"text": plain, "known": spans is not None, "all": are_all, "dated": bool(self.asked),
                  "spans": [[borders[2 * i], borders[2 * i + 1], span[2]] for i, span in enumerate(spans or [])]}
        if request.get("ends"):
            answer["ends"] = find_ends(render, messages, plain)
        return answer


def sentence_of(error):
    line = getattr(error, "lineno", None)
    if isinstance(error, MemoryError):
        return "it takes more memory than a template may"
    if isinstance(error, RecursionError):
        return "it calls itself without end"
    text = " ".join(str(error).split())[:300] or type(error).__name__
    return text + (" (line %d of the template)" % line if line else "")


def serve():
    renderer = None
    while True:
        request = receive()
        try:
            if renderer is None:
                renderer = Renderer(request)
                answer = {}
            else:
                answer = renderer.answer(request)
        except Exception as error:
            answer = {"error": sentence_of(error)}
        send(answer)


def main():
    # Ends with the program: it is killed where that thread ends which started it.
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
    try:
        warm_up()
    except ImportError as error:
        send({"error": "python3-jinja2 is missing", "reason": str(error)})
        sys.exit(1)
    try:
        confine()
    except (OSError, ValueError) as error:
        send({"error": "unconfined", "reason": str(error)})
        sys.exit(1)
    send({})
    serve()


if __name__ == "__main__":
    main()
