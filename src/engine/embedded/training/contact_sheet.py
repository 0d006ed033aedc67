"""Paints a sheet of loose prompts with an exported model, to be looked at.

python contact_sheet.py MODEL OUT.png [COUNT [FIRST]]
"""

import sys

import torch
from PIL import Image

from generator import sheet
from measure import render

PROMPTS = """a red sunset over blue mountains
snowy mountains
a quiet harbour at night
mountains at dusk
a rainy morning in the forest
sunset
two boats on a golden sea at sunset
a lonely house on green hills, sunny
a foggy pine forest
the ocean by moonlight
an oasis in the desert
a village in the snow
purple mountains, pink sky
a starry night over the desert
misty hills at dawn
three trees on a meadow
a boat
a winter forest with a cabin
lavender fields at sunset
storm at sea
a red desert under a turquoise sky
a cottage by the mountains in the evening
blue hills, the moon on the left
a cloudy day at the sea with many sailboats
houses in a golden autumn forest
a turquoise sky over a white desert, the sun in the middle
two palm trees in the desert at night
a peaceful valley in the morning
snowfall over a dark forest at night
an orange sky, purple sea, one boat, the sun on the right
mountains
hills with a tree, rain
the sea in the fog
a green sea under a pink sky, clouds
a crimson sunrise over snowy hills
a small house in the mountains, snowing
many trees on rolling hills at noon
night
a calm lake at twilight
a yellow desert with three houses, sunny
violet dusk over the woods, crescent moon on the right
sailing boats at sunrise
a big tree under the moon
golden mountains under a violet sky at night
a forest in moonlight
a beautiful landscape
red mountains in the rain
a pair of cottages on snowy hills at night
sea
an emerald forest beneath a blue sky, sun on the left""".splitlines()

if __name__ == "__main__":
    model, out = sys.argv[1:3]
    first = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    prompts = PROMPTS[first : first + int(sys.argv[3])] if len(sys.argv) > 3 else PROMPTS
    torch.set_num_threads(2)
    pictures = render(model, prompts, 20, 2.5, seed=first)
    Image.fromarray(sheet(list(pictures), 4 if len(prompts) <= 16 else 8)).save(out)
    for prompt in prompts:
        print(prompt)
