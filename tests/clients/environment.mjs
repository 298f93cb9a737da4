// What a browser has, and the clients count on, and this Node may not have.

import { register } from "node:module";
import { WebSocket as NodeWebSocket } from "ws";

globalThis.window = globalThis;

// Bundlers take the clients' ES modules for such; Nodes before 20.19 go by package.json.
register("./module_hooks.mjs", import.meta.url);

/** The cookies that the WebSockets of this process send, as a browser does that has the page. */
let cookies = "";

/** Get a page as a browser does, with a token if there is one; keep its cookies. */
export async function visit(url, token) {
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const answer = await fetch(url, { headers });
  await answer.arrayBuffer();
  cookies = answer.headers.getSetCookie().map((one) => one.split(";")[0]).join("; ");
  return { status: answer.status, cookies: cookies.split("; ").filter(Boolean).length };
}

/** What came in WebSocket frames: "text" or "binary". */
export const frames = new Set();

const headers = () => (cookies ? { cookie: cookies } : {});
const Native = globalThis.WebSocket;
const useNative = Native !== undefined && process.env.WEBSOCKET !== "ws";

/** Which implementation it is. */
export const implementation = useNative ? "node" : "ws";

function watch(socket) {
  socket.binaryType = "blob";
  socket.addEventListener("message", ({ data }) =>
    frames.add(typeof data === "string" ? "text" : "binary"),
  );
}

globalThis.WebSocket = useNative
  ? class extends Native {
      constructor(url, protocols = []) {
        super(url, { protocols, headers: headers() });
        watch(this);
      }
    }
  : class extends NodeWebSocket {
      constructor(url, protocols = []) {
        super(url, protocols, { headers: headers() });
        watch(this);
      }
    };
