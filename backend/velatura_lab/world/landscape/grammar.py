"""Landscapes in words."""

from __future__ import annotations

from ..attributes import degree_class, degree_word
from ..wording import Caption, Teller, Word, article, common_vocabulary, words_of
from .scene import ATTRIBUTES, Landscape

PATH_WORDS: dict[str, tuple[str, ...]] = {
    "river": ("river", "river", "river", "stream"),
    "street": ("street", "street", "road"),
    "forest": ("forest", "forest", "forest", "wood"),
    "desert": ("desert", "desert", "sandy desert"),
    "lake": ("lake", "lake", "lake", "mountain lake"),
    "meadow": ("meadow", "meadow", "field", "grassy meadow"),
}
MOUNTAIN_WORDS: dict[str, tuple[str, ...]] = {
    "rocky": ("rocky mountains", "mountains", "mountains", "mountains", "rocky peaks"),
    "hills": ("rolling hills", "hills", "hills"),
}
BUILDING_WORDS: dict[str, tuple[str, ...]] = {
    "castle": ("castle", "castle", "castle", "stone castle"),
    "house": ("house", "house", "house", "cottage", "small house"),
}
NEAR = ("next to", "near", "by", "beside", "above")
TIME_WORDS: dict[str, tuple[str, ...]] = {
    "day": ("by day", "in daylight", "during the day"),
    "sunset": ("at sunset", "at sunset", "at dusk", "in the evening"),
    "night": ("at night", "at night", "by night"),
    "dawn": ("at dawn", "at dawn", "at sunrise", "in the morning"),
}
SEASON_WORDS = ("in {}", "in {}", "in the {}")
FALL = ("autumn", "autumn", "autumn", "fall")
TREE_WORDS: dict[str, tuple[str, ...]] = {
    "leafy": ("trees", "trees", "leafy trees"),
    "pine": ("pine trees", "pines", "fir trees"),
}
BARE = ("trees", "bare trees")
COUNTS: dict[str, tuple[str, ...]] = {
    "few trees": ("a few", "few", "two or three"),
    "several trees": ("several", "some"),
    "many trees": ("many", "many", "lots of"),
}
BLOSSOMS: dict[str, tuple[str, ...]] = {
    "a few blossoms": ("with a few blossoms", "with few blossoms", "with some blossoms"),
    "in blossom": ("in blossom", "in blossom", "with blossoms", "in bloom"),
    "in full blossom": ("in full blossom", "in full blossom", "in full bloom", "covered with blossoms"),
}
SNOWS: dict[str, tuple[str, ...]] = {
    "a little snow": ("a little snow", "a little snow", "some snow"),
    "snow": ("snow", "snow on the ground"),
    "deep snow": ("deep snow", "deep snow", "a lot of snow", "thick snow"),
}
CLOUDS: dict[str, tuple[str, ...]] = {
    "a few clouds": ("a few clouds", "few clouds", "a few clouds in the sky"),
    "clouds": ("clouds", "some clouds", "clouds in the sky"),
    "many clouds": ("many clouds", "a cloudy sky", "many clouds in the sky", "a sky full of clouds"),
}
LANDSCAPES = ("landscape", "landscape", "landscape", "view")


def words(scene: Landscape, teller: Teller) -> Caption:
    """Word a landscape: path, building and mountains, then hour and season, then trees, snow and sky."""
    trees = _trees(scene, teller)
    alone = bool(trees) and teller.short and teller.chance(0.4)
    clauses = [teller.opening(scene.style) + (trees if alone else _core(scene, teller))]
    setting = []
    if teller.say(0.75, "sky"):
        setting.append(teller.about("sky", teller.pick(TIME_WORDS[scene.time])))
    dry = scene.path == "desert" and scene.trees == "none"
    if not dry and teller.say(0.65, "ground"):
        season = teller.pick(FALL) if scene.season == "autumn" else scene.season
        setting.append(teller.about("ground", teller.pick(SEASON_WORDS).format(season)))
    clauses += teller.shuffled(setting)
    parts = [part for part in ([] if alone else trees, _snow(scene, teller), _sky(scene, teller)) if part]
    for index, item in enumerate(teller.shuffled(parts)):
        if index == 0:
            clauses.append([Word("with"), *item] if teller.chance(0.4) else [Word(","), *item])
        else:
            clauses.append([Word("and" if index == len(parts) - 1 else ","), *item])
    return teller.caption(*clauses)


