"""dig and nslookup. What follows changes by itself: test_consumers_follow.py, libraries: test_consumers_stubs.py."""
import os
import re
import subprocess
import textwrap

from conftest import TOP, need

ZONE = "muster.internal"


def test_dig_gets_weighted_addresses_and_services(server):
    need("dig")
    server.register("dig-me", "10.20.1.1", 8080, weight=1)
    server.register("dig-me", "10.20.1.2", 8080, weight=3)
    base = ["dig", "@127.0.0.1", "-p", str(server.dns[1]), "+norec"]
    out = subprocess.run(base + [f"dig-me.svc.{ZONE}", "A"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "status: NOERROR" in out and re.search(r"flags: qr aa;", out), out
    assert re.search(r"dig-me\.svc\.muster\.internal\.\s+5\s+IN\s+A\s+10\.20\.1\.1", out) and "10.20.1.2" in out
    out = subprocess.run(base + ["+short", f"_dig-me._tcp.svc.{ZONE}", "SRV"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert sorted(out.split("\n")[:2]) == ["10 16384 8080 10-20-1-1.i.muster.internal.", "10 49152 8080 10-20-1-2.i.muster.internal."]
    out = subprocess.run(base + ["+tcp", f"absent.svc.{ZONE}"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "status: NXDOMAIN" in out and "SOA" in out
    out = subprocess.run(base + ["www.example.com"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "status: REFUSED" in out


def test_nslookup_gets_the_addresses(server):
    need("nslookup")
    server.register("look-me", "10.20.2.1", 8080)
    out = subprocess.run(["nslookup", f"-port={server.dns[1]}", f"look-me.svc.{ZONE}", "127.0.0.1"], stdout=subprocess.PIPE, text=True).stdout
    assert "Address: 10.20.2.1" in out, out


def test_the_readme_shows_the_recipes_that_are_tested():
    """Each block of its section is in a recipe, line by line, comments aside."""
    section = open(os.path.join(TOP, "README.md")).read().partition("\n## Consumers\n")[2].partition("\n## ")[0]
    folder = os.path.join(TOP, "contrib", "recipes")
    recipes = {name: "\n".join(line.rstrip() for line in open(os.path.join(folder, name)) if not line.startswith(("#", "//")))
               for name in os.listdir(folder) if name != "README.md"}
    blocks = [textwrap.dedent(b).strip("\n") for b in re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", section, re.M)]
    shown = [name for block in blocks for name, text in recipes.items() if block in text]
    assert len(blocks) == 9 and len(shown) == len(blocks), [b for b in blocks if not any(b in text for text in recipes.values())]
    assert set(recipes) - set(shown) == {"unbound-forward.conf", "bind-stub.conf"}
