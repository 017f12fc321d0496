"""Each program is seen to fail: against a server with one behaviour broken on purpose (tests/support/broken_server.c)
what test_sdk.py asserts does not hold."""
import os

import pytest
from conftest import BUILD, eventually, fixed, warm_copy_written
from test_sdk import edit_weight, is_owned, weights_pushed
from test_sdk_1x import Pushed, subscribe

BROKEN = os.path.join(BUILD, "tests/support/musterd-broken")


@pytest.fixture
def broken(make_server):
    if not os.path.exists(BROKEN):
        pytest.skip("tests/support/musterd-broken is not built: make interop does")

    def make(behaviour=None):
        server = make_server()
        server.program = BROKEN
        if behaviour:
            server.env["BROKEN"] = behaviour
        return fixed(server)

    return make


def hears_of_a_change(server, one, other):
    """Two things that a subscriber is told: a new instance, then its new weight."""
    other.call("subscribe", service="told")
    one.call("register", service="told", ip="10.30.0.1", port=1)
    if not other.wait(lambda: weights_pushed(other, "told") == [1.0]):
        return "nothing was pushed"
    for weight in (2.0, 3.0):
        edit_weight(server, "told", "10.30.0.1", weight)
        if not other.wait(lambda: weights_pushed(other, "told") == [weight]):
            return "a change was not heard"
    return "all was heard"


@pytest.mark.parametrize("behaviour", [None, "push", "order"])
def test_a_server_that_does_not_push_or_counts_backwards_is_noticed(broken, connect, behaviour):
    server = broken(behaviour)
    heard = hears_of_a_change(server, connect(server), connect(server))
    assert (heard == "all was heard") == (behaviour is None), heard


def test_a_server_that_forgets_who_registers_again_is_noticed(broken, connect, sdk):
    server = broken()
    one = connect(server)
    one.call("register", service="owned", ip="10.31.0.1", port=1)
    one.call("subscribe", service="owned")
    one.hears("owned", ["10.31.0.1:1"])
    warm_copy_written(server)
    server.stop()
    server.env["BROKEN"] = "redo"
    server.start()
    edit_weight(server, "owned", "10.31.0.1", 4)
    assert one.wait(lambda: weights_pushed(one, "owned") == [4.0], sdk.back + 60)  # SDKs register and subscribe in one go
    with pytest.raises(AssertionError):
        eventually(lambda: is_owned(server, "owned"), 5)


@pytest.mark.parametrize("behaviour", [None, "push"])
def test_a_server_that_pushes_nothing_over_udp_is_noticed(broken, connect_1x, behaviour):
    server = broken(behaviour)
    other = connect_1x(server)
    subscribe(server, other, "told-1x")

    def change():
        with Pushed(server):
            server.register("told-1x", "10.32.0.1", 80)
            other.hears("told-1x", ["10.32.0.1:80"])
    if behaviour is None:
        change()
    else:
        with pytest.raises(AssertionError):
            change()
