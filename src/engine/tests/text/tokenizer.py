#!/usr/bin/env python3
"""Makes a small vocabulary in the layout of CLIP's, and records how the reference tokenizes with it.

    python tokenizer.py            # writes vocab.json, merges.txt and tokens.json beside itself
    python tokenizer.py BPE.txt    # and, with the vocabulary file of CLIP itself, clip_tokens.json

Needs transformers. `BPE.txt` is OpenAI's bpe_simple_vocab_16e6.txt.
"""
import collections, json, os, re, sys

from transformers import CLIPTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
BEGIN, END = "<|startoftext|>", "<|endoftext|>"
TEXT = """painting of a quiet harbour at night, two small boats and a lighthouse on the cliff, full moon over the sea
snowy mountains under a pale morning sky, dark fir trees, a wooden hut with smoke, wide valley, detailed painting
desert dunes in the evening, orange sky with long clouds, one lonely tree, warm light, soft shadows, high detail
green hills after the rain, a rainbow on the left, white houses, stone walls, sheep, spring flowers, watercolour"""
PROBES = [
    "", " ", "\n\t", "a painting of two small boats", "A Painting  of\ttwo BOATS,\n in 4K!!", "it's they're I'd we'll she's o'clock",
    "Zürich naïve Straße ﬁne ½ Ⅷ ＡＢＣ", "e\u0301 and \u00e9", "一只可爱的猫 ねこ 고양이 кот", "fox 🦊🚀👩‍🚀 and 🇨🇭", "“curly” — … € ™",
    "<|endoftext|> in the middle <|startoftext|> of text", "<start_of_text> is no token <end_of_text>", "12345 3.14 v2.0 a1b2", "a_b-c+d=e/f\\g|h", "((((", "....,,,,",
    "\u200bzero\u200bwidth\u00a0space\u3000wide", "\u202eright to left \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627", "İstanbul ΣΊΣΥΦΟΣ ǅ", "\x00\x01control\x7f", "a" * 200, "boat " * 90,
]


def byte_symbols():
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(len(rest))]


def train(text, count):
    """The `count` most frequent pairs, ties broken by spelling."""
    words = collections.Counter(tuple(w[:-1]) + (w[-1] + "</w>",) for w in re.findall(r"[a-z]+|[^\sa-z]", text.lower()))
    merges = []
    for _ in range(count):
        pairs = collections.Counter()
        for word, n in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += n
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        joined = collections.Counter()
        for word, n in words.items():
            out = []
            for symbol in word:
                if out and (out[-1], symbol) == best:
                    out[-1] += symbol
                else:
                    out.append(symbol)
            joined[tuple(out)] += n
        words = joined
    return merges


def vocabulary(merges):
    symbols = byte_symbols()
    tokens = symbols + [s + "</w>" for s in symbols] + [a + b for a, b in merges] + [BEGIN, END]
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}


def record(vocab, merges, path):
    tokenizer = CLIPTokenizer(vocab=vocab, merges=merges)
    rows = [dict(text=text, ids=tokenizer(text).input_ids) for text in PROBES]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(rows, file, separators=(",", ":"))
        file.write("\n")


def main():
    merges = train(TEXT, 120)
    vocab = vocabulary(merges)
    with open(os.path.join(HERE, "vocab.json"), "w", encoding="utf-8") as file:
        json.dump(vocab, file, separators=(",", ":"), ensure_ascii=False)
        file.write("\n")
    with open(os.path.join(HERE, "merges.txt"), "w", encoding="utf-8") as file:
        file.write("#version: 0.2\n" + "".join("%s %s\n" % pair for pair in merges))
    record(vocab, merges, os.path.join(HERE, "tokens.json"))
    if len(sys.argv) > 1:
        lines = open(sys.argv[1], encoding="utf-8").read().split("\n")[1:49152 - 256 - 2 + 1]
        merges = [tuple(line.split()) for line in lines]
        record(vocabulary(merges), merges, os.path.join(HERE, "clip_tokens.json"))


if __name__ == "__main__":
    main()
