"""`RTVIServer`: clients on WebSockets in front of a UI worker."""

import itertools
import logging
import secrets
import ssl
from collections.abc import Callable, Iterable, Mapping

import attrs
import trio
from trio.lowlevel import enable_ki_protection
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from ...bus import BackgroundNursery, BusMessage, Hook
from ...errors import CodecError, TrioWorkersError
from ...jobs import check_name
from ...workers import BaseWorker, WorkerParams
from .._messages import CANCEL_EVENT, BusUIEventMessage, BusUIMessage, BusUIResponseMessage
from ._attachment import Attachment
from ._client import GRACE, Client
from ._connection import Connection
from ._conversation import Ask, Cancel, Conversation
from ._doorman import Doorman, refuse
from ._errors import Denied
from ._gate import Gate, Refused, in_url
from ._http import Page
from ._hub import Hub
from ._listening import WILDCARDS, listen
from ._pacing import Pacer
from ._reception import Reception
from ._requests import Requests
from ._services import Service, ServiceRequest, answer, check_services
from ._sessions import Session, Sessions
from ._settings import Settings, check_pages, texts
from ._statistics import Counters, RTVIServerStatistics

logger = logging.getLogger("trioworkers.ui.rtvi")

#: Seconds that clients have, when the server stops, to read what waits, and to close.
CLOSE_SECONDS = 3.0
#: Connections that are no clients yet: in the handshake, or for a page.
MAX_HANDSHAKES = 128

_numbers = itertools.count(1)
#: Names are unique on the bus, also beside those of other processes.
_here = secrets.token_hex(4)


