// Which rows are shown. A stranger's pattern runs in a worker that is ended when it takes too long.
const MODES = [
  ["all", "All"], ["failures", "Failures"], ["unscored", "Unscored"], ["disagreeing", "Disagreeing"], ["flagged", "Flagged"],
];
function rowShown(row) {
  if (S.axis !== "" && row.criterion.axis !== S.axis.slice(1)) return false;
  if (S.verdict === "unscored" && row.score) return false;
  if (S.verdict && S.verdict !== "unscored" && !(row.score && row.score.label.toLowerCase() === S.verdict)) return false;
  if (S.margin < 1 && !(row.score && row.score.margin <= S.margin)) return false;
  if (S.mode === "failures") return row.failed;
  if (S.mode === "unscored") return row.score === null;
  if (S.mode === "disagreeing") return row.disagrees;
  return true;
}
function entryShown(entry) {
  if (S.hits && !S.hits.has(entry.key)) return false;
  if (S.mode === "flagged" && !(entry.judgement && entry.judgement.flags.length)) return false;
  return rowsOf(entry).some(rowShown);
}
const leastMargin = (entry) => Math.min(2, ...rowsOf(entry).filter((row) => row.score).map((row) => row.score.margin));
function gap(entry) {
  if (!entry.other) return -1;
  const [a, b] = [value(entry), value(entry.other)];
  return rowsOf(entry).filter((row) => differs(row.verdict, row.other)).length + (a === null || b === null ? 0 : Math.abs(a - b));
}
const SORTS = {
  close: ["Close calls first", (a, b) => leastMargin(a) - leastMargin(b)],
  low: ["Lowest reward first", (a, b) => (value(a) ?? 9) - (value(b) ?? 9)],
  file: ["In the run's order", () => 0],
};
if (DATA.against) SORTS.differ = ["Differing first", (a, b) => gap(b) - gap(a)];
const shownEntries = () => DATA.entries.filter(entryShown).sort(SORTS[S.sort][1]);

const ORDERS = {
  close: (a, b) => (a.score ? a.score.margin : -1) - (b.score ? b.score.margin : -1),
  rubric: (a, b) => a.index - b.index,
  weight: (a, b) => Math.abs(b.criterion.weight) - Math.abs(a.criterion.weight),
};
const shownRows = (entry) => rowsOf(entry).filter(rowShown).sort(ORDERS[S.order]);

const textsOf = (entry) => [entry.id, entry.query, entry.report, entry.system, entry.domain,
  ...rowsOf(entry).flatMap((row) => [row.criterion.id, row.criterion.text, (row.verdict && row.verdict.rationale) || "", (row.person && row.person.comment) || ""])];
const SEARCHER = `onmessage = ({data: {pattern, texts}}) => {
  const found = new RegExp(pattern, "iu");
  postMessage(texts.filter(([, parts]) => parts.some((part) => found.test(part))).map(([key]) => key));
}`;
const SEARCH_MS = 1500;
let searching = null;

function endSearch() {
  if (searching) searching.end();
  searching = null;
}
// Calls back with (keys, fault): the keys that match, or null for all.
function search(text, isRegex, done) {
  endSearch();
  if (!text) return done(null, "");
  if (!isRegex) {
    const wanted = text.toLowerCase();
    const hits = DATA.entries.filter((entry) => textsOf(entry).some((part) => part.toLowerCase().includes(wanted)));
    return done(new Set(hits.map((entry) => entry.key)), "");
  }
  try {
    new RegExp(text, "iu");
  } catch (error) {
    return done(new Set(), "This is no pattern: " + error.message.replace(/^.*\/iu: /, ""));
  }
  const url = URL.createObjectURL(new Blob([SEARCHER], { type: "text/javascript" }));
  const worker = new Worker(url);
  const timer = setTimeout(() => finish(new Set(), "This pattern takes too long on these texts; it was stopped."), SEARCH_MS);
  const end = () => { clearTimeout(timer); worker.terminate(); URL.revokeObjectURL(url); };
  const finish = (hits, fault) => { end(); searching = null; done(hits, fault); };
  searching = { end };
  worker.onmessage = ({ data }) => finish(new Set(data), "");
  worker.onerror = () => finish(new Set(), "The search failed.");
  worker.postMessage({ pattern: text, texts: DATA.entries.map((entry) => [entry.key, textsOf(entry)]) });
}
