"""`completion`: what a shell needs to complete the command line, made of the command line itself."""

from argparse import Action, ArgumentParser, _SubParsersAction
from collections.abc import Callable, Iterator
from typing import NamedTuple

WHAT = "print what makes a shell complete wordsight's commands and options"


class Option(NamedTuple):
    """`names` such as `--labels`; `takes` a value, of which `choices` may be known."""

    names: list[str]
    help: str
    takes: bool
    choices: list[str]


class Command(NamedTuple):
    """A command with its options; `choices` are those of its arguments."""

    name: str
    help: str
    options: list[Option]
    choices: list[str]


def add(parser: ArgumentParser) -> None:
    parser.add_argument("shell", choices=tuple(_SCRIPTS))


def script(parser: ArgumentParser, shell: str) -> str:
    """The script, for that shell's start-up file to read."""
    return _SCRIPTS[shell](list(_commands(parser)))


def _commands(parser: ArgumentParser) -> Iterator[Command]:
    (commands,) = (action for action in parser._actions if isinstance(action, _SubParsersAction))
    helps = {each.dest: each.help or "" for each in commands._choices_actions}
    for name, made in commands.choices.items():
        options = [_option(each) for each in made._actions if each.option_strings]
        places = [str(choice) for each in made._actions if not each.option_strings for choice in each.choices or ()]
        yield Command(name, helps[name], options, places)


def _option(action: Action) -> Option:
    choices = [str(choice) for choice in action.choices or ()]
    return Option(list(action.option_strings), action.help or "", action.nargs != 0, choices)


def _bash(commands: list[Command]) -> str:
    """Files are completed where nothing else is known, as bash does it by itself."""
    cases, values = [], []
    for each in commands:
        words = [*(name for option in each.options for name in option.names), *each.choices]
        words += [other.name.split()[1] for other in commands if other.name.startswith(f"{each.name} ")]
        cases.append(f'    "{each.name}") words="{" ".join(words)}" ;;')
        for option in each.options:
            if option.choices:
                pattern = "|".join(f'"{each.name} {name}"' for name in option.names)
                values.append(f'    {pattern}) words="{" ".join(option.choices)}" ;;')
    first = " ".join(["--help", "--version", *(each.name for each in commands if " " not in each.name)])
    lines = [
        "_wordsight() {",
        '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" words=',
        '  local command="${COMP_WORDS[1]}"',
        '  [ "$COMP_CWORD" -gt 2 ] && [ "$command ${COMP_WORDS[2]}" = "models add" ] && command="models add"',
        f'  if [ "$COMP_CWORD" = 1 ]; then words="{first}"; else',
        '  case "$command" in',
        *cases,
        "  esac",
        '  case "$command $previous" in',
        *values,
        "  esac",
        "  fi",
        '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
        "}",
        "complete -o default -F _wordsight wordsight",
    ]
    return "\n".join(lines)


def _zsh(commands: list[Command]) -> str:
    lines = ["#compdef wordsight", "_wordsight() {", "  local -a commands=("]
    lines += [f"    {_quoted(_colons(each.name) + ':' + each.help)}" for each in commands if " " not in each.name]
    lines += [
        "  )",
        "  if (( CURRENT == 2 )); then _describe command commands; return; fi",
        "  local command=$words[2]",
    ]
    lines += ["  [[ $CURRENT -gt 3 && $command == models && $words[3] == add ]] && command='models add'"]
    lines += ["  shift words; (( CURRENT-- ))", "  case $command in"]
    for each in commands:
        lines.append(f"    {_quoted(each.name)}) _arguments \\")
        for option in each.options:
            value = (
                f":value:({' '.join(option.choices)})" if option.choices else ":value:_files" if option.takes else ""
            )
            lines += [f"      {_quoted(f'*{name}[{_brackets(option.help)}]{value}')} \\" for name in option.names]
        lines.append(f"      '*:argument:{'(' + ' '.join(each.choices) + ')' if each.choices else '_files'}' ;;")
    return "\n".join([*lines, "  esac", "}", "compdef _wordsight wordsight"])


def _fish(commands: list[Command]) -> str:
    lines = ["complete -c wordsight -n __fish_use_subcommand -l version", "complete -c wordsight -s h -l help"]
    for each in commands:
        first, _, second = each.name.partition(" ")
        under = f"-n '__fish_seen_subcommand_from {first}'"
        if second:
            lines.append(f"complete -c wordsight {under} -a {second} -d {_quoted(each.help)}")
        else:
            lines.append(f"complete -c wordsight -n __fish_use_subcommand -f -a {first} -d {_quoted(each.help)}")
        for option in each.options:
            names = " ".join(f"-l {name[2:]}" for name in option.names if name.startswith("--") and name != "--help")
            if names:
                takes = (
                    f" -x -a {_quoted(' '.join(option.choices))}" if option.choices else " -r" if option.takes else ""
                )
                lines.append(f"complete -c wordsight {under} {names}{takes} -d {_quoted(option.help)}")
        if each.choices:
            lines.append(f"complete -c wordsight {under} -f -a {_quoted(' '.join(each.choices))}")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """One word of zsh and of fish; both know no escapes between these quotation marks."""
    return "'" + text.replace("'", "’") + "'"


def _colons(text: str) -> str:
    return text.replace(":", "\\:")


def _brackets(text: str) -> str:
    return text.replace("[", "(").replace("]", ")").replace(":", "\\:")


_SCRIPTS: dict[str, Callable[[list[Command]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
