"""Says in words what a scene shows: exact captions that name everything, and loose ones as an artist would type them.

What a caption does not name means: clear weather, no things, natural colours, by day.
"""

import numpy as np

from scenes import NATURAL_COLOUR, draw_scene, pick

SKY_WORDS = {
    "blue": ["blue", "blue", "azure", "sky blue"],
    "turquoise": ["turquoise", "turquoise", "teal", "cyan"],
    "violet": ["violet", "violet", "purple", "lilac", "lavender"],
    "pink": ["pink", "pink", "rose", "rosy"],
    "red": ["red", "red", "crimson", "scarlet"],
    "orange": ["orange", "orange", "golden", "amber", "yellow"],
}
COLOUR_WORDS = {
    "green": ["green", "green", "emerald", "lush green"],
    "blue": ["blue", "blue", "azure", "deep blue"],
    "purple": ["purple", "purple", "violet", "lavender", "lilac"],
    "red": ["red", "red", "crimson", "scarlet"],
    "golden": ["golden", "golden", "yellow", "gold", "amber"],
    "white": ["white", "white", "snowy", "snow-covered", "wintry"],
}
GROUND_WORDS = {
    "mountains": ["mountains", "mountains", "mountains", "peaks", "a mountain range", "alps"],
    "hills": ["hills", "hills", "hills", "rolling hills", "meadows", "fields", "a valley"],
    "sea": ["a sea", "the sea", "the sea", "the ocean", "an ocean", "water", "a lake", "a bay"],
    "desert": ["a desert", "the desert", "a desert", "dunes", "sand dunes"],
    "forest": ["a forest", "a forest", "the forest", "woods", "pine trees", "a pine forest", "the woods"],
}
ONE = {
    "house": [
        "a house",
        "a house",
        "one house",
        "a cottage",
        "a cabin",
        "a little house",
        "a lonely house",
        "a hut",
        "a farmhouse",
    ],
    "tree": ["a tree", "a tree", "one tree", "a lonely tree", "a single tree", "a big tree"],
    "boat": ["a boat", "a boat", "one boat", "a sailboat", "a sailing boat", "a ship", "a little boat"],
}
PLURAL = {
    "house": ["houses", "houses", "cottages", "cabins"],
    "tree": ["trees", "trees"],
    "boat": ["boats", "boats", "sailboats", "sailing boats", "ships"],
}
TIME_WORDS = {
    "morning": ["in the morning", "in the morning", "at dawn", "at daybreak", "in the early morning"],
    "day": ["by day", "during the day", "at noon", "in the daytime", "at midday"],
    "evening": ["in the evening", "in the evening", "at sunset", "at dusk", "at twilight"],
    "night": ["at night", "at night", "by night", "at midnight"],
}
SIDE_WORDS = {
    "left": ["on the left", "on the left", "at the left", "to the left", "on the left side"],
    "middle": ["in the middle", "in the middle", "in the centre", "in the center", "at the centre"],
    "right": ["on the right", "on the right", "at the right", "to the right", "on the right side"],
}
WEATHER_WORDS = {
    "clear": ["clear", "clear weather", "clear sky", "fine weather"],
    "clouds": ["clouds", "cloudy", "with clouds", "white clouds", "overcast"],
    "rain": ["rain", "raining", "rainy", "falling rain", "in the rain", "rainy weather"],
    "snow": ["snow", "snowing", "falling snow", "snowfall", "snowflakes", "in the snow", "it is snowing"],
    "fog": ["fog", "foggy", "mist", "misty", "in the fog", "hazy"],
}
WEATHER_ADJECTIVES = {
    "clear": ["clear", "fine"],
    "clouds": ["cloudy", "overcast"],
    "rain": ["rainy", "stormy", "wet"],
    "snow": ["snowy"],
    "fog": ["foggy", "misty", "hazy"],
}
OPENINGS = [
    "a painting of ",
    "a landscape with ",
    "a gouache of ",
    "a picture of ",
    "a painted landscape, ",
    "a view of ",
    "an illustration of ",
]
MOODS = [
    "quiet",
    "calm",
    "peaceful",
    "beautiful",
    "lonely",
    "wide",
    "soft",
    "dreamy",
    "distant",
    "old",
    "gentle",
    "silent",
    "serene",
    "pretty",
    "magical",
]
ENDINGS = [
    "soft light",
    "painterly",
    "gouache",
    "peaceful",
    "beautiful",
    "calm",
    "warm light",
    "storybook",
    "dreamy",
    "detailed",
    "masterpiece",
    "soft colours",
    "art",
]


def article(words):
    return ("an " if words[0] in "aeiou" else "a ") + words


