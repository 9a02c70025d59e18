// What everything else stands on: the data, elements made without markup, numbers for people, the page's state.
const DATA = JSON.parse(document.getElementById("data").textContent);
const LABELS = ["not_satisfied", "partially_satisfied", "fully_satisfied"];
const CLOSE = 0.1;
const S = {
  view: "overview", key: null, criterion: null, mode: "all", order: "close", sort: DATA.against ? "differ" : "close",
  text: "", isRegex: false, hits: null, axis: "", verdict: "", margin: 1, side: "checklist", token: "",
};
const $ = (id) => document.getElementById(id);

// Texts become text nodes: nothing that a report says is ever read as markup.
function el(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, set] of Object.entries(value)) node.style.setProperty(key, set);
    else if (name === "class") node.className = value;
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  return fill(node, ...children);
}
function fill(node, ...children) {
  node.replaceChildren(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const decimal = (x, digits = 2) => (x === null || x === undefined ? "–" : x.toFixed(digits).replace("-", "−"));
const signed = (x) => (x > 0 ? "+" : "") + String(Math.round(x * 100) / 100).replace("-", "−");
const percent = (x) => Math.floor(100 * x + 0.5) + "%";
const count = (n) => n.toLocaleString("en");
const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;
const interval = (f) => (f.low === null ? "" : `${decimal(f.low)} to ${decimal(f.high)}`);
const words = (reason) => reason.toLowerCase().replaceAll("_", " ");
const isFlaw = (criterion) => criterion.weight < 0 || (criterion.weight === 0 && criterion.role === "negative");

function verdictWords(score, flaw) {
  if (flaw) return { NOT_SATISFIED: "absent", PARTIALLY_SATISFIED: "in part", FULLY_SATISFIED: "present" }[score.label];
  return { NOT_SATISFIED: "not", PARTIALLY_SATISFIED: "partially", FULLY_SATISFIED: "fully" }[score.label];
}
function labelWords(label, flaw) {
  return verdictWords({ label: label.toUpperCase() }, flaw);
}
// Good news is green, whether a requirement that is met or a flaw that is not there.
function tone(score, flaw) {
  if (flaw) return score.satisfied ? "bad" : "good";
  return score.satisfied ? "good" : score.label === "PARTIALLY_SATISFIED" ? "half" : "bad";
}
const above = (score, flaw) => (flaw ? score.p_partial + score.p_full : score.p_full);
const threshold = (score, flaw) => above(score, flaw) + (score.satisfied ? -score.margin : score.margin);

const PEOPLE = new Map();
const personKey = (key, criterion) => JSON.stringify([key, criterion]);
function keepPeople(list) {
  PEOPLE.clear();
  for (const said of list) PEOPLE.set(personKey(said.case, said.criterion), said);
}
keepPeople(DATA.people || []);
const said = (entry, criterion) => PEOPLE.get(personKey(entry.key, criterion.id));

// A row is one criterion of an entry with all that is known of it.
function rowsOf(entry) {
  const verdicts = entry.judgement ? entry.judgement.verdicts : [];
  const others = new Map();
  for (const verdict of (entry.other && entry.other.judgement && entry.other.judgement.verdicts) || [])
    others.set(verdict.criterion_id, verdict);
  return entry.criteria.map((criterion, index) => {
    const verdict = verdicts[index] || null;
    const score = (verdict && verdict.score) || null;
    const flaw = isFlaw(criterion);
    const other = others.get(criterion.id) || null;
    const person = said(entry, criterion);
    const human = (person && person.label) || criterion.label || null;
    return {
      entry, index, criterion, verdict, score, flaw, other, person, human,
      unscored: verdict ? verdict.unscored || null : null,
      close: score !== null && score.margin < CLOSE,
      failed: score !== null && score.satisfied === flaw,
      disagrees: (score !== null && human !== null && human.toUpperCase() !== score.label) || differs(verdict, other),
    };
  });
}
function differs(a, b) {
  if (!a || !b) return false;
  if (!a.score || !b.score) return Boolean(a.score) !== Boolean(b.score);
  return a.score.label !== b.score.label;
}
const value = (entry) => (entry.judgement && entry.judgement.reward.value !== undefined ? entry.judgement.reward.value : null);
const entryOf = (key) => DATA.entries.find((entry) => entry.key === key) || null;

function toast(text) {
  $("toast").textContent = text;
  $("toast").classList.add("shown");
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => $("toast").classList.remove("shown"), 2600);
}
function save(name, type, parts) {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
