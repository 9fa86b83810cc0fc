"""`distrikv check` on the folder of a real node: sound, and damaged in every way that a disk, a copy or a person
can think of. Each damage is done to a copy; checking changes nothing.

DKV_PROGRAMS names the folder of the built programs.
"""

import glob
import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.request

PROGRAMS = os.environ["DKV_PROGRAMS"]
PAGE = 4096
MIB = 1 << 20


def host_of(number):
    return "127.%d.%d.%d" % (1 + (os.getpid() >> 8) % 254, os.getpid() & 255, number)


class Node:
    """A primary with small limits, so that it soon has several segments and a checkpoint."""

    def __init__(self, folder):
        self.host = host_of(79)
        self.data = os.path.join(folder, "data")
        topology = os.path.join(folder, "one.toml")
        with open(topology, "w", encoding="utf-8") as file:
            file.write(f'[cluster]\nname = "c"\n[[node]]\nname = "a"\nhost = "{self.host}"\n'
                       '[[shard]]\nname = "s"\nprimary = "a"\n')
        self.process = subprocess.Popen(
            [os.path.join(PROGRAMS, "distrikvd"), "--topology", topology, "--node", "a", "--data", self.data,
             "--log-level", "error", "--memtable", "1MiB", "--memtable-log", "2MiB", "--log-segment", "1MiB"])
        self.wait_until(lambda: self.ask("GET", "/readyz"))

    def ask(self, method, path, body=None):
        request = urllib.request.Request(f"http://{self.host}:8080{path}", data=body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read()
        except OSError:
            return None

    @staticmethod
    def wait_until(condition):
        ends = time.monotonic() + 60
        while not condition():
            if time.monotonic() > ends:
                raise TimeoutError("the node does not get there")
            time.sleep(0.01)

    def fill(self):
        for i in range(300):
            size = 40_000 if i % 3 == 0 else 900
            if self.ask("PUT", "/v1/kv/key-%03d" % i, bytes([i % 251]) * size) is None:
                raise RuntimeError("a write was refused")
        for i in range(0, 300, 7):
            self.ask("DELETE", "/v1/kv/key-%03d" % i)

    def has_checkpoints(self):
        return os.path.getsize(os.path.join(self.data, "shard-s", "store", "data.mdb")) > 2 * MIB

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)


def check(data, *options):
    return subprocess.run([os.path.join(PROGRAMS, "distrikv"), "check", data, *options], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)


def contents(data):
    """Every file's bytes but the lock's, with when it was last written."""
    found = {}
    for path, _, files in os.walk(data):
        for name in files:
            full = os.path.join(path, name)
            if full == os.path.join(data, "lock"):
                continue
            with open(full, "rb") as file:
                found[full] = (os.stat(full).st_mtime_ns, file.read())
    return found


class CheckTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        node = Node(cls.folder.name)
        try:
            node.fill()
            Node.wait_until(lambda: node.ask("PUT", "/v1/kv/more", b"m" * 50_000) is not None
                            and node.has_checkpoints())
            cls.in_use = check(node.data)
            cls.pid = node.process.pid
        finally:
            node.stop()
        cls.sound = node.data

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = os.path.join(folder.name, "data")
        shutil.copytree(self.sound, self.data)
        self.shard = os.path.join(self.data, "shard-s")
        self.store = os.path.join(self.shard, "store", "data.mdb")
        self.segments = sorted(glob.glob(os.path.join(self.shard, "log-*")))

    def edit(self, path, change):
        with open(path, "rb") as file:
            content = bytearray(file.read())
        content = change(content) or content
        with open(path, "wb") as file:
            file.write(content)

    def flip(self, path, offset):
        def change(content):
            content[offset] ^= 0x10
        self.edit(path, change)

    def check(self, code):
        """Checks for people and for scripts, which must agree, and must change nothing. The shard's report."""
        before = contents(self.data)
        words = check(self.data)
        finished = check(self.data, "--json")
        self.assertEqual(contents(self.data), before, "something was changed")
        for one in (words, finished):
            self.assertEqual(one.returncode, code, one.stdout.decode() + one.stderr.decode())
            self.assertEqual(one.stderr, b"")
        self.words = words.stdout.decode()
        report = json.loads(finished.stdout)
        self.assertEqual(report["sound"], code == 0)
        return report["shards"][0]

    def expect_problem(self, file, offset=None, word=""):
        report = self.check(1)
        first = report["problems"][0]
        self.assertEqual(first.get("file"), file, report["problems"])
        if offset is not None:
            self.assertEqual(first.get("offset"), offset, first)
            self.assertIn(f"{file} at offset {offset}: ", self.words)
        self.assertIn(word, first["what"])
        self.assertIn("damaged-s", self.words)
        return report

    def page_of(self, kind):
        """The number of a page of this kind in the store that is in use: its damage is reported."""
        with open(self.store, "rb") as file:
            content = file.read()
        for page in range(2, len(content) // PAGE):
            if int.from_bytes(content[page * PAGE + 10:page * PAGE + 12], "little") != kind:
                continue
            self.flip(self.store, page * PAGE)
            used = check(self.data).returncode == 1
            self.flip(self.store, page * PAGE)
            if used:
                return page
        raise LookupError(kind)

    def test_a_sound_folder(self):
        report = self.check(0)
        self.assertGreaterEqual(report["log"]["segments"], 3)
        self.assertEqual(report["log"]["segments"], len(self.segments))
        self.assertGreater(report["store"]["records"], 100)
        self.assertEqual(report["problems"], [])
        self.assertIn("the data folder of node a", self.words)
        self.assertIn("All is well: 1 shard checked.", self.words)

    def test_a_running_node_is_left_alone(self):
        self.assertEqual(self.in_use.returncode, 3)
        self.assertIn(f"in use by pid {self.pid}: stop it first", self.in_use.stderr.decode())

    def test_a_folder_that_is_none(self):
        for path in ("/tmp", "/nowhere/at/all", self.store):
            finished = check(path)
            self.assertEqual(finished.returncode, 3)
            self.assertIn("is not a data folder", finished.stderr.decode())
        self.assertFalse(os.path.exists("/tmp/lock"))
        error = json.loads(check("/tmp", "--json").stdout)["error"]
        self.assertIn("is not a data folder", error["message"])

    def test_wrong_usage(self):
        for arguments in ([], ["a", "b"], [""], [self.data, "--bogus"]):
            finished = subprocess.run([os.path.join(PROGRAMS, "distrikv"), "check", *arguments],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            self.assertEqual(finished.returncode, 2, arguments)

    def test_a_folder_that_cannot_be_written_to(self):
        before = contents(self.data)
        for path, folders, files in os.walk(self.data):
            for name in folders + files:
                os.chmod(os.path.join(path, name), 0o555)
        if os.getuid() == 0:
            # Root may write all the same; a read-only mount is the test for it.
            mounted = subprocess.run(["unshare", "--mount", "sh", "-c",
                                      'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && exec "$2" check "$1"',
                                      "sh", self.data, os.path.join(PROGRAMS, "distrikv")],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            if b"unshare" in mounted.stderr or b"mount:" in mounted.stderr:
                self.skipTest("no mounts here")
            self.assertEqual(mounted.returncode, 0, mounted.stderr)
        else:
            self.assertEqual(check(self.data).returncode, 0)
        self.assertEqual(contents(self.data), before)

    def test_damage_to_the_identity_is_a_problem_of_its_own(self):
        self.edit(os.path.join(self.data, "node.json"), lambda content: content[:20])
        self.assertEqual(check(self.data).returncode, 1)
        report = json.loads(check(self.data, "--json").stdout)
        self.assertIn("node.json", report["problem"])
        self.assertTrue(report["shards"][0]["sound"])

    # ---- the log

    def test_a_byte_in_a_turn_of_the_log(self):
        segment = self.segments[1]
        self.flip(segment, 5000)
        report = self.expect_problem(os.path.basename(segment), word="does not read back")
        self.assertLessEqual(report["problems"][0]["offset"], 5000)

    def test_a_byte_in_a_segments_header(self):
        self.flip(self.segments[0], 30)
        self.expect_problem(os.path.basename(self.segments[0]), 0)

    def test_each_of_several_damaged_segments_is_named(self):
        for segment in self.segments[:2]:
            self.flip(segment, 5000)
        report = self.expect_problem(os.path.basename(self.segments[0]))
        self.assertEqual(report["problem_count"], 2)

    def test_a_segment_that_was_cut_short(self):
        self.edit(self.segments[0], lambda content: content[:MIB // 2])
        self.expect_problem(os.path.basename(self.segments[0]))

    def test_a_segment_that_is_missing(self):
        os.remove(self.segments[1])
        self.expect_problem(os.path.basename(self.segments[1]), word="missing")

    def test_the_log_is_gone(self):
        for segment in self.segments:
            os.remove(segment)
        self.check(1)
        self.assertIn("log files are missing", self.words)

    def test_an_unfinished_last_turn_is_normal(self):
        def cut(content):
            end = len(content.rstrip(b"\0"))
            return content[:end - 3]
        self.edit(self.segments[-1], cut)
        report = self.check(0)
        self.assertGreater(report["log"]["unfinished_bytes"], 0)
        self.assertIn("unfinished: normal", self.words)

    def test_leaves_what_a_start_would_clean_up(self):
        for number in range(5):
            with open(os.path.join(self.shard, f"spare-{number}"), "wb") as spare:
                spare.write(b"what an earlier life left")
        self.assertEqual(self.check(0)["log"]["spare_files"],
                         len(glob.glob(os.path.join(self.shard, "spare-*"))))

    # ---- the store

    def test_a_byte_in_a_value(self):
        page = self.page_of(4)  # of a large value
        self.flip(self.store, page * PAGE + 1000)
        self.expect_problem("store/data.mdb", page * PAGE + 16, "wrong checksum")

    def test_a_byte_in_a_header_of_a_leaf(self):
        page = self.page_of(2)
        for offset in (0, 10, 12, 14):
            self.flip(self.store, page * PAGE + offset)
            self.expect_problem("store/data.mdb")
            self.flip(self.store, page * PAGE + offset)

    def test_a_byte_in_a_branch(self):
        page = self.page_of(1)
        for offset in (3, 10, 12, 14, 16, PAGE - 2):
            self.flip(self.store, page * PAGE + offset)
            self.expect_problem("store/data.mdb")
            self.flip(self.store, page * PAGE + offset)

    def test_a_byte_in_a_meta_page(self):
        for meta in (0, PAGE):
            for offset in (0, 10, 16, 20, 42, 144):
                self.flip(self.store, meta + offset)
                self.expect_problem("store/data.mdb", word="damaged")
                self.flip(self.store, meta + offset)

    def test_a_page_of_zeros(self):
        for page in (0, 1, self.page_of(1), self.page_of(2), self.page_of(4)):
            def zero(content, page=page):
                content[page * PAGE:(page + 1) * PAGE] = bytes(PAGE)
            with open(self.store, "rb") as file:
                before = file.read()
            self.edit(self.store, zero)
            self.expect_problem("store/data.mdb", page * PAGE)
            self.edit(self.store, lambda _, before=before: before)

    def test_a_store_that_was_cut_short(self):
        with open(self.store, "rb") as file:
            whole = file.read()
        for size in (1, 100, PAGE, 2 * PAGE, 3 * PAGE + 5, len(whole) // 2, len(whole) // 2 + 77):
            self.edit(self.store, lambda _, size=size: whole[:size])
            report = self.check(1)
            self.assertIn("cut short", json.dumps(report["problems"]), size)

    def test_a_store_that_is_gone_where_the_log_does_not_reach_back(self):
        os.remove(self.segments[0])
        self.check(0)  # the store has what stood there
        shutil.rmtree(os.path.dirname(self.store))
        self.check(1)
        self.assertIn("log files are missing", self.words)

    def test_a_store_of_another_format(self):
        def change(content):
            at = content.find(b"format2")
            while at >= 0:
                content[at + 6] = ord("9")
                at = content.find(b"format2", at)
        self.edit(self.store, change)
        self.expect_problem("store/data.mdb", word="format")


if __name__ == "__main__":
    unittest.main()
