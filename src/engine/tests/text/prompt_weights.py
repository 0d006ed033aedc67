#!/usr/bin/env python3
"""What A1111's prompt language means, written down a second time and independently of the engine.

    python prompt_weights.py       # writes prompt_weights.json beside itself

Needs numpy and tokenizers. For each prompt it records the chunks of 77 token ids, their weights, how many tokens are
counted, and, for the embedding `toy` below in place of a text encoder, the first numbers and the mean of each chunk's
embedding after weighting.
"""
import json, os, re

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

HERE = os.path.dirname(os.path.abspath(__file__))
LONG = "boats and houses and trees " * 11
PROMPTS = [
    "", "a painting", "a (red) boat", "a ((red)) boat", "a [red] boat", "a (red:1.5) boat, [[dark]] sea", "(a (b:2) c:0.5) d",
    r"\(literal\) and \[square\]", "(never closed", "closed too often))]", "a:b, c : d (e :1.2 )", "(hills:0) and (sky:-0.5)", "(a:1.2.3)",
    "left BREAK right", "(left BREAK right:1.3)", "BREAK", "BREAK BREAK", "BREAKFAST", LONG, LONG + ", " + LONG, "one, " * 40,
    "x " * 70 + ", tail of the first chunk that is moved", "x " * 74 + ", y", "x " * 75 + ", y", "x " * 76, ("(x:1.1) " * 80).strip(),
    "x " * 50 + ", " + "y " * 30, "x " * 60 + ", " + "(y:1.4) " * 30 + "BREAK z", "naïve 一只 🦊 (emoji 🚀:1.21)",
]


def tokenizer():
    with open(os.path.join(HERE, "vocab.json"), encoding="utf-8") as file:
        vocab = json.load(file)
    with open(os.path.join(HERE, "merges.txt"), encoding="utf-8") as file:
        merges = [tuple(line.split()) for line in file.read().split("\n")[1:] if line]
    t = Tokenizer(models.BPE(vocab=vocab, merges=merges, end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    words = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(words), "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return t, vocab


def weighted_parts(prompt):
    """[(text or None for a break, weight)], by looking at one character after the other, recursively."""
    parts, stack, i, literal = [], [], 0, ""

    def flush():
        nonlocal literal
        pieces = re.split(r"\s*\bBREAK\b\s*", literal)
        for n, piece in enumerate(pieces):
            if n:
                parts.append([None, 1.0])
            if piece:
                parts.append([piece, 1.0])
        literal = ""

    def close(opening, factor):
        depth = max(n for n, (kind, _) in enumerate(stack) if kind == opening)
        _, start = stack.pop(depth)
        for part in parts[start:]:
            part[1] *= factor

    while i < len(prompt):
        c = prompt[i]
        open_round, open_square = (any(kind == k for kind, _ in stack) for k in "([")
        number = re.match(r":\s*([+-]?[0-9.]+)\s*\)", prompt[i:])
        try:
            value = float(number.group(1)) if number else None
        except ValueError:
            value = None
        if c == "\\":
            flush()
            if prompt[i + 1:i + 2] and prompt[i + 1] in "()[]\\":
                parts.append([prompt[i + 1], 1.0])
                i += 1
        elif c in "([":
            flush()
            stack.append((c, len(parts)))
        elif value is not None and open_round:
            flush()
            close("(", value)
            i += number.end() - 1
        elif c == ")" and open_round:
            flush()
            close("(", 1.1)
        elif c == "]" and open_square:
            flush()
            close("[", 1 / 1.1)
        else:
            if c in ":)]":
                flush()
            literal += c
            if c in ":)]":
                parts.append([c, 1.0])
                literal = ""
        i += 1
    flush()
    while stack:
        kind, _ = stack[-1]
        close(kind, 1.1 if kind == "(" else 1 / 1.1)
    merged = []
    for text, weight in parts:
        if merged and text is not None and merged[-1][0] is not None and abs(merged[-1][1] - weight) < 1e-9:
            merged[-1][0] += text
        else:
            merged.append([text, weight])
    return merged


def chunks_of(prompt, encode, comma):
    """Lists of (id, weight), at most 75 long."""
    done, now = [], []
    for text, weight in weighted_parts(prompt):
        if text is None:
            done.append(now)
            now = []
            continue
        for token in encode(text):
            if len(now) == 75:
                commas = [n for n, (t, _) in enumerate(now) if t == comma]
                cut = 75
                if token != comma and commas and 75 - commas[-1] <= 20:
                    cut = commas[-1] + 1
                done.append(now[:cut])
                now = now[cut:]
            now.append((token, weight))
    if now or not done:
        done.append(now)
    return done


def padded(prompt, t, vocab):
    """The 77 ids and weights of each chunk."""
    begin, end, comma = vocab["<|startoftext|>"], vocab["<|endoftext|>"], vocab[",</w>"]
    for chunk in chunks_of(prompt, lambda text: t.encode(text).ids, comma):
        ids = ([begin] + [i for i, _ in chunk] + [end] * 76)[:77]
        weights = ([1.0] + [w for _, w in chunk] + [1.0] * 76)[:77]
        yield ids, weights


def toy(ids):
    i, j = np.array(ids, dtype=np.float64)[:, None], np.arange(4)[None, :]
    return np.sin(0.37 * i + 1.3 * j) + 0.25


def main():
    t, vocab = tokenizer()
    rows = []
    for prompt in PROMPTS:
        chunks = chunks_of(prompt, lambda text: t.encode(text).ids, vocab[",</w>"])
        row = dict(prompt=prompt, tokens=75 * (len(chunks) - 1) + len(chunks[-1]), chunks=[])
        for ids, weights in padded(prompt, t, vocab):
            plain = toy(ids)
            weighed = plain * np.array(weights)[:, None]
            weighed *= plain.mean() / weighed.mean()
            row["chunks"].append(dict(ids=ids, weights=[round(w, 6) for w in weights], first=[round(float(v), 6) for v in weighed[1:3].ravel()],
                                      mean=round(float(weighed.mean()), 6)))
        rows.append(row)
    with open(os.path.join(HERE, "prompt_weights.json"), "w", encoding="utf-8") as file:
        json.dump(rows, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
