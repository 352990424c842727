"""Asks the daemon what an open dialog asks, with GLib's main loop and a window that keeps notes."""

import dataclasses
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pictures
from gi.repository import Gimp, GLib


class Window:
    """What a person would see."""

    def __init__(self):
        self.asked, self.said, self.previews, self.stages = [], [], [], []
        self.seen = set()  # the numbers of the questions that something was shown of
        self.shows = False

    def begin(self, question):
        self.asked.append(question)

    def progress(self, text, fraction=None):
        self.stages.append(text)

    def preview(self, png, rect):
        self.previews.append((png, rect))
        self.seen.add(len(self.asked))
        self.shows = True

    def clear(self):
        self.shows = False

    def end(self, sentence):
        self.said.append(sentence)


class Dialog:
    """A form without widgets: `values` go into the request."""

    def __init__(self, method="weighed", needs_prompt=True, gives_drafts=True, **parameters):
        from velatura_plugin import capture, catalogue, edit, method_edit, sight
        from velatura_plugin.conversation import Conversation
        from velatura_plugin.drafting import Drafts, Live
        from velatura_plugin.edit import FOLDER

        from velatura_protocol.requests import Edit

        self.image, self.layer = pictures.picture(layer_size=(80, 60), offsets=(-9, -7))
        self.method, self.prompt, self.seed, self.parameters = method, "a hat", -1, parameters
        self.reads = self.overs = 0

        def read():
            self.reads += 1
            return capture.capture(sight.Sight(self.image, self.layer))

        self.live = Live(
            target=edit.Target(self.image, self.layer, self.layer),
            read=read,
            request=lambda: Edit(
                self.method, prompt=self.prompt, seed=self.seed, variations=2, parameters=self.parameters
            ),
            model=lambda: "",
            needs_prompt=needs_prompt,
            gives_drafts=gives_drafts,
            **method_edit.helpers(
                self.image,
                lambda: sight.Sight(self.image, self.layer),
                catalogue.newest(FOLDER).method("weighed"),
            ),
        )
        self.window = Window()
        self.conversation = Conversation(self.window)
        self.drafts = Drafts(self.conversation, self.live)
        self.ticks, tick = 0, self.drafts._tick

        def counted():
            self.ticks += 1
            return tick()

        self.drafts._tick = counted

    def hold(self, read):
        """Has what `read` takes be read once `release` is called."""
        held = self.held = [True]

        def slow():
            while held:
                yield
            return (yield from read())

        return slow

    def release(self):
        self.held.clear()

    def over(self):
        self.overs += 1

    def rest(self):
        """Until nothing is asked, or to be asked, any more."""
        until(lambda: self.conversation.question is None and not self.drafts._timer)

    def drag(self, condition):
        """Moves without a pause until it holds: no tick comes that has not seen a move."""
        until(lambda: condition() or self.drafts.move())

    def move(self):
        self.drafts.move()
        self.rest()

    def as_it_was(self):
        return len(self.image.get_layers()) == 1 and not self.image.get_channels()


def until(condition, seconds=450):
    context, end = GLib.MainContext.default(), time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it does not come")
        context.iteration(False) or time.sleep(0.005)


def pause(seconds):
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end)


def run(t):
    sys.path.insert(0, t.args["plugin"])
    drafts = draft, dragged, outrun, kept, gives_way, comes_back, refused, none, newer, stopped
    for part in (*drafts, proposed, selected, steps, gone):
        t.step(part.__name__)
        t.note(**{part.__name__: part()})


def draft():
    dialog = Dialog()
    dialog.move()
    png, rect = dialog.window.previews[-1]
    first = dialog.drafts.with_draft_seed(dataclasses.replace(dialog.live.request(), seed=-1)).seed
    dialog.move()
    request = dialog.live.request()
    seeds = [dialog.drafts.with_draft_seed(dataclasses.replace(request, seed=seed)).seed for seed in (-1, 7)]
    return {
        "png": png[:8].hex(),
        "rect": rect,
        "said": dialog.window.said,
        "asked": len(dialog.window.asked),
        "seed": 0 <= first == seeds[0],
        "own_seed": seeds[1],
        "as_it_was": dialog.as_it_was(),
    }


def dragged():
    """Drafts begin and are seen during a drag, and the last is of the last state."""
    dialog, seeds = Dialog(), []
    request = dialog.live.request

    def noted():
        seeds.append(dialog.seed)
        return request()

    def move_on():
        dialog.seed += 1
        return len(dialog.window.seen) >= 2

    dialog.live.request = noted
    dialog.drag(move_on)
    dialog.rest()
    return [seeds[-1] == dialog.seed, len(dialog.window.asked) in dialog.window.seen]


def outrun():
    """During a drag the draft under way is let finish; at its end it gives way to that of the last state."""
    dialog = Dialog()
    dialog.live.read = dialog.hold(dialog.live.read)
    dialog.drag(lambda: dialog.window.asked)
    first, ticks = dialog.conversation.question, dialog.ticks
    dialog.drag(lambda: dialog.ticks >= ticks + 4)
    alone = dialog.conversation.question is first and len(dialog.window.asked) == 1
    until(lambda: dialog.conversation.question is not first)
    still = len(dialog.window.asked) == 2 and not dialog.window.seen
    dialog.release()
    dialog.rest()
    return [alone, still, dialog.window.seen == {2}, len(dialog.window.asked)]


