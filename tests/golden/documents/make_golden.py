"""Writes rendered.json: what the library `transformers` makes of conversations.jsonl by each template here, or null
where the template does not take a conversation. Contents in parts are one text for templates that know no parts.
Needs the package of that name (5.x) and Jinja2 3.1.6 or later."""

import datetime
import json
import pathlib

from transformers.utils import chat_template_utils

FOLDER = pathlib.Path(__file__).parent
VARIABLES = {"bos_token": "<s>", "eos_token": "</s>"}


class Day(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 11, 27)


def render(template, conversation):
    messages = chat_template_utils._normalize_chat_messages(conversation["messages"])
    for message in messages if ".text" not in template else []:
        if isinstance(message.get("content"), list):
            message["content"] = "".join(part["text"] for part in message["content"])
    more = {**VARIABLES, **conversation.get("chat_template_kwargs", {})}
    try:
        texts, _ = chat_template_utils.render_jinja_template(
            [messages], tools=conversation.get("tools"), chat_template=template, **more)
    except Exception:
        return None
    return texts[0]


chat_template_utils.datetime = Day
lines = (FOLDER / "conversations.jsonl").read_text().splitlines()
rendered = {path.stem: [render(path.read_text(), json.loads(line)) for line in lines]
            for path in sorted(FOLDER.glob("*.jinja"))}
(FOLDER / "rendered.json").write_text(json.dumps(rendered, ensure_ascii=False, indent=1) + "\n")