class RTVIServer(BaseWorker):
    """Serves pages, and RTVI over WebSockets, to the clients of a UI worker.

    Clients see the job groups of the UI worker that are of their session, or of none, and can
    cancel them. Late and returning clients are told first what is in flight. Each client is
    sent what it can read: of updates the newest, and every terminal envelope; one that doesn't
    read is dropped.

    Args:
      name: As of any worker; one that is made up is unique beside those of other processes, too.
      ui_worker: The name of the `BaseUIWorker`. It may come later, go, and come back.
      host: Where to listen. Anything but this machine itself needs a ``token``.
      port: 0 for any that is free.
      token: What clients have to know; None if all who can connect may. Pages are for all.
      ssl_context: For HTTPS; plain HTTP if None.
      allowed_hosts: Further names by which clients may call the server.
      allowed_origins: Origins of pages from elsewhere that may connect, such as
        ``"https://example.org"``.
      shared: Whether every client sees and cancels the groups of all sessions.
      max_clients: How many may be connected, >= 1; others are told to try again later.
      max_message_bytes: Of a client's message, >= 1024; a longer one closes the connection.
      messages_per_second: Messages of one client, > 0, of which four times as many may come at
        once. Who sends more is read more slowly.
      stall_timeout: Seconds that sending a message may take, > 0, before the client is dropped.
      pages: What is served, by path. Nothing else is.
      services: What the server answers by itself, by the ``t`` of a ``client-message``. What
        has another ``t`` is an event of the UI worker.
      on_client_left: Called, and not awaited, with the session and the id of a client that has
        gone; the ids are those of `ServiceRequest`.

    Raises:
      TypeError, ValueError: An argument is wrong.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        ui_worker: str,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        allowed_hosts: Iterable[str] = (),
        allowed_origins: Iterable[str] = (),
        shared: bool = False,
        max_clients: int = 1000,
        max_message_bytes: int = 262_144,
        messages_per_second: float = 50.0,
        stall_timeout: float = 10.0,
        pages: Mapping[str, Page] | None = None,
        services: Mapping[str, Service] | None = None,
        on_client_left: Callable[[Session, str], object] | None = None,
    ) -> None:
        if name is None:
            name = f"{type(self).__name__}#{next(_numbers)}@{_here}"
        super().__init__(name)
        self._settings = Settings(
            host,
            port,
            token,
            ssl_context,
            texts(allowed_hosts, "allowed_hosts"),
            texts(allowed_origins, "allowed_origins"),
            bool(shared),
            max_clients,
            max_message_bytes,
            messages_per_second,
            stall_timeout,
        )
        check_name(ui_worker, "ui_worker")
        self._ui_worker = ui_worker
        self._pages = check_pages(pages or {})
        self._services = check_services(services or {})
        self.counters = Counters()
        self._sessions = Sessions()
        self._hub = Hub(self._sessions, bool(shared))
        self._requests = Requests()
        self._attachment = Attachment(self, ui_worker, self._lost_ui_worker)
        self._on_client_left = on_client_left
        self._clients: dict[str, Client] = {}
        self._client_numbers = itertools.count(1)
        self._client_left = trio.lowlevel.ParkingLot()
        self._listeners: list[trio.SocketListener] = []
        self._port: int | None = None
        self._doorman: Doorman | None = None
        self._nursery: trio.Nursery | None = None
        self._reception = Reception(
            max_clients + MAX_HANDSHAKES,
            ssl_context,
            max_message_bytes,
            GRACE,
            self._receive_request,
            self._serve_client,
        )
        self._serving = trio.CancelScope(shield=True)
        self._has_served: trio.Event | None = None
        self._stopping = False

    # Where it is

    @property
    def port(self) -> int:
        """The port that it listens at.

        Raises:
          RuntimeError: It doesn't listen yet.
        """
        if self._port is None:
            raise RuntimeError("the server does not listen yet: `await server.bind()` first")
        return self._port

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it.

        Raises:
          RuntimeError: It doesn't listen yet.
        """
        host = WILDCARDS.get(self._settings.host, self._settings.host)
        scheme = "https" if self._settings.ssl_context is not None else "http"
        return f"{scheme}://{in_url(host)}:{self.port}/"

    @property
    def ui_worker(self) -> str:
        """The name of its UI worker."""
        return self._ui_worker

    async def bind(self) -> None:
        """Open its sockets: from now on clients can connect, and wait until it runs.

        Does nothing if they are open. Always a checkpoint.

        Raises:
          OSError: It can't listen there; says why, and what to do.
        """
        await trio.lowlevel.checkpoint()
        if self._port is not None:
            return
        settings = self._settings
        self._listeners = await listen(settings.host, settings.port)
        self._port = self._listeners[0].socket.getsockname()[1]
        self._gate = Gate(
            settings.host,
            self._port,
            settings.token,
            settings.ssl_context is not None,
            settings.allowed_hosts,
            settings.allowed_origins,
        )
        self._doorman = Doorman(self._gate, self._sessions, self._pages, self._is_full)

    def _is_full(self) -> bool:
        return len(self._clients) >= self._settings.max_clients

    def unbind(self) -> None:
        """Close its sockets, if it was bound and never ran."""
        for listener in self._listeners:
            listener.socket.close()
        self._listeners = []

    def statistics(self) -> RTVIServerStatistics:
        """Return a snapshot."""
        counters = attrs.asdict(self.counters)
        counters["updates_merged"] += sum(
            client.letters.merged for client in self._clients.values()
        )
        return RTVIServerStatistics(
            **attrs.asdict(super().statistics(), recurse=False),
            **counters,
            clients=len(self._clients),
            sessions=len(self._sessions),
            groups=len(self._hub.board.cards),
            requests=len(self._requests),
            attached=self._attachment.is_open,
        )

    # Life

    @enable_ki_protection
    async def run(self, params: WorkerParams) -> None:
        """Listen and serve until `stop`, `end` or cancellation; see `BaseWorker.run`.

        Raises:
          OSError: It can't listen.
        """
        try:
            await self.bind()
            async with BackgroundNursery() as nursery:
                self._nursery = nursery
                try:
                    await super().run(params)
                finally:
                    self._serving.cancel()
        finally:
            self.unbind()

    @enable_ki_protection
    async def start(self) -> None:
        """Serve clients, attach to the UI worker, and announce itself as ready."""
        assert self._nursery is not None
        # Outside the worker's own nursery: clients are told before they are cut off.
        self._has_served = trio.Event()
        self._nursery.start_soon(self._serve, self._has_served)
        self.nursery.start_soon(self._attachment.keep)
        await super().start()

    @enable_ki_protection
    async def _serve(self, has_served: trio.Event) -> None:
        """Accept connections until `cleanup`, deaf to all else."""
        try:
            with self._serving:
                await self._reception.run(self._listeners)
        finally:
            has_served.set()

    def begin_ending(self) -> None:
        """Let go of the UI worker, if it doesn't end too.

        If all of the runner ends, clients are told what becomes of the groups in flight.
        """
        super().begin_ending()
        self._attachment.is_last = True
        is_elsewhere = self._cycle is None or self._ui_worker not in self.registry.local_workers
        if self._life.ending or is_elsewhere:
            self._attachment.close()

    @enable_ki_protection
    async def cleanup(self) -> None:
        """Close all connections, with code 1001, and the sockets."""
        await self._stop_serving()
        await super().cleanup()

    async def _stop_serving(self) -> None:
        self._stopping = True
        if self._has_served is None:
            return
        self._reception.close()
        for client in self._clients.values():
            client.finish(CloseCode.GOING_AWAY, "the server stops")
        with trio.move_on_after(CLOSE_SECONDS):
            await trio.lowlevel.checkpoint()
            while self._clients:
                await self._client_left.park()
        self._serving.cancel()
        await self._has_served.wait()

    def abandon(self) -> None:
        """Leave the bus if the server was attached but never ran."""
        super().abandon()
        self.unbind()

    # Requests and connections

    def _receive_request(self, connection: Connection, request: Request) -> Response | None:
        assert self._doorman is not None
        try:
            entry = self._doorman.receive(request, connection.own_address)
        except Refused as error:
            self.counters.requests_refused += 1
            logger.info("a request was refused with %d", error.status)
            return refuse(error)
        if isinstance(entry, Response):
            return entry
        connection.entry = entry
        return None

    async def _serve_client(self, connection: Connection) -> None:
        """Serve a client, from after the handshake until it has gone."""
        settings = self._settings
        rate = settings.messages_per_second
        client = Client(
            f"{self.name}-{next(self._client_numbers)}",
            connection,
            self,
            Conversation(self._gate.is_token, connection.entry.authenticated),
            Pacer(rate, max(1.0, 4 * rate)),
            settings.stall_timeout,
        )
        self._clients[client.id] = client
        logger.info("client %s has come", client.id)
        try:
            if self._stopping:
                client.finish(CloseCode.GOING_AWAY, "the server stops")
            await client.serve()
        finally:
            self._forget(client)

    def _forget(self, client: Client) -> None:
        del self._clients[client.id]
        self.counters.updates_merged += client.letters.merged
        self._client_left.unpark_all()
        self._requests.forget(client.id)
        if client.session is not None:
            self._hub.remove(client, client.session)
            self._sessions.left(client.session)
            if self._on_client_left is not None:
                self._on_client_left(client.session, client.id)
        logger.info("client %s has gone", client.id)

    # For clients

    def admit(self, client: Client) -> Session:
        """Return the session of a client that may come in."""
        session = client.connection.entry.session or self._sessions.open(lasting=False)
        self._sessions.joined(session)
        return session

    def welcome(self, client: Client) -> None:
        """Tell a client what is in flight, and all from now on."""
        assert client.session is not None
        self._hub.add(client, client.session, trio.current_time())

    async def ask(self, client: Client, ask: Ask) -> None:
        """Pass a request on to a service, or to the UI worker; the answer comes later.

        Raises:
          Denied: It can't be.
        """
        service = self._services.get(ask.t) if ask.t is not None else None
        if service is not None:
            request_id = self._requests.open(client, ask, of_service=True)
            client.nursery.start_soon(self._run_service, client, service, request_id, ask)
        else:
            assert client.session is not None
            await self._tell_ui_worker(client, ask, client.session.id)

    @enable_ki_protection
    async def _run_service(
        self, client: Client, service: Service, request_id: str, ask: Ask
    ) -> None:
        assert ask.t is not None
        assert client.session is not None
        data, error = None, None
        try:
            data = await answer(
                ask.t, service, ServiceRequest(client.session, client.id, ask.payload)
            )
        except Denied as denied:
            error = str(denied)
        self._requests.answer(BusUIResponseMessage(request_id, data, error, source=self.name))

    async def cancel_group(self, client: Client, cancel: Cancel) -> None:
        """Have the UI worker cancel a group.

        Raises:
          Denied: The client may not.
        """
        assert client.session is not None
        self._hub.check_cancel(client.session, cancel.job_id)
        payload = {"job_id": cancel.job_id}
        if cancel.reason is not None:
            payload["reason"] = cancel.reason
        session = None if self._settings.shared else client.session.id
        await self._tell_ui_worker(client, Ask(CANCEL_EVENT, payload, cancel.id), session)

    async def _tell_ui_worker(self, client: Client, ask: Ask, session: str | None) -> None:
        if not self._attachment.is_open:
            raise Denied("the worker behind this server is not there: try again later")
        request_id = self._requests.open(client, ask)
        try:
            await self.send_bus_message(
                BusUIEventMessage(
                    ask.event_name,
                    ask.payload,
                    session=session,
                    request_id=request_id,
                    source=self.name,
                    target=self._ui_worker,
                )
            )
        except CodecError as error:
            self._requests.refuse(request_id, f"this can't be passed on: {error}")
        except TrioWorkersError as error:
            logger.warning("%s can't tell %r: %s", self.name, self._ui_worker, error)
            self._requests.refuse(request_id, "the worker behind this server can't be reached")

    # From the UI worker

    def on_delivery(self, message: BusMessage) -> Hook | None:
        """Pass on what the UI worker says; see `BusSubscriber.on_delivery`."""
        if not isinstance(message, BusUIMessage):
            return super().on_delivery(message)
        if message.source == self._ui_worker and self._attachment.is_open:
            if isinstance(message, BusUIResponseMessage):
                self._requests.answer(message)
            else:
                self._hub.take(message, trio.current_time())
        return None

    def _lost_ui_worker(self, why: str) -> None:
        lost = "the worker behind this server was lost"
        self._hub.give_up(lost, at=int(self.bus.clock() * 1000), now=trio.current_time())
        self._requests.refuse_all(lost)
