"""Portraits in words: a small grammar with paraphrases."""

from __future__ import annotations

from ..attributes import degree_class
from ..wording import Caption, Teller, Word, article, common_vocabulary, words_of
from .scene import (
    ATTRIBUTES,
    BACKGROUNDS,
    HAIR_COLOURS,
    HAIR_STYLES,
    HAT_COLOURS,
    HATS,
    SHIRT_COLOURS,
    SHIRT_PATTERNS,
    SKINS,
    Portrait,
)

OPENINGS = ("a portrait of", "a portrait of", "portrait of")
PEOPLE_WORDS = {
    "man": ("man", "man", "man", "guy", "gentleman"),
    "woman": ("woman", "woman", "woman", "lady", "girl"),
}
#: The words of each degree, from little to much; without hyphens, since every word is one token.
AGES = (
    ("young", "young", "youthful"),
    ("middle aged", "middle aged", "middle aged", "", ""),
    ("old", "old", "elderly"),
)
SMILING = (
    ("slightly smiling", "slightly smiling", "gently smiling"),
    ("smiling", "smiling", "smiling", "happy"),
    ("broadly smiling", "broadly smiling", "laughing", "laughing"),
)
SMILES = (
    ("a slight smile", "a gentle smile"),
    ("a smile",),
    ("a broad smile", "a big smile", "a wide smile"),
)
BEARDS = (
    ("a short {} beard", "a short {} beard", "a short beard", "{} stubble", "stubble"),
    ("a {} beard", "a {} beard", "a beard", "a full {} beard", "a full beard", "a medium {} beard"),
    ("a long {} beard", "a long {} beard", "a long beard", "a very long {} beard", "a big {} beard"),
)
LONG_HAIR = (
    ("shoulder length", "shoulder length", "medium length"),
    ("long",),
    ("very long",),
)
CURLY_HAIR = (("short curly",), ("curly", "curly", "curly", "medium length curly"), ("long curly",))
BALD, NO_HAIR = "bald", "no hair"
GLASSES_WORDS = {
    "glasses": ("glasses", "glasses", "eyeglasses", "spectacles"),
    "sunglasses": ("sunglasses", "sunglasses", "shades"),
}
GLASSES_SIZES = (("small",), ("", "", "", "medium"), ("large", "big", "big"))
HAT_WORDS = {"hat": ("hat", "hat", "hat with a brim"), "beanie": ("beanie", "beanie", "cap")}
SHIRT_WORDS = ("shirt", "shirt", "top", "sweater")
BLOND = ("blond", "blond", "blonde")
GREY = ("grey", "grey", "gray")
PLACES = {
    "brick wall": ("in front of a brick wall", "brick wall background", "brick background"),
    "bookshelf": ("in front of a bookshelf", "bookshelf background", "in a library"),
    "park": ("in a park", "park background", "in a green park"),
}

#: Probability that a caption mentions each visible thing.
MENTION = {
    "age": 0.75,
    "skin": 0.35,
    "hair": 0.85,
    "beard": 0.97,
    "glasses": 0.96,
    "smile": 0.93,
    "hat": 0.96,
    "shirt": 0.75,
    "background": 0.7,
}


