"""Still lifes in words."""

from __future__ import annotations

from ..attributes import degree_word
from ..wording import Caption, Teller, Word, article, common_vocabulary, words_of
from .scene import (
    ATTRIBUTES,
    CLOTH_COLOURS,
    CLOTHS,
    COLOURS,
    FLOWERS,
    MATERIALS,
    TABLES,
    THINGS,
    WALLS,
    WARES,
    Table,
)

NAMES: dict[str, tuple[str, ...]] = {
    "bear": ("teddy bear", "teddy bear", "teddy", "toy bear"),
    "ball": ("ball",),
    "cube": ("cube", "cube", "block"),
    "cup": ("cup", "cup", "mug"),
    "cake": ("cake", "cake", "birthday cake"),
}
MATERIAL_WORDS: dict[str, tuple[str, ...]] = {
    "ceramic": ("ceramic", "ceramic", "clay", "porcelain"),
    "wood": ("wooden", "wooden", "wood"),
    "metal": ("metal", "metal", "steel"),
    "glass": ("glass",),
    "plastic": ("plastic",),
}
SIZE_WORDS = {
    "small": ("small", "small", "little", "tiny"),
    "medium": ("medium",),
    "big": ("big", "large", "huge"),
}
FULLNESS_WORDS: dict[str, tuple[str, ...]] = {
    "nearly empty": ("a nearly empty basket", "an almost empty basket"),
    "half full": ("a half full basket of apples", "a basket with some apples", "a basket with a few apples"),
    "full": ("a basket full of apples", "a basket full of apples", "a full basket of apples"),
}
#: Phrases that join flowers to their vase.
VASE_WORDS = (
    ("with", "{} flowers", "{} flowers", "some {} flowers", "a bunch of {} flowers"),
    ("full of", "{} flowers"),
    ("of", "{} flowers"),
)
TABLE_WORDS: dict[str, tuple[str, ...]] = {
    "brown": ("wooden", "wooden", "brown", "brown wooden"),
    "white": ("white",),
    "black": ("black", "black", "dark"),
}
CLOTH_WORDS: dict[str, tuple[str, ...]] = {
    "plain": ("a plain {} tablecloth", "a {} tablecloth", "a {} cloth"),
    "striped": ("a striped {} tablecloth", "a {} striped tablecloth", "a {} tablecloth with stripes"),
    "checked": ("a checked {} tablecloth", "a {} checked tablecloth", "a {} checkered tablecloth"),
}
WALL_WORDS = (
    ", {} wall",
    ", a {} wall behind",
    "in front of a {} wall",
    ", before a {} wall",
    ", {} background",
)
BESIDE = ("next to", "next to", "beside", "and", "with")
SIDES = {
    "left": ("to the left of", "on the left of", "left of"),
    "right": ("to the right of", "on the right of", "right of"),
}


def words(scene: Table, teller: Teller) -> Caption:
    """Word a still life: the thing, the second thing, the ground, the wall."""
    first = teller.visible(scene.thing)
    second = scene.second != "none" and teller.visible(scene.second)
    if not first and not second:
        return teller.caption(teller.opening(scene.style), *_bare(scene, teller))
    clauses = [[*teller.opening(scene.style), *_thing(scene, teller, main=first)]]
    if first and second and teller.say(0.93, scene.second):
        # the canonical caption says which side as well
        sides = teller.rng is None or teller.chance(0.4)
        between = teller.pick(SIDES[scene.side] if sides else BESIDE)
        clauses.append([*teller.plain(between), *_thing(scene, teller, main=False)])
    clauses += _ground(scene, teller)
    if teller.say(0.6, "wall"):
        clauses.append(teller.about("wall", teller.pick(WALL_WORDS).format(_grey(scene.wall, teller))))
    return teller.caption(*clauses)


