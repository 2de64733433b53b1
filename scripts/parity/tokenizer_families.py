"""Small tokenizers with the settings that the families' published tokenizer.json files have, and odd ones that have the rest."""

import json
import random

QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
# GPT-4o's, which no scanner knows.
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
V2_LETTERS = (
    "\\s?[A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-\u0373\u0376\u0377"
    "\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5"
    "\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D"
    "\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4"
    "\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D"
    "\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4"
    "\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06"
    "\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\U00010400-\U0001044F\U000104B0-\U000104D3\U000104D8-\U000104FB"
    "\U00010C80-\U00010CB2\U00010CC0-\U00010CF2\U000118A0-\U000118DF\U0001E900-\U0001E943]+")
V2_SIGNS = "\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+"
V2_HAN = "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+"


def split(pattern, behavior="isolated", invert=False):
    from tokenizers import Regex, pre_tokenizers
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def byte_level(add_prefix_space=False, use_regex=False):
    from tokenizers import pre_tokenizers
    return pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space, use_regex=use_regex)


def train(documents, vocab_size, pre_tokenizer, normalizer=None):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(documents, trainer)
    return tokenizer


def without_some_merges(tokenizer):
    """The same with ignore_merges, and every eleventh merge missing, so that whole words are more than what merges make."""
    from tokenizers import Tokenizer
    content = json.loads(tokenizer.to_str())
    del content["model"]["merges"][10::11]
    content["model"]["ignore_merges"] = True
    return Tokenizer.from_str(json.dumps(content))


def added(content, special=True, **flags):
    from tokenizers import AddedToken
    return AddedToken(content, special=special, **{"normalized": False, **flags})


def families(documents, vocab_size):
    """(name, tokenizer) of each family."""
    from tokenizers import normalizers, pre_tokenizers, processors
    gpt2 = train(documents, vocab_size, byte_level(use_regex=True))
    gpt2.add_special_tokens([added("<|endoftext|>", normalized=True)])
    gpt2.post_processor = processors.ByteLevel(trim_offsets=False)
    yield "gpt2", gpt2

    qwen = train(documents, vocab_size, pre_tokenizers.Sequence([split(QWEN2), byte_level()]), normalizers.NFC())
    qwen.add_special_tokens([added(f"<|{name}|>") for name in ("endoftext", "im_start", "im_end", "object_ref_start", "vision_pad")])
    qwen.add_tokens([added(token, special=False) for token in ("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|repo_name|>")])
    qwen.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    yield "qwen2", qwen

    llama = without_some_merges(train(documents, vocab_size, pre_tokenizers.Sequence([split(LLAMA3), byte_level()])))
    llama.add_special_tokens([added(f"<|{name}|>") for name in ("begin_of_text", "end_of_text", "reserved_special_token_0", "finetune_right_pad_id",
                                                               "start_header_id", "end_header_id", "eom_id", "eot_id", "python_tag")])
    llama.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=True, add_prefix_space=True, use_regex=True),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
                                      special_tokens=[("<|begin_of_text|>", llama.token_to_id("<|begin_of_text|>"))])])
    yield "llama3", llama

    def deepseek(*steps):
        tokenizer = train(documents, vocab_size, pre_tokenizers.Sequence([*steps, pre_tokenizers.Digits(individual_digits=True), byte_level()]),
                          normalizers.Sequence([]))
        tokenizer.add_special_tokens([added("<｜begin▁of▁sentence｜>", normalized=True), added("<｜end▁of▁sentence｜>", normalized=True)])
        tokenizer.add_tokens([added("<｜fim▁hole｜>", special=False, normalized=True)])
        tokenizer.post_processor = processors.ByteLevel(add_prefix_space=True, trim_offsets=False, use_regex=True)
        return tokenizer

    yield "deepseek2", deepseek(split("[\r\n]"), split(V2_LETTERS), split(V2_SIGNS), split(r"\s+$"), split(V2_HAN))
    yield "deepseek_coder", deepseek(split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split(V2_HAN))

    o200k = without_some_merges(train(documents, vocab_size, pre_tokenizers.Sequence([split(O200K), byte_level()])))
    o200k.add_special_tokens([added("<|endoftext|>"), added("<|endofprompt|>")])
    yield "o200k", o200k


