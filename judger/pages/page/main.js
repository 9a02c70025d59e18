// Where one is, the keys, and what comes in while the page is open.
const VIEWS = [
  ["overview", "Overview", () => !DATA.live || DATA.has_run, renderOverview],
  ["reports", "Reports", () => !DATA.live || DATA.has_run, renderReports],
  ["agreement", "Agreement", () => DATA.agreement || takesVerdicts(), renderAgreement],
  ["judge", "Judge", () => DATA.live, renderJudge],
];
const part = encodeURIComponent;

function go(view, key = S.key, criterion = S.criterion) {
  const hash = "#/" + [view, view === "reports" && key, view === "reports" && key && criterion].filter(Boolean).map(part).join("/");
  if (location.hash === hash) follow();
  else location.hash = hash;
}
function follow() {
  const open = VIEWS.filter(([, , has]) => has()).map(([name]) => name);
  let parts = [];
  try {
    parts = location.hash.slice(2).split("/").map(decodeURIComponent);
  } catch {
    toast("This link is broken.");
  }
  S.view = open.includes(parts[0]) ? parts[0] : open[0];
  if (S.view === "reports" && parts[1]) {
    const entry = entryOf(parts[1]);
    if (!entry) toast("This run has no such report.");
    else {
      if (!entryShown(entry)) clearFilters();
      S.key = entry.key;
      S.opened = true;
    }
  }
  S.criterion = S.view === "reports" ? parts[2] || null : null;
  draw();
  if (S.criterion) focusRow();
}
function clearFilters() {
  endSearch();
  Object.assign(S, { mode: "all", text: "", hits: null, fault: "", axis: "", verdict: "", margin: 1 });
}
function choose(entry, id, { from }) {
  const same = S.criterion === id && from === "checklist";
  S.criterion = same ? null : id;
  if (S.view === "reports") history.replaceState(null, "", "#/" + ["reports", entry.key, S.criterion].filter(Boolean).map(part).join("/"));
  if (from === "report") S.side = "checklist";
  draw();
  if (from === "report") focusRow();
  else light(entry, !same);
}
function focusRow() {
  const node = [...document.querySelectorAll("#main .row")].find((row) => row.dataset.criterion === S.criterion);
  if (node) node.scrollIntoView({ block: "nearest" });
  const entry = entryOf(S.key);
  if (entry) light(entry, true);
}
async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    toast("Link copied.");
  } catch {
    toast(location.href);
  }
}

function draw() {
  const kept = new Map([...document.querySelectorAll(".list, .pane, .detail")].map((node) => [node.className, node.scrollTop]));
  const focus = document.activeElement;
  const again = focus && (focus.id || focus.name);
  const caret = again && focus.selectionStart;
  fill($("top"), el("div", { class: "brand" }, el("strong", {}, "judger"), el("span", { class: "run-name" }, DATA.name || "")),
    el("nav", { "aria-label": "Views" }, VIEWS.filter(([, , has]) => has()).map(([name, title]) => el("button", { class: S.view === name ? "on" : "", "data-view": name, onclick: () => go(name) }, title))),
    DATA.live && DATA.has_run && el("span", { class: "live", title: "The run's files are watched" }, S.stalled ? "stopped" : "live"),
    el("button", { class: "keys", "aria-label": "Keys", onclick: help }, "?"));
  $("main").className = "view-" + S.view;
  fill($("main"), VIEWS.find(([name]) => name === S.view)[3]());
  for (const node of document.querySelectorAll(".list, .pane, .detail")) if (kept.has(node.className)) node.scrollTop = kept.get(node.className);
  if (again) {
    const node = $(focus.id) || document.querySelector(`#main [name="${CSS.escape(focus.name || "")}"]`);
    if (node) {
      node.focus({ preventScroll: true });
      if (typeof caret === "number" && node.setSelectionRange) node.setSelectionRange(caret, caret);
    }
  }
  const entry = S.view === "reports" ? entryOf(S.key) : FORM.entries[0];
  if (entry) light(entry, false);
}

