// The reports: filters, the list, and the chosen one beside it.
function renderReports() {
  const entries = shownEntries();
  if (!entries.some((entry) => entry.key === S.key)) S.key = entries.length ? entries[0].key : null;
  const entry = entryOf(S.key);
  return el("div", { class: "reports" + (S.opened ? " opened" : "") },
    el("aside", { class: "side" }, renderFilters(entries.length), el("ol", { class: "list" }, entries.map(renderItem))),
    el("div", { class: "detail" },
      el("button", { class: "back link", onclick: () => { S.opened = false; draw(); } }, "‹ All reports"),
      entry ? renderCase(entry) : el("p", { class: "empty" }, DATA.entries.length ? "No report matches these filters." : "Nothing has been judged yet.")));
}

function renderItem(entry) {
  const rows = rowsOf(entry);
  const number = value(entry);
  const parts = [];
  const close = rows.filter((row) => row.close).length;
  const unscored = rows.filter((row) => row.score === null).length;
  const off = rows.filter((row) => row.disagrees).length;
  if (close) parts.push(plural(close, "close call"));
  if (unscored) parts.push(`${unscored} unscored`);
  if (off) parts.push(`${off} disagreeing`);
  if (entry.judgement && entry.judgement.flags.length) parts.push("flagged");
  const open = () => { S.opened = true; go("reports", entry.key, null); };
  return el("li", {}, el("button", { class: "item" + (entry.key === S.key ? " on" : ""), "data-key": entry.key, onclick: open },
    el("span", { class: "item-top" }, el("span", { class: "name" }, entry.key),
      el("span", { class: "score " + (entry.other ? "" : number === null ? "none" : number > 0 ? "good" : "bad") }, decimal(number),
        entry.other ? " → " + decimal(value(entry.other)) : "")),
    el("span", { class: "dots", "aria-hidden": "true" }, rows.slice(0, 60).map((row) => el("i", { class: row.score ? tone(row.score, row.flaw) : "none" }))),
    parts.length > 0 && el("span", { class: "item-note" }, parts.join(" · "))));
}

function renderFilters(shown) {
  const axes = [...new Set(DATA.entries.flatMap((entry) => entry.criteria.map((criterion) => criterion.axis)))].sort();
  const set = (name, cast = String) => (event) => { S[name] = cast(event.target.value); draw(); };
  const choice = (name, title, options, cast) => el("select", { "aria-label": title, onchange: set(name, cast) },
    options.map(([key, text]) => el("option", { value: key, selected: String(S[name]) === String(key) }, text)));
  let timer;
  const find = () => search(S.text, S.isRegex, (hits, fault) => { S.hits = hits; S.fault = fault; draw(); });
  const box = el("input", { id: "search", type: "search", placeholder: "Search  ( / )", "aria-label": "Search reports and criteria", value: S.text,
    oninput: (event) => { S.text = event.target.value; clearTimeout(timer); timer = setTimeout(find, 200); } });
  return el("div", { class: "filters" },
    el("div", { class: "modes", role: "group", "aria-label": "Show" }, MODES.map(([name, title]) => el("button",
      { class: S.mode === name ? "on" : "", "data-mode": name, "aria-pressed": String(S.mode === name), onclick: () => { S.mode = name; draw(); } }, title))),
    el("div", { class: "search" }, box, el("label", {}, el("input", { type: "checkbox", id: "regex", checked: S.isRegex,
      onchange: (event) => { S.isRegex = event.target.checked; find(); } }), " .*")),
    S.fault && el("p", { class: "fault" }, S.fault),
    el("div", { class: "selects" },
      choice("sort", "Order of the reports", Object.entries(SORTS).map(([key, [title]]) => [key, title])),
      axes.length > 1 && choice("axis", "Axis", [["", "All axes"], ...axes.map((axis) => ["=" + axis, axis || "(no axis)"])]),
      choice("verdict", "Verdict", [["", "Any verdict"], ["fully_satisfied", "Fully"], ["partially_satisfied", "Partially"], ["not_satisfied", "Not"], ["unscored", "Unscored"]]),
      choice("margin", "Margin", [[1, "Any margin"], [0.05, "Margin ≤ 0.05"], [0.1, "Margin ≤ 0.10"], [0.2, "Margin ≤ 0.20"]], Number)),
    el("p", { class: "shown" }, `${count(shown)} of ${plural(DATA.entries.length, "report")}`));
}
