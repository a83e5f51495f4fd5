"""A kill while a batch is waited for."""


class Killed(BaseException):
    """Stands for a kill: nothing in the package catches it."""


def kill_at(number):
    """A `sleep` that dies at the given poll."""
    polls = iter(range(1, 1000))

    def sleep(seconds):
        if next(polls) == number:
            raise Killed

    return sleep
