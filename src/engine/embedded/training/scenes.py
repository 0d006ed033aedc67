"""What a picture can show: its attributes, how they are drawn by lot, and which combinations training never sees."""

import hashlib
from dataclasses import dataclass

TIMES = ["morning", "day", "evening", "night"]
SKIES = ["blue", "turquoise", "violet", "pink", "red", "orange"]
BODIES = ["none", "sun", "moon"]
SIDES = ["left", "middle", "right"]
GROUNDS = ["mountains", "hills", "sea", "desert", "forest"]
COLOURS = ["green", "blue", "purple", "red", "golden", "white"]
WEATHERS = ["clear", "clouds", "rain", "snow", "fog"]
THINGS = ["none", "house", "tree", "boat"]

# Which things stand on which ground.
THINGS_ON = {
    "mountains": ["none", "house", "tree"],
    "hills": ["none", "house", "tree"],
    "sea": ["none", "boat"],
    "desert": ["none", "house", "tree"],
    "forest": ["none", "house"],
}

# What an artist means who does not say: natural colours, and how often.
NATURAL_SKY = {
    "morning": ["blue", "pink", "orange", "turquoise"],
    "day": ["blue", "blue", "blue", "turquoise"],
    "evening": ["orange", "orange", "pink", "red", "violet"],
    "night": ["blue", "blue", "violet"],
}
NATURAL_COLOUR = {
    "mountains": ["blue", "purple", "green", "white"],
    "hills": ["green"],
    "sea": ["blue"],
    "desert": ["golden"],
    "forest": ["green"],
}


@dataclass(frozen=True)
class Scene:
    """One picture's attributes.

    `side` is "none" without a sun or moon; `number` is 0 without things, 3 and 4 both count as many.
    """

    time: str
    sky: str
    body: str
    side: str
    ground: str
    colour: str
    weather: str
    thing: str
    number: int


def held_out(time, sky, ground, colour):
    """True for the tenth of all combinations of time, sky, ground and its colour that training never sees."""
    key = f"{time}|{sky}|{ground}|{colour}"
    return hashlib.md5(key.encode()).digest()[0] < 26


def pick(rng, options):
    return options[rng.integers(len(options))]


def draw_scene(rng, held=False, natural=False):
    """A random scene, held out or not; a natural one has the colours that nobody needs to name."""
    while True:
        time, ground = pick(rng, TIMES), pick(rng, GROUNDS)
        sky = pick(rng, NATURAL_SKY[time] if natural else SKIES)
        colours = NATURAL_COLOUR[ground] if natural else COLOURS
        colour = pick(rng, [c for c in colours if not (ground == "sea" and c == "white")])
        if held_out(time, sky, ground, colour) == held:
            break
    bodies = {
        "morning": ["sun", "sun", "moon", "none"],
        "day": ["sun", "sun", "sun", "none"],
        "evening": ["sun", "sun", "moon", "none"],
        "night": ["moon", "moon", "moon", "none"],
    }
    body = pick(rng, bodies[time])
    side = pick(rng, SIDES) if body != "none" else "none"
    weather = pick(rng, WEATHERS)
    thing = pick(rng, THINGS_ON[ground] + THINGS_ON[ground][1:])
    many = 3 if thing == "tree" else pick(rng, [3, 4])  # four trees have no room
    number = pick(rng, [1, 2, many]) if thing != "none" else 0
    return Scene(time, sky, body, side, ground, colour, weather, thing, number)