def _bare(scene: Table, teller: Teller) -> list[list[Word]]:
    """The clauses of a caption without a visible thing."""
    wall = teller.about("wall", article(f"{_grey(scene.wall, teller)} wall"))
    if scene.cloth != "none" and teller.visible("tablecloth"):
        cloth = teller.pick(CLOTH_WORDS[scene.cloth]).format(scene.cloth_colour)
        return [teller.about("tablecloth", cloth)]
    if teller.visible("table") and not teller.visible("wall"):
        return [teller.about("table", article(f"{teller.pick(TABLE_WORDS[scene.table])} table"))]
    return [wall]


def _thing(scene: Table, teller: Teller, main: bool) -> list[Word]:
    thing = scene.thing if main else scene.second
    colour = scene.colour if main else scene.second_colour
    adjectives: list[str] = []
    if main and teller.say(0.75, thing):
        size = degree_word(ATTRIBUTES["size"], scene.size)
        if size != "medium" or (thing != "basket" and teller.chance(0.15)):
            adjectives.append(teller.pick(SIZE_WORDS[size]))
    if thing == "bear" and teller.say(0.8 if main else 0.4, thing):
        adjectives.append(degree_word(ATTRIBUTES["fluff"], scene.fluff))
    # straw is the colour of all baskets and is not worded
    if not (thing == "basket" and colour == "brown") and teller.say(0.9 if main else 0.8, thing):
        adjectives.append(colour)
    if main and thing in WARES and teller.say(0.85, thing):
        adjectives.append(teller.pick(MATERIAL_WORDS[scene.material]))
    if thing == "basket" and teller.visible("apple") and teller.say(0.85, thing):
        return _basket(scene, teller, adjectives)
    name = teller.pick(NAMES.get(thing, (thing,)))
    result = teller.about(thing, article(" ".join([*adjectives, name])))
    if thing == "vase" and scene.flowers != "none" and teller.say(0.93, "flowers"):
        joint, *wordings = teller.pick(VASE_WORDS)
        flowers = (
            teller.pick(tuple(wordings)).format(scene.flowers if teller.say(0.9, "flowers") else "").split()
        )
        result += [*teller.about(thing, joint), *teller.about("flowers", *flowers)]
    return result


def _basket(scene: Table, teller: Teller, adjectives: list[str]) -> list[Word]:
    """A basket with its apples; the word "apples" is about the apples."""
    phrase = teller.pick(FULLNESS_WORDS[degree_word(ATTRIBUTES["fullness"], scene.fullness)]).split()
    rest = " ".join([*adjectives, *phrase[1:]])
    result: list[Word] = []
    for word in article(rest).split():
        fruit = word == "apples" or (word in ("some", "few") and result)
        result += teller.about("apple" if fruit else "basket", word)
    return result


def _ground(scene: Table, teller: Teller) -> list[list[Word]]:
    """Table or tablecloth: one clause, or none."""
    if scene.cloth != "none":
        if not teller.say(0.8, "tablecloth"):
            return []
        phrase = teller.pick(CLOTH_WORDS[scene.cloth]).format(scene.cloth_colour)
        return [teller.about("tablecloth", "on", phrase)]
    if not teller.say(0.7, "table"):
        return []
    colour = teller.pick(TABLE_WORDS[scene.table]) if not teller.chance(0.3) else ""
    return [teller.about("table", "on", article(f"{colour} table".strip()))]


def _grey(colour: str, teller: Teller) -> str:
    return teller.pick(("grey", "grey", "gray")) if colour == "grey" else colour


def vocabulary() -> set[str]:
    """Every word of a still life's captions."""
    groups = (
        THINGS,
        COLOURS,
        MATERIALS,
        FLOWERS[1:],
        CLOTHS[1:],
        CLOTH_COLOURS,
        TABLES,
        WALLS,
        ("gray",),
        ATTRIBUTES["fluff"].degree,
        *VASE_WORDS,
        WALL_WORDS,
        BESIDE,
        *NAMES.values(),
        *MATERIAL_WORDS.values(),
        *SIZE_WORDS.values(),
        *FULLNESS_WORDS.values(),
        *TABLE_WORDS.values(),
        *CLOTH_WORDS.values(),
        *SIDES.values(),
        ("some", "bunch", "table"),
    )
    return (words_of(*groups) - {"{}"}) | common_vocabulary()
