"""int8 weights of a whole model: made, of a reranker also read from a checkpoint, and kept where they work."""

from collections.abc import Iterable
from typing import Any, Literal, cast

import torch
from torch import nn
from transformers import PreTrainedModel, T5Model

from .configuration_twolar import require_scheme
from .packed_attention import is_plain
from .packed_bert import bert_common_inputs, can_be_packed
from .packed_t5 import t5_common_inputs
from .passage_encoding import EncodingModel
from .quantization import pack_int8, prepare_int8, quantize_linears
from .smoothing import CommonInput

# The sample on which activations are seen: texts and tokens, and of pairs how many of these are the query's.
SAMPLE_SHAPE = (8, 128)
SAMPLE_QUERY_TOKENS = 16


def quantize_encoder(model: PreTrainedModel) -> None:
    """Give a model that encodes texts int8 matrix products, but for its own head; see `QuantizableModel.quantize`.

    Raises:
        ValueError: for a model that is not on a CPU in float32, or a PyTorch without oneDNN.
    """
    body, inputs = _encoder(model)
    with torch.no_grad():
        quantize_linears(body, inputs, lambda: model(**_random_tokens(model.config.vocab_size)))


class QuantizableModel(EncodingModel):
    """`quantize`, and checkpoints whose configuration says `quantization`."""

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """As in transformers.

        Raises:
            ValueError: for an int8 checkpoint that is not loaded on a CPU in float32, or is none.
        """
        wants_found = kwargs.pop("output_loading_info", False)
        model, found = super().from_pretrained(*args, output_loading_info=True, **kwargs)
        if model.config.quantization:
            if found["missing_keys"]:
                raise ValueError("the checkpoint has no int8 weights; load it as it is, and call quantize")
            pack_int8(model)
        return (model, found) if wants_found else model

    def quantize(self, scheme: Literal["int8"] = "int8") -> "QuantizableModel":
        """This model with int8 matrix products, for scoring on a CPU; the float32 weights are gone afterwards.

        Of a T5 only the encoder, and not a classifier's own head: there is the work. `quantization.py` says how
        activations are rounded. What they are like is seen on seeded random tokens. `save_pretrained` then writes
        an int8 checkpoint, which loads as any other.

        Raises:
            ValueError: for another scheme, a model that is not on a CPU or has adapters, or a PyTorch without oneDNN.
        """
        require_scheme(scheme)
        if self.config.quantization:
            return self
        if not is_plain(self):
            raise ValueError(
                "adapters are not quantized; merge them into the weights first (merge_and_unload)"
            )
        self.float().eval().requires_grad_(False)
        body, inputs = self._quantized_part()
        quantize_linears(body, inputs, self._read_random_tokens)
        self.config.quantization = scheme
        return self

    def _apply(self, *args: Any, **kwargs: Any) -> "QuantizableModel":
        """Of an int8 model nothing: whoever moves every model to a GPU or to bf16 leaves it where it works."""
        return self if self.config.quantization else super()._apply(*args, **kwargs)

    def require_float_weights(self) -> None:
        """Check that the weights can be trained and written in other formats.

        Raises:
            ValueError: for an int8 checkpoint.
        """
        if self.config.quantization:
            raise ValueError(
                "its weights are int8, for scoring alone; name the checkpoint that it was made of"
            )

    def _prepare_int8(self) -> None:
        prepare_int8(*self._quantized_part())

    def _quantized_part(self) -> tuple[nn.Module, Iterable[CommonInput]]:
        if self.config.readout == "decoder_step":
            encoder = cast(T5Model, self.backbone).encoder
            return encoder, t5_common_inputs(encoder)
        return _encoder(cast(PreTrainedModel, self.backbone))

    @torch.enable_grad()  # T5's packed way, for scoring alone, does not call every layer
    def _read_random_tokens(self) -> None:
        is_passage = (torch.arange(SAMPLE_SHAPE[1]) >= SAMPLE_QUERY_TOKENS).long().expand(SAMPLE_SHAPE)
        segments = (
            {"token_type_ids": is_passage} if "token_type_ids" in self.tokenizer.model_input_names else {}
        )
        self(**_random_tokens(self.config.backbone_config.vocab_size), **segments)


def _encoder(model: PreTrainedModel) -> tuple[nn.Module, Iterable[CommonInput]]:
    body = model.base_model
    return body, bert_common_inputs(body) if can_be_packed(body) else ()


def _random_tokens(vocabulary_size: int) -> dict[str, torch.Tensor]:
    input_ids = torch.randint(vocabulary_size, SAMPLE_SHAPE, generator=torch.Generator().manual_seed(0))
    return {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}
