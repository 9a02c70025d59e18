// People's verdicts: given beside each verdict where the page is served, and held against the judge's.
const takesVerdicts = () => DATA.live && DATA.has_run;

function personForm(row, options) {
  if (!takesVerdicts() || options.all) return null;
  const now = row.person || {};
  const button = (label, title, key) => el("button", { class: now.label === label ? "on" : "", "data-label": label,
    onclick: () => sayOf(row, { label: now.label === label ? null : label }) }, title, el("kbd", {}, key));
  const agree = row.score && row.score.label.toLowerCase();
  const box = el("textarea", { rows: "2", placeholder: "Comment", "aria-label": "Comment", onchange: (event) => sayOf(row, { comment: event.target.value }) }, now.comment || "");
  return el("div", { class: "person" },
    el("div", { class: "person-labels", role: "group", "aria-label": "Your verdict" },
      agree && el("button", { class: now.label === agree ? "on" : "", "data-agree": true, onclick: () => sayOf(row, { label: agree }) }, "Agree", el("kbd", {}, "a")),
      LABELS.map((label, i) => button(label, labelWords(label, row.flaw), String(i))),
      el("button", { class: now.star ? "on" : "", "aria-label": "Star", "data-star": true, onclick: () => sayOf(row, { star: !now.star }) }, "★", el("kbd", {}, "s"))),
    box);
}

async function sayOf(row, change) {
  const now = row.person || {};
  const body = { case: row.entry.key, criterion: row.criterion.id, label: now.label ?? null, comment: now.comment || "", star: now.star || false, ...change };
  try {
    const kept = await ask("run/people", body);
    PEOPLE.set(personKey(kept.case, kept.criterion), kept);
    toast("Kept.");
    draw();
  } catch (error) {
    toast("Not kept: " + error.message);
  }
}

function renderAgreement() {
  const place = el("div", { class: "overview" });
  if (!DATA.live || !DATA.has_run) place.append(agreementPanel(DATA.agreement));
  else {
    place.append(el("p", { class: "dim" }, "Counting …"));
    ask("run/agreement").then((found) => fill(place, agreementPanel(found)), (error) => fill(place, el("p", { class: "fault" }, error.message)));
  }
  return place;
}

function agreementPanel(found) {
  if (!found) return el("p", { class: "empty" }, takesVerdicts() ? "Nobody has given a verdict yet. Open a report, choose a criterion, and say what you think of it." : "These cases have no labels by people.");
  const heads = ["not", "partially", "fully"];
  const most = Math.max(1, ...found.confusion.flat());
  const f = found.figures;
  const names = { balanced_accuracy: "Balanced accuracy", kappa: "Kappa", macro_f1: "Macro-F1", ternary_macro_f1: "Macro-F1, three labels", ece: "Calibration error", unscored: "Unscored" };
  const off = DATA.entries.flatMap((entry) => rowsOf(entry).filter((row) => row.human && row.score && row.human.toUpperCase() !== row.score.label));
  off.sort((a, b) => b.score.margin - a.score.margin);
  return el("div", {},
    el("h2", {}, "Agreement with people"), el("p", { class: "dim" }, `${plural(found.n, "labelled criterion", "labelled criteria")} with a verdict, in ${plural(found.reports, "report")}`),
    table(["", "", "95%"], Object.entries(names).map(([key, title]) => [title, el("strong", {}, decimal(f[key].value)), interval(f[key]) || "–"])),
    el("div", { class: "two" },
      el("section", {}, el("h3", {}, "Labels"), el("table", { class: "confusion" },
        el("thead", {}, el("tr", {}, el("th", {}, "people ↓  judge →"), heads.map((head) => el("th", { class: "n" }, head)))),
        el("tbody", {}, found.confusion.map((line, i) => el("tr", {}, el("th", {}, heads[i]),
          line.map((n, j) => el("td", { class: "n" + (i === j ? " same" : ""), style: { "--share": (n / most).toFixed(2) } }, count(n)))))))),
      el("section", {}, el("h3", {}, "Reliability"), curve(found.reliability), el("p", { class: "dim small" }, "P(satisfied) across, the share that people call satisfied upwards; on the line they are the same."))),
    el("h3", {}, `Disagreements (${off.length})`),
    el("ol", { class: "offs" }, off.map((row) => el("li", {}, el("button", { class: "item", onclick: () => { S.opened = true; clearFilters(); go("reports", row.entry.key, row.criterion.id); } },
      el("span", { class: "item-top" }, el("span", { class: "name" }, row.criterion.text)),
      el("span", { class: "item-note" }, `${row.entry.key} · judge ${verdictWords(row.score, row.flaw)}, people ${labelWords(row.human, row.flaw)} · margin ${decimal(row.score.margin)}`),
      row.person && row.person.comment && el("span", { class: "item-note" }, "“" + row.person.comment + "”"))))),
    takesVerdicts() && el("p", { class: "buttons" }, el("button", { onclick: exportLabelled }, "Export labelled cases")));
}

async function exportLabelled() {
  try {
    save(DATA.name + ".labelled.jsonl", "application/x-ndjson", [await ask("run/labelled.jsonl", undefined, "text")]);
  } catch (error) {
    toast(error.message);
  }
}

function curve(points) {
  const svg = (tag, props) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, set] of Object.entries(props)) node.setAttribute(name, set);
    return node;
  };
  const root = svg("svg", { viewBox: "-13 -4 120 116", class: "curve", role: "img", "aria-label": points.map((p) => `${decimal(p.p)}: ${decimal(p.share)} of ${p.n}`).join("; ") });
  root.append(svg("rect", { x: 0, y: 0, width: 100, height: 100, class: "frame" }), svg("line", { x1: 0, y1: 100, x2: 100, y2: 0, class: "ideal" }));
  for (const at of [0, 0.5, 1]) {
    for (const [x, y, anchor] of [[100 * at, 108, "middle"], [-3, 102 - 100 * at, "end"]]) {
      const tick = svg("text", { x, y, "text-anchor": anchor });
      tick.textContent = String(at);
      root.append(tick);
    }
  }
  if (points.length > 1) root.append(svg("polyline", { points: points.map((p) => `${100 * p.p},${100 - 100 * p.share}`).join(" "), class: "seen" }));
  for (const p of points) root.append(svg("circle", { cx: 100 * p.p, cy: 100 - 100 * p.share, r: 2.2, class: "dot" }));
  return root;
}
