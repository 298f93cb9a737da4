// The server's time: the clock of this machine may be wrong.

let ahead = 0;

/** Return the server's time, in milliseconds since 1970. */
export const now = () => Date.now() - ahead;

/** Note what the server's clock shows. */
export function setClock(time) {
  if (Number.isFinite(time)) ahead = Date.now() - time;
}
