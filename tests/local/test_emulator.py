from local import emulator


def test_the_pinned_release_has_everything_the_extensions_need() -> None:
    emulator.check()
