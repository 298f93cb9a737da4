// The media manager of a client that neither hears nor speaks, for the WebSocket transport.

const nothing = () => undefined;

/** Every method of a media manager, doing nothing. */
export const noMedia = new Proxy(
  { tracks: () => ({ local: {} }), getAllMics: async () => [] },
  { get: (methods, name) => methods[name] ?? nothing },
);