def kept():
    dialog = Dialog()
    dialog.move()
    dialog.move()
    once = dialog.reads
    dialog.drafts.forget()
    dialog.move()
    dialog.drafts.wanted = False
    dialog.move()
    return [once, dialog.reads, len(dialog.window.asked)]


def gives_way():
    """A draft waits for the end of what the person has asked for, here a layer that is slow to read."""
    dialog = Dialog()
    proposal = dialog.live.proposer.question("", lambda text: "", dialog.over)
    under_way = dataclasses.replace(proposal, read=dialog.hold(proposal.read))
    dialog.conversation.ask(under_way)
    dialog.drafts.move()
    until(lambda: dialog.ticks >= 3)
    alone = dialog.conversation.question is under_way
    dialog.release()
    dialog.rest()
    return [alone, dialog.overs, len(dialog.window.asked)]


def comes_back():
    """A draft that was stopped by what the person asks for is made after it."""
    dialog = Dialog()
    read, dialog.live.read = dialog.live.read, dialog.hold(dialog.live.read)
    dialog.drafts.move()
    until(lambda: dialog.window.asked)
    dialog.live.read = read
    dialog.conversation.ask(dialog.live.proposer.question("", lambda text: "", dialog.over))
    dialog.rest()
    return [len(dialog.window.asked), dialog.window.seen == {3}, dialog.overs]


def refused():
    """Where there can be no draft, what an older one showed goes."""
    dialog = Dialog()
    dialog.move()
    shown = [dialog.window.shows]
    dialog.parameters = {"no_such_thing": 1}
    dialog.move()
    shown.append(dialog.window.shows)
    dialog.parameters = {}
    dialog.move()
    shown.append(dialog.window.shows)
    dialog.prompt = " "
    dialog.move()
    shown.append(dialog.window.shows)
    return [shown, dialog.window.said]


def none():
    """A method that gives no drafts is asked for none."""
    dialog = Dialog(gives_drafts=False)
    dialog.drafts.move()
    return [dialog.drafts._timer, dialog.window.asked]


def newer():
    """The second draft cancels the first, which would never end."""
    dialog = Dialog("until-told")
    dialog.drafts.move()
    until(lambda: "Editing" in dialog.window.stages)
    dialog.method = "weighed"
    dialog.move()
    return [len(dialog.window.asked), dialog.window.said]


def stopped():
    dialog = Dialog("until-told")
    dialog.drafts.move()
    until(lambda: "Editing" in dialog.window.stages)
    dialog.drafts.stop()
    seen = len(dialog.window.stages), len(dialog.window.previews)
    pause(0.5)
    still = seen == (len(dialog.window.stages), len(dialog.window.previews))
    return [still, dialog.conversation.question is None, dialog.window.said]


def proposed():
    dialog, texts = Dialog(), []
    pictures.select(dialog.image, 10, 8, 30, 25)

    def put(text):
        texts.append(text)
        return "put"

    dialog.conversation.ask(dialog.live.proposer.question("", put, dialog.over))
    dialog.rest()
    return [texts, dialog.window.said, dialog.overs, dialog.live.proposer.can(""), dialog.as_it_was()]


def selected():
    from velatura_protocol.words import find

    dialog = Dialog()
    dialog.move()
    dialog.conversation.ask(dialog.live.selector.question(find("a hat", "hat"), "a hat", "", dialog.over))
    held = dialog.window.asked[-1].holds_run
    dialog.rest()
    dialog.move()
    names = [channel.get_name() for channel in dialog.image.get_channels()]
    return [names, dialog.window.said, held, not Gimp.Selection.is_empty(dialog.image), dialog.reads]


def steps():
    """A large layer is read in many turns of the main loop, and gives the same pixels as at once."""
    from velatura_plugin import capture, sight
    from velatura_plugin.conversation import steadily

    image, layer = pictures.picture(layer_size=(70, 1300), offsets=(-3, -5))
    found, turns = [], []
    GLib.idle_add(lambda: turns.append(1) or not found)
    steadily(capture.capture_whole(sight.Sight(image, layer)), found.append, found.append, lambda: False)
    until(lambda: found)
    same = found[0].inputs["source"].data == pictures.pixels(layer, "R'G'B'A u8")
    gone = []
    steadily(capture.capture_whole(sight.Sight(image, layer)), gone.append, gone.append, lambda: True)
    pause(0.1)
    look = capture.at_once(capture.look(sight.Sight(layer.get_image(), layer), (0, 0, 50, 2000)))
    return [len(turns), same, gone, look.rect, look.width, look.height, len(look.data)]


def gone():
    """What was deleted, changed or closed while the dialog was open."""
    from velatura_plugin import capture, edit, sight

    def index(image, _):
        kinds = Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE
        image.convert_indexed(*kinds, 16, False, False, "")

    sentences = []
    for change in (lambda image, layer: image.remove_layer(layer), index, lambda image, _: image.delete()):
        image, layer = pictures.picture()
        change(image, layer)
        try:
            capture.at_once(capture.capture(sight.Sight(image, layer)))
        except Exception as error:
            sentences.append(edit.sentence(error))
    return sentences
