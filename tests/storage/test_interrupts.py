"""Ctrl-C and SIGTERM wait for the end of a block, and their handlers come back."""

import signal
import sys
import threading

import pytest

from tests.support.strikes import Place, Strike
from workbench.storage import interrupts
from workbench.storage.interrupts import deferred_interrupts

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def assert_both_act():
    for number in SIGNALS:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


@pytest.fixture(autouse=True)
def handlers():
    """Both signals raise KeyboardInterrupt, before and after each test."""
    before = [signal.signal(number, signal.default_int_handler) for number in SIGNALS]
    yield
    assert_both_act()
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_acts_at_the_end_of_the_block(number):
    done = []

    def work():
        with deferred_interrupts():
            signal.raise_signal(number)
            with deferred_interrupts():
                done.append("inner")
            done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["inner", "outer"]
    assert [signal.getsignal(n) for n in SIGNALS] == [signal.default_int_handler] * 2


def test_an_error_of_the_block_is_raised():
    with pytest.raises(ZeroDivisionError), deferred_interrupts():
        raise ZeroDivisionError


def test_a_signal_that_ends_the_process_is_left_alone():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with deferred_interrupts():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def test_in_another_thread_it_does_nothing():
    seen = []

    def work():
        with deferred_interrupts():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


@pytest.mark.by_itself
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_at_any_line_brings_the_handlers_back(number):
    """The block is run completely or not at all, and after it both signals act at once."""
    struck: set[Place] = set()
    while True:
        begun, ended = False, False
        strike = Strike({interrupts.__file__}, struck, lambda: signal.raise_signal(number))
        sys.settrace(strike)
        try:
            with deferred_interrupts():
                begun = True
                ended = True
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        assert begun == ended
        assert_both_act()
        if strike.place is None:
            break
        struck.add(strike.place)
    assert len(struck) > 10
