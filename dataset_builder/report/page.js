// Opens the packed queries, filters them and shows one. Everything that is shown goes through `textContent`: what came
// from a corpus or a model is text here, and nothing else.
"use strict";

const PAGE_OF_ROWS = 25;
const START = 120;
const SVG = "http://www.w3.org/2000/svg";
// The places of a row's values, as the page's writer lists them.
const Row = { id: 0, text: 1, type: 2, retriever: 3, state: 4, passages: 5, tau: 6, firstAt: 7, block: 8 };

const at = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en-US");
const blocks = new Map();
let rows = [];
let found = [];
let first = 0;
let chosen = "";

/** An element with attributes and children; strings among these become text. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

function draw(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

async function unpack(id) {
  const bytes = Uint8Array.from(atob(at(id).textContent), (character) => character.charCodeAt(0));
  const unzipped = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(unzipped).json();
}

function detailsIn(block) {
  if (!blocks.has(block)) blocks.set(block, unpack(`block-${block}`));
  return blocks.get(block);
}

const state = (name) => make("span", { class: "state", "data-state": name }, name);
const tauOf = (row) => (row[Row.tau] === null ? "" : `τ ${row[Row.tau].toFixed(2).replace("-", "−")}`);
const link = (id) => `#query=${encodeURIComponent(id)}`;
const score = (value) => (value === null ? "–" : String(Number(value.toPrecision(5))).replace("-", "−"));

function offer(id, place) {
  const values = [...new Set(rows.map((row) => row[place]))].filter((value) => value !== "").sort();
  at(id).append(new Option("all", ""), ...values.map((value) => new Option(value, value)));
}

function filter() {
  const words = at("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = [["state", Row.state], ["type", Row.type], ["retriever", Row.retriever]]
    .map(([id, place]) => [at(id).value, place])
    .filter(([value]) => value !== "");
  found = rows.filter((row) => {
    const text = `${row[Row.id]} ${row[Row.text]}`.toLowerCase();
    return words.every((word) => text.includes(word))
      && wanted.every(([value, place]) => row[place] === value)
      && (!at("opened").checked || row[Row.block] !== null);
  });
  const sign = { drawn: 0, low: 1, high: -1 }[at("order").value];
  if (sign) {
    found = found.filter((row) => row[Row.tau] !== null).sort((one, other) => sign * (one[Row.tau] - other[Row.tau]));
  }
  first = 0;
  list();
}

function list() {
  const shown = found.slice(first, first + PAGE_OF_ROWS);
  at("list").replaceChildren(...shown.map((row) => {
    const facts = make("span", { class: "facts" }, make("span", { class: "id" }, row[Row.id]), state(row[Row.state]),
      make("span", {}, row[Row.retriever]), make("span", {}, tauOf(row)),
      make("span", {}, row[Row.block] === null && row[Row.passages] ? "not in this file" : ""));
    const text = make("span", { class: "text" }, row[Row.text]);
    return make("li", {}, make("a", { href: link(row[Row.id]) }, text, facts));
  }));
  markCurrent();
  at("found").textContent = `${number.format(found.length)} of ${number.format(rows.length)} queries`;
  at("shown").textContent = shown.length
    ? `${number.format(first + 1)}–${number.format(first + shown.length)}` : "none";
  at("before").disabled = first === 0;
  at("after").disabled = first + PAGE_OF_ROWS >= found.length;
}

/** Marks the opened query's link, which it returns if it is on this page of the list. */
function markCurrent() {
  for (const each of at("list").querySelectorAll("a")) each.removeAttribute("aria-current");
  const current = [...at("list").querySelectorAll("a")].find((each) => each.hash === link(chosen));
  current?.setAttribute("aria-current", "true");
  return current;
}

function turnPage(by) {
  first += by * PAGE_OF_ROWS;
  list();
  at("listing").scrollIntoView({ block: "start" });
}

function wantedQuery() {
  const match = /^#query=(.*)$/.exec(location.hash);
  try {
    return match ? decodeURIComponent(match[1]) : null;
  } catch {
    return null;
  }
}

