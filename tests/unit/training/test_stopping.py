import signal

from w2dual.training.stopping import EarlyWarning, StopSignals


def test_a_warning_before_the_first_step_waits_for_it():
    outside = signal.getsignal(signal.SIGUSR1)
    with EarlyWarning():
        signal.raise_signal(signal.SIGUSR1)
        with StopSignals() as stop:
            assert stop.received == signal.SIGUSR1
    assert signal.getsignal(signal.SIGUSR1) == outside


def test_without_a_warning_nothing_waits():
    with EarlyWarning(), StopSignals() as stop:
        assert stop.received is None
        signal.raise_signal(signal.SIGUSR1)
        assert stop.received == signal.SIGUSR1


def test_after_the_last_step_a_warning_ends_nothing():
    with EarlyWarning() as early:
        with StopSignals() as stop:
            pass
        signal.raise_signal(signal.SIGUSR1)
    assert (early.received, stop.received) == (signal.SIGUSR1, None)


def test_signals_left_alone_are_not_taken_up():
    with EarlyWarning():
        signal.raise_signal(signal.SIGUSR1)
        with StopSignals(active=False) as stop:
            assert stop.received is None
