// A transport that sends each message as JSON in a text frame, and has no media.

/** Return the transport's class for one version of the client. */
export function jsonTransport({ Transport, RTVIMessage }) {
  return class JsonTransport extends Transport {
    initialize(options, messageHandler) {
      this._callbacks = options.callbacks ?? {};
      this._onMessage = messageHandler;
      this.state = "disconnected";
    }

    async initDevices() {
      this.state = "initialized";
    }

    _validateConnectionParams(params) {
      return params;
    }

    async _connect({ wsUrl }) {
      this.state = "connecting";
      const socket = new WebSocket(wsUrl);
      this._socket = socket;
      socket.addEventListener("message", ({ data }) => this._onMessage(JSON.parse(data)));
      await new Promise((resolve, reject) => {
        socket.addEventListener("open", resolve);
        socket.addEventListener("error", () => reject(new Error("can't connect")));
        socket.addEventListener("close", ({ code }) => {
          reject(new Error(`closed before it was open: ${code}`));
          if (this._socket === socket) this._lost(code);
        });
      });
      this.state = "connected";
      this._callbacks.onConnected?.();
    }

    _lost(code) {
      this._socket = undefined;
      this._callbacks.onError?.(RTVIMessage.error(`closed by the server: ${code}`, true));
    }

    async _disconnect() {
      this.state = "disconnecting";
      const socket = this._socket;
      this._socket = undefined;
      if (socket !== undefined) {
        const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
        socket.close();
        await closed;
      }
      this.state = "disconnected";
      this._callbacks.onDisconnected?.();
    }

    sendReadyMessage() {
      this.state = "ready";
      this.sendMessage(RTVIMessage.clientReady());
    }

    sendMessage(message) {
      this._socket.send(JSON.stringify(message));
    }

    get state() {
      return this._state;
    }

    set state(state) {
      if (this._state === state) return;
      this._state = state;
      this._callbacks.onTransportStateChanged?.(state);
    }
  };
}
