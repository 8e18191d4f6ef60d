"""LWM's language models as a family: text, and text with pictures."""

from typing import Final

from lwmport.models.llama.gguf import GGUF
from lwmport.models.llama.huggingface.inside_llava import FOLDERS
from lwmport.models.llama.huggingface.record import HUGGINGFACE
from lwmport.models.llama.released import OTHER_NAMES
from lwmport.models.llama.tolerances import TOLERANCES
from lwmport.models.llama.vision_tokens import END_OF_FRAME, FRAME
from lwmport.models.notices import LICENSE, LWM
from lwmport.models.spec import ChosenField, FamilySpec, GenerationMode, PartSpec, RingParts, Stacking

_FACTORIES: Final = "lwmport.models.llama.factories"
_PREFILL: Final = ("attention", "query_chunk", "key_chunk", "ring", "sequence", "max_length", "cache")
_FORM: Final = "input_form"
_WHOLE: Final = ("attention", "query_chunk", "key_chunk", "ring", "sequence", "cache")
_LAYERS: Final = "num_hidden_layers"
_STATES: Final = "axes [batch, tokens, width]"
_LOGITS: Final = "the next one is the largest, or drawn from the softmax of logits / temperature"

FAMILY: Final = FamilySpec(
    name="llama",
    aliases=("vision-llama",),
    components=(
        PartSpec(
            name="llama",
            summary="the text model: tokens and a KV cache in, logits and the longer cache out",
            factory=f"{_FACTORIES}:whole",
            options=(_FORM, *_WHOLE),
            static=("llama-prefill", "llama-decode"),
            layers=_LAYERS,
        ),
        PartSpec(
            name="llama-block",
            summary="one layer (--layer N), with its cache",
            factory=f"{_FACTORIES}:block",
            options=("layer", *_WHOLE),
            static=("llama-block-prefill", "llama-block-decode"),
        ),
        PartSpec(
            name="llama-block-decode",
            summary="one layer, new tokens into a cache of fixed length",
            factory=f"{_FACTORIES}:block_decode",
            options=("layer", "max_length", "cache"),
        ),
        PartSpec(
            name="llama-block-prefill",
            summary="one layer, the first tokens of a cache of fixed length",
            factory=f"{_FACTORIES}:block_prefill",
            options=("layer", *_PREFILL),
        ),
        PartSpec(
            name="llama-block-qkv",
            summary="one layer up to its attention: states to queries, keys and values",
            factory=f"{_FACTORIES}:block_qkv",
            options=("layer", "sequence"),
            each=_LAYERS,
        ),
        PartSpec(
            name="llama-block-rest",
            summary="one layer behind its attention: what ring-step found to the next layer's states",
            factory=f"{_FACTORIES}:block_rest",
            options=("layer", "sequence"),
            each=_LAYERS,
        ),
        PartSpec(
            name="llama-decode",
            summary="the text model, new tokens into a cache of fixed length (--max-length)",
            factory=f"{_FACTORIES}:decode",
            options=("max_length", "cache"),
            layers=_LAYERS,
        ),
        PartSpec(
            name="llama-embed",
            summary="tokens to states",
            factory=f"{_FACTORIES}:embed",
            options=("sample_mode", "sequence"),
        ),
        PartSpec(
            name="llama-head",
            summary="states to logits",
            factory=f"{_FACTORIES}:head",
            options=("sample_mode", "sequence"),
        ),
        PartSpec(
            name="llama-prefill",
            summary="the text model, the first tokens (--sequence) of a cache of fixed length",
            factory=f"{_FACTORIES}:prefill",
            options=(_FORM, *_PREFILL),
            layers=_LAYERS,
        ),
        PartSpec(
            name="ring-step",
            summary="one step of ring attention: a rank's queries against the keys that it holds now",
            factory=f"{_FACTORIES}:ring",
            options=("attention", "query_chunk", "key_chunk", "sequence"),
        ),
        PartSpec(
            name="vision-llama",
            summary="the vision-language model: words and codes in, the logits of --sample-mode out",
            factory=f"{_FACTORIES}:whole",
            options=("sample_mode", _FORM, *_WHOLE),
            static=("vision-llama-prefill", "vision-llama-decode"),
            layers=_LAYERS,
        ),
        PartSpec(
            name="vision-llama-decode",
            summary="the vision-language model, new tokens into a cache of fixed length",
            factory=f"{_FACTORIES}:decode",
            options=("sample_mode", "max_length", "cache"),
            layers=_LAYERS,
        ),
        PartSpec(
            name="vision-llama-prefill",
            summary="the vision-language model, the first tokens of a cache of fixed length",
            factory=f"{_FACTORIES}:prefill",
            options=("sample_mode", _FORM, *_PREFILL),
            layers=_LAYERS,
        ),
    ),
    groups={"llama-ring": ("llama-embed", "llama-block-qkv", "ring-step", "llama-block-rest", "llama-head")},
    ring=RingParts(
        group="llama-ring",
        embed="llama-embed",
        heads="llama-block-qkv",
        step="ring-step",
        rest="llama-block-rest",
        head="llama-head",
    ),
    configure="lwmport.models.llama.configure:configure",
    chosen=(
        ChosenField(field="num_attention_heads", word="heads"),
        ChosenField(field="theta", word="theta"),
        ChosenField(field="rms_norm_eps", word="epsilon"),
        ChosenField(field="max_sequence_length", word="positions"),
        ChosenField(field="vocab_size", word="vocabulary", tensor="transformer/wte/embedding"),
        ChosenField(field="vision_vocab_size", word="codes", tensor="transformer/vte/embedding"),
    ),
    offers="lwmport.models.llama.configure:offers",
    names="lwmport.models.llama.configure:names",
    other_names=OTHER_NAMES,
    weights="lwmport.models.llama.weights:checkpoint_weights",
    sources="lwmport.models.llama.weights:stacked_sources",
    strict=True,
    native="msgpack_stream",
    marks={"transformer/vte/embedding": "vision-llama", "transformer/wte/embedding": "llama"},
    stacking=Stacking(flag="scan_layers", axis="param_scan_axis", assumed={"num_attention_heads": 1}),
    inputs="lwmport.models.llama.test_inputs:INPUTS",
    complete="lwmport.models.llama.given_tokens:completed",
    tokens="input_ids",
    logits=("logits", "text_logits", "vision_logits"),
    modes={
        "text": GenerationMode(logits=("text_logits", "logits")),
        "vision": GenerationMode(logits=("vision_logits",), codes=True, every=FRAME, forced=END_OF_FRAME),
    },
    prompts="lwmport.models.llama.prompts:PROMPTS",
    draws="lwmport.models.llama.lwm_draws:LwmDraws",
    script_flags="lwmport.models.llama.script_flags:flag_of",
    words={
        "inputs/input_ids": "tokens of LWM's tokenizer; others are taken out first",
        "inputs/inputs_embeds": f"{_STATES}: what llama-embed gives for tokens; an image side's, where a picture is",
        "inputs/hidden_states": f"{_STATES}: what llama-embed gives, or the block before",
        "inputs/attention_mask": "1 for a token, 0 for padding; where there is a cache, an entry for each slot of it",
        "inputs/position_ids": "where each new token stands, counted from the first that is no padding",
        "inputs/cache_position": "the slot of the cache that the first new token goes into",
        "outputs/new_hidden_states": f"{_STATES}: the next block's hidden_states, or llama-head's",
        "inputs/vision_masks": "true where an id is a code of a picture, false where it is a word",
        "outputs/hidden_states": f"{_STATES}: the first block's hidden_states",
        "outputs/logits": _LOGITS,
        "outputs/text_logits": f"of words: {_LOGITS}",
        "outputs/vision_logits": f"of codes: {_LOGITS}",
    },
    tolerances=TOLERANCES,
    notice=LWM,
    license=LICENSE,
    huggingface=HUGGINGFACE,
    folders=FOLDERS,
    gguf=GGUF,
)
