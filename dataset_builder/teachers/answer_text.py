"""What a model's answer says when its reasoning, its markup and its quotation marks are taken away."""

import html
import re
import unicodedata

_TAGS = r"think|thinking|thought|thoughts|reasoning|analysis|reflection|scratchpad"
_REASONING = re.compile(rf"[<\[◁](?:{_TAGS})[>\]▷].*?[<\[◁]/(?:{_TAGS})[>\]▷]", re.S | re.I)
_REASONING_END = re.compile(rf"^.*[<\[◁]/(?:{_TAGS})[>\]▷]", re.S | re.I)
_REASONING_CUT_OFF = re.compile(rf"[<\[◁](?:{_TAGS})[>\]▷].*$", re.S | re.I)
_FINAL_CHANNEL = re.compile(r"^.*<\|channel\|>\s*final\s*<\|message\|>", re.S)
_OTHER_CHANNEL = re.compile(r"<\|channel\|>\s*(?:analysis|commentary)\b.*$", re.S)
_SPECIAL_TOKEN = re.compile(r"<\|[^|>]*\|>|</?s>")
_ANSWER_TAG = re.compile(r"^.*<answer>(.*?)(?:</answer>.*)?$", re.S | re.I)
_LINE_TAG = re.compile(r"<(?:br|/?li|/?p|/?tr|/?div|/?ol|/?ul)\b[^<>\n]{0,200}>", re.I)
_TAG = re.compile(r"</?[a-z][^<>\n]{0,200}>", re.I)
_FENCE = re.compile(r"```[ \t]*\w*[ \t]*$|```", re.M)
_BRACKETS = str.maketrans("【】〔〕〚〛⟦⟧「」『』《》〈〉", "[]" * 8)
_GREATER = re.compile(r"[→≻≫»›⟩➔➜➡⇒⟶⟹⮕▶►▸≥⩾↓]|\\(?:succ|rightarrow|to|gt|geq?)\b|[-=]+>+|>=|>{2,}")
_LESS = re.compile(r"[←≺≪«‹⇐⟵≤⩽↑]|\\(?:prec|leftarrow|lt|leq?)\b|<[-=]+|=<")
_EQUAL = re.compile(r"[≈≃≅≡∼~]|={2,}|\\(?:approx|sim|equiv)\b")
_QUOTES_AND_EMPHASIS = re.compile(r"[*`\\\"'“”‘’„$]")


def without_reasoning(answer: str) -> str:
    """The answer behind the reasoning; nothing where the reasoning never ends."""
    text = _REASONING_END.sub("", _REASONING.sub("", answer))
    text = _OTHER_CHANNEL.sub("", _FINAL_CHANNEL.sub("", _REASONING_CUT_OFF.sub("", text)))
    return _ANSWER_TAG.sub(r"\1", _SPECIAL_TOKEN.sub("", text)).strip()


def plain_text(answer: str) -> str:
    """An answer without reasoning: no tags, quotes or emphasis, one spelling of digits, brackets and the signs
    `>`, `<` and `=`, single spaces, no empty lines."""
    text = unicodedata.normalize("NFKC", html.unescape(answer)).translate(_BRACKETS)
    text = _EQUAL.sub("=", _LESS.sub("<", _GREATER.sub(">", _TAG.sub(" ", _LINE_TAG.sub("\n", text)))))
    text = _QUOTES_AND_EMPHASIS.sub("", _FENCE.sub("", text)).replace("_", " ")
    # What reads this must not take minutes over a model that writes blanks for ever.
    return "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())
