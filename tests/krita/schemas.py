"""Methods as a daemon describes them; the first has one field of every kind."""

METHOD = {
    "id": "every-kind",
    "version": 3,
    "title": "Every kind",
    "summary": "Has one field of every kind.",
    "source": "Nobody, nowhere",
    "inputs": {"source": "required", "mask": "optional", "prompt": "required"},
    "max_variations": 4,
    "parameters": {
        "type": "object",
        "properties": {
            "words": {
                "type": "string",
                "title": "Words",
                "description": "Some words",
                "default": "",
                "maxLength": 12,
                "x-order": 5,
                "x-advanced": True,
            },
            "notes": {
                "type": "string",
                "title": "Notes",
                "description": "Lines",
                "default": "a\nb",
                "maxLength": 40,
                "x-multiline": True,
                "x-order": 6,
                "x-advanced": True,
            },
            "steps": {
                "type": "integer",
                "title": "Steps",
                "description": "How many",
                "default": 20,
                "minimum": 4,
                "maximum": 100,
                "multipleOf": 4,
                "x-order": 1,
                "x-advanced": False,
            },
            "strength": {
                "type": "number",
                "title": "Strength",
                "description": "How far",
                "default": 0.6,
                "minimum": 0.05,
                "maximum": 1.0,
                "multipleOf": 0.05,
                "x-order": 0,
                "x-advanced": False,
            },
            "shrink": {
                "type": "boolean",
                "title": "Shrink the mask",
                "description": "Or not",
                "default": True,
                "x-order": 2,
                "x-advanced": False,
            },
            "sampler": {
                "type": "string",
                "title": "Sampler",
                "description": "Which",
                "default": "ddim",
                "enum": ["ddim", "heun"],
                "x-enum-titles": ["DDIM", "Heun (2nd order, twice the time)"],
                "x-order": 3,
                "x-advanced": False,
            },
            "concepts": {
                "type": "array",
                "title": "Concepts",
                "description": "What to add",
                "default": [],
                "maxItems": 2,
                "items": {
                    "type": "object",
                    "properties": {
                        "word": {
                            "type": "string",
                            "title": "Word",
                            "description": "A word",
                            "default": "hat",
                            "maxLength": 20,
                            "x-order": 0,
                            "x-advanced": False,
                        },
                        "weight": {
                            "type": "number",
                            "title": "Weight",
                            "description": "How much",
                            "default": 1.0,
                            "minimum": -2.0,
                            "maximum": 2.0,
                            "x-order": 1,
                            "x-advanced": False,
                        },
                    },
                },
                "x-order": 4,
                "x-advanced": False,
            },
            "unknown": {"type": "object", "title": "Of a later version", "default": {}, "x-order": 9},
        },
    },
}

DEFAULTS = {
    "words": "",
    "notes": "a\nb",
    "steps": 20,
    "strength": 0.6,
    "shrink": True,
    "sampler": "ddim",
    "concepts": [],
}


def _word_group(**settings: dict) -> dict:
    text = {"type": "string", "title": "Word", "description": "Which word", "default": "", "maxLength": 40}
    which = {
        "type": "integer",
        "title": "Which",
        "description": "Of equals",
        "default": 1,
        "minimum": 1,
        "maximum": 99,
    }
    properties = {"text": text, "which": which, **settings}
    for order, form in enumerate(properties.values()):
        form |= {"x-order": order, "x-advanced": False}
    return {
        "type": "array", "title": "Words", "description": "What is set", "default": [], "maxItems": 3,
        "x-words": "prompt", "x-order": 1, "x-advanced": False,
        "items": {"type": "object", "properties": properties},
    }  # fmt: skip


#: A method that sets something for words of the prompt, and asks what is there now.
WEIGH = METHOD | {
    "id": "weigh",
    "title": "Weigh words",
    "parameters": {
        "type": "object",
        "properties": {
            "caption": {
                "type": "string", "title": "Shown now", "description": "What the layer shows", "default": "",
                "x-source-prompt": True, "x-order": 0, "x-advanced": False,
            },
            "of_words": _word_group(
                weight={"type": "number", "title": "Weight", "description": "How much", "default": 1.0,
                        "minimum": -2.0, "maximum": 4.0},
                until={"type": "number", "title": "Until", "description": "How long", "default": 1.0,
                       "minimum": 0.0, "maximum": 1.0},
            ),
            "strength": METHOD["parameters"]["properties"]["strength"],
        },
    },
}  # fmt: skip

#: A method that finds words of the prompt in a layer.
FIND = METHOD | {
    "id": "find",
    "title": "Find words",
    "result": "mask",
    "max_variations": 1,
    "parameters": {"type": "object", "properties": {"these": _word_group()}},
}

#: A method that says what a layer shows.
TELL = METHOD | {
    "id": "tell",
    "title": "Tell",
    "result": "text",
    "inputs": {"source": "required", "mask": "none", "prompt": "none"},
    "max_variations": 1,
    "parameters": {"type": "object", "properties": {}},
}

_TEXT = {"type": "string", "title": "Text", "description": "Words", "default": "", "maxLength": 500}

#: A method with dials, whose prompt may stay empty.
LEAD = METHOD | {
    "id": "lead",
    "title": "More or less",
    "inputs": {"source": "required", "mask": "optional", "prompt": "optional"},
    "parameters": {
        "type": "object",
        "properties": {
            "caption": WEIGH["parameters"]["properties"]["caption"],
            "dials": {
                "type": "array", "title": "Dials", "description": "From one to the other", "default": [],
                "maxItems": 4, "x-dials": True, "x-order": 1, "x-advanced": False,
                "items": {"type": "object", "properties": {
                    "name": _TEXT | {"title": "Name", "maxLength": 60, "x-order": 0},
                    "less": _TEXT | {"title": "From", "x-order": 1},
                    "more": _TEXT | {"title": "To", "x-order": 2},
                    "strength": {"type": "number", "title": "How much", "description": "How far",
                                 "default": 1.0, "minimum": -3.0, "maximum": 3.0, "multipleOf": 0.1,
                                 "x-order": 3},
                }},
            },
            "steps": METHOD["parameters"]["properties"]["steps"],
        },
    },
}  # fmt: skip


def known(*methods, models=()):
    """What a daemon offers that has these methods and models, as the plugin reads it."""
    from velatura_krita.velatura_protocol.catalogue import Catalogue

    return Catalogue.from_wire({"methods": list(methods), "models": list(models)})


def method(described):
    """One method, as the plugin reads it."""
    from velatura_krita.velatura_protocol.catalogue import MethodInfo

    return MethodInfo.from_wire(described)
