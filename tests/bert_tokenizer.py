"""What makes a small vocabulary BERT's tokenizer."""

from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast


def as_bert(backend: Tokenizer) -> PreTrainedTokenizerFast:
    """The tokenizer with BERT's normalisation, words and special tokens: [CLS] has the id 2 and [SEP] 3."""
    backend.normalizer, backend.pre_tokenizer = (
        normalizers.BertNormalizer(),
        pre_tokenizers.BertPreTokenizer(),
    )
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
