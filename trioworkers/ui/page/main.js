// The panel: puts the parts together.

import { announceChanges } from "./announce.js";
import { drawState, tickState } from "./banner.js";
import { Cards } from "./cards.js";
import { now, setClock } from "./clock.js";
import { setComposer, setUpComposer } from "./composer.js";
import { say } from "./conversation.js";
import { byId, setText, show } from "./dom.js";
import { GraphsTab } from "./graphs.js";
import { NOTHING, reduce } from "./groups.js";
import { PAUSE, Poll } from "./poll.js";
import { Connection } from "./rtvi.js";
import { exchange, setUpSignin, showSignin, takeToken } from "./signin.js";
import { Tabs } from "./tabs.js";
import { number, readable, shorten } from "./text.js";
import { WorkersTab } from "./workers.js";

/** Milliseconds in which a server that is back tells of the groups that it still has. */
const TOLD_WITHIN = 5000;
const PAUSE_ELSEWHERE = 2000;
const TICK = 250;
/** What a server tells of groups; other news is made here. */
const TOLD_KINDS = new Set(["group_started", "job_update", "job_completed", "group_completed"]);

let groups = NOTHING;
let isDrawing = false;
let toldTimer = 0;
let token = takeToken();
let isTokenUsed = false;

const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/`;
const connection = new Connection(address, { state: onState, message: onMessage });
const cards = new Cards(cancel);
const tabs = new Tabs(document.querySelector("[role=tablist]"), onTab);
const workers = new WorkersTab(byId("panel-workers"));
const graphs = new GraphsTab(byId("panel-graphs"), connection);
const workersPoll = new Poll(
  () => look("panel.workers", workers),
  () => isLookingAt("workers"),
);
const graphsPoll = new Poll(
  () => look("panel.graphs", graphs),
  () => connection.isReady && tabs.offers("graphs"),
  // Questions are told of on the other tabs, too.
  () => (isLookingAt("graphs") ? PAUSE : PAUSE_ELSEWHERE),
);

function take(news) {
  const before = groups;
  groups = reduce(groups, news);
  if (groups === before) return;
  if (news.kind.startsWith("group") || news.kind === "told") announceChanges(before, groups);
  drawSoon();
}

/** Draw once for all the news that comes until then. */
function drawSoon() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    cards.draw(groups, !connection.isReady);
    drawBadge("badge-groups", groups.open.size, "in flight");
  });
}

function drawBadge(id, count, what) {
  const badge = byId(id);
  setText(badge, count ? number(count) : "");
  badge.title = `${number(count)} ${what}`;
  show(badge, count > 0);
}

function cancel(id) {
  const data = { job_id: id, reason: "by a person at the panel" };
  const isSent = connection.post("ui-cancel-job-group", data, (why) =>
    take({ kind: "refused", job_id: id, why }),
  );
  if (isSent) take({ kind: "cancelling", job_id: id });
}

function onState(state) {
  clearTimeout(toldTimer);
  drawState(state);
  setComposer(state.name !== "ready");
  if (state.name === "ready") begin();
  else if (state.name === "denied") signIn();
  drawSoon();
}

async function begin() {
  isTokenUsed = false;
  showSignin(false);
  take({ kind: "connected" });
  toldTimer = setTimeout(() => take({ kind: "told", at: now() }), TOLD_WITHIN);
  let hello = { tabs: ["groups"] };
  try {
    hello = await connection.ask("panel.hello");
  } catch {
    // A server that isn't a panel's has groups alone.
  }
  if (!connection.isReady) return;
  setClock(hello.now);
  if (typeof hello.title === "string" && hello.title) {
    setText(byId("title"), hello.title);
    document.title = `${hello.title} · trioworkers`;
  }
  offer(Array.isArray(hello.tabs) ? hello.tabs : ["groups"]);
}

function offer(names) {
  const wanted = tabs.selected === null ? location.hash.slice(1) : null;
  tabs.offer(names);
  show(document.querySelector("[role=tablist]"), names.length > 1);
  if (wanted) tabs.select(wanted);
  workersPoll.now();
  graphsPoll.now();
}

/** Come in by the token there is, also to a server that was started anew; else have one typed. */
async function signIn() {
  const why = token === null || isTokenUsed ? null : await exchange(token);
  if (token === null || isTokenUsed || why !== null) {
    token = null;
    drawState({ name: "denied" });
    showSignin(true, why);
    return;
  }
  isTokenUsed = true;
  connection.open();
}

setUpSignin(async (typed) => {
  const why = await exchange(typed);
  if (why === null) {
    [token, isTokenUsed] = [typed, true];
    connection.open();
  }
  return why;
});

function onMessage(type, data) {
  if (type === "ui-job-group" && TOLD_KINDS.has(data.kind)) take(data);
  else if (type === "bot-output") say("panel", String(data.text ?? ""));
  else if (type === "ui-command" && data.command === "toast") say("panel", readable(data.payload));
  else if (type === "error") say("trouble", readable(data.error));
}

setUpComposer((text) => {
  const data = { content: text, options: {} };
  const isSent = connection.post("send-text", data, (why) => say("trouble", why));
  if (isSent) {
    say("you", text);
    makeSure(text);
  }
  return isSent;
});

/** Say so if a text that was sent may not have arrived. */
async function makeSure(text) {
  if (await connection.hasRead()) return;
  say("trouble", `It isn't known whether this has arrived: “${shorten(text, 80)}”.`);
}

/** Try again at once, now that there is hope. */
function retry() {
  if (connection.state.name === "waiting" && !document.hidden) connection.open();
}

function isLookingAt(name) {
  return tabs.selected === name && connection.isReady;
}

async function look(what, tab) {
  try {
    tab.draw(await connection.ask(what));
    if (tab === graphs)
      drawBadge("badge-graphs", tab.questions, tab.questions === 1 ? "question" : "questions");
    return true;
  } catch (error) {
    if (connection.isReady) tab.fail(error.message);
    return false;
  }
}

function onTab(name) {
  history.replaceState(null, "", name === "groups" ? location.pathname : `#${name}`);
  workersPoll.now();
  graphsPoll.now();
}

byId("banner-retry").addEventListener("click", () => connection.open());
window.addEventListener("online", retry);
document.addEventListener("visibilitychange", retry);
window.addEventListener("hashchange", () => {
  const given = takeToken();
  if (given !== null) [token, isTokenUsed] = [given, false];
  if (given !== null && !connection.isReady) signIn();
  else tabs.select(location.hash.slice(1));
});
setInterval(() => {
  cards.tick(groups, now());
  tickState(connection.state);
}, TICK);

if (token === null) connection.open();
else signIn();
