"""Promise 1: what was acknowledged is in the very next DNS answer, and stays there."""
import os
import subprocess

import pytest
from conftest import SLOW, SOAK, VARIANT


def tool(name):
    path = os.path.join(os.path.dirname(os.environ["MUSTERD"]), "..", "tests", "bench", name)
    if not os.path.exists(path):
        pytest.fail(f"{path} is not built (make check-programs)")
    return path


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_next_answer_holds_every_acknowledged_change_while_others_register_and_ask(make_server, protocol):
    server = make_server(dns_threads=2).start()
    operations = 100000 if SOAK else 10000 if VARIANT == "plain" else 2000
    grpc = server.split(server.ports["grpc"][0])[1] if protocol == "grpc" else 0
    run = subprocess.run([tool("resolvable"), str(server.http_address[1]), str(server.dns[1]), str(operations),
                          "5000" if VARIANT == "plain" else "500", "0", str(grpc)],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=(1500 if SOAK else 300) * SLOW)
    print(run.stdout)
    assert run.returncode == 0, run.stdout
    assert f"operations={operations} wrong=0 " in run.stdout


def test_a_registration_is_resolvable_by_every_name_at_once(server):
    server.register("every-name", "10.9.8.7", 8080, weight=2)
    assert server.addresses("every-name.svc.muster.internal") == ["10.9.8.7"]
    assert server.addresses("every-name.default.public.ns.muster.internal") == ["10.9.8.7"]
    assert server.addresses("default.c.every-name.svc.muster.internal") == ["10.9.8.7"]
    assert server.addresses("10-9-8-7.i.muster.internal") == ["10.9.8.7"]
    assert server.addresses("10-9-8-7.i.every-name.svc.muster.internal") == ["10.9.8.7"]
    assert server.addresses("_every-name._tcp.svc.muster.internal", "SRV") == ["10 32768 8080 10-9-8-7.i.muster.internal."]
    assert server.addresses("every-name.svc.muster.internal", "SRV") == ["10 32768 8080 10-9-8-7.i.muster.internal."]
    server.deregister("every-name", "10.9.8.7", 8080)
    gone = server.dig("every-name.svc.muster.internal")
    assert gone.rcode() == 0 and not gone.answer and gone.authority  # the service is still known: NODATA with SOA
    assert server.dig("10-9-8-7.i.muster.internal").rcode() == 3


def test_names_with_dots_capitals_and_underscores_resolve(server):
    server.register("com.acme.UserFacade", "10.1.1.1", 80)
    server.register("PAY_GROUP@@Ledger_1", "10.1.1.2", 80)
    assert server.addresses("e-1-com-oacme-o-quser-qfacade.svc.muster.internal") == ["10.1.1.1"]
    assert server.addresses(r"com\.acme\.userfacade.svc.muster.internal") == ["10.1.1.1"]
    assert server.addresses("ledger_1.pay_group.public.ns.muster.internal") == ["10.1.1.2"]
    assert server.addresses("e-1--qledger-u1.e-1--wpay-w-u-wgroup.public.ns.muster.internal") == ["10.1.1.2"]


def test_weight_zero_disabled_and_unhealthy_leave_the_answer(server):
    for i in range(1, 4):
        server.register("choice", f"10.3.0.{i}", 80)
    assert len(server.addresses("choice.svc.muster.internal")) == 3
    assert server.put("/nacos/v1/ns/instance", serviceName="choice", ip="10.3.0.1", port=80, weight=0, enabled="true").text == "ok"
    assert server.addresses("choice.svc.muster.internal") == ["10.3.0.2", "10.3.0.3"]
    assert server.put("/nacos/v1/ns/instance", serviceName="choice", ip="10.3.0.2", port=80, weight=1, enabled="false").text == "ok"
    assert server.addresses("choice.svc.muster.internal") == ["10.3.0.3"]
    assert [h["ip"] for h in server.hosts("choice") if h["weight"] > 0] == ["10.3.0.3"]
    server.register("choice", "10.3.0.4", 80, healthy="false")
    assert server.addresses("choice.svc.muster.internal") == ["10.3.0.3"]
