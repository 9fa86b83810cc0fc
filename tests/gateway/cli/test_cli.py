"""What the programs do with arguments and streams that are wrong. Nothing listens where they are sent, or
only something that notices whether anybody came.

DKV_PROGRAMS names the folder of the built programs.
"""

import json
import os
import socket
import subprocess
import tempfile
import time
import unittest

PROGRAMS = os.environ["DKV_PROGRAMS"]
NOBODY = "127.0.0.1:1"


def run(program, *arguments, shell="", environment=None):
    """Runs it with `shell` behind its command line, such as "<&-"."""
    return subprocess.run(["sh", "-c", f'exec "$@" {shell}', "sh", os.path.join(PROGRAMS, program), *arguments],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                          env={**os.environ, **(environment or {})}, check=False)


def distrikv(*arguments, **options):
    return run("distrikv", *arguments, **options)


class CommandLineTest(unittest.TestCase):
    def expect(self, finished, code, *words):
        text = finished.stderr.decode()
        self.assertEqual(finished.returncode, code, text)
        for word in words:
            self.assertIn(word, text)

    def test_set_sends_nothing_when_stdin_cannot_be_read(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            node = "127.0.0.1:%d" % listener.getsockname()[1]
            for shell in ("<&-", "</tmp"):
                finished = distrikv("set", "key", "-", "--node", node, "--timeout", "1", shell=shell)
                self.expect(finished, 2, "stdin", "nothing was stored")
                with self.assertRaises(BlockingIOError, msg=shell):
                    listener.accept()

    def test_an_error_of_stdin_is_json_too_where_that_is_wanted(self):
        finished = distrikv("set", "key", "-", "--json", "--node", NOBODY, shell="</tmp")
        self.expect(finished, 2, "stdin")
        self.assertEqual(json.loads(finished.stdout)["error"]["code"], "bad_request")

    def test_an_endpoint_must_be_host_and_port(self):
        for node in ("nonsense", "", ":7001", "127.0.0.2", "127.0.0.2:", "127.0.0.2:0", "127.0.0.2:65536",
                     "127.0.0.2:x", "tcp://127.0.0.2:7001", "::1:7001", "127.0.0.256:7001", "a b:1"):
            for command in (["get", "key"], ["set", "key", "v"], ["del", "key"], ["status"], ["topology", "show"]):
                finished = distrikv(*command, "--timeout", "1", "--node", node)
                self.expect(finished, 2, "--node", f'"{node}"', "127.0.0.2:7001")

    def test_the_endpoints_of_the_environment_are_checked_too(self):
        finished = distrikv("get", "key", environment={"DISTRIKV_NODES": "127.0.0.2:7001,nonsense"})
        self.expect(finished, 2, "DISTRIKV_NODES", '"nonsense"', "127.0.0.2:7001")

    def test_takes_every_spelling_of_an_endpoint(self):
        for node in (NOBODY, "localhost:1", "LocalHost:01", "[::1]:1", "[0::1]:1"):
            self.expect(distrikv("get", "key", "--timeout", "0.1", "--node", node), 3, "unavailable")

    def test_a_timeout_must_be_a_positive_number(self):
        for seconds in ("nan", "-nan", "inf", "-inf", "0", "-1", "1e300", "86401", "x", ""):
            finished = distrikv("get", "key", "--node", NOBODY, f"--timeout={seconds}")
            self.expect(finished, 2, "--timeout")

    def test_names_the_word_that_is_no_command(self):
        self.expect(distrikv("bogus"), 2, '"bogus"', "get", "set", "del", "status", "topology")
        self.expect(distrikv("bogus", "--json"), 2, '"bogus"')
        self.expect(distrikv("--bogus"), 2, '"--bogus"')
        self.expect(distrikv("topology", "bogus"), 2, '"bogus"', "show", "new")
        self.expect(distrikv("get", "key", "bogus"), 2, "bogus")
        self.expect(distrikv(), 2, "get", "status")
        self.expect(distrikv("topology"), 2, "show", "new")


class NodeTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = os.path.join(folder.name, "data")
        self.file = os.path.join(folder.name, "one.toml")
        host = "127.%d.%d.77" % (1 + (os.getpid() >> 8) % 254, os.getpid() & 255)
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(f'[cluster]\nname = "c"\n[[node]]\nname = "a"\nhost = "{host}"\n'
                       '[[shard]]\nname = "s"\nprimary = "a"\n')

    def test_an_empty_data_folder_is_wrong_usage(self):
        for option in (["--data", ""], ["--data="]):
            finished = run("distrikvd", "--topology", self.file, "--node", "a", *option)
            self.assertEqual(finished.returncode, 2, finished.stderr)
            self.assertIn(b"--data", finished.stderr)

    def test_what_it_logs_to_a_closed_stderr_goes_nowhere(self):
        node = subprocess.Popen(
            ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", os.path.join(PROGRAMS, "distrikvd"), "--topology",
             self.file, "--node", "a", "--data", self.data])
        try:
            lock = os.path.join(self.data, "lock")
            ends = time.monotonic() + 60
            while not (os.path.exists(lock) and os.path.getsize(lock) > 0) and time.monotonic() < ends:
                time.sleep(0.01)
            opened = [os.readlink(f"/proc/{node.pid}/fd/{stream}") for stream in (0, 1, 2)]
            self.assertEqual(opened, ["/dev/null"] * 3)
        finally:
            node.kill()
            node.wait()


if __name__ == "__main__":
    unittest.main()
