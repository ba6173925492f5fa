import shutil
import subprocess

import pytest

from wordsight.__main__ import COMMANDS, parser
from wordsight.completion import script


def completed(line: str) -> set[str]:
    """What bash offers behind a line."""
    words = line.split(" ")
    array = " ".join(f"'{word}'" for word in words)
    asks = f"COMP_WORDS=({array}); COMP_CWORD={len(words) - 1}; _wordsight; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(
        ["bash", "-c", f"{script(parser(), 'bash')}\n{asks}"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_commands_options_and_values() -> None:
    assert completed("wordsight ") >= {name for name in COMMANDS if " " not in name} | {"completion", "--version"}
    assert completed("wordsight cl") == {"classify"}
    assert completed("wordsight classify a.jpg --js") == {"--json", "--jsonl"}
    assert completed("wordsight train --promote ") == {"manual", "auto"}
    assert completed("wordsight models a") == {"add"}
    assert "--parent" in completed("wordsight models add --") and "--parent" not in completed("wordsight models --")
    assert completed("wordsight completion z") == {"zsh"}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_know_every_command_and_option(shell: str) -> None:
    text = script(parser(), shell)
    for word in ("classify", "jsonl", "top-k", "auto", "add", "completion"):
        assert word in text
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=text, text=True, check=True)
    assert text.count("'") % 2 == 0, "a help text ends no quotation"
