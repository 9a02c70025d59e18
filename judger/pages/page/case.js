// One report beside its checklist.
function renderCase(entry, options = {}) {
  const rows = options.all ? rowsOf(entry) : shownRows(entry);
  const pick = (indices) => {
    const ids = indices.map((index) => entry.criteria[index].id);
    const next = ids[(ids.indexOf(S.criterion) + 1) % ids.length];
    choose(entry, next, { from: "report" });
  };
  const report = el("section", { class: "pane report-pane", "aria-label": "Report" },
    entry.query && el("p", { class: "query" }, el("span", { class: "tag" }, "Asked"), " ", entry.query),
    renderReport(entry, pick));
  const checklist = el("section", { class: "pane checklist", "aria-label": "Checklist" },
    caseHead(entry), el("div", { class: "rows" }, rows.map((row) => renderRow(row, options))),
    rows.length < entry.criteria.length && el("p", { class: "note" },
      `${plural(entry.criteria.length - rows.length, "criterion", "criteria")} left out by the filters.`));
  const tab = (name, title) => el("button", { class: S.side === name ? "on" : "", "data-side": name,
    onclick: () => showSide(name) }, title);
  return el("div", { class: "case", "data-side": S.side },
    el("nav", { class: "sides" }, tab("checklist", "Checklist"), tab("report", "Report")), report, checklist);
}

function caseHead(entry) {
  const reward = entry.judgement && entry.judgement.reward;
  const unscored = rowsOf(entry).filter((row) => row.unscored).length;
  const number = value(entry);
  const facts = [];
  if (entry.system) facts.push(entry.system);
  if (entry.domain) facts.push(entry.domain);
  if (reward && number !== null) facts.push(`${signed(reward.raw)} of ${signed(reward.positive_weight || reward.negative_weight)} points`, words(reward.mapping));
  if (reward && reward.fatal) facts.push("a fatal flaw keeps it at 0 or below");
  if (unscored) facts.push(`${unscored} unscored`);
  const sort = el("select", { "aria-label": "Order of the criteria", onchange: (event) => { S.order = event.target.value; draw(); } },
    [["close", "Close calls first"], ["rubric", "In the rubric's order"], ["weight", "By weight"]]
      .map(([name, title]) => el("option", { value: name, selected: S.order === name }, title)));
  return el("div", { class: "case-head" },
    el("div", { class: "case-title" }, el("h2", {}, entry.id), sort),
    el("p", { class: "reward" },
      el("strong", { class: number === null ? "none" : number > 0 ? "good" : "bad" }, number === null ? "no reward" : decimal(number)),
      entry.other && el("span", { class: "against" }, ` → ${decimal(value(entry.other))} in ${DATA.against.name}`),
      el("span", { class: "facts" }, facts.join(" · "))),
    entry.error && el("p", { class: "fault" }, "Not judged: " + entry.error),
    entry.other && entry.other.report && el("p", { class: "note" }, "The other run judged another report; its verdicts are shown, its evidence is not."),
    entry.judgement && entry.judgement.flags.length > 0 && el("p", { class: "fault" }, "Flagged: " + entry.judgement.flags.join(", ")));
}

function bar(score, flaw) {
  const at = (x) => (100 * x).toFixed(2) + "%";
  const seg = (name, p) => el("i", { class: name, style: { width: at(p) } });
  const mark = threshold(score, flaw);
  const told = flaw
    ? `present ${percent(score.p_full)}, in part ${percent(score.p_partial)}, absent ${percent(score.p_not)}`
    : `fully ${percent(score.p_full)}, partially ${percent(score.p_partial)}, not ${percent(score.p_not)}`;
  const title = `${told}; counts as ${flaw ? "present" : "met"} from ${percent(mark)} on`;
  return el("span", { class: "bar" + (flaw ? " flaw" : ""), role: "img", "aria-label": title, title },
    seg("full", score.p_full), seg("part", score.p_partial), seg("not", score.p_not),
    el("b", { style: { left: at(Math.min(1, Math.max(0, mark))) } }));
}

function chip(verdict, flaw) {
  if (verdict && verdict.score) {
    return el("span", { class: "chip " + tone(verdict.score, flaw) }, (flaw ? "flaw " : "") + verdictWords(verdict.score, flaw));
  }
  return el("span", { class: "chip none" }, verdict && verdict.unscored ? "unscored" : "…");
}

function renderRow(row, options) {
  const { criterion, score, flaw } = row;
  const chosen = S.criterion === criterion.id;
  const quotes = evidenceText(row);
  const open = () => choose(row.entry, criterion.id, { from: "checklist" });
  return el("div", { class: "row" + (chosen ? " on" : ""), "data-criterion": criterion.id, "data-index": row.index },
    el("button", { class: "row-main", "aria-expanded": String(chosen), onclick: open },
      el("span", { class: "row-top" }, chip(row.verdict, flaw),
        row.other && differs(row.verdict, row.other) && el("span", { class: "moved" }, "→ ", chip(row.other, flaw)),
        row.human && el("span", { class: "human" + (row.disagrees && score ? " off" : "") }, "people: " + labelWords(row.human, flaw)),
        row.person && row.person.star && el("span", { class: "star" }, "★"),
        row.close && el("span", { class: "close" }, "close call"),
        el("span", { class: "weight" }, (criterion.fatal ? "fatal " : "") + (criterion.weight ? signed(criterion.weight) : "monitor"))),
      el("span", { class: "statement" }, criterion.text),
      score && bar(score, flaw)),
    score && score.why && el("p", { class: "why" }, `less than half: ${score.why}`),
    row.unscored && el("p", { class: "why" }, words(row.unscored.reason) + (row.unscored.detail ? ": " + row.unscored.detail : "")),
    chosen && el("div", { class: "more" },
      quotes.map((quote) => el("blockquote", {}, quote.length > 420 ? quote.slice(0, 420) + " …" : quote)),
      !quotes.length && score && el("p", { class: "note" }, "No passage decided it."),
      row.verdict && row.verdict.rationale && el("p", {}, row.verdict.rationale),
      el("p", { class: "meta" }, [criterion.axis, score && `margin ${decimal(score.margin)}`, criterion.id].filter(Boolean).join(" · "), " ",
        !options.all && el("button", { class: "link", onclick: copyLink }, "copy link"),
        quotes.length > 0 && el("button", { class: "link narrow", onclick: () => { showSide("report"); light(row.entry, true); } }, "show in report")),
      personForm(row, options)));
}

function showSide(name) {
  S.side = name;
  for (const node of document.querySelectorAll(".case")) node.dataset.side = name;
  for (const node of document.querySelectorAll(".sides button")) node.classList.toggle("on", node.dataset.side === name);
}

// Lights up what belongs to the chosen criterion, and brings it into view.
function light(entry, scroll) {
  const index = entry.criteria.findIndex((criterion) => criterion.id === S.criterion);
  let first = null;
  for (const mark of document.querySelectorAll("#main mark")) {
    const on = mark.dataset.rows.includes(` ${index} `);
    mark.classList.toggle("on", on);
    if (on && !first) first = mark;
  }
  if (scroll && first) first.scrollIntoView({ block: "center", behavior: "instant" });
}
