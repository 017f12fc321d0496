"""Backup and restore (promise 4): a backup brings everything back, and clients accept what the restored server says next."""
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.request

from conftest import MUSTERD, SLOW, eventually


def run(server, *flags, **more):
    return subprocess.run([MUSTERD, f"--server.data_dir={more.pop('data', server.data)}", *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, timeout=60 * SLOW, **more)


def backup(server, path, *flags):
    done = run(server, "--backup", path, *flags)
    assert done.returncode == 0, done.stderr
    return path


def restore(server, path, **more):
    done = run(server, "--restore", path, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def refused(done, *words):
    assert done.returncode == 1, done
    for word in words:
        assert str(word) in done.stderr.decode(), done.stderr
    return True


def contents(directory):
    """Name and bytes of what lies in @directory, the lock and SQLite's index files apart."""
    return {name: open(os.path.join(directory, name), "rb").read() for name in sorted(os.listdir(directory)) if name != "lock" and not name.endswith("-shm")}


def last_ref(server, service):
    return server.get("/nacos/v1/ns/instance/list", serviceName=service).json()["lastRefTime"]


def change_number(server, service):
    return server.get("/muster/v1/instances", serviceName=service).json()["number"]


def soa_serial(server):
    return server.dig("muster.internal", "SOA").answer[0][0].serial


def fill(server):
    for i in range(1, 4):
        server.register("durable", f"10.60.0.{i}", 80, ephemeral="false", weight=i, metadata='{"a":"b"}')
    assert server.post("/nacos/v1/console/namespaces", customNamespaceId="prod", namespaceName="Production").text == "true"
    assert server.post("/nacos/v1/ns/service", serviceName="made", protectThreshold="0.4").text == "ok"


def check_filled(server):
    assert {h["ip"]: h["weight"] for h in server.hosts("durable")} == {f"10.60.0.{i}": float(i) for i in range(1, 4)}
    assert server.addresses("durable.svc.muster.internal") == [f"10.60.0.{i}" for i in range(1, 4)]
    assert "prod" in [n["namespace"] for n in server.get("/nacos/v1/console/namespaces").json()["data"]]
    assert server.get("/nacos/v1/ns/service", serviceName="made").json()["protectThreshold"] == 0.4


def test_a_backup_of_a_running_server_restores_into_an_empty_directory(make_server, tmp_path):
    server = make_server().start()
    fill(server)
    path = backup(server, str(tmp_path / "b"))
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert not os.path.exists(path + "-wal") and not os.path.exists(path + ".new")
    other = make_server()
    restore(other, path)
    other.start()
    check_filled(other)
    assert server.get("/health").status == 200
    check_filled(server)


def test_a_backup_of_a_stopped_and_of_a_killed_server_is_whole(make_server, tmp_path):
    server = make_server().start()
    fill(server)
    server.stop()
    other = make_server()
    restore(other, backup(server, str(tmp_path / "stopped")))
    other.start()
    check_filled(other)
    server.start()
    server.register("late", "10.60.1.1", 80, ephemeral="false")
    server.kill9()  # what it acknowledged last lies in the log alone
    third = make_server()
    restore(third, backup(server, str(tmp_path / "killed")))
    third.start()
    check_filled(third)
    assert [h["ip"] for h in third.hosts("late")] == ["10.60.1.1"]


def test_backups_under_load_hold_all_that_was_acknowledged_before_and_no_halves(make_server, tmp_path):
    server = make_server().start()
    acknowledged, over = [[] for _ in range(4)], threading.Event()

    def write(worker):
        i = 0
        while not over.is_set():
            i += 1
            ip = f"10.61.{i >> 8}.{i & 255}"
            url = f"{server.http}/nacos/v1/ns/instance?serviceName=load{worker}&ip={ip}&port=80&ephemeral=false"
            with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=20) as answer:
                if answer.read() == b"ok":
                    acknowledged[worker].append(ip)

    threads = [threading.Thread(target=write, args=(w,)) for w in range(4)]
    for t in threads:
        t.start()
    rounds = []
    try:
        for nth in range(4):
            time.sleep(0.2)
            before = [list(a) for a in acknowledged]
            rounds.append((before, backup(server, str(tmp_path / f"b{nth}"))))
    finally:
        over.set()
        for t in threads:
            t.join()
    assert sum(len(a) for a in acknowledged) > 50
    for before, path in rounds[1::2]:
        other = make_server()
        restore(other, path)
        other.start()
        for worker in range(4):
            missing = set(before[worker]) - {h["ip"] for h in other.hosts(f"load{worker}")}
            assert not missing, f"{len(missing)} of {len(before[worker])} are not in the backup"
        other.stop()


def test_an_existing_file_is_written_over_only_with_force(make_server, tmp_path):
    server = make_server().start()
    path = tmp_path / "b"
    path.write_text("something dear")
    refused(run(server, "--backup", str(path)), "is there already", "--force")
    assert path.read_text() == "something dear"
    backup(server, str(path), "--force")
    assert path.read_bytes()[:6] == b"SQLite"
    assert sorted(os.listdir(tmp_path)) == ["b"]


def test_a_backup_to_standard_output_is_the_same_file(make_server, tmp_path):
    server = make_server().start()
    fill(server)
    server.stop()
    done = run(server, "--backup", "-", env=dict(os.environ, TMPDIR=str(tmp_path)))
    assert done.returncode == 0 and b"rows" in done.stderr
    assert done.stdout == open(backup(server, str(tmp_path / "b")), "rb").read()
    assert sorted(os.listdir(tmp_path)) == ["b"]
    refused(run(server, "--backup", "-", env=dict(os.environ, TMPDIR="/nowhere")), "/nowhere", "TMPDIR")


def test_what_cannot_be_backed_up_is_said_and_leaves_no_file(make_server, tmp_path):
    server = make_server()
    refused(run(server, "--backup", str(tmp_path / "b"), data=str(tmp_path)), tmp_path / "muster.db", "not there")
    (tmp_path / "muster.db").write_bytes(b"no database at all, but longer than a hundred octets" * 10)
    refused(run(server, "--backup", str(tmp_path / "b"), data=str(tmp_path)), "not a database")
    server.start()
    refused(run(server, "--backup", "/nowhere/b"), "/nowhere/b")
    refused(run(server, "--backup", str(tmp_path / "b"), "--store.url=memory:"), "memory:")
    done = run(server, "--backup")
    assert done.returncode == 2 and b"--backup FILE" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["muster.db"]


def test_a_damaged_store_gives_no_backup(make_server, tmp_path):
    server = make_server().start()
    for i in range(300):
        server.register("many", f"10.62.{i >> 8}.{i & 255}", 80, ephemeral="false", metadata='{"k":"%s"}' % ("v" * 200))
    server.stop()
    path = os.path.join(server.data, "muster.db")
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        for page in range(8, size // 4096):
            f.seek(page * 4096)
            f.write(b"\xff" * 200)
    done = run(server, "--backup", str(tmp_path / "b"))
    assert done.returncode == 1 and (b"integrity check" in done.stderr or b"damaged" in done.stderr), done.stderr
    assert os.listdir(tmp_path) == []


def test_a_restore_beside_a_running_server_is_refused_with_its_pid(make_server, tmp_path):
    server = make_server().start()
    path = backup(server, str(tmp_path / "b"))
    refused(run(server, "--restore", path), f"pid {server.process.pid}")
    fill(server)
    check_filled(server)


def test_what_is_no_backup_is_refused_and_the_directory_stays_as_it_was(make_server, tmp_path):
    server = make_server().start()
    fill(server)
    path = backup(server, str(tmp_path / "good"))
    server.stop()
    before = contents(server.data)
    foreign = sqlite3.connect(tmp_path / "foreign")
    foreign.execute("CREATE TABLE t(a)")
    foreign.commit()
    shutil.copy(path, tmp_path / "newer")
    newer = sqlite3.connect(tmp_path / "newer")
    newer.execute("PRAGMA user_version=7")
    newer.commit()
    (tmp_path / "text").write_text("text " * 100)
    (tmp_path / "empty").write_text("")
    (tmp_path / "cut").write_bytes(open(path, "rb").read()[:9000])
    with open(path, "rb") as f:
        image = bytearray(f.read())
    image[4096:4196] = b"\xff" * 100  # the head of a page
    (tmp_path / "torn").write_bytes(image)
    for name, words in {"foreign": ["another program"], "newer": ["version 7", "up to 1"], "text": ["not a database"], "empty": ["empty file"],
                        "cut": [], "torn": [], "missing": ["not there"]}.items():
        refused(run(server, "--restore", str(tmp_path / name)), name if name not in ("cut", "torn") else "", *words)
        assert contents(server.data) == before, name
    refused(run(server, "--restore", os.path.join(server.data, "muster.db")), "the store itself")
    assert contents(server.data) == before
    server.start()
    check_filled(server)


def test_the_former_database_is_kept_and_can_be_brought_back(make_server, tmp_path):
    server = make_server().start()
    fill(server)
    path = backup(server, str(tmp_path / "b"))
    server.register("later", "10.63.0.1", 80, ephemeral="false")
    server.kill9()  # its last writes are in the log: that must not be lost, nor end up in the restored store
    said = restore(server, path)
    former = re.search(r"kept as (\S+)", said).group(1)
    server.start()
    check_filled(server)
    assert server.hosts("later") == []
    server.stop()
    restore(server, former)
    server.start()
    check_filled(server)
    assert [h["ip"] for h in server.hosts("later")] == ["10.63.0.1"]


def test_a_store_that_cannot_be_read_is_kept_with_its_log_and_replaced(make_server, tmp_path):
    server = make_server().start()
    fill(server)
    path = backup(server, str(tmp_path / "b"))
    server.register("later", "10.64.0.1", 80, ephemeral="false")
    seen = last_ref(server, "later")
    server.kill9()
    db = os.path.join(server.data, "muster.db")
    log = b"what is left of a log" * 1000
    for name, left in ((db, b"\x00garbage" * 2000), (db + "-wal", log)):
        with open(name, "wb") as f:
            f.write(left)
    done = run(server, "--restore", path)
    assert done.returncode == 0 and b"could not be read" in done.stderr, done
    former = re.search(r"kept as (\S+)", done.stdout.decode()).group(1)
    assert open(former, "rb").read().startswith(b"\x00garbage") and open(former + "-wal", "rb").read() == log
    server.start()
    check_filled(server)
    assert server.hosts("later") == [] and last_ref(server, "durable") > seen


def use_numbers(server, count=600):
    """Hands out numbers: every request is a turn of its own. Returns what a subscriber and a secondary have seen last."""
    for i in range(count):
        server.register("busy", f"10.65.0.{1 + i % 2}", 80, weight=1 + i % 7)
    assert server.hosts("busy")
    return last_ref(server, "busy"), change_number(server, "busy"), soa_serial(server)


def check_above(server, seen):
    """The restored content, and the first change after it, are news to everybody who has seen @seen."""
    assert last_ref(server, "durable") > seen[0] and change_number(server, "durable") > seen[1]
    serial = soa_serial(server)
    assert 0 < (serial - seen[2]) % 2**32 < 2**31, (serial, seen[2])
    server.register("durable", "10.60.0.9", 80, ephemeral="false")
    assert last_ref(server, "durable") > seen[0] and change_number(server, "durable") > seen[1]
    eventually(lambda: 0 < (soa_serial(server) - serial) % 2**32 < 2**31, 5)


def test_numbers_and_serials_after_a_restore_of_an_old_backup_are_above_all_handed_out_since(make_server, tmp_path):
    server = make_server().start()
    fill(server)
    path = backup(server, str(tmp_path / "b"))
    for _ in range(3):  # each kill leaps to a new block
        use_numbers(server, 100)
        server.kill9()
        server.start()
    seen = use_numbers(server)
    server.stop()
    restore(server, path)
    server.start()
    check_filled(server)
    check_above(server, seen)


def test_numbers_are_above_also_when_the_original_directory_is_lost(make_server, tmp_path):
    server = make_server().start()
    fill(server)
    path = backup(server, str(tmp_path / "b"))
    for _ in range(4):
        use_numbers(server, 100)
        server.kill9()
        server.start()
    seen = use_numbers(server)
    server.kill9()
    shutil.rmtree(server.data)
    restore(server, path)
    server.start()
    check_filled(server)
    check_above(server, seen)


def test_ephemeral_instances_of_the_directory_outlive_a_restore(make_server, tmp_path):
    server = make_server().start()
    fill(server)
    path = backup(server, str(tmp_path / "b"))
    server.register("living", "10.66.0.1", 80)
    server.stop()
    restore(server, path)
    server.start()
    assert [h["ip"] for h in server.hosts("living")] == ["10.66.0.1"]
    check_filled(server)


def test_a_store_in_a_read_only_directory_can_be_backed_up(make_server, tmp_path):
    server = make_server().start()
    fill(server)
    server.stop()
    os.makedirs(tmp_path / "ro")
    shutil.copy(os.path.join(server.data, "muster.db"), tmp_path / "ro" / "muster.db")
    os.chmod(tmp_path / "ro", 0o555)
    other = make_server()
    restore(other, backup(server, str(tmp_path / "b")))
    other.start()
    check_filled(other)
    os.chmod(tmp_path / "ro", 0o755)


# ---- over HTTP


def ask(server):
    reply = server.call("POST", "/muster/v1/backup", timeout=60)
    assert reply.status == 200, reply
    return reply.json()


def test_an_operator_gets_a_backup_over_http_where_the_settings_say(make_server):
    server = make_server(server_backup_dir="backups").start()
    fill(server)
    told = ask(server)
    assert told["file"].startswith(os.path.join(server.data, "backups", "muster-")) and told["removed"] == []
    assert told["bytes"] == os.path.getsize(told["file"]) and told["rows"] >= 5 and told["schema"] >= 1
    assert os.stat(told["file"]).st_mode & 0o777 == 0o600 and os.stat(os.path.dirname(told["file"])).st_mode & 0o777 == 0o700
    other = make_server()
    restore(other, told["file"])
    other.start()
    check_filled(other)
    metrics = server.get("/metrics").text
    assert 'muster_backups_total{result="written"} 1' in metrics and "muster_backup_last_written_timestamp_seconds 1" in metrics


def test_the_request_cannot_say_where_and_without_the_setting_nothing_is_written(make_server, tmp_path):
    server = make_server().start()
    reply = server.post("/muster/v1/backup", file=str(tmp_path / "b"), to=str(tmp_path / "b"))
    assert reply.status == 409 and "server.backup_dir" in reply.text, reply
    server.restart(server_backup_dir=str(tmp_path / "here"))
    reply = server.post("/muster/v1/backup", file=str(tmp_path / "b"), dir=str(tmp_path), backup_dir=str(tmp_path))
    assert reply.status == 200 and os.path.dirname(reply.json()["file"]) == str(tmp_path / "here")
    assert os.listdir(tmp_path) == ["here"]
    assert server.get("/muster/v1/backup").status == 405


def test_old_backups_are_removed_and_nothing_else(make_server, tmp_path):
    server = make_server(server_backup_dir=str(tmp_path), server_backup_keep=2).start()
    for name in ("muster-20200101T000000Z.db", "muster-20210101T000000Z.db", "muster-20220101T000000Z.db", "muster-mine.db", "other"):
        (tmp_path / name).write_text("")
    told = ask(server)
    assert [os.path.basename(p) for p in told["removed"]] == ["muster-20200101T000000Z.db", "muster-20210101T000000Z.db"]
    assert sorted(os.listdir(tmp_path)) == sorted(["muster-20220101T000000Z.db", "muster-mine.db", "other", os.path.basename(told["file"])])


def test_a_backup_that_cannot_be_written_is_told_with_the_reason(make_server, tmp_path):
    (tmp_path / "file").write_text("")
    server = make_server(server_backup_dir=str(tmp_path / "file")).start()
    reply = server.post("/muster/v1/backup")
    assert reply.status >= 400 and str(tmp_path / "file") in reply.text, reply
    assert 'muster_backups_total{result="failed"} 1' in server.get("/metrics").text
    server.restart(server_backup_dir="/nowhere/at/all")
    assert "/nowhere/at/all" in server.post("/muster/v1/backup").text


def test_one_backup_at_a_time_and_a_stop_ends_it(make_server, tmp_path):
    server = make_server(server_backup_dir=str(tmp_path)).start()
    for i in range(1, 40):
        server.register(f"b{i}", "10.67.0.1", 80, ephemeral="false", metadata='{"k":"%s"}' % ("v" * 900))
    answers = []

    def post():
        with urllib.request.urlopen(urllib.request.Request(f"{server.http}/muster/v1/backup", method="POST"), timeout=60) as answer:
            answers.append(answer.status)

    def try_post():
        try:
            post()
        except urllib.error.HTTPError as e:
            answers.append(e.code)
        except OSError:
            answers.append(0)

    threads = [threading.Thread(target=try_post) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert set(answers) <= {200, 409} and 200 in answers, answers
    threads = [threading.Thread(target=try_post) for _ in range(4)]
    for t in threads:
        t.start()
    server.stop()  # status 0, whatever is under way
    for t in threads:
        t.join()
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".new")]
