"""How long a text is, in words and in tokens, also where a script puts no spaces between words."""

import re

# Chinese and Japanese characters count as words of their own, and so do four characters of the scripts of Southeast
# Asia; of a long run without spaces, such as encoded data, every sixteen characters are a word.
_HAN_AND_KANA = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003134f"
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_WORD = re.compile(rf"[{_HAN_AND_KANA}]|[{_UNSPACED}]{{1,4}}|[^\s{_HAN_AND_KANA}{_UNSPACED}]{{1,16}}")

# Characters a token in the tokenizers of today's language models: four of plain English, two of other alphabets; a
# character of the scripts above, or of Korean, is about one token.
_LATIN = re.compile(r"[\x00-\x7f]+")
_WIDE = re.compile(rf"[{_HAN_AND_KANA}{_UNSPACED}\u1100-\u11ff\uac00-\ud7af]")


def cut_to_words(text: str, max_words: int) -> str:
    """`text` on one line, cut after so many words."""
    text = " ".join(text.split())
    end = 0
    for count, match in enumerate(_WORD.finditer(text)):
        if count == max_words:
            return text[:end]
        end = match.end()
    return text


def estimated_tokens(text: str) -> int:
    """About how many tokens a language model reads; counted exactly only once the server has answered."""
    plain = sum(len(match[0]) for match in _LATIN.finditer(text))
    wide = len(_WIDE.findall(text))
    return plain // 4 + wide + (len(text) - plain - wide + 1) // 2
