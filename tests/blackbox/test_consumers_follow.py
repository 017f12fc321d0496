"""DNS consumers that Debian has, each the real program with the recipe that contrib/ gives for it, on a machine of their own.
All of them live through one story at once (tests/support/story.py); each is a test here."""
import pytest
from balancers import BALANCERS, Prometheus
from conftest import VARIANT, Server
from machine import Machine
from resolvers import RESOLVERS
from story import MUSTER, Story

# Prometheus looks at its targets every 5 s: once is enough.
CONSUMERS = [kind for kind in RESOLVERS + BALANCERS if VARIANT == "plain" or kind is not Prometheus]


@pytest.fixture(scope="module")
def machine():
    one = Machine()
    yield one
    one.close()


@pytest.fixture(scope="module")
def server(machine):
    # Port 53 for those who know no other, 5300 for the recipes. A second of TTL: the story has nine turns.
    one = Server(dns_listen=f"{MUSTER}:53, {MUSTER}:5300", dns_ttl="1s", dns_ttl_negative="1s", http_listen="127.0.0.1:8848").start()
    yield one
    one.close()


@pytest.fixture(scope="module")
def story(machine, server):
    """(the consumers that were there, why the others were not), the story told."""
    consumers, missing = {}, {}
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