async function open() {
  const id = wantedQuery();
  at("panes").classList.toggle("opened", id !== null);
  if (id === null) {
    // Back in the list, the reader is where it was left.
    markCurrent()?.focus();
    return;
  }
  chosen = id;
  markCurrent();
  const row = rows.find((each) => each[Row.id] === id);
  const detail = row && row[Row.block] !== null ? (await detailsIn(row[Row.block]))[id] : null;
  if (id !== wantedQuery()) return;
  const back = make("button", { type: "button", id: "back" }, "← All queries");
  back.addEventListener("click", () => { location.hash = "#queries"; });
  at("detail").replaceChildren(back, ...(row ? head(row, detail) : [make("p", {}, `There is no query ${id}.`)]),
    ...(detail ? body(row, detail) : []));
  // Where the list has made room for it; beside the list, the focus stays there.
  if (at("listing").offsetParent === null) at("detail").focus({ preventScroll: true });
  at("detail").scrollIntoView({ block: "start" });
}

function head(row, detail) {
  const facts = [row[Row.type], row[Row.retriever], detail?.teacher, tauOf(row)].filter(Boolean);
  const source = detail?.source_docid ? [`made of ${detail.source_docid}${holds(detail) ? "" : ", which is not in the pool"}`] : [];
  const absent = row[Row.passages]
    ? `Its passages and answers are not in this file. See: python -m dataset_builder inspect DIR ${row[Row.id]}`
    : "It has no pool.";
  return [
    make("h3", {}, detail ? detail.text : row[Row.text]),
    make("p", { class: "facts" }, make("span", { class: "id" }, row[Row.id]), state(row[Row.state]),
      ...[...facts, ...source].map((fact) => make("span", {}, fact))),
    detail ? null : make("p", {}, absent),
  ].filter(Boolean);
}

const holds = (detail) => detail.passages.some((passage) => passage.docid === detail.source_docid);

function body(row, detail) {
  const mended = repairs(detail);
  const labelled = detail.passages[0].teacher_rank !== null;
  const pool = make("ol", { class: "pool" });
  const show = (key) => pool.replaceChildren(...[...detail.passages.keys()]
    .sort((one, other) => detail.passages[one][key] - detail.passages[other][key])
    .map((index) => passageItem(detail, index, key, mended.get(index))));
  show(labelled ? "teacher_rank" : "retriever_rank");
  return [
    make("h4", {}, `Pool: ${detail.passages.length} passages`),
    labelled ? make("div", { class: "overlook" }, scatter(detail, mended), chooser(show)) : make("p", { class: "quiet" }, "No order by the teacher: listed as retrieved."),
    pool,
    ...detail.talks.flatMap((talk) => talkParts(talk, detail)),
  ];
}

/** For each passage that an answer left out: the windows where that was. */
function repairs(detail) {
  const mended = new Map();
  for (const turn of detail.talks.flatMap((talk) => talk.turns)) {
    for (const index of turn.missing) mended.set(index, [...(mended.get(index) ?? []), turn.window]);
  }
  return mended;
}

function chooser(show) {
  const choice = (key, text, checked) => {
    const input = make("input", { type: "radio", name: "listed", value: key, ...(checked ? { checked: "" } : {}) });
    input.addEventListener("change", () => show(key));
    return make("label", {}, input, text);
  };
  return make("fieldset", {}, make("legend", { class: "quiet" }, "Listed in the order of"),
    choice("teacher_rank", "the teacher", true), choice("retriever_rank", "the retriever", false));
}

function passageItem(detail, index, key, windows) {
  const passage = detail.passages[index];
  const other = key === "teacher_rank" ? `retriever ${passage.retriever_rank}` : `teacher ${passage.teacher_rank ?? "–"}`;
  const moved = passage.teacher_rank === null ? 0 : passage.retriever_rank - passage.teacher_rank;
  const arrow = moved > 0 ? ` ▲${moved}` : moved < 0 ? ` ▼${-moved}` : "";
  const scores = `retriever ${score(passage.retriever_score)}`
    + (passage.teacher_score === null ? "" : `, teacher ${score(passage.teacher_score)}`);
  const text = passage.title ? `${passage.title}\n${passage.text}` : passage.text;
  const tags = [
    passage.docid === detail.source_docid ? make("span", { class: "tag" }, "the query was made of it") : null,
    windows ? make("span", { class: "tag mended" }, `place repaired (window ${windows.join(", ")})`) : null,
  ].filter(Boolean).flatMap((tag) => [" ", tag]);
  return make("li", windows ? { class: "repairs" } : {},
    make("span", { class: "rank" }, String(passage[key] ?? "–")),
    make("span", { class: "move" }, other, arrow),
    make("details", {}, make("summary", {}, make("span", { class: "id" }, passage.docid), ...tags, " ",
      make("span", { class: "start" }, text.length > START ? `${text.slice(0, START)}…` : text)), make("p", {}, text), make("span", { class: "scores" }, `scores: ${scores}`)));
}

