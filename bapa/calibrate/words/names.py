"""Names of things that grids of words show: common English nouns, each a thing that can be seen."""

from __future__ import annotations

_NAMES = """
airplane anchor ant apple arm arrow axe baby bag ball balloon banana band bank barn basket bat bath beach bean bear
beard bed bee beer bell belt bench bike bird boat bomb bone book boot bottle bow bowl box boy brain branch bread brick
bridge broom brush bucket bug bull bus bush butter button cabin cabinet cable cage cake camel camera candle candy
cannon canoe cap car card carpet carrot cart castle cat cave chain chair cheese cherry chest chicken child church
circle clock cloth cloud clown coat coconut coffee coin comb compass computer cookie cork corn couch cow crab crane
cross crow crown cube cup curtain deer desk diamond dice dish doctor dog doll dolphin door dragon drawer dress drill
drum duck eagle ear egg elephant engine envelope eye face fan farm feather fence field finger fire fish flag flame
flower flute foot forest fork fox frame frog fruit garden gate ghost giraffe girl glass glove goat gold goose grape
grass guitar gun hair hammer hand harp hat hawk head heart helmet hen hill honey hook horn horse hospital hotel house
ice iron island jacket jar jeans jewel juice key king kitchen kite knife knight knot ladder lake lamp laptop leaf leg
lemon letter light lion lips lizard lobster lock log machine magnet mail map mask mat meat medal melon milk mirror
money monkey moon moth motor mountain mouse mouth mug mushroom nail neck necklace needle nest net newspaper nose nurse
nut oak oil onion orange oven owl paint palace pan panda paper park parrot pasta path peach pear pearl pen pencil
penguin piano pie pig pilot pin pine pipe pirate pizza plane plant plate plug pocket pond pool potato present
pump pumpkin puppet purse pyramid queen rabbit radio rail rain rainbow rat razor ribbon rice ring river road robot
rock rocket roof rope rose ruler saddle sail salad salt sand sandwich saw scarf school scissors screen screw seal seed
shark sheep shelf shell shield ship shirt shoe shop shovel shower sign silver sink skirt skull sky snail snake snow
soap sock sofa soldier soup spider spoon spring square squirrel stage stairs star statue stick stone stool store storm
stove strawberry street string sugar suit sun swan sword table tail tank tape target tea teacher teeth telephone
temple tent tiger tire toast toe toilet tomato tongue tool tooth torch towel tower toy tractor train tray tree
triangle truck trumpet tube tunnel turkey turtle umbrella vase vest violin volcano wagon wall wallet watch water wave
whale wheat wheel whistle window wine wing wire witch wolf woman wood wool worm yacht zebra
"""
NAMES = tuple(_NAMES.split())