def _core(scene: Landscape, teller: Teller) -> list[Word]:
    """A river between mountains; a castle on a hill next to a river; a mountain landscape with a house."""
    element = "ground" if scene.path == "meadow" else scene.path
    path = (
        teller.about(element, article(teller.pick(PATH_WORDS[scene.path])))
        if teller.say(0.92, element)
        else []
    )
    building: list[Word] = []
    if scene.building != "none" and teller.say(0.95, scene.building):
        building = teller.about(scene.building, article(teller.pick(BUILDING_WORDS[scene.building])))
        if not teller.chance(0.4):
            building += [*teller.plain("on a"), Word("hill", "ground" if teller.visible("ground") else "")]
    mountains = _mountains(scene, teller) if teller.say(0.72, "mountains") else []
    if path and (not building or teller.chance(0.5)):
        words = path
        if mountains:
            words = words + teller.plain(teller.pick(("between", "between", "in front of"))) + mountains
        if building:
            words = [*words, Word("with"), *building]
        return words
    if building and path:
        words = building + teller.plain(teller.pick(NEAR)) + path
        return words + (teller.plain(teller.pick(("between", "with"))) + mountains if mountains else [])
    landscape = Word(teller.pick(LANDSCAPES))
    if building and teller.chance(0.6):
        return building + (teller.plain("in front of") + mountains if mountains else [])
    words = [Word("a")]
    if scene.snow > 1.0 / 3.0 and teller.say(0.5, "snow"):
        words.append(Word("snowy", "snow"))
    if mountains:
        words.append(Word("mountain" if scene.mountains == "rocky" else "hilly", "mountains"))
    return words + [landscape] + ([Word("with"), *building] if building else [])


def _mountains(scene: Landscape, teller: Teller) -> list[Word]:
    noun = teller.about("mountains", teller.pick(MOUNTAIN_WORDS[scene.mountains]))
    if scene.snow and teller.visible("snow") and teller.chance(0.25):
        return [Word("snowy", "snow"), *noun]
    if teller.say(0.45, "mountains"):
        return [Word(degree_word(ATTRIBUTES["height"], scene.height), "mountains"), *noun]
    return noun


def _trees(scene: Landscape, teller: Teller) -> list[Word]:
    if scene.trees == "none" or not teller.say(0.92, "trees"):
        return []
    count = COUNTS[degree_word(ATTRIBUTES["tree_count"], scene.tree_count)]
    words = teller.about("trees", teller.pick(count)) if teller.say(0.6, "trees") else []
    bare = scene.trees == "leafy" and scene.season == "winter" and not scene.blossom
    words += teller.about("trees", teller.pick(BARE if bare else TREE_WORDS[scene.trees]))
    if scene.blossom and teller.say(0.97, "blossom"):
        phrase = BLOSSOMS[degree_word(ATTRIBUTES["blossom"], scene.blossom)]
        words += teller.about("blossom", teller.pick(phrase))
    return words


def _snow(scene: Landscape, teller: Teller) -> list[Word]:
    if not scene.snow or not teller.say(0.92, "snow"):
        return []
    return teller.about("snow", teller.pick(SNOWS[degree_word(ATTRIBUTES["snow"], scene.snow)]))


def _sky(scene: Landscape, teller: Teller) -> list[Word]:
    """Clouds, and now and then the sun or the moon."""
    light = "moon" if scene.time == "night" else "sun"
    if teller.visible(light) and teller.chance(0.15):
        return [Word("the"), Word(light, light)]
    if not scene.clouds or not teller.say(0.70, "clouds"):
        return []
    names = CLOUDS[degree_word(ATTRIBUTES["clouds"], scene.clouds)]
    if degree_class(ATTRIBUTES["clouds"], scene.clouds) == 2 and teller.chance(0.3):
        return [Word("a"), Word("cloudy", "clouds"), Word("sky", "sky")]
    words = teller.about("clouds", teller.pick(names))
    return [Word("sky", "sky") if word.text == "sky" else word for word in words]


def vocabulary() -> set[str]:
    """Every word of a landscape's captions."""
    groups = (
        PATH_WORDS,
        MOUNTAIN_WORDS,
        BUILDING_WORDS,
        TIME_WORDS,
        TREE_WORDS,
        COUNTS,
        BLOSSOMS,
        SNOWS,
        CLOUDS,
    )
    phrases = [phrase for group in groups for options in group.values() for phrase in options]
    degrees = ATTRIBUTES["height"].degree
    single = (*BARE, "hill", "snowy", "mountain", "hilly", "sun", "moon", "cloudy", "sky", "in front of")
    return common_vocabulary() | words_of(
        phrases, degrees, single, LANDSCAPES, NEAR, FALL, ATTRIBUTES["season"].values
    )