function scatter(detail, mended) {
  const last = Math.max(...detail.passages.flatMap((each) => [each.retriever_rank, each.teacher_rank]));
  const scale = (rank) => 20 + (170 * (rank - 1)) / Math.max(1, last - 1);
  const points = detail.passages.map((passage, index) => {
    const name = draw("title");
    name.textContent = `${passage.docid}: retriever ${passage.retriever_rank}, teacher ${passage.teacher_rank}`;
    return draw("circle", { class: mended.has(index) ? "fill repaired" : "fill", r: 3.5, cx: scale(passage.retriever_rank), cy: scale(passage.teacher_rank) }, name);
  });
  const text = (x, y, words, turn = 0) => {
    const label = draw("text", { x, y, transform: `rotate(${turn} ${x} ${y})` });
    label.textContent = words;
    return label;
  };
  return draw("svg", { class: "scatter", viewBox: "-6 -4 206 204", role: "img", "aria-label": "The teacher's rank of each passage against the retriever's" },
    draw("rect", { class: "frame", x: 14, y: 14, width: 182, height: 182 }), draw("line", { class: "even", x1: 20, y1: 20, x2: 190, y2: 190 }),
    text(14, 9, "retriever’s rank →"), text(8, 100, "← teacher’s rank", -90), ...points);
}

function talkParts(talk, detail) {
  const toCome = talk.end === "to come";
  return [
    make("h4", {}, `Answers of ${talk.teacher}`),
    ...talk.turns.map((turn) => turnPart(turn, detail)),
    make("p", { class: "quiet ended" }, toCome ? "The next answer is still to come." : "Ended as ", toCome ? null : state(talk.end)),
  ];
}

function turnPart(turn, detail) {
  const name = (index) => detail.passages[index].docid;
  const single = turn.status === "";
  const title = single ? `Passage ${name(turn.shown[0])}` : `Window ${turn.window}${turn.attempt > 1 ? `, attempt ${turn.attempt}` : ""}: ${turn.shown.length} passages `;
  const worth = turn.log_odds === null ? "" : `: log-odds of yes ${score(turn.log_odds)}`;
  const [prompt, completion] = turn.tokens.map(number.format);
  const item = (index, kind) => make("li", kind, `[${turn.shown.indexOf(index) + 1}] `, make("span", { class: "id" }, name(index)));
  const content = make("div", {},
    make("p", { class: "quiet" }, `${prompt} prompt and ${completion} answer tokens${turn.finish_reason ? `; finished: ${turn.finish_reason}` : ""}`),
    turn.refusal ? make("p", {}, `Refused: ${turn.refusal}`) : null,
    turn.rejection ? make("p", {}, `Rejected: ${turn.rejection}`) : null,
    make("span", { class: "quiet" }, "The answer as it came"), make("pre", { tabindex: "0", "aria-label": "The answer as it came" }, turn.text || "(empty)"));
  if (!single) {
    content.append(make("span", { class: "quiet" }, turn.order.length ? "Read as, best first" : "No order was read. Shown were"),
      make("ol", { class: "read" }, ...(turn.order.length ? turn.order : turn.shown).map((index) => item(index, {}))));
  }
  if (turn.missing.length) {
    content.append(make("span", { class: "quiet" }, "Left out by the answer, put behind as they stood"),
      make("ol", { class: "read" }, ...turn.missing.map((index) => item(index, { class: "repairs" }))));
  }
  return make("details", { class: "turn" }, make("summary", {}, title, single ? worth : state(turn.status)), content);
}

async function start() {
  if (typeof DecompressionStream === "undefined") throw new Error("this browser is too old to open packed text (DecompressionStream)");
  rows = await unpack("rows");
  offer("state", Row.state);
  offer("type", Row.type);
  offer("retriever", Row.retriever);
  at("filters").addEventListener("input", filter);
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("before").addEventListener("click", () => turnPage(-1));
  at("after").addEventListener("click", () => turnPage(1));
  window.addEventListener("hashchange", attempt(open));
  at("filters").hidden = at("panes").hidden = rows.length === 0;
  filter();
  await open();
}

/** What goes wrong is said on the page. */
function attempt(work) {
  return () => work().catch((error) => {
    at("problem").hidden = false;
    at("problem").textContent = `The queries cannot be shown: ${error.message}`;
  });
}

attempt(start)();
