"""Completion for bash: sourced, and asked as bash would ask."""
import os
import pathlib
import subprocess
import unittest

PROGRAM = os.path.join(os.environ["DKV_PROGRAMS"], "distrikv")
SCRIPT = pathlib.Path(__file__).resolve().parents[3] / "gateway/cli/distrikv.bash"


def complete(*words):
    """What bash would offer for the last word."""
    code = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _distrikv; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", code, "bash", SCRIPT, PROGRAM, *words], capture_output=True, text=True,
                          timeout=30, check=True)
    assert not done.stderr, done.stderr
    return done.stdout.split()


class CompletionTest(unittest.TestCase):
    def test_offers_the_commands(self):
        offered = complete("")
        for command in ("get", "set", "del", "scan", "export", "import", "status", "topology", "check"):
            self.assertIn(command, offered)
        self.assertEqual(complete("exp"), ["export"])

    def test_offers_a_commands_own_options(self):
        self.assertEqual(complete("set", "city", "Delhi", "--if-m"), ["--if-missing"])
        self.assertIn("--help", complete("get", "--"))
        self.assertNotIn("--if-missing", complete("get", "--"))

    def test_offers_the_commands_of_a_command(self):
        self.assertEqual(sorted(complete("topology", "")), ["new", "show"])
        self.assertIn("--shards", complete("topology", "new", "--"))

    def test_offers_the_words_that_an_option_takes(self):
        self.assertEqual(complete("set", "city", "Delhi", "--ack", ""), ["committed", "local"])
        self.assertEqual(complete("import", "--format", "m"), ["msgpack"])

    def test_leaves_files_to_bash(self):
        self.assertEqual(complete("status", "--topology", ""), [])

    def test_says_nothing_about_keys(self):
        self.assertEqual(complete("get", "ci"), [])


if __name__ == "__main__":
    unittest.main()
