"""The template: a process that has loaded the user's code and holds nothing else, and forks one process for each step.

It is forked early from a process that has the code, or started as an interpreter that loads it. It lives as long as
anybody has a hold of it, and ends the steps of whoever has died. What its forks do is child.py.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass

from orchord.execution.processes.child import SOFT_STOP, become_step_process, serve_step, to_the_end
from orchord.execution.processes.children import EXIT_CODE, Child, StartFailedError, kill_group, started
from orchord.execution.processes.ends import UNKNOWN_EXIT
from orchord.execution.processes.frames import REQUEST, FrameWriter, pickled, read_request
from orchord.execution.processes.request import StepSource

_START, _STOP, _KILL, _END = b"s", b"t", b"k", b"e"


class TemplateChild:
    """A step's process that a template has forked, as the process holds it that asked for it."""

    def __init__(self, data: socket.socket, news: socket.socket) -> None:
        self.data = data
        self.news = news
        self._exit_code: int | None = None

    def exit_code(self) -> int | None:
        """Return how it ended; None while it has not."""
        if self._exit_code is None:
            try:
                said = self.news.recv(EXIT_CODE.size, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return None
            except ConnectionResetError:
                said = b""
            # Without a word the template is gone, and its forks with it.
            self._exit_code = EXIT_CODE.unpack(said)[0] if len(said) == EXIT_CODE.size else UNKNOWN_EXIT
        return self._exit_code

    def stop_softly(self) -> None:
        """Have an exception raised in the user's code."""
        self._say(_STOP)

    def kill(self) -> None:
        """End it, and the processes that its code has started."""
        self._say(_KILL)

    def _say(self, word: bytes) -> None:
        with contextlib.suppress(OSError):
            self.news.send(word)

    def close(self) -> None:
        """Give back the connections: the template ends what still runs."""
        self.data.close()
        self.news.close()


class StepTemplate:
    """A template, from the side of those who have steps run. Forks of its owner may use it too.

    Args:
        source: where the code is.
        loads_anew: start an interpreter that loads the code, instead of forking this process. A process with threads
            or open connections must: neither may be forked.
    """

    def __init__(self, source: StepSource, *, loads_anew: bool = False) -> None:
        self._asking, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        # Closed when the last process is gone that may ask.
        self._life, their_life = socket.socketpair()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        self._process_id: int | None = None
        try:
            if loads_anew:
                self._start_interpreter(source, theirs, their_life)
            else:
                self._fork(source, theirs, their_life)
        except BaseException:
            self._asking.close()
            self._life.close()
            raise
        finally:
            theirs.close()
            their_life.close()

    def _fork(self, source: StepSource, theirs: socket.socket, their_life: socket.socket) -> None:
        source.load()
        gc.freeze()  # What is there stays shared: no collection writes into it.
        process_id = os.fork()
        if process_id == 0:
            self._asking.close()
            self._life.close()
            to_the_end(lambda: _Template(source, theirs, their_life).run())
        self._process_id = process_id

    def _start_interpreter(self, source: StepSource, theirs: socket.socket, their_life: socket.socket) -> None:
        numbers = [str(theirs.fileno()), str(their_life.fileno())]
        command = [sys.executable, "-m", "orchord.execution.processes.main", "template", *numbers]
        payload = pickled(source)
        try:
            self._process = started(command, theirs, their_life)
        except OSError as error:
            raise StartFailedError(f"the process that steps are forked from cannot be started: {error}") from error
        FrameWriter(self._life).write(REQUEST, payload)

    @property
    def is_gone(self) -> bool:
        """Whether the template has died, or was let go of."""
        try:
            return not self._life.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def sent_source(self) -> StepSource | None:
        """Return None: the template has it."""
        return None

    def start(self) -> Child:
        """Have a process forked.

        Raises:
            StartFailedError: the template is gone, or the machine lets it fork no more.
        """
        data, their_data = socket.socketpair()
        news, their_news = socket.socketpair()
        try:
            socket.send_fds(self._asking, [_START], [their_data.fileno(), their_news.fileno()])
        except OSError as error:
            data.close()
            news.close()
            raise StartFailedError(f"the process that steps are forked from is gone: {error}") from error
        finally:
            their_data.close()
            their_news.close()
        return TemplateChild(data, news)

    def close(self) -> None:
        """Let go of the template, and wait for its end if it is ours."""
        is_owner = self._owner == os.getpid()
        with contextlib.suppress(OSError):
            if is_owner:
                # Said, and not only seen: a process that a step has left behind may hold the other end too.
                self._life.send(_END)
        self._asking.close()
        self._life.close()
        if not is_owner:
            return
        if self._process is not None:
            self._process.wait()
        elif self._process_id is not None:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._process_id, 0)
        self._process, self._process_id = None, None


