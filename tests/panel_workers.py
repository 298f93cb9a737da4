"""Workers behind a panel, for tests: a desk that people ask, and peers that look things up."""

import trio

from trioworkers import BaseWorker, JobError, job
from trioworkers.ui import BaseUIWorker, ui_event

#: Whom the desk asks.
PEERS = "ann", "bob", "cid"
#: Parts of a stream that a peer sends at once.
FLOOD = 500


class Gate:
    """Holds those peers that are to wait; `Desk` opens it."""

    def __init__(self):
        self._open = trio.Event()

    async def wait(self):
        """Wait until it is opened the next time."""
        await self._open.wait()

    def open(self):
        """Let all go on that wait now."""
        self._open.set()
        self._open = trio.Event()


class Peer(BaseWorker):
    """Looks something up, in the way that the payload says for its name.

    Attributes:
      running: How many of its jobs run.
      cancelled: How many were cancelled.
    """

    def __init__(self, name, gate):
        super().__init__(name)
        self._gate = gate
        self.running = self.cancelled = 0

    @job(name="look")
    async def look(self, message):
        how = message.payload["how"].get(self.name, "answer")
        self.running += 1
        try:
            await self.send_job_update(message.job_id, {"stage": "searching", "found": 0})
            await self.send_job_stream_start(message.job_id, {"topic": message.payload["topic"]})
            await self.send_job_stream_data(message.job_id, {"excerpt": f"of {self.name}"})
            await self.send_job_update(message.job_id, {"stage": "summarizing", "found": 1})
            if how == "hold":
                await self._gate.wait()
            if how == "flood":
                for number in range(FLOOD):
                    await self.send_job_stream_data(message.job_id, {"number": number})
            if how == "nap":
                await trio.sleep(0.5)
            if how == "refuse":
                raise JobError("nothing is known of it")
            if how == "crash":
                raise ZeroDivisionError("a secret")
        except trio.Cancelled:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        if how == "stream":
            await self.send_job_stream_end(message.job_id, {"found": 1, "by": self.name})
            return None
        return {"found": 1, "by": self.name}


class Desk(BaseUIWorker):
    """Starts a group for each text that it gets, as its options say; answers some events.

    Of a text that begins with "hold" all peers wait for the gate.
    """

    def __init__(self, peers, gate, name="desk"):
        super().__init__(name)
        self._peers = peers
        self._gate = gate

    async def on_user_text(self, message):
        options = message.payload["options"]
        topic = message.payload["content"]
        held = dict.fromkeys(PEERS, "hold") if topic.startswith("hold") else {}
        await self.start_user_job_group(
            *PEERS,
            name="look",
            payload={"topic": topic, "how": options.get("how", held)},
            label=topic,
            cancellable=options.get("cancellable", True),
            timeout=options.get("timeout"),
            cancel_on_error=False,
            session=None if options.get("for_all") else message.session,
        )
        await self.send_text(f"I look for {topic}.")

    @ui_event("release")
    async def release(self, message):
        self._gate.open()

    @ui_event("release_later")
    async def release_later(self, message):
        self.nursery.start_soon(self._open_after, message.payload)

    async def _open_after(self, seconds):
        await trio.sleep(seconds)
        self._gate.open()

    @ui_event("report")
    async def report(self, message):
        return {
            "running": sum(peer.running for peer in self._peers),
            "cancelled": sum(peer.cancelled for peer in self._peers),
        }

    @ui_event("echo")
    async def echo(self, message):
        return message.payload

    @ui_event("refuse")
    async def refuse(self, message):
        raise JobError("not today")

    @ui_event("crash")
    async def crash(self, message):
        raise ZeroDivisionError("a secret")

    @ui_event("show")
    async def show(self, message):
        await self.send_command("toast", message.payload)

    @ui_event("last_snapshot")
    async def last_snapshot(self, message):
        return self.snapshot(message.session)


def make_workers():
    """Return a desk and its peers, as one has to add them to a runner."""
    gate = Gate()
    peers = [Peer(name, gate) for name in PEERS]
    return Desk(peers, gate), *peers