const KEYS = [["j / k", "next, previous report"], ["n / p", "next, previous criterion"], ["/", "search"], ["f", "next mode: all, failures, unscored, disagreeing, flagged"], ["o", "overview"],
  ["Escape", "close"], ["a", "agree with the judge"], ["0 1 2", "not, partially, fully"], ["s", "star"], ["?", "these keys"]];
function help() {
  const served = takesVerdicts();
  fill($("help"), el("h2", {}, "Keys"), el("dl", {}, KEYS.filter(([key]) => served || !["a", "0 1 2", "s"].includes(key)).flatMap(([key, text]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, text)])),
    el("p", { class: "dim small" }, "judger " + DATA.version), el("form", { method: "dialog" }, el("button", {}, "Close")));
  $("help").showModal();
}
function step(by) {
  const list = shownEntries();
  const next = list[list.findIndex((entry) => entry.key === S.key) + by];
  if (next) go("reports", next.key, null);
}
function stepRow(by) {
  const entry = entryOf(S.key);
  if (!entry) return;
  const rows = shownRows(entry);
  const at = rows.findIndex((row) => row.criterion.id === S.criterion);
  const next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by];
  if (next) go("reports", entry.key, next.criterion.id);
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  if (event.target.matches("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const row = takesVerdicts() && S.view === "reports" && S.key && S.criterion && rowsOf(entryOf(S.key)).find((one) => one.criterion.id === S.criterion);
  const acts = { j: () => step(1), k: () => step(-1), n: () => stepRow(1), p: () => stepRow(-1), o: () => go("overview"), "?": help,
    "/": () => { if (S.view !== "reports") { S.view = "reports"; draw(); } $("search").focus(); },
    f: () => { const at = MODES.findIndex(([name]) => name === S.mode); S.mode = MODES[(at + 1) % MODES.length][0]; if (S.view !== "reports") S.view = "reports"; draw(); },
    Escape: () => { if (S.criterion) { S.criterion = null; draw(); } } };
  if (row) Object.assign(acts, { a: () => row.score && sayOf(row, { label: row.score.label.toLowerCase() }), s: () => sayOf(row, { star: !(row.person && row.person.star) }),
    0: () => sayOf(row, { label: LABELS[0] }), 1: () => sayOf(row, { label: LABELS[1] }), 2: () => sayOf(row, { label: LABELS[2] }) });
  if (event.key in acts && (DATA.entries.length || event.key === "?")) {
    event.preventDefault();
    acts[event.key]();
  }
});

// A run that grows: what is new comes in every second while somebody looks.
const EVERY_MS = 1000;
let epoch = -1;
async function look() {
  if (!document.hidden || epoch < 0) {
    try {
      const got = await ask(`run?epoch=${epoch}&after=${epoch < 0 ? 0 : DATA.entries.length}`);
      if (got.epoch !== epoch) DATA.entries = [];
      DATA.entries.push(...got.entries);
      const first = epoch < 0;
      const changed = first || got.entries.length > 0 || got.epoch !== epoch || S.stalled;
      epoch = got.epoch;
      if (got.overview) DATA.overview = got.overview;
      if (first) keepPeople(got.people);
      DATA.notes = got.faults.length ? [`${plural(got.num_faults, "line")} can't be read: ${got.faults.join("; ")}`] : [];
      S.stalled = "";
      if (first) follow();
      else if (changed && !document.activeElement.matches("textarea")) draw();
    } catch (error) {
      if (S.stalled !== error.message) toast(S.stalled = error.message);
      if (epoch < 0) S.view = "judge", draw();
    }
  }
  setTimeout(look, EVERY_MS);
}

addEventListener("hashchange", follow);
follow();
if (DATA.live && DATA.has_run) look();
