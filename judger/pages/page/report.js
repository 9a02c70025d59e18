// A report as text with its evidence marked. Markdown is hinted at, not rendered: every character keeps its place.

// Evidence counts code points, JavaScript UTF-16 units: they part at the first emoji.
function unitsOf(text) {
  if (!/[\ud800-\udbff]/.test(text)) return (point) => point;
  const starts = [];
  for (let at = 0; at < text.length; at += text.codePointAt(at) > 0xffff ? 2 : 1) starts.push(at);
  return (point) => (point < starts.length ? starts[point] : text.length);
}

function marksOf(entry, text) {
  const units = unitsOf(text);
  const marks = [];
  for (const row of rowsOf(entry))
    for (const span of (row.verdict && row.verdict.evidence) || [])
      marks.push({ from: units(span.start), to: units(span.end), row });
  return marks.filter((mark) => mark.to > mark.from);
}

function evidenceText(row) {
  const points = unitsOf(row.entry.report);
  return ((row.verdict && row.verdict.evidence) || [])
    .map((span) => row.entry.report.slice(points(span.start), points(span.end)).replace(/\s+/g, " ").trim())
    .filter(Boolean);
}

function lineKind(line) {
  const heading = /^(#{1,6})[ \t]/.exec(line);
  if (heading) return ["h" + Math.min(heading[1].length, 4), heading[0].length];
  if (/^[ \t]*[-*+][ \t]/.test(line)) return ["li", 0];
  if (/^[ \t]*\d{1,3}[.)][ \t]/.test(line)) return ["li", 0];
  if (line.startsWith("|")) return ["row", 0];
  if (line.startsWith(">")) return ["quote", 0];
  return ["p", 0];
}

function renderReport(entry, onPick) {
  const text = entry.report;
  const marks = marksOf(entry, text);
  const article = el("article", { class: "report", lang: "" });
  let at = 0;
  for (const line of text.split("\n")) {
    const end = at + line.length;
    if (line.trim()) article.append(renderLine(line, at, marks.filter((m) => m.from < end && m.to > at), onPick));
    at = end + 1;
  }
  return article;
}

function renderLine(line, at, marks, onPick) {
  const [kind, hidden] = lineKind(line);
  const bold = [];
  const quiet = hidden ? [[at, at + hidden]] : [];
  for (const found of line.matchAll(/\*\*([^*]+)\*\*/g)) {
    const from = at + found.index;
    quiet.push([from, from + 2], [from + found[0].length - 2, from + found[0].length]);
    bold.push([from + 2, from + found[0].length - 2]);
  }
  const end = at + line.length;
  const cuts = new Set([at, end]);
  for (const [from, to] of [...bold, ...quiet, ...marks.map((m) => [m.from, m.to])])
    for (const cut of [from, to]) if (cut > at && cut < end) cuts.add(cut);
  const sorted = [...cuts].sort((a, b) => a - b);
  const within = (list, from) => list.some(([a, b]) => a <= from && from < b);
  const block = el("div", { class: "line " + kind });
  for (let i = 0; i + 1 < sorted.length; i++) {
    const [from, to] = [sorted[i], sorted[i + 1]];
    let node = document.createTextNode(line.slice(from - at, to - at));
    if (within(bold, from)) node = el("strong", {}, node);
    if (within(quiet, from)) node = el("span", { class: "md" }, node);
    const rows = marks.filter((m) => m.from <= from && from < m.to).map((m) => m.row.index);
    if (rows.length) {
      node = el("mark", { "data-rows": " " + rows.join(" ") + " ", title: plural(rows.length, "criterion", "criteria"),
        onclick: () => onPick(rows) }, node);
    }
    block.append(node);
  }
  return block;
}