def _coloured(rng, ground, words):
    """A ground with its colour word in the right place."""
    noun = pick(rng, GROUND_WORDS[ground])
    for lead in ("a ", "an ", "the "):
        if noun.startswith(lead):
            rest = f"{words} {noun[len(lead) :]}".strip()
            return f"the {rest}" if lead == "the " else article(rest)
    return f"{words} {noun}".strip()


def _things(rng, scene):
    """The things in words, or None; a bare plural means many."""
    thing, n = scene.thing, scene.number
    if thing == "none":
        return None
    if thing == "tree" and scene.ground == "desert" and rng.random() < 0.4:
        one, many = ["a palm tree", "a palm", "one palm tree"], ["palms", "palm trees"]
    else:
        one, many = ONE[thing], PLURAL[thing]
    if n == 1:
        return pick(rng, one)
    plural = pick(rng, many)
    if n == 2:
        return pick(rng, ["two ", "two ", "two ", "a pair of ", "a couple of "]) + plural
    if thing == "house" and rng.random() < 0.12:
        return pick(rng, ["a village", "a small village"])
    counts = ["", "", "many ", "many ", "several ", "some ", "a few "]
    return pick(rng, counts + (["three ", "three "] if n == 3 else ["four ", "four "])) + plural


def _body(rng, scene):
    body, side = scene.body, pick(rng, SIDE_WORDS[scene.side])
    noun = pick(
        rng,
        ["the sun", "the sun", "a sun", "sun"]
        if body == "sun"
        else ["the moon", "the moon", "a moon", "moon", "a crescent moon"],
    )
    return pick(rng, [f"{noun} {side}", f"{noun} {side}", f"with {noun} {side}"])


def _no_body(rng, scene):
    return pick(
        rng,
        ["no moon", "without a moon", "no moon"] if scene.time == "night" else ["no sun", "without a sun", "no sun"],
    )


def exact(scene, rng, sure=False):
    """Names every attribute; `sure` also those that it may leave to be understood (no sun or moon)."""
    ground = _coloured(rng, scene.ground, pick(rng, COLOUR_WORDS[scene.colour]))
    if rng.random() < 0.08:
        ground = pick(rng, MOODS) + " " + ground if not ground.startswith(("a ", "an ", "the ")) else ground
    things = _things(rng, scene)
    if things:
        where = "on" if scene.ground in ("sea", "hills") else "in"
        ground = pick(
            rng,
            [f"{things} {where} {ground}", f"{ground} with {things}", f"{ground} and {things}", f"{things}, {ground}"],
        )
    opening = pick(rng, OPENINGS) if rng.random() < 0.3 else ""
    time = pick(rng, TIME_WORDS[scene.time])
    sky = article(pick(rng, SKY_WORDS[scene.sky]) + " sky")
    rest = []
    form = rng.integers(4)
    if form == 0:
        head = f"{ground} {time} under {sky}"
    elif form == 1:
        head, rest = f"{ground} under {sky}", [time]
    elif form == 2:
        head, rest = f"{ground} {time}", [sky]
    else:
        word = {
            "morning": ["morning", "dawn", "sunrise"],
            "day": ["day"],
            "evening": ["evening", "sunset", "dusk"],
            "night": ["night"],
        }[scene.time]
        colour = pick(rng, SKY_WORDS[scene.sky])
        head = f"{article(colour + ' ' + pick(rng, word))} over {ground}"
    if scene.body != "none":
        rest.append(_body(rng, scene))
    elif sure or rng.random() < 0.6:
        rest.append(_no_body(rng, scene))
    if scene.weather != "clear" or rng.random() < 0.5:
        rest.append(pick(rng, WEATHER_WORDS[scene.weather]))
    if rng.random() < 0.08 and not sure:
        rest.append(pick(rng, ENDINGS))
    rest = [rest[i] for i in rng.permutation(len(rest))]
    return opening + ", ".join([head] + rest)


def _with_word(word, phrase):
    """Puts an adjective in front of a noun that may have an article."""
    for lead in ("a ", "an ", "the "):
        if phrase.startswith(lead):
            words = f"{word} {phrase[len(lead) :]}"
            return "the " + words if lead == "the " else article(words)
    return f"{word} {phrase}"


def _loose_subject(scene, rng):
    """The ground and what stands on it, with few or no colours."""
    colour = ""
    must_name = scene.ground == "mountains" and scene.colour != "blue"
    if must_name or scene.colour not in NATURAL_COLOUR[scene.ground] or rng.random() < 0.25:
        colour = pick(rng, COLOUR_WORDS[scene.colour])
    if scene.colour == "white" and scene.ground == "mountains" and rng.random() < 0.5:
        colour = "snowy"
    ground, things = _coloured(rng, scene.ground, colour), _things(rng, scene)
    if scene.ground == "sea" and scene.number >= 2 and rng.random() < 0.5:
        ground, things = pick(rng, ["a harbour", "a harbor", "a quiet harbour", "a harbour full of boats"]), None
    elif scene.ground == "desert" and scene.thing == "tree" and scene.number >= 2 and rng.random() < 0.3:
        ground, things = "an oasis", None
    if rng.random() < 0.3:
        ground = _with_word(pick(rng, MOODS), ground)
    if not things:
        return ground
    joint = pick(rng, ["with", "and", "in"])
    if joint != "in":
        return f"{ground} {joint} {things}"
    if scene.thing != "boat" and rng.random() < 0.3:
        joint = "by"
    elif scene.ground in ("sea", "hills"):
        joint = "on"
    return f"{things} {joint} {ground}"


