"""A Whisper small enough for a test, in the format that faster-whisper loads: real code runs, the words are noise.

Its weights are drawn by NumPy and never change; its tokens are laid out as the published multilingual ones are, since
CTranslate2 tells an English-only model by the size of its vocabulary. What it says depends on the sound, and the end
of a transcript grows likelier with every token, so that it is short.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

WORDS = 50_257  # ordinary tokens of the multilingual models, end of text after them; English-only ones have one less
_CODES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi "
    "ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd "
    "gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
)
LANGUAGES = _CODES.split()
TASKS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
TIMESTAMPS = 1501  # 0.00 to 30.00 in steps of 0.02 s
WIDTH = 32
_CONSONANTS, _VOWELS = "bcdfghjklmnprstvwz", "aeiou"


def build_tiny_whisper(
    folder: Path, *, mels: int = 80, preprocessor: bool = True, english_only: bool = False, seed: int = 3
) -> Path:
    """Make the model and convert it.

    Args:
        folder: where it goes; ``model.bin``, ``config.json``, ``vocabulary.json``, ``tokenizer.json`` and
            ``preprocessor_config.json`` are in it afterwards.
        mels: mel bands of its input.
        preprocessor: whether ``preprocessor_config.json`` is written.
        english_only: whether it has the tokens of the published English-only models.
        seed: of the weights.
    """
    from ctranslate2.converters import TransformersConverter

    source = folder.with_name(folder.name + "-transformers")
    words = WORDS - english_only
    codes = LANGUAGES[:-1] if english_only else LANGUAGES
    special = [f"<|{name}|>" for name in ("endoftext", "startoftranscript", *codes, *TASKS)]
    _model(mels, seed, words, special).save_pretrained(source)
    _tokenizer(words, special).save(str(source / "tokenizer.json"))
    (source / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    TransformersConverter(str(source), copy_files=["tokenizer.json"]).convert(str(folder))
    if preprocessor:
        facts = {
            "feature_size": mels,
            "sampling_rate": 16000,
            "hop_length": 160,
            "chunk_length": 30,
            "n_fft": 400,
        }
        (folder / "preprocessor_config.json").write_text(json.dumps(facts))
    return folder


def _model(mels: int, seed: int, end: int, special: list[str]) -> Any:
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    config = WhisperConfig(
        vocab_size=end + len(special) + TIMESTAMPS,
        num_mel_bins=mels,
        d_model=WIDTH,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=end + 1,
    )
    model = WhisperForConditionalGeneration(config)
    rng = np.random.default_rng(seed)
    towards_end = np.zeros(WIDTH, np.float32)
    towards_end[0] = 1.0
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = rng.standard_normal(tuple(parameter.shape))
            if parameter.ndim > 1:
                values *= (len(values) / values.size) ** 0.5
            else:
                values = 0.05 * values + ("norm" in name and name.endswith("weight"))
            if "encoder_attn.out_proj" in name or "encoder_attn.v_proj" in name:
                values *= 6.0  # what is heard outweighs what was said
            if name.endswith("decoder.embed_tokens.weight"):
                values[:, 0] = 0.0
                values[end + len(special) :] *= 0.8
                values[end] = 4.0 * towards_end
            if name.endswith("decoder.embed_positions.weight"):
                values *= 4.0  # words differ from place to place
                values += 0.4 * np.arange(len(values))[:, None] * towards_end
            parameter.copy_(torch.from_numpy(np.asarray(values, np.float32)))
    generation = model.generation_config
    generation._from_model_config = False  # else what follows is made anew when it is read
    generation.suppress_tokens = []
    generation.begin_suppress_tokens = [end]
    codes = special[2 : -len(TASKS)]
    generation.lang_to_id = {token: end + 2 + place for place, token in enumerate(codes)}
    return model


def _tokenizer(words: int, special: list[str]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: place for place, symbol in enumerate(alphabet)}
    for place in range(len(alphabet), words):
        vocabulary[_word(place)] = place
    if words == WORDS:
        # By the empty token newer versions of CTranslate2 tell a multilingual model.
        del vocabulary[_word(words - 1)]
        vocabulary[""] = words - 1
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


def _word(place: int) -> str:
    """A word of its own for each place, begun by a space as byte-level tokenizers write it."""
    syllables = ""
    while place:
        place, vowel = divmod(place, len(_VOWELS))
        place, consonant = divmod(place, len(_CONSONANTS))
        syllables += _CONSONANTS[consonant] + _VOWELS[vowel]
    return "Ġ" + syllables
