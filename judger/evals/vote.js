"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const key = "votes-" + data.set;
const byId = (id) => document.getElementById(id);
let votes = {}, at = 0;
// A page from a file may have no storage; the votes are then those of this sitting.
try {
  const kept = JSON.parse(localStorage.getItem(key) || "{}");
  votes = kept.votes || {};
  byId("voter").value = kept.voter || "";
} catch (error) { console.warn(error); }
function keep() {
  try { localStorage.setItem(key, JSON.stringify({ votes, voter: byId("voter").value })); }
  catch (error) { console.warn(error); }
}
function isWhole(pair) { return data.questions.every((q) => (votes[pair.id] || {})[q.name]); }
function told() {
  const done = data.pairs.filter(isWhole).length;
  byId("where").textContent = `Pair ${at + 1} of ${data.pairs.length} · ${done} answered`;
}
function show() {
  const pair = data.pairs[at];
  for (const side of ["query", "left", "right"]) { byId(side).textContent = pair[side]; byId(side).scrollTop = 0; }
  byId("task").hidden = !pair.query;
  const form = byId("questions");
  form.replaceChildren(...data.questions.map((question) => {
    const set = document.createElement("fieldset");
    const legend = document.createElement("legend");
    legend.textContent = question.title;
    const more = document.createElement("p");
    more.textContent = question.more;
    const row = document.createElement("div");
    row.className = "answers";
    for (const answer of data.answers) {
      const label = document.createElement("label");
      const input = document.createElement("input");
      Object.assign(input, { type: "radio", name: question.name, value: answer.value });
      input.checked = (votes[pair.id] || {})[question.name] === answer.value;
      input.addEventListener("change", () => {
        votes[pair.id] = { ...(votes[pair.id] || {}), [question.name]: answer.value };
        keep();
        told();
      });
      label.append(input, answer.title);
      row.append(label);
    }
    set.append(legend, more, row);
    return set;
  }));
  byId("back").disabled = at === 0;
  byId("next").disabled = at === data.pairs.length - 1;
  told();
}
function lines() {
  const voter = byId("voter").value.trim();
  return data.pairs.flatMap((pair) => data.questions
    .filter((question) => (votes[pair.id] || {})[question.name])
    .map((question) => JSON.stringify({
      pair: pair.id, dimension: question.name, answer: votes[pair.id][question.name], voter,
    }) + "\n")).join("");
}
byId("voter").addEventListener("input", keep);
byId("back").addEventListener("click", () => { at -= 1; show(); });
byId("next").addEventListener("click", () => { at += 1; show(); });
byId("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines()], { type: "application/x-ndjson" }));
  link.download = `votes-${byId("voter").value.trim().replace(/[^\p{L}\p{N}-]+/gu, "_") || "me"}.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});
show();