ODD_TOKENS = ["<a>", "<mask>", "word", "stand", "standing", "the", "  ", " b", "é", "\u0065\u0302", "ﬁ", "中", "12", "\n", "\u212b", "'s", "_x", "a\u0301a", "①"]


def odd(documents, vocab_size, count, seed):
    """(name, tokenizer) with random normalizers, steps and flags of added tokens."""
    from tokenizers import normalizers, pre_tokenizers, processors
    rng = random.Random(seed)
    behaviors = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
    patterns = [r"\s+", r"\p{L}+", r"\p{N}{2}", "[aeiou]", r"(?=[A-Z])", r"\b", r"\w+", r"\W", r"[^\w\s]+", r"x*", r"\d{,2}", r"\h+", r"(?<=a).", "$", "^",
                r"\P{L}+", r"[\P{Ll}x]+", r"\p{Han}+", r"\p{Mn}", r"[^\S\n]+", r"\p{Lu}\p{Ll}*", r"(?i:[a-e]+x?|the)", r"a{2}+", r"\p{^P}+", r"[[:digit:]_]+",
                r"\p{Sc}|\p{Sm}|\p{So}", r"\p{C}", r"[\u4e00-\u9fff]", r"\p{Cn}+", r"\R", r"[]a]", r".+", r"\S+\s?", QWEN2, LLAMA3, O200K, r"\s+$", V2_SIGNS]
    strings = [" ", "a", "e ", "the", ".", "中", "\n", "", "aa", "(", "a.b"]
    for number in range(count):
        steps = []
        for _ in range(rng.randrange(4)):
            kind = rng.randrange(10)
            if kind < 5:
                steps.append(split(rng.choice(patterns), rng.choice(behaviors), rng.random() < 0.3))
            elif kind < 7:
                steps.append(pre_tokenizers.Split(rng.choice(strings), rng.choice(behaviors), rng.random() < 0.3))
            elif kind == 7:
                steps.append(pre_tokenizers.Digits(individual_digits=rng.random() < 0.5))
            elif kind == 8:
                steps.append(pre_tokenizers.Punctuation(rng.choice(behaviors)))
            else:
                steps.append(rng.choice([pre_tokenizers.Whitespace(), pre_tokenizers.WhitespaceSplit()]))
        last = byte_level(rng.random() < 0.4, rng.random() < 0.4)
        forms = rng.sample([normalizers.NFC(), normalizers.NFD(), normalizers.NFKC(), normalizers.NFKD()], rng.choice([0, 1, 1, 1, 2]))
        tokenizer = train(documents, vocab_size, pre_tokenizers.Sequence([*steps, last]) if steps else last,
                          normalizers.Sequence(forms) if len(forms) != 1 else forms[0])
        if rng.random() < 0.3:
            tokenizer = without_some_merges(tokenizer)
        seen = set()
        # A token that begins with white space inside what the rstrip of another took along: the library panics.
        rstrip = 0.3 if rng.random() < 0.5 else 0
        for content in rng.sample([t for t in ODD_TOKENS if not (rstrip and t[0].isspace())], 8):
            flag = lambda p: rng.random() < p
            token = added(content, special=flag(0.5), normalized=flag(0.5), lstrip=flag(0.3), rstrip=flag(rstrip), single_word=flag(0.3))
            key = (token.normalized, tokenizer.normalizer.normalize_str(content) if token.normalized and tokenizer.normalizer else content)
            if key not in seen:  # two tokens that are the same once normalized are an error there
                seen.add(key)
                (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
        if rng.random() < 0.5 and (first := next(iter(tokenizer.get_added_tokens_decoder().items()), None)):
            pair = (first[1].content, first[0])
            tokenizer.post_processor = rng.choice([processors.RobertaProcessing(pair, pair), processors.BertProcessing(pair, pair),
                                                   processors.TemplateProcessing(single="S:0 $A S:0", special_tokens=[("S", pair[1])])])
        yield f"odd{number}", tokenizer