def template_main(asked: socket.socket, life: socket.socket) -> int:
    """Be a template in an interpreter of its own: load the code, then fork."""
    try:
        source: StepSource = read_request(life)
    except (EOFError, OSError):
        return 0
    with contextlib.suppress(Exception):  # boundary: the user's code; each step loads it again, and says why it cannot
        source.load()
    gc.freeze()
    return _Template(source, asked, life).run()


@dataclass
class _Fork:
    """A step's process, and the connection to who asked for it."""

    process_id: int
    news: socket.socket


class _Template:
    """The loop of the template process: one thread, no connection, no time-out."""

    def __init__(self, source: StepSource, asked: socket.socket, life: socket.socket) -> None:
        self._source = source
        self._asked = asked
        self._life = life
        self._forks: dict[int, _Fork] = {}
        self._selector = selectors.DefaultSelector()
        self._is_over = False

    def run(self) -> int:
        """Fork what is asked for until nobody is left who could ask."""
        # Who stops a worker may signal all its processes, and Ctrl-C does: the steps are not to stop for that.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, SOFT_STOP):
            signal.signal(number, signal.SIG_IGN)
        # Held back rather than dropped in a fork that has no ear for it yet: serve_step lets it through.
        signal.pthread_sigmask(signal.SIG_BLOCK, {SOFT_STOP})
        self._ended, wakes = socket.socketpair()
        for one in (self._ended, wakes):
            one.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        self._wakes = wakes
        for one in (self._asked, self._life, self._ended):
            self._selector.register(one, selectors.EVENT_READ)
        while not self._is_over:
            for key, _ in self._selector.select():
                self._attend(key)
            self._reap()
        for fork in list(self._forks.values()):
            kill_group(fork.process_id)
        return 0

    def _attend(self, key: selectors.SelectorKey) -> None:
        if key.fileobj is self._asked:
            self._fork_one()
        elif key.fileobj is self._life:
            said = _received(self._life, 4096)
            self._is_over = not said or _END in said
        elif key.fileobj is self._ended:
            _received(self._ended, 4096)
        elif key.data in self._forks:
            self._obey(self._forks[key.data])

    def _obey(self, fork: _Fork) -> None:
        words = _received(fork.news, 16)
        if _STOP in words:
            with contextlib.suppress(ProcessLookupError):
                os.kill(fork.process_id, SOFT_STOP)
        # Without a word, who asked is gone: nobody waits for the step any more.
        if not words or _KILL in words:
            kill_group(fork.process_id)
            self._selector.unregister(fork.news)

    def _fork_one(self) -> None:
        try:
            _, numbers, _, _ = socket.recv_fds(self._asked, 16, 2)
        except OSError:
            return
        if len(numbers) != 2:
            # No descriptors are left for both: who asked sees the end of the connections.
            for number in numbers:
                os.close(number)
            return
        data, news = (socket.socket(fileno=number) for number in numbers)
        try:
            process_id = os.fork()
        except OSError:
            # Said as the end of a process that could not begin; who asked sees that it never started.
            data.close()
            news.close()
            return
        if process_id == 0:
            to_the_end(lambda: self._be_step(data, news))
        data.close()
        self._forks[process_id] = _Fork(process_id, news)
        self._selector.register(news, selectors.EVENT_READ, process_id)

    def _be_step(self, data: socket.socket, news: socket.socket) -> int:
        signal.set_wakeup_fd(-1)
        self._selector.close()
        for one in (self._asked, self._life, self._ended, self._wakes, news, *(f.news for f in self._forks.values())):
            one.close()
        become_step_process()
        return serve_step(data, self._source)

    def _reap(self) -> None:
        for process_id, fork in list(self._forks.items()):
            try:
                ended, status = os.waitpid(process_id, os.WNOHANG)
                if not ended:
                    continue
                code = os.waitstatus_to_exitcode(status)
            except ChildProcessError:
                code = UNKNOWN_EXIT
            del self._forks[process_id]
            if fork.news.fileno() in self._selector.get_map():
                self._selector.unregister(fork.news)
            with contextlib.suppress(OSError):
                fork.news.send(EXIT_CODE.pack(code))
            fork.news.close()


def _received(connection: socket.socket, most: int) -> bytes:
    try:
        return connection.recv(most, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b"\0"
    except OSError:
        return b""
