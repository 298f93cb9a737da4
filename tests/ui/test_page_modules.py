"""The modules of the page that draw nothing, in a browser; and what its files may not hold."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
from browsers import open_browser, open_page
from page_children import open_page_child

from trioworkers.ui.panel._pages import PAGE_FILES

FOLDER = Path(str(files("trioworkers.ui") / "page"))
SCRIPTS = sorted(FOLDER.glob("*.js"))
#: What makes markup or code of a text, or styles that the policy forbids.
FORBIDDEN = [
    *("innerHTML", "outerHTML", "insertAdjacentHTML", "createContextualFragment", "DOMParser"),
    *("document.write", "srcdoc", "eval(", "Function(", "javascript:", "cssText", '"style"'),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with (
        open_page_child(tmp_path_factory.mktemp("page")) as child,
        open_browser() as browser,
        open_page(browser, child.url) as page,
    ):
        yield page


def run(page, module, body):
    """Return what a function body comes to, which has the names of a module of the page."""
    names = sorted(
        set(re.findall(r"export (?:const|function) (\w+)", (FOLDER / module).read_text()))
    )
    return page.evaluate(f"import('/{module}').then(({{{', '.join(names)}}}) => {{ {body} }})")


def test_all_files_of_the_page_are_served():
    """And each that is served is there."""
    there = {
        path.name for path in FOLDER.iterdir() if path.suffix in {".html", ".css", ".js", ".svg"}
    }
    assert {name for name, _ in PAGE_FILES.values()} == there


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_make_no_markup_of_texts(script):
    """Nothing in them could run what comes from elsewhere, or breaks the policy."""
    text = script.read_text()
    for word in FORBIDDEN:
        assert word not in text
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "").replace("}://${", "")


def test_the_document_has_nothing_inline_and_nothing_from_elsewhere():
    """As the policy of the server demands."""
    text = (FOLDER / "index.html").read_text()
    assert re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*src=)|https?://", text) is None
    assert not any("url(" in path.read_text() for path in FOLDER.glob("*.css"))


def test_a_group_told_twice_is_one_card(page):
    """So are its findings; a finding that is really there twice is kept twice."""
    state = run(
        page,
        "groups.js",
        """
        const told = [
          {kind: "group_started", job_id: "g", workers: ["a"], label: "G", at: 1},
          ...[7, 7, 8].map((score) => ({kind: "job_update", job_id: "g", worker_name: "a", at: 2,
            data: {type: "stream_data", data: {score}}})),
        ];
        const news = [...told, {kind: "connected"}, ...told, {kind: "told", at: 3}];
        const {open, ended} = news.reduce(reduce, NOTHING);
        const scores = ranked(open.get("g").workers.get("a")).map((one) => one.score);
        return [open.size, ended.length, scores];
        """,
    )
    assert state == [1, 0, [8, 7, 7]]


def test_an_end_is_taken_once_and_in_any_order(page):
    """What comes of a member or a group that has ended changes nothing."""
    state = run(
        page,
        "groups.js",
        """
        const news = (kind, rest) => ({kind, job_id: "g", at: 5, ...rest});
        let now = [
          news("group_started", {workers: ["a", "b"], label: "G"}),
          news("job_completed", {worker_name: "a", status: "completed", response: {n: 1}}),
          news("job_completed", {worker_name: "a", status: "failed", error: "late"}),
          news("job_update", {worker_name: "a", data: {stage: "late"}}),
          news("job_completed", {worker_name: "b", status: "cancelled"}),
          news("group_completed"),
        ].reduce(reduce, NOTHING);
        const same = [
          news("group_completed"), news("job_update", {worker_name: "b", data: {}}),
          news("group_started", {workers: ["a", "b"]}), news("cancelling"), {kind: "nonsense"},
          news("job_update", {job_id: "unknown", worker_name: "a"}), {kind: "told", at: 9},
        ].reduce(reduce, now) === now;
        const [card] = now.ended;
        return [same, now.open.size, outcomeOf(card), card.workers.get("a").response];
        """,
    )
    assert state == [True, 0, "cancelled", {"n": 1}]


def test_news_of_the_wrong_shape_changes_nothing(page):
    """Whatever a server sends, the state stays one."""
    state = run(
        page,
        "groups.js",
        """
        const begun = reduce(NOTHING, {kind: "group_started", job_id: "g", workers: ["a"], at: 1});
        const wrong = ["toString", "constructor", "__proto__", null, undefined, 7, {}].map(
          (kind) => ({kind, job_id: "g", worker_name: "a"}));
        wrong.push({kind: "group_started", job_id: 7, workers: ["a"]});
        wrong.push({kind: "group_started", job_id: "h", workers: "a"});
        wrong.push({kind: "job_update", job_id: "g", worker_name: "constructor", data: {}});
        const odd = [null, 7, "text", [1], {type: "stream_data"}].reduce((now, data) =>
          reduce(now, {kind: "job_update", job_id: "g", worker_name: "a", data}), begun);
        return [wrong.reduce(reduce, begun) === begun, odd.open.get("g").workers.get("a").update];
        """,
    )
    assert state == [True, {"type": "stream_data"}]


def test_what_is_kept_is_bounded(page):
    """At most 50 cards that have ended, 500 in flight, and 200 findings, the best, of a worker."""
    state = run(
        page,
        "groups.js",
        """
        let now = NOTHING;
        for (let i = 0; i < 700; i++) {
          now = reduce(now, {kind: "group_started", job_id: `g${i}`, workers: ["a"], at: i});
          if (i < 100) now = reduce(now, {kind: "group_completed", job_id: `g${i}`, at: i});
        }
        for (let i = 0; i < 1000; i++) {
          now = reduce(now, {kind: "job_update", job_id: "g699", worker_name: "a", at: i,
            data: {type: "stream_data", data: {score: (i * 7) % 1000}}});
        }
        const worker = now.open.get("g699").workers.get("a");
        const scores = ranked(worker).map((one) => one.score);
        return [now.ended.length, now.open.size, worker.found, scores.length, Math.min(...scores)];
        """,
    )
    assert state == [50, 500, 1000, 200, 800]


def test_a_group_that_is_told_of_after_all_comes_back(page):
    """A server that was slow to tell is believed."""
    state = run(
        page,
        "groups.js",
        """
        const begun = {kind: "group_started", job_id: "g", workers: ["a"], at: 1};
        const lost = [begun, {kind: "connected"}, {kind: "told", at: 2}].reduce(reduce, NOTHING);
        const back = reduce(lost, begun);
        return [outcomeOf(lost.ended[0]), lost.open.size, back.ended.length, back.open.size];
        """,
    )
    assert state == ["lost", 0, 0, 1]


def test_boxes_of_a_layout_stand_apart_and_arrows_go_on(page):
    """Whatever the graph: circles, arrows over layers, to itself, and doubled ones, included."""
    troubles = run(
        page,
        "layout.js",
        """
        let seed = 1;
        const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
        const troubles = [];
        for (let round = 0; round < 60; round++) {
          const boxes = Array.from({length: 1 + random(14)}, (_, i) =>
            ({key: `k${i}`, width: 80 + random(160), height: 30 + random(60)}));
          const arrows = Array.from({length: random(24)}, () =>
            ({start: `k${random(boxes.length)}`, end: `k${random(boxes.length)}`}));
          for (const direction of ["across", "down"]) {
            const {width, height, places, ways} = layout(boxes, arrows, direction);
            const rects = boxes.map((box) => ({...box, ...places.get(box.key)}));
            for (const one of rects) {
              if (one.x - one.width / 2 < -0.01 || one.x + one.width / 2 > width + 0.01 ||
                  one.y - one.height / 2 < -0.01 || one.y + one.height / 2 > height + 0.01)
                troubles.push(`${round} ${direction}: ${one.key} is outside`);
              for (const other of rects)
                if (one.key < other.key &&
                    Math.abs(one.x - other.x) < (one.width + other.width) / 2 + 5 &&
                    Math.abs(one.y - other.y) < (one.height + other.height) / 2 + 5)
                  troubles.push(`${round} ${direction}: ${one.key} meets ${other.key}`);
            }
            arrows.forEach(({start, end}, index) => {
              const way = ways[index];
              const isDrawn = way.length >= 2 && way.every((p) => isFinite(p.x + p.y));
              if (isDrawn !== (start !== end)) troubles.push(`${round}: arrow ${index}`);
            });
          }
        }
        return troubles;
        """,
    )
    assert troubles == []


def test_values_are_short_texts(page):
    """Whatever their shape, and however large they are."""
    texts = run(
        page,
        "text.js",
        """
        const deep = {a: {b: {c: {d: {}}}}};
        return [
          readable({stage: "here", done_so_far: 1234.5, ok: true, none: null}),
          readable([]), readable({}), readable("plain"), readable(deep),
          readable(Array.from({length: 1000}, (_, i) => i)).length <= 400,
          readable("x".repeat(100000)).length,
          readable({["k".repeat(1000)]: 1}).length,
          shorten("😀😀😀😀", 3), clock(3_723_000), clock(-5), duration(1234), duration(12),
          size(300_000), size(1), lacking({boxes: 0, arrows: 2}), lacking({boxes: undefined}),
          pairsOf("Initial Task:1 Split:22"), ago(59_999), ago(60_000), ago(7_200_000),
          number(-1e300), number(999_999_999_999_999),
        ];
        """,
    )
    assert texts == [
        "stage here · done so far 1,234.5 · ok yes · none nothing",
        "none",
        "none",
        "plain",
        "a (b (c …))",
        True,
        400,
        62,
        "😀😀…",
        "1:02:03",
        "0:00",
        "1.2 s",
        "12 ms",
        "300 kB",
        "1 byte",
        "Not shown: 2 more arrows.",
        "",
        ["Initial Task:1", "Split:22"],
        "just now",
        "1 min ago",
        "2 h ago",
        "-1e+300",
        "999,999,999,999,999",
    ]


def test_the_conversation_is_bounded(page):
    """It keeps the 200 lines said last."""
    kept = run(
        page,
        "conversation.js",
        """
        for (let i = 0; i < 250; i++) say("panel", `line ${i}`);
        const log = document.getElementById("log");
        return [log.childElementCount, log.firstElementChild.lastElementChild.textContent];
        """,
    )
    assert kept == [200, "line 50"]
