#!/usr/bin/env python3
"""Writes splits.json: how each pre-tokenizer cuts a list of tricky texts.

Independent of src/tokenizer: the patterns are the published ones with only llama.cpp's simplifications
(any \\p{L?} is any letter; white space beyond ASCII counts as U+000B), run by the PyPI module `regex`.
Usage: make_splits.py > splits.json
"""
import json
import sys

import regex

SPACES = "\t-\r "
ENG = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
WS = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
UP, LOW = r"((?=[\p{L}])([^a-z]))", r"((?=[\p{L}])([^A-Z]))"
UPM, LOWM = r"((?=[\p{L}\p{M}])([^a-z]))", r"((?=[\p{L}\p{M}])([^A-Z]))"
ANYU, ANYL = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
PRE = r"[^\r\n\p{L}\p{N}]?"
SIGNS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
SLASH = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*"


def cased(up, low, suffix):
    return f"{PRE}{up}*{low}+{suffix}|{PRE}{up}+{low}*{suffix}"


GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = ENG + rf"|{PRE}\p{{L}}+|\p{{N}}{{1,3}}" + SIGNS + WS
QWEN2 = ENG + rf"|{PRE}\p{{L}}+|\p{{N}}" + SIGNS + WS
SIGN_WORD = r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
DS3 = SIGN_WORD + r"| ?[\p{P}\p{S}]+[\r\n]*" + WS
KANA = r"[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
DS_CJK = r"[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
DS_WORD = "\\s?[A-Za-z" + (
    "\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376"
    "\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f"
    "\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77"
    "\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d"
    "\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb"
    "\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128"
    "\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4"
    "\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf"
    "\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3"
    "\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df"
    "\U0001e900-\U0001e943") + "]+"
DS_PUNCT = "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"
ASIAN = ("[\u4e00-\u9fff\u3400-\u4dbf\u8c48-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f\u2f00-\u2fdf"
         "\u0e40-\u0e7f\u0e80-\u0eff\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af"
         "\u1100-\u11ff]+")
YOUTU_ASIAN = ("[\uac00-\ud7a3\u3131-\u318e]+|[！…“”‘’—：；，、-〿︰-﹏]+|[\u3105-\u312f]+|" + KANA)
BLOOM = " ?[^(\\s|.,!?…。，、।۔،)]+"
HAN = ("\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\U0002a700-\U0002b73f\U0002b740-\U0002b81f"
       "\U0002b820-\U0002ceaf\U0002ceb0-\U0002ebef\uf900-\ufaff\U0002f800-\U0002fa1f")
KIMI = (f"[{HAN}]+|[^\\r\\n\\p{{L}}\\p{{N}}{HAN}]?(?:(?![{HAN}])\\p{{L}})+{ENG}?"
        rf"|\p{{N}}{{1,3}}" + SIGNS + WS + "|.")
JAIS2 = (ENG + rf"|{PRE}\p{{L}}+|\p{{N}}{{1,3}}" + SIGNS + r"|\s*[\r\n]+|"
         + "|".join(rf"\s{{{n}}}(?!\S)" for n in (512, 256, 128, 64, 32, 16, 8, 4)) + r"|\s{1,2}(?!\S)|\s{1}")
NUM, NUM1, NUM3, ASCII3 = r"\p{N}+", r"\p{N}", r"\p{N}{1,3}", "[0-9][0-9][0-9]"
LINES = r"[^\n]+|[\n]+"
AYA = cased(ANYU, ANYL, ENG + "?") + r"|\p{N}{1,3}" + SLASH + WS
YOUTU = cased(ANYU, ANYL, ENG + "?") + r"|\p{N}" + SLASH + WS


def group_ends(text):
    cuts, last = [], 0
    for run in regex.finditer(NUM, text):
        first = (run.end() - run.start()) % 3 or 3
        for end in range(run.start() + first, run.end() + 1, 3):
            cuts.append(text[last:end])
            last = end
    return cuts + [text[last:]]


