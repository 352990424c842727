"""A captioner that fails when it is asked, and a command in whose summary a percentage stands."""

SUMMARY = "make it 100% brighter"


def configure(parser):
    parser.set_defaults(run=run)


def run(options):
    return 0


def reads(config):
    raise SystemExit(3)


def load(folder, device):
    raise AssertionError("it reads nothing")