def _hour(scene, rng):
    """A noun for the time of day."""
    if scene.body == "sun" and scene.time == "evening":
        return pick(rng, ["sunset", "sunset", "evening"])
    if scene.body == "sun" and scene.time == "morning":
        return pick(rng, ["sunrise", "sunrise", "morning"])
    nouns = {
        "morning": ["morning", "dawn"],
        "day": ["day", "day", "afternoon"],
        "evening": ["evening", "dusk", "twilight"],
        "night": ["night"],
    }
    return pick(rng, nouns[scene.time])


def _when(scene, rng, hour, adjective):
    """Time and weather in a few words, and whether the weather is said with them."""
    if scene.time == "day" and scene.body == "sun" and scene.weather == "clear" and rng.random() < 0.4:
        return pick(rng, ["sunny", "on a sunny day", "sunny day", "sunshine", "a bright sunny day"]), True
    if scene.time == "night" and scene.body == "moon" and rng.random() < 0.35:
        return pick(rng, ["moonlight", "in the moonlight", "by moonlight", "a moonlit night", "moonlit"]), False
    if scene.time == "night" and scene.body == "none" and scene.weather == "clear" and rng.random() < 0.5:
        return pick(rng, ["under the stars", "a starry night", "starry sky", "stars"]), True
    if scene.time == "day" and not adjective and rng.random() < 0.75:
        return None, False
    if adjective and rng.random() < 0.5:
        both = f"{adjective} {hour}"
        return pick(rng, ["on " + article(both), both, article(both)]), True
    if hour in ("dawn", "dusk", "night", "sunset", "sunrise", "twilight"):
        return pick(rng, [f"at {hour}", hour]), False
    return pick(
        rng, [f"in the {hour}", hour] if scene.time != "day" else ["by day", "in daylight", "in the afternoon"]
    ), False


def loose(scene, rng):
    """A few words for a scene of natural colours: bare nouns, moods, words that mean several things at once."""
    clear = scene.weather == "clear"
    subject, hour = _loose_subject(scene, rng), _hour(scene, rng)
    if hour in ("sunset", "sunrise") and scene.thing == "none" and clear and rng.random() < 0.12:
        return pick(rng, [hour, f"a {hour}", f"a beautiful {hour}", f"{subject}, {hour}"])
    adjective = "" if clear and rng.random() < 0.8 else pick(rng, WEATHER_ADJECTIVES[scene.weather])
    when, said = _when(scene, rng, hour, adjective)
    tail = [when] if when else []
    if not clear and not said:
        tail.append(pick(rng, WEATHER_WORDS[scene.weather]))
    if scene.body != "none" and rng.random() < 0.3:
        side = pick(rng, SIDE_WORDS[scene.side])
        tail.append(
            pick(rng, [f"the {scene.body}", f"a {scene.body}", f"with the {scene.body}", f"{scene.body} {side}"])
        )
    if rng.random() < 0.2:
        tail.append(article(pick(rng, SKY_WORDS[scene.sky]) + " sky"))
    if rng.random() < 0.1:
        tail.append(pick(rng, ENDINGS))
    text = subject
    for k, i in enumerate(rng.permutation(len(tail))):
        flows = tail[i].startswith(("at ", "in ", "on ", "by ", "under ", "with "))
        text += (" " if flows and k == 0 and rng.random() < 0.7 else ", ") + tail[i]
    return (pick(rng, OPENINGS) if rng.random() < 0.15 else "") + text


def caption(scene, rng, natural=False):
    """A caption for training."""
    return loose(scene, rng) if natural and rng.random() < 0.75 else exact(scene, rng)


def held_out_prompts(count, seed=2024):
    """Scenes of combinations never trained on, with exact captions: what the model is scored on."""
    rng = np.random.default_rng(seed)
    scenes = [draw_scene(rng, held=True) for _ in range(count)]
    return scenes, [exact(scene, rng, sure=True) for scene in scenes]


if __name__ == "__main__":
    rng = np.random.default_rng(3)
    for i in range(40):
        natural = i % 2 == 1
        scene = draw_scene(rng, natural=natural)
        print(caption(scene, rng, natural), "  <-", *vars(scene).values())
