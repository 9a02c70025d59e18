// Judging what is pasted: the doors of the server that the page comes from.
const FORM = { query: "", a: "", b: "", rubric: "", isPair: false, busy: null, entries: [], fault: "", preference: "" };

async function ask(path, body, kind = "json") {
  const headers = S.token ? { authorization: "Bearer " + S.token } : {};
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await fetch(path, { method: body === undefined ? "GET" : "POST", headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (!answer.ok) throw new Error(await faultOf(answer));
  return answer[kind]();
}
async function faultOf(answer) {
  if (answer.status === 401) return "This server asks for a token: give it above.";
  const text = await answer.text();
  try {
    return JSON.parse(text).message;
  } catch {
    return `${answer.status} ${text.slice(0, 200)}`;
  }
}

// JSON as files have it, or a criterion a line: "+3 Explains ...", "-4 Claims ...".
function readRubric(text) {
  const trimmed = text.trim();
  if (!trimmed) throw new Error("The rubric is empty.");
  if (trimmed.startsWith("[") || trimmed.startsWith("{")) {
    const read = JSON.parse(trimmed);
    const list = Array.isArray(read) ? read : read.criteria || read.rubrics || [];
    if (!FORM.query.trim() && typeof (read.query ?? read.prompt) === "string") FORM.query = read.query ?? read.prompt;  // as files have it
    return list.map((one) => (typeof one === "string" ? { text: one } : { text: one.text ?? one.criterion ?? "", id: one.id, weight: one.weight ?? one.points, role: one.role, axis: one.axis, fatal: one.fatal }));
  }
  return trimmed.split("\n").filter((line) => line.trim()).map((line) => {
    const found = /^\s*([+\-−]?\d{1,6}(?:\.\d{1,6})?)[ \t:]+(\S.*)$/.exec(line);
    return found ? { text: found[2], weight: Number(found[1].replace("−", "-")) } : { text: line.trim() };
  });
}

async function judgeOne(report, criteria, side, signal) {
  const shown = criteria.map((one, i) => ({ id: one.id || `c${i + 1}`, text: one.text, weight: one.weight ?? (one.role === "negative" ? -1 : 1), role: one.role || "", axis: one.axis || "", fatal: one.fatal || false, label: null }));
  const entry = { key: side, id: side, system: "", domain: "", query: FORM.query, report, criteria: shown, error: "", judgement: { verdicts: [], reward: { value: null, mapping: "STRICT" }, usage: {}, flags: [] } };
  FORM.entries.push(entry);
  const headers = { "content-type": "application/json", accept: "application/x-ndjson" };
  if (S.token) headers.authorization = "Bearer " + S.token;
  const answer = await fetch("v1/judge", { method: "POST", headers, signal, body: JSON.stringify({ request_id: side, query: FORM.query, report, criteria }) });
  if (!answer.ok) throw new Error(await faultOf(answer));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "", chunk; !(chunk = await reader.read()).done; ) {
    const lines = (rest + chunk.value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const said = JSON.parse(line);
      if (said.error) throw new Error(said.error.message);
      if (said.reward) entry.judgement = said;
      else entry.judgement.verdicts.push(...said.verdicts);
    }
    draw();
    if (!FORM.isShown) showAnswer();
  }
  return entry;
}

async function judgeForm(event) {
  event.preventDefault();
  if (FORM.busy) FORM.busy.abort();
  const mine = (FORM.busy = new AbortController());
  Object.assign(FORM, { entries: [], fault: "", preference: "", isShown: false });
  S.criterion = null;
  draw();
  try {
    if (FORM.isPair && !FORM.rubric.trim()) return await compareWhole(mine);
    const criteria = readRubric(FORM.rubric);
    const sides = FORM.isPair ? [["A", FORM.a], ["B", FORM.b]] : [["report", FORM.a]];
    const found = [];
    for (const [side, report] of sides) found.push(await judgeOne(report, criteria, side, mine.signal));
    if (FORM.isPair) {
      const [a, b] = found.map(value);
      FORM.preference = a === null || b === null ? "No preference: a report has no reward." : a === b ? "A tie." : `${a > b ? "A" : "B"} is better by ${decimal(Math.abs(a - b))}.`;
    }
  } catch (error) {
    if (error.name !== "AbortError") FORM.fault = error.message;
  }
  finally {
    if (FORM.busy === mine) FORM.busy = null;
    draw();
    if (FORM.preference) showAnswer();
  }
}

// Without a rubric the judge is asked which is better, in both orders; not every judge can be.
async function compareWhole(mine) {
  const said = await ask("v1/compare", { query: FORM.query, report_a: FORM.a, report_b: FORM.b });
  if (FORM.busy !== mine) return;
  FORM.preference = said.preference === "TIE" ? "A tie." : `${said.preference} is better: P ${decimal(said.preference === "A" ? said.p_a : 1 - said.p_a)} in the mean of both orders.`;
}

// The answer is below the form: once per question it is brought into sight.
function showAnswer() {
  FORM.isShown = true;
  const node = document.querySelector("#main .answer");
  if (node) node.scrollIntoView({ block: "start" });
}

function renderJudge() {
  const area = (name, title, rows, more) => el("label", {}, el("span", {}, title), el("textarea", { rows: String(rows), name, spellcheck: "false", ...more,
    oninput: (event) => { FORM[name] = event.target.value; } }, FORM[name]));
  const opener = (name, title) => el("label", { class: "file" }, title, el("input", { type: "file", accept: ".md,.txt,.json,.html,text/*", onchange: async (event) => {
    if (event.target.files[0]) { FORM[name] = await event.target.files[0].text(); draw(); }
  } }));
  const pair = el("label", { class: "check" }, el("input", { type: "checkbox", name: "pair", checked: FORM.isPair, onchange: (event) => { FORM.isPair = event.target.checked; draw(); } }), " Compare two reports");
  const token = el("label", {}, el("span", {}, "Token, where the server asks for one"), el("input", { type: "password", id: "token", autocomplete: "off", value: S.token, oninput: (event) => { S.token = event.target.value; } }));
  const form = el("form", { class: "judge-form", onsubmit: judgeForm },
    el("div", {}, area("query", "Query", 2, { placeholder: "What was asked" }), opener("query", "open a file")),
    el("div", { class: FORM.isPair ? "two" : "" }, el("div", {}, area("a", FORM.isPair ? "Report A" : "Report", 9, { placeholder: "The report, as text or Markdown" }), opener("a", "open a file")),
      FORM.isPair && el("div", {}, area("b", "Report B", 9), opener("b", "open a file"))),
    el("div", {}, area("rubric", FORM.isPair ? "Rubric: a criterion a line with its weight before it, or JSON; none: the judge compares all in all" : "Rubric: a criterion a line with its weight before it, or JSON", 6, { placeholder: "+3 Explains the refrigeration cycle\n-4 Claims that heat pumps create energy" }), opener("rubric", "open a file")),
    el("details", {}, el("summary", {}, "Server"), token, el("p", { class: "dim small" }, "The doors of this server are listed in ", el("a", { href: "openapi.json" }, "openapi.json"), ".")),
    el("div", { class: "buttons" }, pair, el("button", { type: "submit", class: "primary" }, FORM.busy ? "Judging …" : "Judge")),
    FORM.fault && el("p", { class: "fault", role: "alert" }, FORM.fault));
  return el("div", { class: "judge" }, form, el("div", { class: "answer" }, FORM.preference && el("p", { class: "lead preference" }, FORM.preference),
    FORM.entries.map((entry) => renderCase(entry, { all: true }))));
}
