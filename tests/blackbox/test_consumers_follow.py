"""DNS consumers that Debian has, each the real program with the recipe that contrib/ gives for it, on a machine of their own.
All of them live through one story at once (tests/support/story.py); each is a test here."""
import pytest
from balancers import BALANCERS, Prometheus
from conftest import VARIANT
from resolvers import RESOLVERS
from story import Story, machine, server  # noqa: F401
from stubs import STUBS, Decoy

# Prometheus looks at its targets every 5 s: once is enough.
CONSUMERS = [kind for kind in RESOLVERS + STUBS + BALANCERS if VARIANT == "plain" or kind is not Prometheus]


@pytest.fixture(scope="module")
def story(machine, server):  # noqa: F811
    """(the consumers that were there, why the others were not), the story told."""
    consumers, missing = {}, {}
    Decoy()
    for kind in CONSUMERS:
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


@pytest.mark.parametrize("kind", CONSUMERS, ids=lambda kind: kind.__name__.lower())
def test_a_consumer_follows(story, kind):
    consumers, missing = story
    if kind in missing:
        pytest.skip(missing[kind])
    one = consumers[kind]
    print(one.seen)
    assert one.problem is None, one.problem