def group_starts(text):
    cuts = [m.start() for m in regex.finditer(r"(?=([0-9]{3})+(?![0-9]))", text)]
    edges = [0] + cuts + [len(text)]
    return [text[a:b] for a, b in zip(edges, edges[1:])]


TABLE = {
    "default": [r"[\p{P}\$\+<=>\^~\|]+", GPT2, NUM, ASCII3],
    "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano dbrx smaug-bpe glm4 "
    "glm5 chatglm-bpe": [LLAMA3],
    "minicpm5": [NUM3, ENG + rf"|{PRE}\p{{L}}+|\p{{N}}+" + SIGNS + WS],
    "deepseek-llm": [r"[\r\n]", DS_WORD, DS_PUNCT, r"\s+\Z", DS_CJK, NUM],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", DS_CJK, NUM1],
    "deepseek-v3 hunyuan-dense joyai-llm hy_v4": [NUM3, KANA, DS3],
    "spark2_5": [NUM3, KANA, SIGN_WORD + r"| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+", NUM1],
    "youtu": [YOUTU_ASIAN, YOUTU],
    "falcon": [r"[\p{P}\$\+<=>\^~\|`]+", GPT2, ASCII3],
    "gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert exaone4 mpt olmo jais "
    "trillion granite-docling jina-v1-en jina-v2-code roberta-bpe": [GPT2],
    "starcoder refact command-r cohere2_moe smollm codeshell exaone minerva-7b mellum2": [NUM1, GPT2],
    "jais-2": [JAIS2],
    "gemma4 granite-embed-multi-311m sarvam-moe": [LINES],
    "whitespace": [r"\S+"],
    "qwen2 deepseek-r1-qwen kormo f2llmv2 openpangu megrez stablelm2 hunyuan grok-2 solar-open": [QWEN2],
    "qwen35": [ENG + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + WS],
    "k2-horizon": [ENG + rf"|{PRE}(?:\p{{L}}|\p{{M}}|\u200c|\u200d)+|\p{{N}}{{1,3}}" + SIGNS + WS],
    "ufakzeka": [rf"{PRE}\p{{L}}+|\p{{N}}" + SIGNS + WS],
    "bloom gpt3-finnish poro-chat": [BLOOM],
    "viking": [BLOOM, NUM1],
    "tekken": [cased(UP, LOW, "") + r"|\p{N}" + SLASH + WS],
    "exaone-moe": [ENG + rf"|{PRE}(?:\p{{L}}\p{{M}}*(?: \p{{L}}\p{{M}}*)*)+|\p{{N}}"
                   r"| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"],
    "chameleon": ["<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", r"([\t\n]|    |  )", NUM1,
                  r"[\p{P}!-/:-@\[-`{-~]", GPT2],
    "gpt-4o llama4 kanana2 talkie minimax-m2": [cased(UP, LOW, ENG + "?") + r"|\p{N}{1,3}" + SLASH + WS],
    "granite-embed-multi-97m": [cased(UPM, LOWM, ENG + "?") + r"|\p{N}{1,3}" + SLASH + WS],
    "tiny_aya cohere2moe": [group_ends, AYA],
    "superbpe": [NUM, group_starts],
    "bailingmoe bailingmoe2 llada-moe": [ENG + rf"|{PRE}\p{{L}}+|\p{{N}}" + SIGNS + r"|\s*[\r\n]|\s+(?!\S)|\s+"],
    "seed-coder": [ENG + rf"|{PRE}\p{{L}}+|\p{{N}}{{1}}| ?[^\s\p{{L}}\p{{N}}\r\n]+" + WS],
    "kimi-k2": [KIMI],
    "afmoe": [group_ends, ASIAN, DS3],
    "laguna": [LINES, QWEN2],
}

