"""Makes the model's own byte-pair tokenizer in CLIP's file format and encodes with it: `python tokenizer.py FOLDER`."""

import json
import re
import sys
from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np

from captions import ENDINGS, MOODS, caption
from scenes import draw_scene

LENGTH = 77
PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|[a-z]+|[0-9]|[^\sa-z0-9]+"
START, END = "<|startoftext|>", "<|endoftext|>"
# Words an artist may well type and that mean nothing to this model yet: known whole, so that they are easily ignored.
EXTRA = """
high quality best fantasy art style watercolor watercolour oil acrylic brush strokes cosy cozy tiny
huge tall vast deep dark bright vivid pastel colourful colorful far near river garden path road bird
birds flowers summer spring autumn winter sky light shadow reflection coast beach island cliff
snowcapped
""".split()


def byte_letters():
    """CLIP's printable stand-ins for the 256 bytes."""
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    letters = {b: chr(b) for b in plain}
    for k, b in enumerate(b for b in range(256) if b not in letters):
        letters[b] = chr(256 + k)
    # CLIP's order: the printable bytes first.
    return [letters[b] for b in plain] + [letters[b] for b in range(256) if b not in plain]


def build(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    words = Counter()
    for i in range(12000):
        natural = i % 2 == 0
        words.update(re.findall("[a-z]+", caption(draw_scene(rng, natural=natural), rng, natural)))
    words.update(EXTRA + MOODS + re.findall("[a-z]+", " ".join(ENDINGS)))
    split = {word: tuple(word[:-1]) + (word[-1] + "</w>",) for word in sorted(words)}
    letters = byte_letters()
    vocabulary = letters + [c + "</w>" for c in letters]
    merges = []
    # Merge the commonest pair until every word is one token.
    while True:
        pairs = Counter(pair for parts in split.values() for pair in zip(parts, parts[1:]))
        if not pairs:
            break
        best = max(sorted(pairs), key=pairs.get)
        merges.append(best)
        vocabulary.append("".join(best))
        split = {word: merge(parts, best) for word, parts in split.items()}
    vocabulary += [START, END]
    ids = {token: i for i, token in enumerate(vocabulary)}
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2))
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": LENGTH,
        "add_prefix_space": False,
        "do_lower_case": True,
        "errors": "replace",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | special, indent=2))
    return len(ids), len(words)


def merge(parts, pair):
    out, i = [], 0
    while i < len(parts):
        if parts[i : i + 2] == pair:
            out.append(parts[i] + parts[i + 1])
            i += 2
        else:
            out.append(parts[i])
            i += 1
    return tuple(out)


class Tokenizer:
    """Encodes captions as CLIP does: small letters, words and marks, padded with the end token to 77."""

    def __init__(self, folder):
        self.ids = json.loads((Path(folder) / "vocab.json").read_text())
        lines = (Path(folder) / "merges.txt").read_text().splitlines()[1:]
        self.rank = {tuple(line.split()): i for i, line in enumerate(lines)}
        self.start, self.end = self.ids[START], self.ids[END]
        self.word = lru_cache(maxsize=None)(self._word)

    def _word(self, word):
        parts = tuple(word[:-1]) + (word[-1] + "</w>",)
        while len(parts) > 1:
            best = min(zip(parts, parts[1:]), key=lambda pair: self.rank.get(pair, 1e9))
            if best not in self.rank:
                break
            parts = merge(parts, best)
        return [self.ids[p] for p in parts]

    def __call__(self, captions):
        out = np.full((len(captions), LENGTH), self.end, np.int64)
        out[:, 0] = self.start
        for row, text in zip(out, captions):
            ids = [i for word in re.findall(PIECES, text.lower()) for i in self.word(word)][: LENGTH - 2]
            row[1 : 1 + len(ids)] = ids
        return out


if __name__ == "__main__":
    print("tokens, words:", *build(sys.argv[1]))
    from transformers import CLIPTokenizer

    rng = np.random.default_rng(3)
    texts = [caption(draw_scene(rng), rng) for _ in range(300)] + ["", "a wizard's castle, 8k", "Snowy Mountains!"]
    theirs = np.array(
        CLIPTokenizer.from_pretrained(sys.argv[1])(texts, padding="max_length", max_length=LENGTH, truncation=True)[
            "input_ids"
        ]
    )
    ours = Tokenizer(sys.argv[1])(texts)
    print("same as transformers:", (theirs == ours).all(), "longest:", (ours != ours.max()).sum(1).max() + 1)
