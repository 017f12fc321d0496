"""DNS consumers that Debian has, each the real program with the recipe that contrib/ gives for it, on a machine of their own.
All of them live through one story at once (tests/support/story.py); each is a test here."""
import pytest
from balancers import BALANCERS, Prometheus
from resolvers import RESOLVERS
from story import Story, machine, server  # noqa: F401
from stubs import STUBS, Decoy

CONSUMERS = RESOLVERS + STUBS + BALANCERS


@pytest.fixture(scope="module")
def story(request, machine, server):  # noqa: F811
    """(the consumers that were there, why the others were not), the story told to those whose tests are wanted."""
    consumers, missing = {}, {}
    Decoy()
    for kind in [i.callspec.params["kind"] for i in request.session.items if i.module is request.module]:
        try:
            consumers[kind] = kind(machine)
        except pytest.skip.Exception as e:
            missing[kind] = str(e)
    told = Story(server, list(consumers.values()))
    try:
        told.run()
        yield consumers, missing
    finally:
        told.close()


def marks(kind):
    """Prometheus takes its time (5 s a step): once is enough."""
    return [pytest.mark.plain_only] if kind is Prometheus else []


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.__name__.lower(), marks=marks(kind)) for kind in CONSUMERS])
def test_a_consumer_follows(story, machine, kind):  # noqa: F811
    consumers, missing = story
    if kind in missing:
        pytest.skip(missing[kind])
    one = consumers[kind]
    print(one.seen)
    assert one.problem is None, one.problem
    assert one.complaint is None or one.complaint not in machine.log(one.name)
