"""Two seconds of video as ComfyUI saves them: FFmpeg's files, with the texts that it writes into them. Knows no queue."""

import pathlib
import struct

HERE = pathlib.Path(__file__).parent


def box(kind, *inner):
    """A box of an MP4."""
    body = b"".join(inner)
    return struct.pack(">I", 8 + len(body)) + kind + body


def mp4(text):
    """An MP4 with texts under keys of their own, as `-movflags use_metadata_tags` has them; its head lies at its end."""
    film = (HERE / "film.mp4").read_bytes()
    head = film.index(b"moov") - 4
    # What is there of FFmpeg's own is the last part of the head.
    kept = film[head + 8 : film.index(b"udta", head) - 4]
    handler = box(b"hdlr", bytes(8), b"mdta", bytes(13))
    keys = box(b"keys", struct.pack(">II", 0, len(text)), *(box(b"mdta", key.encode()) for key in text))
    values = (box(b"data", struct.pack(">II", 1, 0), value.encode()) for value in text.values())
    items = (box(struct.pack(">I", i), value) for i, value in enumerate(values, 1))
    meta = box(b"meta", bytes(4), handler, keys, box(b"ilst", *items))
    return film[:head] + box(b"moov", kept, box(b"udta", meta))


def element(id, *inner):
    """An element of a WebM, its length in eight bytes."""
    body = b"".join(inner)
    return bytes.fromhex(id) + struct.pack(">Q", 1 << 56 | len(body)) + body


def webm(text):
    """A WebM with its tags in front of the frames."""
    film = (HERE / "film.webm").read_bytes()
    tags = (element("67c8", element("45a3", key.upper().encode()), element("4487", value.encode())) for key, value in text.items())
    segment, frames = film.index(bytes.fromhex("18538067")), film.index(bytes.fromhex("1f43b675"))
    tags = element("1254c367", element("7373", element("63c0"), *tags))
    return film[:segment] + element("18538067", film[segment + 12 : frames], tags, film[frames:])