def words(scene: Portrait, teller: Teller) -> Caption:
    """Word a portrait."""

    def part(name: str) -> int:
        return degree_class(ATTRIBUTES[name], getattr(scene, name))

    def say(key: str, element: str) -> bool:
        return teller.say(MENTION[key], element)

    about, pick = teller.about, teller.pick
    colour = {"blond": pick(BLOND), "grey": pick(GREY)}.get(scene.hair_colour, scene.hair_colour)
    parts: list[list[Word]] = []
    bald = scene.hair_style == "none" and say("hair", "face")
    shaven = bald and teller.chance(0.5)
    if bald and not shaven:
        parts.append(teller.plain(NO_HAIR))
    if scene.hair_style != "none" and say("hair", "hair"):
        parts.append(about("hair", *_hair(scene, teller, part("hair_length"), colour), "hair"))
    if scene.beard and say("beard", "beard"):
        parts.append(about("beard", pick(BEARDS[part("beard_length")]).format(colour)))
    if scene.glasses != "none" and say("glasses", "glasses"):
        size = pick(GLASSES_SIZES[part("glasses_size")])
        parts.append(about("glasses", size, pick(GLASSES_WORDS[scene.glasses])))

    person: list[Word] = []
    if scene.smile and say("smile", "mouth"):
        if teller.chance(0.15):
            parts.append(about("mouth", pick(SMILES[part("smile_width")])))
        else:
            person += about("mouth", pick(SMILING[part("smile_width")]))
    parts = teller.shuffled(parts)
    if say("age", "face"):
        person += about("face", pick(AGES[part("age")]))
    if shaven:
        person += about("face", BALD)
    options = PEOPLE_WORDS[scene.person]
    person += about("face", pick(options if part("age") == 0 else options[:4]))  # girls are young
    person.insert(0, Word(article(person[0].text).split()[0]))

    if say("skin", "face") and not teller.short:
        parts.insert(0, about("face", scene.skin, "skin"))
    clauses = [teller.opening(scene.style, OPENINGS) + person]
    if parts:
        clauses.append(teller.plain("with") + teller.series(parts))
    if wearing := _wearing(scene, teller):
        clauses.append([Word(",")] * bool(parts) + teller.plain("wearing") + teller.series(wearing))
    if say("background", "background"):
        clauses.append([Word(","), *about("background", _place(scene, teller))])
    return teller.caption(*clauses)


def _hair(scene: Portrait, teller: Teller, length: int, colour: str) -> tuple[str, str]:
    """Style and colour of the hair, rarely only one of them."""
    style = scene.hair_style
    if style == "long":
        style = teller.pick(LONG_HAIR[length])
    elif style == "curly":
        style = teller.pick(CURLY_HAIR[length])
    if teller.chance(0.15):
        return "", colour
    return (style, "") if teller.chance(0.06) else (style, colour)


def _wearing(scene: Portrait, teller: Teller) -> list[list[Word]]:
    wearing: list[list[Word]] = []
    if scene.hat != "none" and teller.say(MENTION["hat"], "hat"):
        wearing.append(teller.about("hat", "a", scene.hat_colour, teller.pick(HAT_WORDS[scene.hat])))
    if teller.say(MENTION["shirt"], "shirt"):
        looks = [scene.shirt_colour]
        if scene.shirt_pattern != "plain" and not teller.chance(0.2):
            looks.insert(int(teller.chance(0.4)), scene.shirt_pattern)
        wearing.append(teller.about("shirt", "a", *looks, teller.pick(SHIRT_WORDS)))
    return wearing


def _place(scene: Portrait, teller: Teller) -> str:
    if scene.background in PLACES:
        return teller.pick(PLACES[scene.background])
    return f"{teller.pick(GREY) if scene.background == 'grey' else scene.background} background"


def vocabulary() -> set[str]:
    """Every word of a portrait's captions."""
    return common_vocabulary() | words_of(
        ("wearing", "background", "skin", "hair"),
        OPENINGS,
        *PEOPLE_WORDS.values(),
        *AGES,
        *SMILING,
        *SMILES,
        *(tuple(phrase.replace("{}", "") for phrase in group) for group in BEARDS),
        *LONG_HAIR,
        *CURLY_HAIR,
        *GLASSES_WORDS.values(),
        *GLASSES_SIZES,
        *HAT_WORDS.values(),
        SHIRT_WORDS,
        BLOND,
        GREY,
        HAIR_STYLES[1:],
        (BALD, NO_HAIR),
        HAIR_COLOURS,
        HATS[1:],
        HAT_COLOURS,
        SHIRT_COLOURS,
        SHIRT_PATTERNS[1:],
        BACKGROUNDS,
        *PLACES.values(),
        SKINS,
    )