TEXTS = [
    "Hello world", " leading and trailing ", "a  b   c    d     e", "tabs\tand\t\tmore\t \tend",
    "line\nline\r\nline\n\n\nline \n  \n x\n", "\n \n  \n   ", "     ", "\r\r\n", "x" + " " * 700 + "y \n" + " " * 5,
    "I'm you're he'll THEY'VE it'S don'T o'clock ''s 'tis", "’s ‘t “quoted” — dash… end",
    "1 12 123 1234 12345 123456 1234567x99", "3.14159,26535e-10 0x7fFF ½ Ⅷ² ٣٤٥٦ ፩፪፫፬", "a1b22c333d4444",
    "12345٣ ٣12345 12٣456", "CamelCaseWORDSAndmoreHTTPServer iPhoneX ABCdef", "ÉcoleÀÉ éÉcole straßeSTRASSE",
    "Привет МИР приветМИР'll Ω≈ç√∫ Μῆνιν ἄειδε", "e\u0301a\u0308 n\u0303\u0303 \u0301x हिन्दी भाषा ก็ไม่เป็นไร",
    "中文字符，全角！標點。日本語のテキスト、カタカナ…", "漢字abc漢字123かな 한국어 텍스트ㅋㅋ ㄅㄆㄇ", "豈更\U00020000\U0002a700 x漢's don'tÉ'S",
    "ｆｕｌｌ　ｗｉｄｔｈ：１２３；～！", "a\u00a0b\u2003c\u3000d\u2028e\u0085f\u1680 \u00a0g\u00a0\u00a0",
    "!!! ??? ... ,,, ;;; ---", "#include <a.h>\n\tint x = y->z[0]; // c\n/* x */\n\n", "a/b//c/\n/d\r\n/",
    "$100 +5 <tag> =x ^y ~z |p| `code` ``` \\n \"q\" [k]: {v} _id_ @me #1",
    "<sentinel:12><sentinel:x> IMGIMGABIZ IMGIMGABCDEZ IMGIMGZ", "👍🏽 😀x 👩‍👩‍👧 ♥️ →→", "\x00\x01\x7f\u200b\u200d\ufeff\ue000x",
    "a b c d é ж 中 x y1 z", "URL: https://example.org/a?b=c&d=%20#e", "1,234,567.89 -12 1e5 1234", "۔،। x, (y) |z|",
    "ǅz ʰa ªº ﬁ Ａａ 𐐀𐐨 𞤀𞤢 ΑΒΓαβγ", "don't  stop\n\n  'll  's\n", "A\u0301BCd\u0301 E\u0301'S \u0301\u0301 \u0301's",
    "\u0915\u094d\u200d\u0937 \u0646\u200c\u0645 a\u200cb\u200d c\r\nd\fe \u200d! \u200c\u200c1",
]


def apply(rule, pieces):
    if callable(rule):
        return [p for piece in pieces for p in rule(piece) if p]
    pattern = rule.replace("[^\\s", f"[^{SPACES}").replace("[^(\\s", f"[^({SPACES}")
    pattern = pattern.replace("\\s", f"[{SPACES}]").replace("\\S", f"[^{SPACES}]")
    for letter in ("u", "l", "t", "m", "o"):
        pattern = pattern.replace(f"\\p{{L{letter}}}", "\\p{L}")
    compiled = regex.compile(pattern, regex.DOTALL)
    result = []
    for piece in pieces:
        done = 0
        for match in compiled.finditer(piece):
            result += [piece[done:match.start()], match.group()]
            done = match.end()
        result.append(piece[done:])
    return [p for p in result if p]


def main():
    splits = {}
    white = str.maketrans({c: "\x0b" for c in "\u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000"
                           + "".join(map(chr, range(0x2000, 0x200B)))})
    for names, rules in TABLE.items():
        rows = []
        for text in TEXTS:
            pieces = [text.translate(white)]
            for rule in rules:
                pieces = apply(rule, pieces)
            rows.append([len(piece) for piece in pieces])
        splits[names] = rows
    out = ['{"texts": [']
    out.append(",\n".join(json.dumps(text) for text in TEXTS))
    out.append('],\n"lengths in code points": {')
    blocks = []
    for names, rows in splits.items():
        blocks.append(f'"{names}": [\n' + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "]")
    out.append(",\n".join(blocks))
    out.append("}}")
    sys.stdout.write("\n".join(out) + "\n")


main()
