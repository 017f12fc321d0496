"""Knot, NSD and BIND have our zones by AXFR; they and we are asked the same 40,000 questions, and whatever they answer
otherwise stands in dns_differences.toml with its reason (dns.md 6.3)."""
import collections
from concurrent.futures import ThreadPoolExecutor

import dns.rdatatype
import pytest

import dns_matrix
import secondaries
from conftest import Server

OTHERS = ["knotd", "nsd", "named"]


class Exam:
    """Every question, our answers, and those of the others."""

    def __init__(self, ours, others):
        have = dns_matrix.owners(ours)
        self.sound, self.odd = list(dns_matrix.generated(have)), list(dns_matrix.odd())
        self.cases = self.sound + self.odd
        with ThreadPoolExecutor(len(others)) as pool:  # they mostly wait
            answers = list(pool.map(lambda other: self.ask(other.address), others))
        self.ours = [dns_matrix.read(a, c) for a, c in zip(self.ask(ours.dns), self.cases)]
        self.theirs = {o.program: [dns_matrix.read(a, c) for a, c in zip(given, self.cases)] for o, given in zip(others, answers)}

    def ask(self, address):
        return dns_matrix.ask_all(address, self.sound) + dns_matrix.ask_odd(address, self.odd)


@pytest.fixture(scope="module")
def exam(tmp_path_factory):
    ours, others = Server(), []
    try:
        dns_matrix.fill(ours, tmp_path_factory.mktemp("zones"))
        for program in OTHERS:
            others.append(secondaries.Secondary(program, tmp_path_factory.mktemp(program), ours.dns[1], dns_matrix.ZONES,
                                                dns_matrix.OPTIONS[program]))
        for other in others:
            other.wait_ready()
        yield Exam(ours, others)
    finally:
        for other in others:
            other.close()
        ours.close()


@pytest.fixture(scope="module")
def table():
    return dns_matrix.Table()


@pytest.mark.parametrize("program", OTHERS)
def test_every_difference_stands_in_the_table(exam, table, program):
    left = collections.defaultdict(list)
    for case, theirs, ours in zip(exam.cases, exam.theirs[program], exam.ours):
        if program == case.without:
            continue
        if program == "nsd":
            theirs = dns_matrix.without_courtesy(theirs, ours)
        for field, a, b in dns_matrix.differences(theirs, ours):
            if not table.explains(case.text, program, field, a, b):
                left[f"{field}: {program} {a}, Muster {b}"].append(case.text)
    assert not left, "\n".join(f"{what} ({len(texts)} times): {'; '.join(texts[:5])}" for what, texts in left.items())


def test_every_row_of_the_table_still_occurs(exam, table):
    assert not table.unseen(), "\n".join(map(str, table.unseen()))


def test_an_answer_to_any_is_one_of_the_sets_that_bind_gives(exam):
    checked = 0
    for case, theirs, ours in zip(exam.sound, exam.theirs["named"], exam.ours):
        if not case.text.endswith(" ANY") or theirs["rcode"] != ours["rcode"] or theirs["TC"] == "1":
            continue
        sets = {(r[0], r[1]) for r in ours["answer"]}
        chain = [s for s in sets if s[1] in (dns.rdatatype.CNAME, dns.rdatatype.DNAME)]
        assert len(sets) - len(chain) <= 1, case.text
        if not chain:
            assert ours["answer"] == [r for r in theirs["answer"] if (r[0], r[1]) in sets], case.text
            checked += 1
    assert checked > 500


def test_every_answer_of_ours_can_be_read_and_every_kind_occurred(exam):
    assert len(exam.sound) > 20000 and len(exam.odd) > 600
    assert not [c.text for c, ours in zip(exam.sound, exam.ours) if ours["reply"] != "yes"]
    assert {ours.get("rcode") for ours in exam.ours} >= {"NOERROR", "NXDOMAIN", "FORMERR", "REFUSED", "NOTIMP", "NOTAUTH", "YXDOMAIN",
                                                         "BADVERS"}
    assert sum(ours.get("TC") == "1" for ours in exam.ours) > 50
