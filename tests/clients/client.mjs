// One client as it comes from npm: does what it reads, prints what it sees, a JSON object a line.
//
//   node client.mjs v1_13_1 binary
//
// In: {"id": 1, "method": "connect", "args": [...]}, a method of `PipecatClient` or of `ours`.
// Out: {"saw": "returned" or "raised", "id": 1, "data": ...} for each of these, and in between
// {"saw": "onBotReady", "data": ...} for each callback, {"saw": "warn", "data": text} for logs.

import { createInterface } from "node:readline";
import { frames, implementation, visit } from "./environment.mjs";
import { showEmptyPage } from "./empty_page.mjs";
import { jsonTransport } from "./json_transport.mjs";
import { noMedia } from "./no_media.mjs";

const CALLBACKS = [
  "onConnected", "onDisconnected", "onTransportStateChanged", "onBotReady", "onError",
  "onMessageError", "onServerMessage", "onBotOutput", "onUICommand", "onUITask", "onUIJobGroup",
];

const tell = (saw, data, more = {}) =>
  process.stdout.write(`${JSON.stringify({ saw, ...more, data: data ?? null })}\n`);

for (const level of ["debug", "log", "info", "warn", "error"])
  console[level] = (...words) => tell(level, words.map(String).join(" "));

const [version, kind] = process.argv.slice(2);
const npm = await import(`./${version}/index.mjs`);
const transport =
  kind === "binary"
    ? new npm.WebSocketTransport({ mediaManager: noMedia })
    : new (jsonTransport(npm))();

const callbacks = {};
for (const name of CALLBACKS) callbacks[name] = (data) => tell(name, data);
const client = new npm.PipecatClient({ transport, callbacks, enableMic: false, enableCam: false });

/** What is asked of this program, not of the client. */
const ours = {
  visit,
  showEmptyPage,
  about: () => ({ version: client.version, implementation, node: process.version }),
  frames: () => [...frames],
  raw: (type, data) => client.transport.sendMessage(new npm.RTVIMessage(type, data)),
};

async function act({ id, method, args }) {
  try {
    const of = ours[method] ?? client[method].bind(client);
    tell("returned", await of(...args), { id });
  } catch (error) {
    tell("raised", error instanceof Error ? { error: String(error) } : error, { id });
  }
}

tell("started");
for await (const line of createInterface({ input: process.stdin })) act(JSON.parse(line));
process.exit(0);
