"""`make install`: every file is where it belongs, says what the program says, and goes away again."""
import os
import pathlib
import re
import subprocess

import pytest
from conftest import MUSTERD, SLOW, need

BUILD = os.path.dirname(os.path.dirname(os.path.abspath(MUSTERD)))
FILES = {"usr/local/sbin/musterd", "usr/local/share/man/man8/musterd.8", "usr/local/share/man/man5/muster.conf.5", "etc/muster/muster.conf",
         "usr/local/share/doc/muster/muster.conf", "usr/local/share/doc/muster/README.md", "usr/local/share/doc/muster/LICENSE",
         "usr/local/share/doc/muster/muster-alerts.yml", "usr/local/share/man/man7/muster-metrics.7",
         "usr/local/lib/systemd/system/muster.service", "usr/local/lib/sysusers.d/muster.conf", "usr/local/lib/tmpfiles.d/muster.conf"}


def make(*arguments):
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}
    run = subprocess.run(["make", "-s", "-C", BUILD, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, env=env)
    assert run.returncode == 0, run.stdout
    return run.stdout


def output(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * SLOW, check=True).stdout


def files(root):
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    make("install", f"DESTDIR={root}")
    return root


def test_every_file_is_installed_and_nothing_else(installed):
    assert files(installed) == FILES
    assert os.access(installed / "usr/local/sbin/musterd", os.X_OK)
    assert "musterd " in output(str(installed / "usr/local/sbin/musterd"), "--version")


def test_the_installed_settings_are_the_sample_and_in_order(installed):
    sample = output(MUSTERD, "--print-sample")
    for name in ("etc/muster/muster.conf", "usr/local/share/doc/muster/muster.conf"):
        assert (installed / name).read_text() == sample
    assert "in order" in output(MUSTERD, "-c", str(installed / "etc/muster/muster.conf"), "--check-config")


def test_the_man_page_tells_of_every_setting_with_its_default_and_limits(installed):
    page = (installed / "usr/local/share/man/man5/muster.conf.5").read_text()
    sections = dict(zip(re.findall(r"^\.Ss \[([^]]+)\]", page, re.M), re.split(r"^\.Ss \[[^]]+\]\n", page, flags=re.M)[1:]))
    section, count = None, 0
    for line in output(MUSTERD, "--print-config", "-c", "/dev/null").splitlines():
        if line.startswith("["):
            section = "zone NAME" if line.startswith("[zone ") else line[1:-1]
        key = re.match(r"(\w+) = ?(.*?)  ; default$", line)
        if not key:
            continue
        count += 1
        entry = sections[section].split(f".It Cm {key[1]}\n", 1)
        assert len(entry) == 2, f"{section}.{key[1]} is not in muster.conf(5)"
        entry = entry[1].split(".It Cm ")[0]
        assert f"Default: {key[2] or 'empty'}.\n" in entry, (section, key[1], entry)
        assert re.search(r"^Reload: (in force at once|after a restart only)\.$", entry, re.M), (section, key[1], entry)
        assert re.search(r"whole number|A time|A size|A list|A text|One of|^\.Cm on$", entry, re.M), (section, key[1], entry)
    assert count > 40


def test_the_man_pages_have_no_errors(installed):
    mandoc = need("mandoc")
    for page in ("man8/musterd.8", "man5/muster.conf.5", "man7/muster-metrics.7"):
        path = str(installed / "usr/local/share/man" / page)
        run = subprocess.run([mandoc, "-Tlint", "-Wwarning", path], stdout=subprocess.PIPE, text=True, check=False)
        assert run.stdout == "" and run.returncode == 0, run.stdout
    shown = output(mandoc, "-Tascii", str(installed / "usr/local/share/man/man8/musterd.8"))
    for flag in re.findall(r"^  (--[a-z-]+)", output(MUSTERD, "--help").split("--server.")[0], re.M):
        assert flag in shown.replace("\b", "") or flag in re.sub(".\b", "", shown), flag


def test_the_unit_is_in_order_and_its_exposure_at_most_3(installed, tmp_path):
    analyze = need("systemd-analyze")
    text = (installed / "usr/local/lib/systemd/system/muster.service").read_text()
    assert "@" not in re.sub(r"@(system-service|privileged|resources)\b", "", text), "a name was not filled in"
    for line in ("Type=notify", "User=muster", "StateDirectory=muster", "AmbientCapabilities=CAP_NET_BIND_SERVICE", "LimitNOFILE="):
        assert line in text, line
    # The programs that it names are not installed on this machine: those of the build stand for them.
    unit = tmp_path / "muster.service"
    unit.write_text(text.replace("/usr/local/sbin/musterd", MUSTERD).replace("Documentation=", "#"))
    exposure = output(analyze, "security", "--offline=yes", "--no-pager", str(unit))
    level = float(re.search(r"Overall exposure level for muster.service: ([0-9.]+)", exposure)[1])
    assert level <= 3.0, exposure
    verify = subprocess.run([analyze, "verify", "--man=no", str(unit)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert "muster.service" not in verify.stdout, verify.stdout


def test_sysusers_and_tmpfiles_make_the_user_and_its_directory(installed, tmp_path):
    sysusers, tmpfiles = need("systemd-sysusers"), need("systemd-tmpfiles")
    if os.getuid() != 0:
        pytest.skip("needs root")
    (tmp_path / "etc").mkdir()
    for tool, folder in ((sysusers, "sysusers.d"), (tmpfiles, "tmpfiles.d")):
        target = tmp_path / "usr/lib" / folder
        target.mkdir(parents=True)
        (target / "muster.conf").write_text((installed / "usr/local/lib" / folder / "muster.conf").read_text())
        output(tool, f"--root={tmp_path}", *(["--create"] if folder == "tmpfiles.d" else []), "muster.conf")
    user = [line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines() if line.startswith("muster:")][0]
    state = os.stat(tmp_path / "var/lib/muster")
    assert user[5] == "/var/lib/muster" and user[6].endswith("nologin")
    assert (state.st_uid, oct(state.st_mode & 0o777)) == (int(user[2]), "0o750")


def test_uninstall_takes_all_away_but_settings_that_were_changed(tmp_path):
    make("install", f"DESTDIR={tmp_path}")
    make("uninstall", f"DESTDIR={tmp_path}")
    assert files(tmp_path) == set()
    make("install", f"DESTDIR={tmp_path}")
    conf = pathlib.Path(tmp_path / "etc/muster/muster.conf")
    conf.write_text("[dns]\nttl = 7s\n")
    assert "kept:" in make("install", f"DESTDIR={tmp_path}")
    assert "kept:" in make("uninstall", f"DESTDIR={tmp_path}")
    assert files(tmp_path) == {"etc/muster/muster.conf"} and conf.read_text() == "[dns]\nttl = 7s\n"
