// What the run comes to.
function table(heads, rows, name) {
  return el("div", { class: "scroll" }, el("table", { class: name || "" },
    el("thead", {}, el("tr", {}, heads.map((head, i) => el("th", { class: i ? "n" : "" }, head)))),
    el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell, i) => el("td", { class: i ? "n" : "" }, cell)))))));
}
// A value with its interval on a line from low to high.
function whisker(f, low, high) {
  if (f.value === null) return el("span", { class: "whisker" });
  const at = (x) => (100 * Math.min(1, Math.max(0, (x - low) / (high - low)))).toFixed(1) + "%";
  const from = f.low ?? f.value, to = f.high ?? f.value;
  return el("span", { class: "whisker", role: "img", "aria-label": interval(f) || decimal(f.value) },
    el("i", { style: { left: at(from), width: `calc(${at(to)} - ${at(from)})` } }), el("b", { style: { left: at(f.value) } }));
}
const figureCells = (f, low, high) => [el("strong", {}, decimal(f.value)), el("span", { class: "dim" }, interval(f) || "–"), whisker(f, low, high)];

function renderOverview() {
  const o = DATA.overview;
  if (!o || !o.cases) return el("p", { class: "empty" }, "Nothing has been judged yet.");
  const low = Math.min(0, ...o.systems.map((row) => row.reward.low ?? row.reward.value ?? 0));
  const reasons = Object.entries(o.unscored).map(([reason, n]) => `${n} ${words(reason)}`).join(", ");
  const unscored = Object.values(o.unscored).reduce((a, b) => a + b, 0);
  const fact = (title, text, note) => el("div", { class: "fact" }, el("dt", {}, title), el("dd", {}, text), note && el("dd", { class: "dim" }, note));
  const part = (rows) => rows.map((row) => [row.name || "(none)", count(row.criteria),
    ["fully_satisfied", "partially_satisfied", "not_satisfied"].map((label) => row.labels[label] || 0).join(" / "), ...figureCells(row.satisfied, 0, 1)]);
  const partHeads = ["", "Criteria", "✔ / ◐ / ✘", "Satisfied", "95%", ""];
  return el("div", { class: "overview" },
    el("section", { class: "hero" },
      el("p", { class: "big" }, decimal(o.all.reward.value)), el("div", {}, el("p", { class: "lead" }, "mean reward of " + plural(o.all.rewarded, "report")),
        el("p", { class: "dim" }, [interval(o.all.reward) && "95% interval " + interval(o.all.reward), o.without_reward && `${plural(o.without_reward, "report")} without a reward`,
          o.refused && `${o.refused} refused`].filter(Boolean).join(" · ")))),
    el("dl", { class: "facts-grid" },
      fact("Reports", count(o.cases), plural(o.criteria, "criterion", "criteria")),
      fact("Unscored", count(unscored), reasons || "every criterion has a verdict"),
      fact("Close calls", count(o.close), `margin under ${CLOSE}`),
      fact("Flagged", count(o.flagged), "suspected of steering the judge"),
      DATA.judge.engine ? fact("Judge", [...new Set([DATA.judge.engine, DATA.judge.model])].filter(Boolean).join(" "), o.judge_ids.join(", ")) : fact("Judge", o.judge_ids.join(", ") || "–"),
      fact("Mapping", o.mappings.map(words).join(", ") || "–"),
      fact("Rubrics", count(o.rubrics.length), o.rubrics.slice(0, 3).join(", ") + (o.rubrics.length > 3 ? " …" : "")),
      fact("Cost", count(o.cost.prompt_tokens) + " tokens",
        `${count(o.cost.shared_tokens)} shared · ${plural(o.cost.cached_criteria, "verdict")} from the cache · engine ${decimal(o.cost.engine_seconds, 1)} s · queue ${decimal(o.cost.queue_seconds, 1)} s`)),
    DATA.notes.map((note) => el("p", { class: "note" }, note)),
    DATA.against && renderAgainst(DATA.against),
    o.systems.length > 1 && el("section", {}, el("h2", {}, "Leaderboard"),
      table(["System", "Reports", "Reward", "95%", ""], o.systems.map((row) => [row.name || "(none)", count(row.rewarded), ...figureCells(row.reward, low, 1)]))),
    el("section", {}, el("h2", {}, "By sign of weight"), table(partHeads, part(o.signs))),
    o.axes.length > 1 && el("section", {}, el("h2", {}, "By axis"), table(partHeads, part(o.axes))),
    o.domains.length > 1 && el("section", {}, el("h2", {}, "By domain"),
      table(["", "Reports", "Reward", "95%", ""], o.domains.map((row) => [row.name || "(none)", count(row.rewarded), ...figureCells(row.reward, low, 1)]))),
    el("p", { class: "dim small" }, `Intervals: 95% percentile bootstrap, ${count(o.resamples)} resamples of whole reports. Of a flaw, satisfied means that it is present. Unscored is not zero: it counts in no figure.`),
    el("p", { class: "buttons" },
      el("button", { onclick: () => save(DATA.name + ".csv", "text/csv", [asCsv()]) }, "Download CSV"),
      el("button", { onclick: () => save(DATA.name + ".page.jsonl", "application/x-ndjson", DATA.entries.map((entry) => JSON.stringify(entry) + "\n")) }, "Download JSONL")));
}

function renderAgainst(against) {
  const p = against.paired;
  return el("section", {}, el("h2", {}, `Beside ${against.name}`),
    el("p", {}, "Mean reward ", el("strong", {}, decimal(DATA.overview.all.reward.value)), " here, ", el("strong", {}, decimal(against.overview.all.reward.value)), " there. ",
      `On the ${plural(p.with_rewards, "report")} with a reward in both: ${p.difference.value === null ? "–" : signed(p.difference.value)}`,
      p.difference.low === null ? "" : ` (95% ${interval(p.difference)})`, `, ${p.higher} higher and ${p.lower} lower there.`),
    table(["Verdicts there, against here", "Criteria"], Object.entries(p.moves).sort((a, b) => b[1] - a[1]).map(([name, n]) => [name, count(n)])));
}

// A cell that begins like a formula is a formula to a spreadsheet: a quote before it makes it a text.
function csvCell(given) {
  let text = given === null || given === undefined ? "" : String(given);
  if (typeof given === "string" && /^[=+\-@\t\r]/.test(text)) text = "'" + text;
  return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}
function asCsv() {
  const heads = ["case", "system", "domain", "criterion", "text", "axis", "weight", "label", "satisfied", "p_not", "p_partial", "p_full", "margin", "unscored", "people", "reward", "evidence"];
  const lines = [heads, ...DATA.entries.flatMap((entry) => rowsOf(entry).map((row) => [entry.id, entry.system, entry.domain, row.criterion.id, row.criterion.text,
    row.criterion.axis, row.criterion.weight, row.score && row.score.label.toLowerCase(), row.score && row.score.satisfied, row.score && row.score.p_not,
    row.score && row.score.p_partial, row.score && row.score.p_full, row.score && row.score.margin, row.unscored ? words(row.unscored.reason) : entry.error && "refused",
    row.human, value(entry), evidenceText(row).join(" … ")]))];
  return lines.map((cells) => cells.map(csvCell).join(",") + "\r\n").join("");
}
