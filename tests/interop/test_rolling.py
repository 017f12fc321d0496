"""A hundred restarts under subscribers of every SDK at once (make soak): no empty list is seen, no instance is lost."""
import time

import pytest
from conftest import SDKS, SOAK, WANTED, Driver, words_of
from test_sdk import edit_weight, fixed, name, weights_pushed

RESTARTS, EVERY = 100, 10


@pytest.mark.skipif(not SOAK, reason="make soak; test_sdk.py restarts twice")
def test_nobody_sees_an_empty_list_through_a_hundred_restarts(make_server):
    server, drivers = fixed(make_server().start()), []
    subscribers, back = {}, max(SDKS[key].back for key in WANTED) + 30
    try:
        for at, key in enumerate(WANTED):
            words = words_of(key, SDKS[key].start)
            one, other = Driver(words, server), Driver(words, server)
            drivers += [one, other]
            one.call("register", service=key, ip=f"10.20.0.{at}", port=1)
            other.call("subscribe", service=key)
            other.hears(key, [f"10.20.0.{at}:1"])
            subscribers[key] = (f"10.20.0.{at}", other)

        def all_resolve():
            for key, (ip, _) in subscribers.items():
                assert server.addresses(name(key)) == [ip], key

        def all_heard(weight):
            return all(weights_pushed(other, key) == [weight] for key, (_, other) in subscribers.items())

        time.sleep(2)  # into the warm copy, which is written every second
        for i in range(1, RESTARTS + 1):
            server.restart()
            for key, (ip, _) in subscribers.items():
                edit_weight(server, key, ip, i)
            end = time.monotonic() + (back if i % EVERY == 0 else 3)  # most come before everybody is back
            while time.monotonic() < end and not (i % EVERY == 0 and all_heard(float(i))):
                all_resolve()
                time.sleep(0.1)
            assert i % EVERY != 0 or all_heard(float(i)), {key: weights_pushed(o, key) for key, (_, o) in subscribers.items()}
        for key, (_, other) in subscribers.items():
            assert all(other.pushes[key]), (key, other.pushes[key])
    finally:
        for driver in drivers:
            driver.close()
