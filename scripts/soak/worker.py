"""A process on one of the hosts that does what the harness orders."""
import asyncio
import multiprocessing
import time

from lab import enter


class Worker:
    """Runs `make()` on a host. What is made has go, halt, is_quiet, ledger and the coroutine live."""

    def __init__(self, host, make):
        # A copy of this process, before it has threads.
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(host, make, theirs), daemon=True)
        self.process.start()

    def ask(self, order, **arguments):
        self.pipe.send((order, arguments))
        if not self.pipe.poll(60):
            raise SystemExit(f"a worker does not answer to {order}")
        return self.pipe.recv()

    def settle(self, patience=90):
        """Halts it and waits until nothing is under way."""
        self.ask("halt")
        end = time.monotonic() + patience
        while not self.ask("is_quiet"):
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True


def serve(host, make, pipe):
    enter(host)
    asyncio.run(work(make, pipe))


async def work(make, pipe):
    made = make()

    def order():
        name, arguments = pipe.recv()
        pipe.send(getattr(made, name)(**arguments))

    asyncio.get_running_loop().add_reader(pipe.fileno(), order)
    await made.live()
